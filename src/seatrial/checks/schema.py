"""Schema: the table has exactly the contract's columns, and every cell is of its column's type."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from seatrial.contract import Contract
from seatrial.located import nearest
from seatrial.tables import Finding
from seatrial.verdict import Check, Outcome


def schema_checks(contract: Contract, columns: Sequence[str], findings: Sequence[Finding]) -> tuple[Check, ...]:
    """Compare the table's `columns`, and what `tables.typed` found in them, with the contract."""
    return (*_columns(contract, columns), *_types(contract, columns, findings))


def _columns(contract: Contract, columns: Sequence[str]) -> Iterator[Check]:
    missing = [name for name in contract.columns if name not in columns]
    extra = [name for name in columns if name not in contract.columns]
    for name in missing:
        yield _wrong(name, f"the data has no column {name!r}, which the contract names{_similar(name, extra)}")
    if contract.table.extra == "refuse":
        for name in extra:
            remedy = f"{_similar(name, missing)}; add it to the contract, or say table.extra: allow"
            yield _wrong(name, f"the data has a column {name!r} that the contract does not know{remedy}")
    if not missing and (not extra or contract.table.extra == "allow"):
        allowed = f", and {len(extra)} more that it allows" if extra else ""
        message = f"the data has the {len(contract.columns)} columns of the contract{allowed}"
        yield Check(name="schema.columns", outcome=Outcome.PASS, message=message, observed=len(columns), limit=len(contract.columns))


def _similar(name: str, names: Sequence[str]) -> str:
    guess = nearest(name, names)
    return guess if "did you mean" in guess else ""


def _wrong(name: str, message: str) -> Check:
    return Check(name="schema.columns", outcome=Outcome.FAIL, message=message, column=name)


def _types(contract: Contract, columns: Sequence[str], findings: Sequence[Finding]) -> Iterator[Check]:
    found = {finding.column: finding for finding in findings}
    for name in columns:
        if name in found:
            outcome, message, count = Outcome.FAIL, str(found[name]), found[name].count
        elif name in contract.columns:
            outcome, message, count = Outcome.PASS, f"column {name!r}: every cell is {contract.columns[name].type}", 0
        else:
            continue
        yield Check(name="schema.type", outcome=outcome, message=message, observed=count, limit=0, column=name)
