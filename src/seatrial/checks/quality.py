"""Quality: what single rows may hold (nulls, ranges, sets, patterns, keys), how many there are, and the labels.

Everything is counted in one pass over the table; only a check that fails looks at it again, for its examples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seatrial.contract import Column, Contract
from seatrial.errors import ContractError
from seatrial.params import Data
from seatrial.tables import EXAMPLES, Finding
from seatrial.verdict import Check, Outcome

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One question to every row: `broken` is true where a row breaks it, `limit` says in words what is acceptable."""

    name: str
    column: str
    broken: pl.Expr
    limit: str


def quality_checks(contract: Contract, frame: pl.DataFrame, findings: Sequence[Finding], data: Data) -> tuple[Check, ...]:
    """Hold each row of a typed table to the contract; cells of another type count in `schema.type` only, not as missing."""
    rules = [rule for name, column in contract.columns.items() if name in frame.columns for rule in _rules(column)]
    counts = _counted(frame, rules)
    unread = {finding.column: finding.count for finding in findings}
    return (
        _rows(contract, frame.height),
        *_nulls(contract, frame, unread, data.target),
        *(_rule(frame, rule, count) for rule, count in zip(rules, counts, strict=True)),
        *_key(contract, frame),
    )


def _rules(column: Column) -> Iterator[Rule]:
    import polars as pl

    cell = pl.col(column.name)
    if column.range is not None:
        low, high = column.range
        below = pl.lit(False) if low is None else cell < low
        above = pl.lit(False) if high is None else cell > high
        yield Rule(name="quality.range", column=column.name, broken=below | above, limit=f"between {_bound(low)} and {_bound(high)}")
    if column.allowed is not None:
        words = ", ".join(map(str, column.allowed[:10])) + (", …" if len(column.allowed) > 10 else "")
        yield Rule(name="quality.allowed", column=column.name, broken=~cell.is_in(list(column.allowed)), limit=f"one of {words}")
    if column.pattern is not None:
        broken = ~cell.str.contains(f"^(?:{column.pattern})$")
        yield Rule(name="quality.pattern", column=column.name, broken=broken, limit=f"written like {column.pattern}")
    if column.unique:
        yield Rule(name="quality.unique", column=column.name, broken=cell.is_duplicated() & cell.is_not_null(), limit="unique")


def _bound(limit: Any) -> str:
    return "anything" if limit is None else str(limit)


def _counted(frame: pl.DataFrame, rules: Sequence[Rule]) -> list[int]:
    import polars as pl

    if not rules:
        return []
    try:
        sums = frame.lazy().select([rule.broken.sum().alias(str(at)) for at, rule in enumerate(rules)]).collect()
    except pl.exceptions.ComputeError as error:
        raise ContractError(f"a pattern of the contract cannot be used: {str(error).splitlines()[0]}") from None
    return [int(count) for count in sums.row(0)]


def _rule(frame: pl.DataFrame, rule: Rule, count: int) -> Check:
    if count == 0:
        message = f"column {rule.column!r}: every value is {rule.limit}"
        return Check(name=rule.name, outcome=Outcome.PASS, message=message, observed=0, limit=0, column=rule.column)
    cells = frame.filter(rule.broken)[rule.column]
    message = f"column {rule.column!r}: {_rows_are(count)} not {rule.limit}: {_examples(cells)}"
    return Check(name=rule.name, outcome=Outcome.FAIL, message=message, observed=count, limit=0, column=rule.column)


def _rows_are(count: int) -> str:
    return "1 row is" if count == 1 else f"{count} rows are"


def _examples(cells: pl.Series) -> str:
    distinct = cells.unique(maintain_order=True)
    shown = [repr(value) if isinstance(value, str) else str(value) for value in distinct.head(EXAMPLES)]
    return ", ".join(shown) + (", …" if distinct.len() > EXAMPLES else "")


