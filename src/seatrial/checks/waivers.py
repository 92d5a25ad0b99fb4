"""Waivers: findings that a person answers for until a day; an expired or an unused one is a finding itself."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from seatrial.verdict import Check, Outcome

if TYPE_CHECKING:
    from seatrial.contract import Waiver

EXPIRED = "waivers.expired"
UNUSED = "waivers.unused"
FAMILIES = ("schema", "quality", "label", "split", "statistics", "freshness")


def apply_waivers(waivers: Sequence[Waiver], checks: Sequence[Check], today: dt.date) -> tuple[Check, ...]:
    """The checks with each waived one made advisory, and for each waiver whether it is still valid and whether it is used.

    A waiver is valid through the day on which it expires. It speaks of checks of its name and exactly its column (without
    one: those that have none) that fail or are inconclusive; an error cannot be waived. A waiver of a family of checks that
    were not asked at all (`split` in a validation, `label` in what is for serving) waits for a verdict where they are.
    """
    present = {_family(check.name) for check in checks}
    concerned = [waiver for waiver in waivers if _family(waiver.check) in present or _family(waiver.check) not in FAMILIES]
    valid = [waiver for waiver in concerned if today <= waiver.expires]
    return (
        *(_waived(check, valid) for check in checks),
        *(_expiry(waiver, today) for waiver in concerned),
        *(check for waiver in valid for check in _use(waiver, checks)),
    )


def _family(name: str) -> str:
    return name.partition(".")[0]


def _covers(waiver: Waiver, check: Check) -> bool:
    waivable = check.outcome in (Outcome.FAIL, Outcome.INCONCLUSIVE)
    return waivable and waiver.check == check.name and waiver.column == check.column


def _waived(check: Check, valid: Sequence[Waiver]) -> Check:
    waiver = next((one for one in valid if _covers(one, check)), None)
    if waiver is None:
        return check
    words = f"{check.message}; waived until {waiver.expires} by {waiver.owner} because {_reason(waiver)}"
    return replace(check, advisory=True, message=words)


def _reason(waiver: Waiver) -> str:
    return waiver.reason.strip().rstrip(".")


def _subject(waiver: Waiver) -> str:
    where = f" for {waiver.column!r}" if waiver.column else ""
    return f"the waiver of {waiver.check}{where} by {waiver.owner} (because {_reason(waiver)})"


def _expiry(waiver: Waiver, today: dt.date) -> Check:
    """Volatile: it reads the clock. `limit` is the last day on which the answer is the same."""
    valid = today <= waiver.expires
    words = (
        f"is valid until {waiver.expires}" if valid else f"expired on {waiver.expires}: mend the data, or decide anew and say until when"
    )
    return Check(
        name=EXPIRED,
        outcome=Outcome.PASS if valid else Outcome.FAIL,
        message=f"{_subject(waiver)} {words}",
        observed=None,
        limit=waiver.expires.isoformat(),
        volatile=True,
        column=waiver.column,
    )


def _use(waiver: Waiver, checks: Sequence[Check]) -> Iterator[Check]:
    uses = sum(_covers(waiver, check) for check in checks)
    words = f"is used {'once' if uses == 1 else f'{uses} times'}" if uses else f"waives nothing{_instead(waiver, checks)}: take it out"
    yield Check(
        name=UNUSED,
        outcome=Outcome.PASS if uses else Outcome.FAIL,
        message=f"{_subject(waiver)}, until {waiver.expires}, {words}",
        observed=uses,
        limit="at least 1",
        volatile=any(check.volatile for check in checks if check.name == waiver.check),
        column=waiver.column,
    )


def _instead(waiver: Waiver, checks: Sequence[Check]) -> str:
    """Why nothing was found to waive: the check passes, or there is none of that name or column."""
    same = [check for check in checks if check.name == waiver.check]
    if any(check.column == waiver.column for check in same):
        return f", because {waiver.check} passes there" if not any(check.outcome is Outcome.ERROR for check in same) else ""
    return f", because no check {waiver.check} was asked about {waiver.column!r}" if same else f", because there is no check {waiver.check}"
