"""Quality: what cells and rows may hold (nulls, ranges, sets, patterns, keys, conditions), how many rows there are, and oddities."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence

from seatrial.checks.wording import counted, examples_of, listed, percent, rows_of
from seatrial.contract import Column, Condition, Contract
from seatrial.params import Data
from seatrial.rules import Rule, rules_of
from seatrial.sketches import reads_as_number
from seatrial.summary import Broken, ColumnSummary, Summary, column_profile
from seatrial.verdict import Check, Outcome

DAY = dt.timedelta(days=1)


def quality_checks(contract: Contract, summary: Summary, data: Data, now: dt.datetime) -> tuple[Check, ...]:
    """Hold what was counted to the contract; cells of another type count in `schema.type` only, not as missing.

    Missing labels and a label of one class are `label_checks`' to say. `now` has a time zone.
    """
    columns = [(contract.columns[name], found) for name, found in summary.columns.items()]
    parts = len(summary.parts)
    return (
        _rows(contract, summary),
        *(check for column, found in columns if column.name != data.target for check in nulls(column, found, "quality.nulls", parts=parts)),
        *_rules(contract, summary),
        *_unique(contract, summary),
        *_key(contract, summary),
        *_duplicates(contract, summary),
        *(check for column, found in columns if column.name != data.target for check in _constant(column, found)),
        *(check for column, found in columns if column.name != data.id for check in _mixed(column, found)),
        *(check for column, found in columns if column.name != data.id for check in _variants(column, found)),
        *(check for column, found in columns for check in _future(column, found, now)),
    )


def _rows(contract: Contract, summary: Summary) -> Check:
    low, high = contract.table.rows.min, contract.table.rows.max
    passed = low <= summary.rows and (high is None or summary.rows <= high)
    allowed = f"at least {low}" if high is None else f"{low} to {high}"
    message = f"the table has {counted(summary.rows, 'row')}, {allowed} are expected"
    return Check(name="quality.rows", outcome=_passing(passed), message=message, observed=summary.rows, limit=allowed)


def _passing(passed: bool) -> Outcome:
    return Outcome.PASS if passed else Outcome.FAIL


def nulls(column: Column, found: ColumnSummary, name: str, *, parts: int) -> Iterator[Check]:
    """The share of cells without a value, as the check `name`; nothing where there are no cells."""
    cells = found.count + found.nulls + found.unread.count
    if not cells:
        return
    rate = found.nulls / cells
    passed = rate <= column.nullable
    empty = ": it is empty" if found.nulls == cells else ""
    message = (
        f"column {column.name!r}: {found.nulls} of {counted(cells, 'cell')} are missing ({percent(rate)}){empty}, "
        f"at most {percent(column.nullable)} may be{'' if passed else rows_of(found.missing, parts=parts)}"
    )
    yield Check(
        name=name,
        outcome=_passing(passed),
        message=message,
        observed=round(rate, 9),
        limit=float(column.nullable),
        advisory=column.advises(name),
        column=column.name,
    )


def _rules(contract: Contract, summary: Summary) -> Iterator[Check]:
    conditions = {condition.name: condition for condition in contract.table.conditions}
    for rule in rules_of(contract):
        if rule.key not in summary.broken:
            continue  # a column of it is missing, and schema.columns says so
        if rule.name == "quality.condition":
            yield _condition(conditions[rule.subject], summary.broken[rule.key], summary)
        else:
            yield _rule(contract.columns[rule.subject], rule, summary)


def _rule(column: Column, rule: Rule, summary: Summary) -> Check:
    broken, found = summary.broken[rule.key], summary.columns[column.name]
    message = f"column {column.name!r}: every value is {rule.limit}"
    if broken.count:
        verb = "is" if broken.count == 1 else "are"
        shown = examples_of(broken, parts=len(summary.parts))
        message = f"column {column.name!r}: {broken.count} of {counted(found.count, 'value')} {verb} not {rule.limit}{shown}"
        if rule.name == "quality.allowed":
            message += _misspelt(column, found)
    return Check(
        name=rule.name,
        outcome=_passing(not broken.count),
        message=message,
        observed=broken.count,
        limit=0,
        advisory=column.advises(rule.name),
        column=column.name,
    )


def _misspelt(column: Column, found: ColumnSummary) -> str:
    """Which values differ from an allowed one only by case or white space."""
    allowed = {_plain(value): value for value in column.allowed or () if isinstance(value, str)}
    values = [value for value in found.values.exact or () if isinstance(value, str) and value not in allowed.values()]
    pairs = [f"{value!r} from {allowed[_plain(value)]!r}" for value in values if _plain(value) in allowed]
    return f"; only case or white space tells {listed(pairs)}" if pairs else ""


def _plain(value: str) -> str:
    return " ".join(value.split()).casefold()


def _condition(condition: Condition, broken: Broken, summary: Summary) -> Check:
    share = broken.count / summary.rows if summary.rows else 0.0
    passed = share <= condition.share
    message = f"condition {condition.name!r} ({condition.holds}) holds in every row"
    if broken.count:
        shown = "" if passed else examples_of(broken, parts=len(summary.parts))
        message = (
            f"condition {condition.name!r} ({condition.holds}) is broken in {broken.count} of {counted(summary.rows, 'row')} "
            f"({percent(share)}), at most {percent(condition.share)} may break it{shown}"
        )
    return Check(
        name="quality.condition",
        outcome=_passing(passed),
        message=message,
        observed=round(share, 9),
        limit=float(condition.share),
        advisory=condition.advisory,
        column=condition.name,
    )


def _unique(contract: Contract, summary: Summary) -> Iterator[Check]:
    for name, column in contract.columns.items():
        broken = summary.repeats.get(f"unique:{name}")
        if column.unique and broken is not None:
            message = f"column {name!r}: every value is unique"
            if broken.count:
                message = f"column {name!r}: {_repeat(broken)} the value of an earlier one{examples_of(broken, parts=len(summary.parts))}"
            yield Check(
                name="quality.unique",
                outcome=_passing(not broken.count),
                message=message,
                observed=broken.count,
                limit=0,
                advisory=column.advises("unique"),
                column=name,
            )


def _repeat(broken: Broken) -> str:
    return f"{counted(broken.count, 'row')} {'repeats' if broken.count == 1 else 'repeat'}"


def _key(contract: Contract, summary: Summary) -> Iterator[Check]:
    """Whether the key's columns together name one row each."""
    broken = summary.repeats.get("key")
    if not contract.table.key or broken is None:
        return
    words = ", ".join(contract.table.key)
    message = f"the key ({words}) is unique"
    if broken.count:
        message = (
            f"the key ({words}) is not unique: {_repeat(broken)} the key of an earlier one{examples_of(broken, parts=len(summary.parts))}"
        )
    yield Check(name="quality.key", outcome=_passing(not broken.count), message=message, observed=broken.count, limit=0)


