"""The contract as a pandera schema: a Python file that people can read, for Polars or pandas.

What pandera has no check for is kept in the schema's metadata, so that reading it back gives the same contract, and is
told of (`Exported.unasked`).
"""

from __future__ import annotations

import datetime as dt
import pprint
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from seatrial.contract import Column, Contract
from seatrial.contract_rules import BOTH

Backend = Literal["polars", "pandas"]
OURS = "seatrial"
TYPES: dict[Backend, dict[str, str]] = {
    "polars": {
        "integer": "pl.Int64",
        "number": "pl.Float64",
        "boolean": "pl.Boolean",
        "string": "pl.String",
        "date": "pl.Date",
        "datetime": 'pl.Datetime("us")',
    },
    "pandas": {
        "integer": '"Int64"',
        "number": '"float64"',
        "boolean": '"boolean"',
        "string": "str",
        "date": '"datetime64[ns]"',
        "datetime": '"datetime64[ns]"',
    },
}
NEVER = (
    "statistics, freshness, label and split are asked of the whole table, its reference and the clock",
    "constant columns, numbers among words, spellings that differ by case, and dates in the future are not asked about",
)
_POLARS = '''
def missing_at_most(share, **options):
    """At most this share of a column's cells has no value."""
    question = lambda data: data.lazyframe.select(pl.col(data.key).is_null().mean() <= share)
    return pa.Check(question, name="nullable", ignore_na=False, **options)


def unique_where_present(**options):
    """No value stands twice; cells without a value do not count."""
    question = lambda data: data.lazyframe.select(~pl.col(data.key).drop_nulls().is_duplicated().any())
    return pa.Check(question, name="unique", ignore_na=False, **options)


def rows_between(low, high=None):
    """How many rows there are."""
    return pa.Check(lambda data: data.lazyframe.select((pl.len() >= low) & (pl.len() <= (high or 2**62))), name="rows", ignore_na=False)


def repeated_at_most(share):
    """At most this share of the rows repeats an earlier one."""
    question = lambda data: data.lazyframe.select(1 - pl.struct(pl.all()).n_unique() / pl.len() <= share)
    return pa.Check(question, name="duplicates", ignore_na=False)


def holds(name, sql, share=0.0, **options):
    """At most this share of the rows breaks a condition; a row without the values that it needs does not."""
    question = lambda data: data.lazyframe.select((~pl.sql_expr(sql).fill_null(True)).mean() <= share)
    return pa.Check(question, name=name, ignore_na=False, **options)
'''
_PANDAS = '''
def missing_at_most(share, **options):
    """At most this share of a column's cells has no value."""
    return pa.Check(lambda cells: cells.isna().mean() <= share, name="nullable", ignore_na=False, **options)


def unique_where_present(**options):
    """No value stands twice; cells without a value do not count."""
    return pa.Check(lambda cells: not cells.dropna().duplicated().any(), name="unique", ignore_na=False, **options)


def rows_between(low, high=None):
    """How many rows there are."""
    return pa.Check(lambda frame: low <= len(frame) <= (high or 2**62), name="rows", ignore_na=False)


def repeated_at_most(share):
    """At most this share of the rows repeats an earlier one."""
    return pa.Check(lambda frame: frame.duplicated().mean() <= share, name="duplicates", ignore_na=False)


def holds(name, sql, share=0.0, **options):
    """At most this share of the rows breaks a condition in Polars' SQL; a row without the values that it needs does not."""
    question = lambda frame: (~pl.from_pandas(frame).select(pl.sql_expr(sql).fill_null(True)).to_series()).mean() <= share
    return pa.Check(question, name=name, ignore_na=False, **options)
'''


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A Python file that defines `schema`, and what of the contract pandera does not ask."""

    text: str
    unasked: tuple[str, ...]


def export(contract: Contract, *, backend: Backend, source: str) -> Exported:
    """Write the contract down as a pandera schema; `source` is the contract's name, for the file's own first line."""
    unasked = tuple(_unasked(contract))
    body = [_columns(contract, backend), *_options(contract)]
    calls = "\n".join(body)
    imports = ["import pandera.pandas as pa"] if backend == "pandas" else ["import pandera.polars as pa"]
    if backend == "polars" or "holds(" in calls:
        imports.append("import polars as pl")
    if "datetime.date" in calls:
        imports.insert(0, "import datetime\n")
    source = _quoted(source)
    head = f'"""What the table may hold, as a pandera schema for {backend}.\n\nWritten from {source} by `seatrial contract export`; '
    head += f"`seatrial contract import` reads it.\nNot asked here:\n\n{_bullets(unasked)}\n"
    helpers = [helper for helper in _helpers(_PANDAS if backend == "pandas" else _POLARS) if f"{_name_of(helper)}(" in calls]
    text = "\n".join([head + '"""', "", *imports, "", *(f"\n{helper}\n" for helper in helpers), "", "schema = pa.DataFrameSchema("])
    return Exported(text=f"{text}\n{textwrap.indent(calls, '    ')}\n)\n", unasked=unasked)


def _bullets(sentences: tuple[str, ...]) -> str:
    return "\n".join(f"- {_quoted(sentence)}" for sentence in sentences)


def _quoted(text: str) -> str:
    """Text as it may stand in a docstring."""
    return text.replace("\\", "\\\\").replace('"', "'")


