"""What a rollout knows: its plan, its state, what was observed, and how a rollout begins and ends.

Values only. A state is written to the journal whole, so that a controller that starts anew knows all that the one before knew.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Literal

from seatrial.errors import SeatrialError
from seatrial.files import sha256_json
from seatrial.params import Rollout
from seatrial.verdict import Outcome

Step = Literal["mirror"] | int


class Phase(StrEnum):
    """Where a rollout is; IDLE between rollouts, HELD while it waits for a person."""

    IDLE = "idle"
    HELD = "held"
    STARTING = "starting"
    MIRROR = "mirror"
    CANARY = "canary"
    PROMOTING = "promoting"
    ROLLING_BACK = "rolling_back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A registered version and the digest of its bundle."""

    version: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Requests, and how many of them failed."""

    requests: int = 0
    failures: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(requests=self.requests + other.requests, failures=self.failures + other.failures)

    def __sub__(self, other: Counts) -> Counts:
        return Counts(requests=self.requests - other.requests, failures=self.failures - other.failures)

    @property
    def possible(self) -> bool:
        """Whether no number is below zero: a difference of counters that were not reset."""
        return self.requests >= 0 and self.failures >= 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The ordered steps, and the evidence that each one needs."""

    steps: tuple[Step, ...]
    alpha: float
    min_requests: int
    max_increase: float
    max_disagreement: float
    bake_seconds: float
    step_deadline_s: float
    approval: bool = False

    @classmethod
    def of(cls, settings: Rollout) -> Plan:
        """The plan that params.yaml describes."""
        names = ("steps", "alpha", "min_requests", "max_increase", "max_disagreement", "bake_seconds", "step_deadline_s", "approval")
        return cls(**{name: getattr(settings, name) for name in names})

    @property
    def digest(self) -> str:
        """Names this plan."""
        return sha256_json(asdict(self))

    @property
    def log_limit(self) -> float:
        """From this logarithm of the e-value the challenger is rolled back; errors have a third of alpha."""
        return math.log(3 / self.alpha)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """The endpoint's cumulative counters of both sides since `boot`."""

    boot: str
    champion: Counts
    challenger: Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Smoke:
    """Golden rows asked of the challenger itself: how many, the largest difference, and what is wrong, if anything."""

    rows: int
    worst: float | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Requests that both versions answered, and how many of them with another label."""

    asked: int
    differing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One look at the world; None is a signal that is missing. `stop` is why somebody wants the rollout ended."""

    counters: Counters | None = None
    smoke: Smoke | None = None
    pairs: Pairs | None = None
    stop: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a step saw. It is `complete` where the step was decided on it; `bound` is the upper bound of the increase then."""

    step: Step
    champion: Counts = Counts()
    challenger: Counts = Counts()
    complete: bool = False
    bound: float | None = None

    @property
    def share(self) -> float:
        """The challenger's share of failures if it is no worse: its share of the requests."""
        return 0.5 if self.step == "mirror" else self.step / 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How the last rollout ended, and its evidence, which the same digest continues."""

    challenger: Pin
    champion: Pin | None
    outcome: Outcome
    reason: str
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Everything that a controller has to know to go on, whatever happened to the one before it.

    `environment` and `model` (its registered name) say whose versions are counted here. `pending` is work at the registry that is decided
    and not done yet. `seen` is the monotonic time of the last look, None
    after a restart: time that nobody watched is no bake.
    """

    environment: str = ""
    model: str = ""
    phase: Phase = Phase.IDLE
    champion: Pin | None = None
    previous: Pin | None = None
    challenger: Pin | None = None
    id: str = ""
    plan: str = ""
    gate: str = ""
    simulated: bool = False
    approval: str | None = None
    smoke: Smoke | None = None
    step: int = 0
    baseline: Counters | None = None
    counts: Evidence | None = None
    pairs: Pairs | None = None
    baked: float = 0.0
    waited: float = 0.0
    seen: float | None = None
    evidence: tuple[Evidence, ...] = ()
    outcome: Outcome | None = None
    reason: str = ""
    pending: tuple[dict[str, Any], ...] = ()
    last: Ended | None = None

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> State:
        """Read the JSON form; SeatrialError where it is of another shape."""
        import msgspec

        try:
            return msgspec.convert(value, cls)
        except msgspec.ValidationError as error:
            raise SeatrialError(
                f"the journal's last record is not a state of this version of Seatrial: {error}",
                hint="stop the endpoint (seatrial down), move journal.jsonl away, and deploy again",
            ) from None


def begin(
    state: State,
    plan: Plan,
    *,
    challenger: Pin,
    champion: Pin | None,
    gate: str,
    id: str,
    simulated: bool,
    approval: str | None,
    fresh: bool = False,
) -> State:
    """A new rollout; the same challenger against the same champion continues its evidence, unless it is to be `fresh`."""
    last = state.last
    again = (
        last is not None and last.outcome is not Outcome.PASS and (last.challenger.digest, last.champion) == (challenger.digest, champion)
    )
    carried = last.evidence if again and last and not fresh else ()
    return State(
        phase=Phase.HELD if plan.approval and approval is None else Phase.STARTING,
        champion=champion,
        previous=predecessor(state, champion),
        challenger=challenger,
        id=id,
        plan=plan.digest,
        gate=gate,
        simulated=simulated,
        approval=approval,
        evidence=tuple(replace(part, complete=False) for part in carried),
        pending=state.pending,
        last=None if fresh else last,
    )


def predecessor(state: State, champion: Pin | None) -> Pin | None:
    """What stays warm beside `champion`: what served here until now, where that is another version, else the previous one."""
    before = state.champion if state.champion not in (None, champion) else state.previous
    return before if champion is not None and before != champion else None


def give_up(state: State, outcome: Outcome, reason: str) -> State:
    """The same rollout on its way back: all traffic to the champion, by evidence, error or a person's wish."""
    kept = (*state.evidence, state.counts) if state.counts else state.evidence
    return replace(state, phase=Phase.ROLLING_BACK, outcome=outcome, reason=reason, evidence=kept, counts=None, baseline=None)


def finish(state: State) -> State:
    """Between rollouts again: the challenger is the champion after a pass, and gone otherwise."""
    if state.challenger is None:
        return replace(state, phase=Phase.IDLE)
    outcome = state.outcome or Outcome.INCONCLUSIVE
    ended = Ended(challenger=state.challenger, champion=state.champion, outcome=outcome, reason=state.reason, evidence=state.evidence)
    promoted = outcome is Outcome.PASS
    return State(
        champion=state.challenger if promoted else state.champion,
        previous=state.champion if promoted else state.previous,
        pending=state.pending,
        last=ended,
    )


def exposure(plan: Plan, state: State) -> tuple[int, bool]:
    """The challenger's whole percent of live traffic in this state, and whether requests are mirrored to it."""
    if state.phase is Phase.PROMOTING and state.champion is not None:
        return 100, False
    if state.phase not in (Phase.MIRROR, Phase.CANARY):
        return 0, False
    step = plan.steps[state.step]
    return (0, True) if step == "mirror" else (step, False)