def _duplicates(contract: Contract, summary: Summary) -> Iterator[Check]:
    """Rows that repeat an earlier one in all cells: asked where neither a key nor a unique column names the rows."""
    broken = summary.repeats.get("rows")
    if broken is None or not summary.rows:
        return
    share, limit = broken.count / summary.rows, float(contract.table.duplicates)
    shown = "" if share <= limit else examples_of(broken, parts=len(summary.parts))
    message = (
        f"{broken.count} of {counted(summary.rows, 'row')} {'repeats' if broken.count == 1 else 'repeat'} an earlier one entirely "
        f"({percent(share)}), at most {percent(limit)} may{shown}"
    )
    yield Check(name="quality.duplicates", outcome=_passing(share <= limit), message=message, observed=round(share, 9), limit=limit)


def _constant(column: Column, found: ColumnSummary) -> Iterator[Check]:
    """One and the same value in every cell, where the contract admits others; of an empty column `quality.nulls` speaks."""
    if found.count < 2 or _admits_one_value(column):
        return
    values = found.values.exact
    passed = values is None or len(values) != 1
    message = f"column {column.name!r}: its values differ"
    if not passed:
        value = found.values.most_frequent(1)[0][0]
        shown = repr(value) if column.type == "string" else value
        message = f"column {column.name!r}: all {found.count} values are {shown}, but the contract admits others: it tells nothing"
    yield _oddity("quality.constant", column, message, observed=None if passed else 1, limit="more than one value", passed=passed)


