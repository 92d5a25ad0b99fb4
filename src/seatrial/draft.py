"""A first contract from data: what the present table keeps, with slack for the next one, for a person to review.

    found = types_of(parts, data)                         # one pass: the narrowest type that every cell has
    plain = plain_contract(found, data)
    drafted = draft(summarise(parts, plain, …), plain, data, now=now)

Nothing is guessed about what a column is for: roles are those of params.yaml.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from seatrial.contract import Column, Contract, Rows, Table
from seatrial.contract_rules import DATED, Role
from seatrial.params import Data
from seatrial.summary import column_profile

if TYPE_CHECKING:
    import polars as pl

    from seatrial.summary import ColumnSummary, Summary

MAX_ALLOWED = 50
MAX_TEXT = 100
SLACK = 0.1
LIMITS = "are these limits the real ones?"
WORDS = {"integer": r"^-?(0|[1-9][0-9]{0,17})$", "boolean": "(?i)^(true|false)$"}
DAY = "^[0-9]{4}-[0-9]{2}-[0-9]{2}"
LEADING_ZERO = r"^[-+]?0[0-9]"
ORDER = ("integer", "boolean", "number", "date", "datetime", "string")
CONVERTED = ("number", "date", "datetime")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A drafted contract, and for each column or place that a person should look at, why."""

    contract: Contract
    remarks: dict[str, str] = field(default_factory=dict)


def types_of(batches: Iterable[pl.DataFrame]) -> dict[str, str]:
    """The narrowest type that all cells of a column have, over all batches; numbers with leading zeros are names, so they stay strings.

    Memory does not grow with the batches. A column of no values is a string.
    """
    possible: dict[str, set[str]] = {}
    seen: set[str] = set()
    for batch in batches:
        for name in batch.columns:
            possible.setdefault(name, set(ORDER))
        texts = []
        for name in batch.columns:
            cells = batch[name]
            if cells.dtype.base_type().__name__ == "String":
                texts.append(name)
            elif cells.null_count() < cells.len():
                possible[name] &= _stored_as(cells)
                seen.add(name)
        seen.update(_narrow(batch.select(texts), possible))
    return {name: _first(kinds) if name in seen else "string" for name, kinds in possible.items()}


def _first(kinds: set[str]) -> str:
    return next((kind for kind in ORDER if kind in kinds), "string")


def _stored_as(cells: pl.Series) -> set[str]:
    """The contract's types that take cells stored this way."""
    import polars as pl

    dtype = cells.dtype
    if dtype.is_integer():
        return {"integer", "number", "string"}
    if dtype.is_numeric():
        return {"number"}
    kinds: dict[Any, set[str]] = {pl.Boolean: {"boolean"}, pl.Date: {"date", "datetime"}, pl.Datetime: {"datetime"}}
    return kinds.get(dtype.base_type(), {"string"})


def _narrow(texts: pl.DataFrame, possible: dict[str, set[str]]) -> list[str]:
    """Take away the types that cells of text are not; gives the columns that have any."""
    import polars as pl

    cells = texts.select(pl.all().replace("", None))
    answers = cells.select(_questions(cells.columns, possible)).row(0, named=True) if cells.width else {}
    filled = [name for name in cells.columns if answers[f"count:{name}"]]
    whole = set()
    for name in filled:
        kinds = possible[name]
        kinds -= {kind for kind in WORDS if answers.get(f"{kind}:{name}") is False}
        if answers.get(f"zero:{name}"):
            kinds.discard("number")
        if answers.get(f"day:{name}") is False:
            kinds -= {*DATED}
        if "integer" in kinds:
            whole.add(name)
    _refuse_unconverted(cells, [name for name in filled if name not in whole], possible)
    return filled


def _questions(names: Sequence[str], possible: dict[str, set[str]]) -> list[pl.Expr]:
    """What is asked of all cells of text at once: by their looks, before any is converted."""
    import polars as pl

    found = []
    for name in names:
        cell, kinds = pl.col(name), possible[name]
        found.append(cell.count().alias(f"count:{name}"))
        found += [cell.str.contains(pattern).all().alias(f"{kind}:{name}") for kind, pattern in WORDS.items() if kind in kinds]
        if "number" in kinds:
            found.append(cell.str.contains(LEADING_ZERO).any().alias(f"zero:{name}"))
        if kinds & {*DATED}:
            found.append(cell.str.contains(DAY).all().alias(f"day:{name}"))
    return found


