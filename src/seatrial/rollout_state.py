"""What a rollout knows: its plan, its state, what was observed, and how a rollout begins and ends.

Values only. A state is written to the journal whole, so that a controller that starts anew knows all that the one before knew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from seatrial.errors import SeatrialError
from seatrial.plan import Exposure, Plan
from seatrial.verdict import Outcome


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


Buckets = tuple[tuple[float, int], ...]
"""A histogram of times: (upper bound in milliseconds, requests that took at most that), rising; empty where nothing was measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Requests; how many of them failed, were slow, were answered with what is no probability; and how long they took."""

    requests: int = 0
    failures: int = 0
    slow: int = 0
    broken: int = 0
    times: Buckets = ()

    def __add__(self, other: Counts) -> Counts:
        return self._with(other, 1)

    def __sub__(self, other: Counts) -> Counts:
        return self._with(other, -1)

    def _with(self, other: Counts, sign: int) -> Counts:
        return Counts(
            requests=self.requests + sign * other.requests,
            failures=self.failures + sign * other.failures,
            slow=self.slow + sign * other.slow,
            broken=self.broken + sign * other.broken,
            times=_combined(self.times, other.times, sign),
        )

    @property
    def possible(self) -> bool:
        """Whether no number is below zero: a difference of counters that were not reset."""
        return min(self.requests, self.failures, self.slow, self.broken, *(count for _, count in self.times)) >= 0


def _combined(one: Buckets, other: Buckets, sign: int) -> Buckets:
    """Two histograms added or subtracted; where one was not measured, the other one stands for both."""
    if not one or not other:
        return one or other
    found = dict(other)
    return tuple((bound, count + sign * found.get(bound, 0)) for bound, count in one)


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
    """Answers of both versions beside each other: how many of the challenger's, how many got another label than the champion's.

    `shift` is the Lévy distance between their probabilities, `slack` how much of it chance alone explains.
    """

    asked: int
    differing: int
    shift: float | None = None
    slack: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One look at the world; None is a signal that is missing.

    `stop` is why somebody wants the rollout ended, `frozen` why nothing may advance now.
    """

    counters: Counters | None = None
    smoke: Smoke | None = None
    pairs: Pairs | None = None
    stop: str | None = None
    frozen: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a step saw. It is `complete` where the step was decided on it; `bound` is the upper bound of the increase then.

    `step` is the traffic that the challenger had, `name` the step's, `words` what else was looked at.
    """

    step: Exposure
    name: str = ""
    words: tuple[str, ...] = ()
    champion: Counts = Counts()
    challenger: Counts = Counts()
    complete: bool = False
    bound: float | None = None

    @property
    def share(self) -> float:
        """The challenger's share of failures if it is no worse: its share of the requests."""
        return 0.5 if self.step == "mirror" else self.step / 100

    @property
    def split(self) -> bool:
        """Whether both sides had requests, so that it says something how failures split between them."""
        return self.step == "mirror" or 0 < self.step < 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How the last rollout ended, and its evidence, which the same digest continues."""

    challenger: Pin
    champion: Pin | None
    outcome: Outcome
    reason: str
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A person's approval: of one bundle under one verdict in one environment, until a time (UTC), to be used once."""

    bundle: str
    gate: str
    environment: str
    who: str
    reason: str
    until: str
    nonce: str

    @property
    def words(self) -> str:
        """Who, and why."""
        return f"{self.who}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Why nothing advances until a person speaks; `outcome` is None where it was a person's wish, `waited` in seconds."""

    reason: str
    outcome: Outcome | None = None
    waited: float = 0.0

    @property
    def withdrawn(self) -> bool:
        """Whether all traffic is on the champion meanwhile: the evidence was against the challenger."""
        return self.outcome is Outcome.FAIL


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Until when the controller must have spoken again: seconds on the monotonic clock of this `boot` of the machine."""

    boot: str
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Everything that a controller has to know to go on, whatever happened to the one before it.

    `environment` and `model` (its registered name) say whose versions are counted here. `pending` is work at the registry that is
    decided and not done yet. `seen` is the monotonic time of the last look, None after a restart: time that nobody watched is no
    bake; `baked`, `waited` and `elapsed` are seconds of this step in good order, of this step, and of the rollout. `grant` is an
    approval that was given and not used yet, `used` the nonces of those that were; `override` is a person's word to promote at
    once, `step_done` to go on from a pause. `previous` stays warm until `warm_until` (UTC), or as long as it is the previous one.
    `mirrored` are the answers that were compared while mirroring.
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
    started_by: str = ""
    approval: str | None = None
    grant: Grant | None = None
    used: tuple[str, ...] = ()
    pause: Pause | None = None
    override: str | None = None
    step_done: str | None = None
    warm_until: str | None = None
    lease: Lease | None = None
    smoke: Smoke | None = None
    step: int = 0
    baseline: Counters | None = None
    counts: Evidence | None = None
    pairs: Pairs | None = None
    mirrored: Pairs | None = None
    baked: float = 0.0
    waited: float = 0.0
    elapsed: float = 0.0
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
    started_by: str = "",
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
        started_by=started_by,
        approval=approval,
        used=state.used,
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
    back = replace(state, phase=Phase.ROLLING_BACK, outcome=outcome, reason=reason, evidence=kept)
    return replace(back, counts=None, baseline=None, pause=None, lease=None)


def finish(state: State) -> State:
    """Between rollouts again: the challenger is the champion after a promotion, and gone otherwise."""
    if state.challenger is None:
        return replace(state, phase=Phase.IDLE)
    outcome = state.outcome or Outcome.INCONCLUSIVE
    ended = Ended(challenger=state.challenger, champion=state.champion, outcome=outcome, reason=state.reason, evidence=state.evidence)
    promoted = outcome is Outcome.PASS and state.phase is Phase.PROMOTING
    return State(
        champion=state.challenger if promoted else state.champion,
        previous=state.champion if promoted else state.previous,
        used=state.used,
        pending=state.pending,
        last=ended,
    )


def exposure(plan: Plan, state: State) -> tuple[int, bool]:
    """The challenger's whole percent of live traffic in this state, and whether requests are mirrored to it."""
    if state.phase is Phase.PROMOTING and state.champion is not None:
        return 100, False
    if state.phase not in (Phase.MIRROR, Phase.CANARY):
        return 0, False
    if state.pause is not None and state.pause.withdrawn:
        return 0, False
    step = plan.steps[state.step]
    return step.weight, step.mirrors