def _admits_one_value(column: Column) -> bool:
    return (column.allowed is not None and len(column.allowed) == 1) or (
        column.range is not None and column.range[0] is not None and column.range[0] == column.range[1]
    )


def _oddity(
    name: str, column: Column, message: str, *, observed: int | None, limit: int | str, passed: bool, volatile: bool = False
) -> Check:
    return Check(
        name=name,
        outcome=_passing(passed),
        message=message,
        observed=observed,
        limit=limit,
        advisory=column.advises(name),
        volatile=volatile,
        column=column.name,
    )


def _mixed(column: Column, found: ColumnSummary) -> Iterator[Check]:
    """Words among numbers, or numbers among words, where nothing in the contract says how its text is written."""
    told = column.allowed is not None or column.pattern is not None or column.unique
    if column.type != "string" or told or "mixed" in column.allow or not found.count:
        return
    numbers = found.values.numbers_among
    words = found.count - numbers
    kind, few = ("number", numbers) if numbers <= words else ("word", words)
    message = f"column {column.name!r}: no number stands among its words, and no word among its numbers"
    if few:
        shown = listed(_minority(found, numbers=kind == "number"))
        message = (
            f"column {column.name!r}: {counted(few, kind)} among {counted(found.count - few, 'word' if kind == 'number' else 'number')}"
            f"{': ' + shown if shown else ''}; say allow: [mixed] where that is right"
        )
    yield _oddity("quality.mixed", column, message, observed=few, limit=0, passed=not few)


def _minority(found: ColumnSummary, *, numbers: bool) -> Iterator[str]:
    """The values that read as numbers, or those that do not."""
    values: Sequence[object] = found.values.exact or [value for value, _ in found.values.most_frequent(50)]
    return (repr(value) for value in values if isinstance(value, str) and reads_as_number(value) is numbers)


def _variants(column: Column, found: ColumnSummary) -> Iterator[Check]:
    """Values of a category that differ only by case or white space; `quality.allowed` says so where the contract lists them."""
    if column.type != "string" or column.allowed is not None or column.unique or "variants" in column.allow or not found.count:
        return
    groups = column_profile(found).variants
    message = f"column {column.name!r}: no two values differ only by case or white space"
    if groups:
        counts: Mapping[object, int] = dict(zip(found.values.exact or (), found.values.counts, strict=False))
        words = "; ".join(", ".join(f"{value!r} ({counted(counts.get(value, 0), 'row')})" for value in group) for group in groups)
        message = f"column {column.name!r}: {_differ(len(groups))} only by case or white space: {words}"
    yield _oddity("quality.variants", column, message, observed=len(groups), limit=0, passed=not groups)


def _differ(groups: int) -> str:
    return "some values differ" if groups == 1 else f"{groups} groups of values differ"


def _future(column: Column, found: ColumnSummary, now: dt.datetime) -> Iterator[Check]:
    """Dates more than a day after `now`, the day being for time zones; what passes once passes for ever."""
    if found.type not in ("date", "datetime") or "future" in column.allow or not found.count:
        return
    latest = now.astimezone(dt.UTC).replace(tzinfo=None) + DAY
    counted_each = sum(found.values.counts) == found.count
    moments = zip(found.values.exact or (), found.values.counts, strict=True) if counted_each else [(found.high, 1)]
    late = {str(value): count for value, count in moments if dt.datetime.fromisoformat(str(value)) > latest}
    count = sum(late.values())
    message = f"column {column.name!r}: no value lies more than a day in the future"
    if late:
        shown = listed(f"{value} ({counted(rows, 'row')})" if counted_each else value for value, rows in sorted(late.items(), reverse=True))
        subject = (
            f"{count} of {counted(found.count, 'value')} {'lies' if count == 1 else 'lie'}" if counted_each else "the newest value lies"
        )
        message = f"column {column.name!r}: {subject} more than a day after {now:%Y-%m-%d}: {shown}"
    yield _oddity("quality.future", column, message, observed=count, limit=0, passed=not late, volatile=True)
