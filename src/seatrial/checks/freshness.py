"""Freshness: how old the newest record is at a given `now`, by a date of the data, never by a file's time."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from seatrial.verdict import Check, Outcome

if TYPE_CHECKING:
    from seatrial.contract import Freshness
    from seatrial.profile import Profile

NEWEST = "freshness.newest"
AGE = "freshness.age"


def freshness_checks(policy: Freshness, profile: Profile, snapshot: dt.date | None, now: dt.datetime) -> tuple[Check, ...]:
    """What the clock of the data says, and how old that is; only the age is volatile."""
    newest = _newest(policy, profile, snapshot)
    return (newest, age_check(newest, policy.max_age_days, now))


def _newest(policy: Freshness, profile: Profile, snapshot: dt.date | None) -> Check:
    source, date = _source(policy.column), snapshot
    if policy.column is not None:
        high = profile.columns[policy.column].high if policy.column in profile.columns else None
        date = dt.datetime.fromisoformat(str(high)).date() if high else None
    if date is None:
        message = f"the age of the data is not known: {source} has no date; set data.snapshot, or checks.freshness.column of the contract"
        return Check(name=NEWEST, outcome=Outcome.INCONCLUSIVE, message=message, advisory=policy.advisory, column=policy.column)
    message = f"the newest record is of {date} ({source})"
    return Check(
        name=NEWEST, outcome=Outcome.PASS, message=message, observed=date.isoformat(), advisory=policy.advisory, column=policy.column
    )


def _source(column: str | None) -> str:
    return "data.snapshot" if column is None else f"column {column!r}"


def age_check(newest: Check, max_age_days: float, now: dt.datetime) -> Check:
    """Compare the date that `newest` observed with `now`; a date in the future fails, but for a day of time zones."""
    common = {"name": AGE, "limit": max_age_days, "advisory": newest.advisory, "volatile": True, "column": newest.column}
    source = _source(newest.column)
    if newest.observed is None:
        message = f"the age of the data is not known: {source} has no date"
        return Check(outcome=Outcome.INCONCLUSIVE, message=message, **common)  # type: ignore[arg-type]
    age = (now.date() - dt.date.fromisoformat(str(newest.observed))).days
    if age < -1:
        message = f"the newest record is of {newest.observed} ({source}), {-age} days from now: a date in the future"
    else:
        days = "1 day" if age == 1 else f"{age} days"
        message = f"the newest record is of {newest.observed} ({source}): {days} old, at most {max_age_days:g} are allowed"
    outcome = Outcome.PASS if -1 <= age <= max_age_days else Outcome.FAIL
    return Check(outcome=outcome, message=message, observed=age, **common)  # type: ignore[arg-type]