def _nulls(contract: Contract, frame: pl.DataFrame, unread: Mapping[str, int], target: str) -> Iterator[Check]:
    empty = frame.null_count().row(0, named=True)
    for name, column in contract.columns.items():
        if name in empty and frame.height:
            yield _missing(column, empty[name] - unread.get(name, 0), frame, "label.missing" if name == target else "quality.nulls")


def _missing(column: Column, count: int, frame: pl.DataFrame, name: str) -> Check:
    rate = count / frame.height
    passed = rate <= column.nullable
    message = f"column {column.name!r}: {count} of {frame.height} cells are missing ({rate:.2%}), at most {column.nullable:.2%} may be"
    if not passed:
        rows = frame[column.name].is_null().arg_true().head(EXAMPLES).to_list()
        message = f"{message}; first in {'row' if len(rows) == 1 else 'rows'} {', '.join(str(row + 1) for row in rows)}"
    return Check(
        name=name,
        outcome=Outcome.PASS if passed else Outcome.FAIL,
        message=message,
        observed=round(rate, 6),
        limit=float(column.nullable),
        column=column.name,
    )


def _rows(contract: Contract, rows: int) -> Check:
    low, high = contract.table.rows.min, contract.table.rows.max
    passed = low <= rows and (high is None or rows <= high)
    allowed = f"at least {low}" if high is None else f"{low} to {high}"
    outcome = Outcome.PASS if passed else Outcome.FAIL
    return Check(name="quality.rows", outcome=outcome, message=f"{rows} rows, {allowed} are expected", observed=rows, limit=allowed)


def _key(contract: Contract, frame: pl.DataFrame) -> Iterator[Check]:
    """Whether the key's columns together name one row each."""
    key = list(contract.table.key)
    if not key or any(name not in frame.columns for name in key):
        return
    columns = frame.select(key)
    twice = frame.height - columns.n_unique()
    words = ", ".join(key)
    if twice == 0:
        yield Check(name="quality.key", outcome=Outcome.PASS, message=f"the key ({words}) is unique", observed=0, limit=0)
        return
    shown = "; ".join(
        ", ".join(map(str, row)) for row in columns.filter(columns.is_duplicated()).unique(maintain_order=True).head(EXAMPLES).rows()
    )
    message = f"the key ({words}) is not unique: {twice} rows repeat an earlier one's: {shown}"
    yield Check(name="quality.key", outcome=Outcome.FAIL, message=message, observed=twice, limit=0)


def label_checks(frame: pl.DataFrame, data: Data) -> tuple[Check, ...]:
    """Whether the target has exactly two classes, the positive one among them (a binary task)."""
    if data.target not in frame.columns:
        return ()
    counts = frame[data.target].drop_nulls().value_counts(sort=False).rows()
    classes = {_word(value): count for value, count in sorted(counts, key=lambda pair: (-pair[1], str(pair[0])))}
    return (_classes(data, classes),)


def _classes(data: Data, classes: Mapping[str, int]) -> Check:
    names = ", ".join(f"{name!r} ({count})" for name, count in list(classes.items())[:EXAMPLES]) + (
        ", …" if len(classes) > EXAMPLES else ""
    )
    positive = None if data.positive is None else _word(data.positive)
    message = f"the target {data.target!r} has the classes {names}"
    outcome = Outcome.PASS
    if len(classes) != 2:
        number = f"{len(classes)} {'class' if len(classes) == 1 else 'classes'}"
        message = f"the target {data.target!r} has {number} instead of two: {names or 'every label is missing'}"
        outcome = Outcome.FAIL
    elif positive is not None and positive not in classes:
        message = f"{message}; data.positive of params.yaml is {positive!r}, which is none of them"
        outcome = Outcome.FAIL
    return Check(name="label.classes", outcome=outcome, message=message, observed=len(classes), limit=2, column=data.target)


def _word(value: Any) -> str:
    """A class as one word, whether it is written as text, a number or a boolean."""
    return str(value).lower() if isinstance(value, bool) else str(value)
