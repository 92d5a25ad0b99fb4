"""The plan of a rollout: its steps in order, the traffic that each one has, and what each one needs and allows.

Values only, made from `rollout` of params.yaml. A plan is named by its digest: a rollout goes on by the plan that it began with.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from seatrial.files import sha256_json
from seatrial.params_rollout import CEILINGS, Rollout, StepForm, StepSettings, is_mirror, weight_of

Kind = Literal["mirror", "weight", "pause", "approve", "bake"]
Exposure = Literal["mirror"] | int
"""What a step gives the challenger: copies of all requests, or a whole percent of them (0: nothing yet)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceilings:
    """The largest acceptable values; None is not asked about.

    `increase`, `slow`, `broken`: how much larger the challenger's share of failed, slow, broken answers may be. `latency_ratio`:
    its 95th percentile of time over the champion's. `shift`: the Lévy distance of its probabilities from the
    champion's. `disagreement`: the share of mirrored requests that get another label.
    """

    increase: float | None = None
    slow: float | None = None
    broken: float | None = None
    latency_ratio: float | None = None
    shift: float | None = None
    disagreement: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One station: `seconds` is its bake, or the length of a pause (None: until a person resumes)."""

    kind: Kind
    exposure: Exposure
    min_requests: int
    seconds: float | None
    deadline_s: float
    ceilings: Ceilings

    @property
    def weight(self) -> int:
        """The challenger's whole percent of live traffic."""
        return 0 if self.exposure == "mirror" else self.exposure

    @property
    def mirrors(self) -> bool:
        """Whether requests are copied to the challenger."""
        return self.exposure == "mirror"

    @property
    def name(self) -> str:
        """As people read it."""
        traffic = "mirror" if self.exposure == "mirror" else f"{self.exposure} %"
        return traffic if self.kind in ("mirror", "weight") else f"{self.kind} at {traffic}"

    @property
    def judges(self) -> bool:
        """Whether it ends by evidence; a pause ends by time, an approval by a person."""
        return self.kind in ("mirror", "weight", "bake")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The ordered steps, and the rules that hold for all of them."""

    strategy: str
    steps: tuple[Step, ...]
    alpha: float
    min_requests: int
    slow_ms: float = 500
    deadline_s: float | None = None
    hold_deadline_s: float = 86_400
    on_fail: str = "rollback"
    on_inconclusive: str = "rollback"
    approval: bool = False
    four_eyes: bool = False
    sticky: bool = False
    allow_unchecked: bool = False

    @classmethod
    def of(cls, settings: Rollout) -> Plan:
        """The plan that params.yaml describes."""
        same = ("strategy", "alpha", "min_requests", "slow_ms", "deadline_s", "hold_deadline_s", "on_fail", "on_inconclusive")
        said = {name: getattr(settings, name) for name in (*same, "approval", "four_eyes", "allow_unchecked")}
        return cls(**said, steps=_steps(settings), sticky=getattr(settings, "sticky", None) is not None)

    @property
    def digest(self) -> str:
        """Names this plan."""
        return sha256_json(asdict(self))

    @property
    def promotes(self) -> bool:
        """Whether a challenger that passes every step becomes champion."""
        return self.strategy != "shadow_only"

    @property
    def log_limit(self) -> float:
        """From this logarithm of an e-value the challenger goes back: failures, slow and broken answers have a third of alpha each."""
        return math.log(3 / self.alpha)


_PLAIN = StepSettings(mirror=True)
"""Says nothing of its own needs, as a step that is a word or a number does."""


def _steps(settings: Rollout) -> tuple[Step, ...]:
    steps: list[Step] = []
    for form in settings.ordered:
        before: Exposure = steps[-1].exposure if steps else 0
        steps.append(_step(settings, form, before))
    return tuple(steps)


def _step(settings: Rollout, form: StepForm, before: Exposure) -> Step:
    """One step; what it does not say is as for every step, and a step without traffic of its own keeps that of the one before."""
    own = form if isinstance(form, StepSettings) else _PLAIN
    kind = _kind(form)
    weight = weight_of(form)
    exposure: Exposure = "mirror" if kind == "mirror" else before if weight is None else weight
    ceilings = {name.removeprefix("max_"): _own(own, settings, name) for name in CEILINGS}
    return Step(
        kind=kind,
        exposure=exposure,
        min_requests=_own(own, settings, "min_requests"),
        seconds=_seconds(kind, own, settings),
        deadline_s=_own(own, settings, "step_deadline_s"),
        ceilings=Ceilings(**ceilings),
    )


def _kind(form: StepForm) -> Kind:
    if is_mirror(form):
        return "mirror"
    if isinstance(form, StepSettings):
        return "weight" if form.weight is not None else "pause" if form.pause is not None else "bake"
    return form if isinstance(form, str) else "weight"


def _seconds(kind: Kind, own: StepSettings, settings: Rollout) -> float | None:
    if kind in ("pause", "approve"):
        return own.pause
    return own.bake if own.bake is not None else float(_own(own, settings, "bake_seconds"))


def _own(own: StepSettings, settings: Rollout, name: str) -> Any:
    """What a step says of itself, or what holds for every step."""
    said = getattr(own, name)
    return getattr(settings, name) if said is None else said