def _refuse_unconverted(cells: pl.DataFrame, names: Sequence[str], possible: dict[str, set[str]]) -> None:
    """The types that need a conversion: one that loses a cell is not the column's. Whole numbers are numbers anyway."""
    from seatrial.tables import typed

    for kind in CONVERTED:
        asked = [name for name in names if kind in possible[name]]
        if asked:
            wanted = Contract(columns={name: Column.model_validate({"type": kind}) for name in asked})
            for finding in typed(cells.select(asked), wanted)[1]:
                possible[finding.column].discard(kind)


def plain_contract(types: dict[str, str], data: Data, *, unique: bool = True) -> Contract:
    """Only the types, and the id as unique: what a table has to be summarised by before anything is known of it."""
    columns: dict[str, Any] = {}
    for name, kind in types.items():
        is_id = name == data.id
        columns[name] = {"type": "string" if is_id and kind != "integer" else kind, "unique": is_id and unique}
    return Contract.model_validate({"columns": columns})


def draft(summary: Summary, plain: Contract, data: Data, *, now: dt.datetime) -> Draft:
    """The contract that the summarised table keeps (`summary` is made by `plain`), with slack, and what to look at."""
    names = _names_rows(summary, plain, data)
    columns, remarks = {}, {}
    for name, column in plain.columns.items():
        facts = summary.columns[name]
        drafted = _column(facts, column, role=_role(name, data), unique=column.unique and names, now=now)
        columns[name] = drafted
        reasons = "; ".join(_reasons(drafted, facts, summary.rows, data))
        if reasons:
            remarks[name] = reasons
    table, more = _table(summary, (data.id,) if names and data.id else ())
    contract = Contract(columns=columns, table=table)
    return _accepted(Draft(contract=contract, remarks=remarks | more), summary, data)


def _names_rows(summary: Summary, plain: Contract, data: Data) -> bool:
    return data.id in plain.columns and plain.columns[data.id].unique and not summary.repeats[f"unique:{data.id}"].count


def _role(name: str, data: Data) -> Role | None:
    if name == data.target:
        return "target"
    return "id" if name == data.id else "group" if name in data.groups else None