def _helpers(text: str) -> list[str]:
    return [helper.strip() for helper in text.strip().split("\n\n\n")]


def _name_of(helper: str) -> str:
    return helper.removeprefix("def ").partition("(")[0]


def _columns(contract: Contract, backend: Backend) -> str:
    lines = [f"{name!r}: {_column(column, backend)}," for name, column in contract.columns.items()]
    return "columns={\n" + textwrap.indent("\n".join(lines), "    ") + "\n},"


def _column(column: Column, backend: Backend) -> str:
    arguments = [TYPES[backend][column.type]]
    checks = list(_checks(column, backend))
    if checks:
        arguments.append(f"[{', '.join(checks)}]")
    if column.nullable:
        arguments.append("nullable=True")
    if column.unique and not column.nullable and not column.advises("unique"):
        arguments.append("unique=True")
    if backend == "pandas" and column.type != "string":
        arguments.append("coerce=True")
    if set(column.environments) != set(BOTH):
        arguments.append("required=False")
    if column.description:
        arguments.append(f"description={column.description!r}")
    kept = _kept(column, backend)
    if kept:
        arguments.append(f"metadata={ {OURS: kept}!r}")
    return f"pa.Column({', '.join(arguments)})"


def _kept(column: Column, backend: Backend) -> dict[str, Any]:
    """What only the metadata can carry."""
    values = column.model_dump(exclude_defaults=True, include={"role", "environments", "allow", "advisory", "nullable", "unique"})
    if values.get("nullable") in (0, 1):
        del values["nullable"]
    if not (column.nullable or column.advises("unique")):
        values.pop("unique", None)
    if backend == "pandas" and column.type == "date":
        values["type"] = "date"
    return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}


def _checks(column: Column, backend: Backend) -> Iterator[str]:
    if 0 < column.nullable < 1:
        yield f"missing_at_most({column.nullable!r}{_warns(column, 'nulls', ', ')})"
    if column.range is not None:
        yield from _range(column, backend)
    if column.allowed is not None:
        yield f"pa.Check.isin({list(column.allowed)!r}{_warns(column, 'allowed', ', ')})"
    if column.pattern is not None:
        end = "$" if backend == "polars" else r"\Z"
        yield f"pa.Check.str_matches({f'^(?:{column.pattern}){end}'!r}{_warns(column, 'pattern', ', ')})"
    if column.unique and (column.nullable or column.advises("unique")):
        yield f"unique_where_present({_warns(column, 'unique', '')})"


def _warns(column: Column, rule: str, before: str) -> str:
    return f"{before}raise_warning=True" if column.advises(rule) else ""


def _range(column: Column, backend: Backend) -> Iterator[str]:
    low, high = (_limit(limit, column, backend) for limit in column.range or ())
    warns = _warns(column, "range", ", ")
    if low is not None and high is not None:
        yield f"pa.Check.in_range({low}, {high}{warns})"
    elif low is not None:
        yield f"pa.Check.ge({low}{warns})"
    elif high is not None:
        yield f"pa.Check.le({high}{warns})"


def _limit(limit: Any, column: Column, backend: Backend) -> str | None:
    if limit is None:
        return None
    if isinstance(limit, dt.date) and (column.type == "datetime" or backend == "pandas") and not isinstance(limit, dt.datetime):
        limit = dt.datetime.combine(limit, dt.time())
    return repr(limit)


def _options(contract: Contract) -> Iterator[str]:
    table = contract.table
    checks = [f"rows_between({table.rows.min}{'' if table.rows.max is None else f', {table.rows.max}'})"]
    if table.duplicates < 1 and not table.key and not any(column.unique for column in contract.columns.values()):
        checks.append(f"repeated_at_most({table.duplicates!r})")
    for condition in table.conditions:
        share = f", {condition.share!r}" if condition.share else ""
        warns = ", raise_warning=True" if condition.advisory else ""
        checks.append(f"holds({condition.name!r}, {condition.holds!r}{share}{warns})")
    yield "checks=[\n" + "".join(f"    {check},\n" for check in checks) + "],"
    if table.key:
        yield f"unique={list(table.key)!r},"
    yield f"strict={table.extra == 'refuse'},"
    kept = contract.model_dump(exclude_defaults=True, exclude={"columns": True, "table": {"key", "extra"}})
    kept = {key: value for key, value in kept.items() if value}
    yield f"metadata={pprint.pformat({OURS: _lists(kept)}, width=120, sort_dicts=False)},"


def _lists(value: Any) -> Any:
    """Lists for tuples: the way YAML and people write them."""
    if isinstance(value, Mapping):
        return {key: _lists(item) for key, item in value.items()}
    return [_lists(item) for item in value] if isinstance(value, list | tuple) else value


def _unasked(contract: Contract) -> Iterator[str]:
    yield from NEVER
    if contract.table.parts != type(contract.table.parts)():
        yield "table.parts: a frame has no files"
    if contract.waivers:
        yield "waivers: what they excuse fails here"
    for name, column in contract.columns.items():
        if column.role is not None:
            yield f"columns.{name}.role: {column.role}"
        if set(column.environments) != set(BOTH):
            yield f"columns.{name}.environments: {', '.join(column.environments)}; here the column may be missing"
        if column.advises("nulls") and not column.nullable:
            yield f"columns.{name}.advisory: a missing cell fails here"
