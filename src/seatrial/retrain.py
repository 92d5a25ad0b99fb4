"""Whether to train again, and why: a function of what the windows said, what was decided before, and the time.

A reason needs k of the n newest windows, the newest among them, so that one bad day asks for nothing and an end of the trouble
withdraws the request. A reason that was answered rests until it has been gone for a while (hysteresis); cool-down and budget bound how
often anything is asked for. What a person asks for is bound by the budget alone.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from seatrial.params_retrain import Retrain, Windows

MONTH = dt.timedelta(days=30)


class Reason(StrEnum):
    """Why a training is asked for."""

    SCHEDULE = "schedule"
    DATA = "data"
    DRIFT = "drift"
    PERFORMANCE = "performance"
    REQUEST = "request"


Kind = Literal["requested", "declined", "started", "finished"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What was decided or done before: a person's request or refusal, a training's start and end; about which reasons."""

    kind: Kind
    time: dt.datetime
    reasons: tuple[Reason, ...] = ()
    by: str = ""
    words: str = ""
    data: str | None = None
    outcome: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One whole window of the champion, by its end: which questions failed; None where they could not be answered."""

    until: dt.datetime
    drift: bool | None = None
    performance: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known: the champion's windows, oldest first; since when it is champion's bytes; the data now and then; what happened.

    `data` and `trained_on` name the raw data now and of the newest training, None where nobody knows.
    """

    windows: Sequence[Day]
    trained: dt.datetime | None
    data: str | None
    trained_on: str | None
    events: Sequence[Event] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One reason: whether it holds, and the sentence that says so; `resting` where it holds and was answered already."""

    reason: Reason
    holds: bool
    resting: bool = False
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was found for each reason, and what holds a request back although there is a reason; empty where nothing does."""

    findings: tuple[Finding, ...]
    held_back: str = ""

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """The reasons that hold and were not answered yet."""
        return tuple(one.reason for one in self.findings if one.holds and not one.resting)

    @property
    def wanted(self) -> bool:
        """Whether a training is asked for now."""
        return bool(self.reasons) and not self.held_back


def decide(policy: Retrain, facts: Facts, *, now: dt.datetime) -> Decision:
    """Weigh every reason, then what bounds requests."""
    findings = tuple(_findings(policy, facts, now))
    found = Decision(findings=findings)
    return Decision(findings=findings, held_back=_held_back(policy, facts, found.reasons, now) if found.reasons else "")


def _findings(policy: Retrain, facts: Facts, now: dt.datetime) -> Iterator[Finding]:
    yield _schedule(policy, facts, now)
    yield _data(policy, facts)
    for reason, asked in ((Reason.DRIFT, policy.drift), (Reason.PERFORMANCE, policy.performance)):
        yield _windows(reason, asked, policy, facts)
    yield _request(facts)


def _schedule(policy: Retrain, facts: Facts, now: dt.datetime) -> Finding:
    if policy.every_days is None or facts.trained is None:
        message = "no schedule is set (retrain.every_days)" if policy.every_days is None else "nobody knows when the champion was trained"
        return Finding(reason=Reason.SCHEDULE, holds=False, message=message)
    days = (now - facts.trained) / dt.timedelta(days=1)
    due = days >= policy.every_days
    answered = any(one.kind in ("declined", "started") and one.time > now - dt.timedelta(days=policy.every_days) for one in facts.events)
    message = f"the newest training is {days:.0f} days old, {policy.every_days:g} may be"
    return Finding(reason=Reason.SCHEDULE, holds=due, resting=due and answered, message=message)


def _data(policy: Retrain, facts: Facts) -> Finding:
    if not policy.data or facts.data is None or facts.trained_on is None:
        message = "new data is no reason (retrain.data)" if not policy.data else "nobody knows which data is new"
        return Finding(reason=Reason.DATA, holds=False, message=message)
    new = facts.data != facts.trained_on
    resting = new and any(facts.data == one.data for one in _answers(facts, Reason.DATA))
    words = "data.raw is another one than was trained on" if new else "data.raw is the one that was trained on"
    return Finding(reason=Reason.DATA, holds=new, resting=resting, message=words)


def _windows(reason: Reason, asked: Windows, policy: Retrain, facts: Facts) -> Finding:
    """k of n, the newest failing; resting until it was gone for `clear_windows` windows after the last answer."""
    if not asked.of:
        return Finding(reason=reason, holds=False, message=f"{reason} is no reason (retrain.{reason}.of is 0)")
    newest = [failed for _, failed in _answered(reason, facts)][-asked.of :]
    holds = bool(newest) and newest[-1] and sum(newest) >= asked.failing
    message = (
        f"{reason} failed in {sum(newest)} of the {len(newest)} newest windows, {asked.failing} of {asked.of} with the newest are needed"
    )
    return Finding(reason=reason, holds=holds, resting=holds and not _cleared(reason, policy, facts), message=message)


def _cleared(reason: Reason, policy: Retrain, facts: Facts) -> bool:
    """Whether, since the reason was answered last, so many windows in a row were without it; true where it never was."""
    answers = _answers(facts, reason)
    if not answers:
        return True
    since = max(one.time for one in answers)
    calm = longest = 0
    for until, failed in _answered(reason, facts):
        if until > since:
            calm = 0 if failed else calm + 1
            longest = max(longest, calm)
    return longest >= policy.clear_windows


def _answered(reason: Reason, facts: Facts) -> list[tuple[dt.datetime, bool]]:
    """The windows in which the question could be answered: each one's end, and whether it failed."""
    found = [(one.until, one.drift if reason is Reason.DRIFT else one.performance) for one in facts.windows]
    return [(until, failed) for until, failed in found if failed is not None]


def _answers(facts: Facts, reason: Reason) -> list[Event]:
    """What was declined, or trained for, with this reason."""
    return [one for one in facts.events if one.kind in ("declined", "started") and reason in one.reasons]


def _request(facts: Facts) -> Finding:
    asked = [one for one in facts.events if one.kind == "requested"]
    answered = max((one.time for one in _answers(facts, Reason.REQUEST)), default=None)
    waiting = [one for one in asked if answered is None or one.time > answered]
    message = f"{waiting[-1].by} asked for it: {waiting[-1].words}" if waiting else "nobody asked for it"
    return Finding(reason=Reason.REQUEST, holds=bool(waiting), message=message)


def _held_back(policy: Retrain, facts: Facts, reasons: Sequence[Reason], now: dt.datetime) -> str:
    started = [one.time for one in facts.events if one.kind == "started"]
    month = [time for time in started if time > now - MONTH]
    if len(month) >= policy.budget:
        return f"{len(month)} trainings began in the last 30 days, {policy.budget} may (retrain.budget)"
    answers = [one.time for one in facts.events if one.kind in ("started", "declined")]
    if not answers or Reason.REQUEST in reasons:
        return ""
    until = max(answers) + dt.timedelta(hours=policy.cooldown_hours)
    return f"the last answer was at {max(answers):%Y-%m-%d %H:%M}Z; the next may be at {until:%Y-%m-%d %H:%M}Z" if now < until else ""
