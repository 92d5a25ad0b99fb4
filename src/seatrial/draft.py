"""A first contract from data: types, nullability, ranges and allowed values with slack, as YAML for a person to review."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from seatrial.contract import Checks, Column, Contract, Rows, Table
from seatrial.params import Data

if TYPE_CHECKING:
    import polars as pl

MAX_ALLOWED = 50
SLACK = 0.1
PLAIN_INTEGER = r"^-?(0|[1-9][0-9]{0,17})$"

_HEADER = """\
# What {raw} may hold: `seatrial validate` holds every new version of the data to it, and docs/contract.md explains each key.
# Drafted from {rows} rows by `seatrial contract infer`. Read it as a review: a limit is a promise about future data too.
"""


def infer(frame: pl.DataFrame, data: Data) -> Contract:
    """Draft the contract that `frame` (as `read_table` gives it) keeps, with slack for the next version of the data."""
    from seatrial.tables import typed

    plain = Contract(columns={name: Column(type=_type(frame[name], name == data.id)) for name in frame.columns})
    table, _ = typed(frame, plain)
    columns = {name: _column(table[name], column, name == data.id, name == data.target) for name, column in plain.columns.items()}
    key = (data.id,) if data.id in columns and columns[data.id].unique else ()
    return Contract(columns=columns, table=Table(rows=Rows(min=frame.height // 2), key=key), checks=Checks())


def _type(series: pl.Series, is_id: bool) -> Any:
    import polars as pl

    dtype = series.dtype
    if dtype == pl.String:
        return "string" if is_id and not _all_match(series, PLAIN_INTEGER) else _type_of_text(series)
    if dtype.is_integer():
        return "integer"
    if dtype.is_numeric():
        return "number"
    names = {pl.Boolean: "boolean", pl.Date: "date", pl.Datetime: "datetime"}
    return next((name for kind, name in names.items() if dtype == kind), "string")


def _type_of_text(series: pl.Series) -> str:
    """The narrowest type that every cell has; numbers with leading zeros are names, so they stay strings."""
    from seatrial.tables import _CONVERSIONS

    cells = series.set(series == "", None).drop_nulls()
    if cells.is_empty():
        return "string"
    if _all_match(cells, PLAIN_INTEGER):
        return "integer"
    if _all_match(cells, "(?i)^(true|false)$"):
        return "boolean"
    if not cells.str.contains(r"^[-+]?0[0-9]").any() and _CONVERSIONS["number"](cells).null_count() == 0:
        return "number"
    return next((name for name in ("date", "datetime") if _CONVERSIONS[name](cells).null_count() == 0), "string")


def _all_match(series: pl.Series, pattern: str) -> bool:
    return bool(series.set(series == "", None).drop_nulls().str.contains(pattern).all())


def _column(series: pl.Series, column: Column, is_id: bool, is_target: bool) -> Column:
    present = series.drop_nulls()
    nullable = _nullable(series)
    if is_id:
        return Column(type=column.type, nullable=nullable, unique=present.n_unique() == present.len())
    if column.type in ("integer", "number") and present.len():
        return Column(type=column.type, nullable=nullable, range=_range(present, column.type))
    if column.type == "string" and 0 < present.n_unique() <= (2 if is_target else MAX_ALLOWED):
        return Column(type=column.type, nullable=nullable, allowed=tuple(sorted(present.unique())))
    return Column(type=column.type, nullable=nullable)


def _nullable(series: pl.Series) -> float:
    """Twice the share of missing cells, in whole percents; none stays none."""
    return min(1.0, math.ceil(200 * series.null_count() / series.len()) / 100)


def _range(present: pl.Series, kind: str) -> tuple[Any, Any]:
    """Smallest and largest value with a tenth of their span on either side, never across zero; flags stay as they are."""
    low, high = float(present.min()), float(present.max())  # type: ignore[arg-type]
    slack = SLACK * (high - low) if high - low > 1 else 0.0
    bottom, top = low - slack, high + slack
    bottom = 0.0 if low >= 0 > bottom else bottom
    top = 0.0 if high <= 0 < top else top
    if kind == "integer":
        return math.floor(bottom), math.ceil(top)
    return _outward(bottom, low, math.floor), _outward(top, high, math.ceil)


def _outward(limit: float, value: float, rounded: Any) -> float:
    """`limit` in three digits, away from the data; the value itself where it has no slack."""
    if limit == 0 or limit == value:
        return limit
    unit = 10.0 ** (math.floor(math.log10(abs(limit))) - 2)
    return float(f"{rounded(limit / unit) * unit:.12g}")


def remarks(frame: pl.DataFrame, contract: Contract, data: Data) -> dict[str, str]:
    """For each column that a person should look at, why."""
    found = {}
    for name, column in contract.columns.items():
        series = frame[name]
        distinct = series.drop_nulls().n_unique()
        for reason in _reasons(column, series.null_count() / series.len(), distinct, name == data.id, name == data.target):
            found[name] = reason
            break
    return found


def _reasons(column: Column, missing: float, distinct: int, is_id: bool, is_target: bool) -> Iterator[str]:
    if distinct == 0:
        yield "no cell has a value"
    if is_id and not column.unique:
        yield "the id of params.yaml, but not unique"
    if is_target and distinct != 2:
        yield f"the target has {distinct} classes, a binary task needs two"
    if distinct == 1:
        yield "one value only: it tells a model nothing"
    if missing > 0.5:
        yield f"{missing:.0%} of the cells are missing"
    if column.type == "string" and column.allowed is None and not is_id:
        yield f"{distinct} different values: free text, or a list that is worth writing down?"
    if column.range is not None and column.range != (0, 1):
        yield "are these limits the real ones?"


def to_yaml(contract: Contract, *, remarks: Mapping[str, str], raw: str, rows: int) -> str:
    """The contract as YAML, one line a column, `# look at this` where a person should."""
    lines = [_HEADER.format(raw=raw, rows=rows), "columns:"]
    for name, column in contract.columns.items():
        remark = f"   # look at this: {remarks[name]}" if name in remarks else ""
        lines.append(f"  {_scalar(name)}: {_flow(column)}{remark}")
    table, statistics, freshness = contract.table, contract.checks.statistics, contract.checks.freshness
    lines += ["", "table:", f"  rows: {{min: {table.rows.min}, max: {_scalar(table.rows.max)}}}   # look at this: half of today's rows"]
    lines += [
        f"  key: [{', '.join(map(_scalar, table.key))}]",
        f"  extra: {table.extra}   # what a column that is not listed above means",
        "",
    ]
    lines += ["checks:", "  statistics:   # against the reference profile: a change this large, and significant"]
    lines += [f"    {key}: {_scalar(value)}" for key, value in statistics.model_dump().items()]
    lines += ["  freshness:   # column: a date column above, or null: then data.snapshot of params.yaml is the clock"]
    lines += [f"    {key}: {_scalar(value)}" for key, value in freshness.model_dump().items()]
    return "\n".join(lines) + "\n"


def _flow(column: Column) -> str:
    parts = [f"type: {column.type}"]
    if column.nullable:
        parts.append(f"nullable: {_scalar(column.nullable)}")
    if column.range:
        parts.append(f"range: [{', '.join(map(_scalar, column.range))}]")
    if column.allowed:
        parts.append(f"allowed: [{', '.join(map(_scalar, column.allowed))}]")
    if column.unique:
        parts.append("unique: true")
    return f"{{{', '.join(parts)}}}"


def _scalar(value: Any) -> str:
    """One YAML scalar; whatever YAML could read as something else is put in quotes."""
    import yaml

    if isinstance(value, float):
        text = str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
        return text.replace("e", ".0e") if "e" in text and "." not in text else text  # YAML 1.1 reads 1e-05 as a word
    if not isinstance(value, str):
        return json.dumps(value)
    plain = value.replace("_", "").isalnum() and value.isascii()
    return value if plain and yaml.safe_load(value) == value else json.dumps(value, ensure_ascii=False)
