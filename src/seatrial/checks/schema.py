"""Schema: the table has exactly the contract's columns, every cell is of its column's type, and its parts agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from seatrial.checks.wording import counted, examples_of, listed
from seatrial.contract import Contract
from seatrial.located import nearest
from seatrial.summary import Summary
from seatrial.verdict import Check, Outcome


def schema_checks(contract: Contract, summary: Summary) -> tuple[Check, ...]:
    """Compare the table's columns, their types and the table's parts with the contract; the order of columns is free."""
    return (*_columns(contract, summary), *_types(contract, summary), *_parts(contract, summary))


def _columns(contract: Contract, summary: Summary) -> Iterator[Check]:
    missing = [name for name in contract.columns if name not in summary.header]
    extra = [name for name in summary.header if name not in contract.columns]
    for name in missing:
        yield _wrong(name, f"the data has no column {name!r}, which the contract names{_similar(name, extra)}")
    if contract.table.extra == "refuse":
        for name in extra:
            remedy = f"{_similar(name, missing)}; add it to the contract, or say table.extra: allow"
            yield _wrong(name, f"the data has a column {name!r}{_only_in(name, summary)} that the contract does not know{remedy}")
    if not missing and (not extra or contract.table.extra == "allow"):
        allowed = f", and {len(extra)} more that it allows" if extra else ""
        message = f"the data has the {counted(len(contract.columns), 'column')} of the contract{allowed}"
        yield Check(name="schema.columns", outcome=Outcome.PASS, message=message, observed=len(summary.header), limit=len(contract.columns))


def _similar(name: str, names: Sequence[str]) -> str:
    guess = nearest(name, names)
    return guess if "did you mean" in guess else ""


def _only_in(name: str, summary: Summary) -> str:
    having = [part.name for part in summary.parts if name in part.stored]
    return "" if len(having) == len(summary.parts) else f" (only in {listed(having)})"


def _wrong(name: str, message: str) -> Check:
    return Check(name="schema.columns", outcome=Outcome.FAIL, message=message, column=name)


def _types(contract: Contract, summary: Summary) -> Iterator[Check]:
    for name, found in summary.columns.items():
        unread, kind = found.unread, contract.columns[name].type
        cells = found.count + found.nulls + unread.count
        message = f"column {name!r}: every cell is {_article(kind)}"
        if unread.count:
            verb = "is" if unread.count == 1 else "are"
            shown = examples_of(unread, parts=len(summary.parts))
            message = f"column {name!r}: {unread.count} of {counted(cells, 'cell')} {verb} not {_article(kind)}{shown}"
        outcome = Outcome.FAIL if unread.count else Outcome.PASS
        yield Check(name="schema.type", outcome=outcome, message=message, observed=unread.count, limit=0, column=name)


def _article(kind: str) -> str:
    return f"an {kind}" if kind == "integer" else f"a {kind}"


def _parts(contract: Contract, summary: Summary) -> Iterator[Check]:
    broken = [*_unexpected_parts(contract, summary), *_unequal_parts(contract, summary)]
    count = len(summary.parts)
    if not broken:
        message = f"the table has {counted(count, 'part')}{', with the same columns of the same stored types' if count > 1 else ''}"
        broken = [Check(name="schema.parts", outcome=Outcome.PASS, message=message, observed=count, limit=_expected(contract))]
    yield from broken


def _expected(contract: Contract) -> str:
    low, high = contract.table.parts.min, contract.table.parts.max
    return f"at least {low}" if high is None else f"{low}" if low == high else f"{low} to {high}"


def _unexpected_parts(contract: Contract, summary: Summary) -> Iterator[Check]:
    """Too few parts, too many, and those that are expected by name and are not there."""
    expected, names = contract.table.parts, [part.name for part in summary.parts]
    if len(names) < expected.min or (expected.max is not None and len(names) > expected.max):
        message = f"the table has {counted(len(names), 'part')}, {_expected(contract)} are expected: {listed(names) or 'none is there'}"
        yield Check(name="schema.parts", outcome=Outcome.FAIL, message=message, observed=len(names), limit=_expected(contract))
    missing = [name for name in expected.names if name not in names]
    if missing:
        message = f"{len(missing)} of the {counted(len(expected.names), 'part')} that the contract names {_are(missing)} missing: "
        shown = listed(f"{name}{_similar(name, names)}" for name in missing)
        yield Check(name="schema.parts", outcome=Outcome.FAIL, message=message + shown, observed=len(missing), limit=0)


def _are(several: Sequence[str]) -> str:
    return "is" if len(several) == 1 else "are"


def _unequal_parts(contract: Contract, summary: Summary) -> Iterator[Check]:
    """Columns of the contract that some parts lack, or store as another type than the others."""
    for name in contract.columns:
        types: dict[str, list[str]] = {}
        for part in summary.parts:
            types.setdefault(part.stored.get(name, ""), []).append(part.name)
        lacking = types.pop("", [])
        if lacking and types:
            message = f"column {name!r} is missing in {len(lacking)} of {counted(len(summary.parts), 'part')}: {listed(lacking)}"
            yield _unequal(name, message, len(lacking))
        if len(types) > 1:
            (usual, most), *others = sorted(types.items(), key=lambda pair: -len(pair[1]))
            words = ", and ".join(f"as {kind} in {listed(names)}" for kind, names in others)
            message = f"column {name!r} is stored as {usual} in {counted(len(most), 'part')}, but {words}"
            yield _unequal(name, message, sum(len(names) for _, names in others))


def _unequal(column: str, message: str, count: int) -> Check:
    return Check(name="schema.parts", outcome=Outcome.FAIL, message=message, observed=count, limit=0, column=column)