def _table(summary: Summary, key: tuple[str, ...]) -> tuple[Table, dict[str, str]]:
    repeated = summary.repeats["rows"].count if "rows" in summary.repeats else 0
    remarks = {"table.rows": "half of today's rows"}
    if repeated:
        remarks["table.duplicates"] = f"{repeated} of {summary.rows} rows repeat an earlier one; is that right?"
    return Table(rows=Rows(min=summary.rows // 2), key=key, duplicates=_slack(repeated, summary.rows)), remarks


def _slack(count: int, rows: int) -> float:
    """Twice a share, in whole percents; none stays none."""
    return min(1.0, math.ceil(200 * count / rows) / 100)


def _column(facts: ColumnSummary, column: Column, *, role: Role | None, unique: bool, now: dt.datetime) -> Column:
    values: dict[str, Any] = {"type": column.type, "role": role, "nullable": _slack(facts.nulls, facts.count + facts.nulls)}
    values |= {"unique": unique}
    if facts.count and (role != "id" or facts.values.distinct == 1):
        most = 2 if role == "target" else MAX_ALLOWED
        values |= _values(facts, column.type, most)
    told = role == "id" or values.get("allowed") is not None
    values["allow"] = tuple(_oddities(facts, now, told=told))
    return Column(**values)


def _values(facts: ColumnSummary, kind: str, most: int) -> dict[str, Any]:
    """A range for numbers, the list of few words; a single value is written down, because a column that never changes fails otherwise."""
    if kind in ("integer", "number"):
        return {"range": _range(facts, kind)}
    if kind in DATED:
        same = facts.low == facts.high
        return {"range": (_moment(facts.low, kind), _moment(facts.high, kind))} if same else {}
    exact = facts.values.exact
    if exact is None or (kind == "boolean" and len(exact) > 1):
        return {}
    short = len(exact) <= most and all(len(str(value)) <= MAX_TEXT for value in exact)
    return {"allowed": tuple(sorted(exact))} if short or len(exact) == 1 else {}


def _moment(text: Any, kind: str) -> dt.date:
    return dt.date.fromisoformat(text) if kind == "date" else dt.datetime.fromisoformat(text)


def _range(facts: ColumnSummary, kind: str) -> tuple[Any, Any] | None:
    """Smallest and largest value with a tenth of their span on either side, never across zero; flags stay as they are."""
    exact = facts.values.exact
    least, most = (min(exact), max(exact)) if exact else (facts.low, facts.high)
    low, high = float(least or 0), float(most or 0)
    slack = SLACK * (high - low) if high - low > 1 else 0.0
    if kind == "integer" and not slack and exact:
        return int(least or 0), int(most or 0)
    bottom, top = low - slack, high + slack
    bottom = 0.0 if low >= 0 > bottom else bottom
    top = 0.0 if high <= 0 < top else top
    if kind == "integer":
        return math.floor(bottom), math.ceil(top)
    found = _outward(bottom, low, math.floor), _outward(top, high, math.ceil)
    return None if found == (None, None) else found


def _outward(limit: float, value: float, rounded: Any) -> float | None:
    """`limit` in three digits, away from the data; the value itself where it has no slack, open where it is too large to write."""
    if limit in (0, value):
        return limit
    if not math.isfinite(limit):
        return None
    unit = 10.0 ** (math.floor(math.log10(abs(limit))) - 2)
    found = float(f"{rounded(limit / unit) * unit:.12g}") if unit else limit
    return found if math.isfinite(found) else None


def _oddities(facts: ColumnSummary, now: dt.datetime, *, told: bool) -> Iterator[str]:
    """What the checks would refuse; of text that is `told` (listed, or an id) they do not ask."""
    if facts.type == "string" and not told:
        if 0 < facts.values.numbers_among < facts.count:
            yield "mixed"
        if column_profile(facts).variants:
            yield "variants"
    if facts.type in DATED and facts.count and str(facts.high)[:10] > now.date().isoformat():
        yield "future"


def _reasons(column: Column, facts: ColumnSummary, rows: int, data: Data) -> Iterator[str]:
    """Why a person should look at a column."""
    distinct, missing = facts.values.distinct, facts.nulls / rows
    if not facts.count:
        yield "no cell has a value"
    if column.role == "id" and not column.unique:
        yield "the id of params.yaml, but not unique"
    if column.role == "target" and distinct != 2:
        yield f"the target has {distinct} classes, a binary task needs two"
    if facts.count and (distinct == 1 or (column.type in DATED and facts.low == facts.high)):
        yield "one value only: it tells a model nothing"
    if missing > 0.5:
        yield f"{missing:.0%} of the cells are missing"
    yield from (_oddity(oddity, facts) for oddity in column.allow)
    if column.type == "string" and column.allowed is None and column.role != "id" and distinct:
        yield f"{distinct} different values: free text, or a list that is worth writing down?"
    if column.type in DATED:
        yield "is this when a record was made? then add role: event_time"
    elif column.range not in (None, (0, 1)) and distinct > 1:
        yield LIMITS


def _oddity(oddity: str, facts: ColumnSummary) -> str:
    if oddity == "mixed":
        return f"{facts.values.numbers_among} of {facts.count} cells are numbers, the others are not"
    if oddity == "variants":
        return f"one word in several spellings: {', '.join(map(repr, facts.values.variants()[0][:3]))}"
    return f"the newest, {str(facts.high)[:10]}, is in the future"


def _accepted(drafted: Draft, summary: Summary, data: Data) -> Draft:
    """The draft with the label's limits as wide as the present labels need them."""
    from seatrial.checks.label import label_checks

    if data.target not in drafted.contract.columns:
        return drafted
    failed = [check for check in label_checks(drafted.contract, summary, data) if check.blocks]
    balance = next((check for check in failed if check.name == "label.balance"), None)
    leaks = [str(check.column) for check in failed if check.name == "label.leak"]
    label, reasons = drafted.contract.checks.label, []
    if balance is not None:
        label = label.model_copy(update={"min_share": float(f"{float(balance.observed or 0) / 2:.1g}")})
        reasons.append(balance.message)
    if leaks:
        label = label.model_copy(update={"max_auc": 1})
        reasons.append(f"{', '.join(leaks)} alone tells the label; is it known before the label is?")
    if not reasons:
        return drafted
    checks = drafted.contract.checks.model_copy(update={"label": label})
    remarks = drafted.remarks | {"checks.label": "; ".join(reasons)}
    return Draft(contract=drafted.contract.model_copy(update={"checks": checks}), remarks=remarks)
