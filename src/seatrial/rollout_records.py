"""What pages, history and messages read from a recorded state: plain dictionaries, so that older and newer records are read alike.

Every reader of a state that is not its controller goes through these functions: an unknown key is no matter, and a key that is
missing is as if nothing had been said.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

State = Mapping[str, Any]
Exposure = Literal["mirror"] | int

SIGNALS = ("failures", "slow", "broken")
"""What may be counted against a challenger; each has an e-value of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A version and the digest of its bundle."""

    version: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """Requests of one side, and how many of them failed."""

    requests: int = 0
    failures: int = 0

    def __sub__(self, other: Side) -> Side:
        return Side(requests=self.requests - other.requests, failures=self.failures - other.failures)


def when(text: object) -> dt.datetime | None:
    """A recorded time, in UTC; None where it is none."""
    try:
        found = dt.datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found.astimezone(dt.UTC) if found.tzinfo else found.replace(tzinfo=dt.UTC)


def phase(state: State) -> str:
    """The phase's name."""
    return str(state.get("phase") or "idle")


def named(state: State, role: str) -> Named | None:
    """The version of a role (`champion`, `challenger`, `previous`), or None."""
    found = _mapping(state.get(role))
    return Named(version=whole(found.get("version")), digest=str(found.get("digest", ""))) if found else None


def words(state: State, key: str) -> str:
    """A field that holds text; empty where it is missing or null."""
    found = state.get(key)
    return "" if found is None else str(found)


def paused(state: State) -> str:
    """Why a person or the evidence stopped the advance, if so."""
    pause = _mapping(state.get("pause"))
    return str(pause.get("reason") or "paused") if pause else ""


def approvals(state: State) -> Iterator[str]:
    """Each approval that the state knows: who and why."""
    if words(state, "approval"):
        yield words(state, "approval")
    grant = _mapping(state.get("grant"))
    if grant:
        yield f"{grant.get('who', 'somebody')}: {grant.get('reason', '')}"


def parts(state: State) -> list[Mapping[str, Any]]:
    """The evidence of the steps that are over, and of the present one."""
    over = state.get("evidence")
    found = list(over) if isinstance(over, Sequence) else []
    return [part for part in [*found, state.get("counts")] if isinstance(part, Mapping)]


def totals(state: State) -> tuple[Side, Side]:
    """Requests and failures of champion and challenger over all evidence."""
    found = [[side_of(part, role) for part in parts(state)] for role in ("champion", "challenger")]
    champion, challenger = (Side(requests=sum(one.requests for one in own), failures=sum(one.failures for one in own)) for own in found)
    return champion, challenger


def side_of(part: Mapping[str, Any], role: str) -> Side:
    """One side of a step's evidence."""
    return Side(requests=count(part, role, "requests"), failures=count(part, role, "failures"))


def count(part: Mapping[str, Any], role: str, name: str) -> int:
    """One count of one side; what was not counted is 0."""
    return whole(_mapping(part.get(role)).get(name))


def counted(part: Mapping[str, Any], name: str) -> bool:
    """Whether this step counted that."""
    return name in _mapping(part.get("challenger"))


def exposure(state: State, steps: Sequence[Exposure] = ()) -> Exposure | None:
    """What the challenger had in this state: `mirror`, or its percent of the requests; None where the record does not tell.

    `steps` are the plan's, where it is known.
    """
    now = phase(state)
    if now == "promoting":
        return 100
    if now not in ("mirror", "canary") or _mapping(state.get("pause")).get("outcome") == "fail":
        return 0
    if now == "mirror":
        return "mirror"
    counts, at = _mapping(state.get("counts")), whole(state.get("step"))
    if isinstance(counts.get("step"), int):
        return whole(counts["step"])
    return steps[at] if at < len(steps) else None


def share(part: Mapping[str, Any]) -> float:
    """The challenger's share of the requests in a step; NaN where it is not told."""
    step = part.get("step")
    return 0.5 if step == "mirror" else step / 100 if isinstance(step, int) else math.nan


def log_e(state: State) -> float:
    """The largest logarithm of the signals' e-values: what speaks most against the challenger."""
    from seatrial.statistics import log_e_value

    found = []
    for signal in SIGNALS:
        split = [part for part in parts(state) if 0 < share(part) < 1 and counted(part, signal)]
        steps = [(share(part), count(part, "champion", signal), count(part, "challenger", signal)) for part in split]
        if any(champion > 0 or challenger > 0 for _, champion, challenger in steps) and all(min(step) >= 0 for step in steps):
            found.append(log_e_value(steps))
    return max(found, default=0.0)


def ledger_record(state: State) -> Mapping[str, Any]:
    """What the state's last work at the registry writes to the ledger, where it was not done yet: it names who ended the rollout."""
    pending = state.get("pending")
    tasks = [task["ledger"] for task in pending if isinstance(task, Mapping) and "ledger" in task] if isinstance(pending, Sequence) else []
    return _mapping(tasks[-1]) if tasks else {}


def whole(value: object) -> int:
    """A count; 0 for what is none."""
    return int(value) if isinstance(value, int | float) and math.isfinite(value) else 0


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
