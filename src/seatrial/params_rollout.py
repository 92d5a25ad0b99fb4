"""The section `rollout` of params.yaml: how a challenger takes over, what each step needs, and who says yes."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from seatrial.located import PlacedError
from seatrial.section import Count, NotNegative, Positive, Section, Share, Text

Strategy = Literal["progressive", "canary", "blue_green", "shadow_only"]
Weight = Annotated[int, Meta(ge=1, le=100)]
Plain = Literal["mirror", "pause", "approve"]
DEFAULT_STEPS: dict[str, tuple[Plain | int, ...]] = {
    "progressive": ("mirror", 5, 25, 50, 100),
    "canary": ("mirror", 10, 100),
    "blue_green": ("mirror", 100),
    "shadow_only": ("mirror",),
}
HEADER = r"^[A-Za-z0-9][A-Za-z0-9-]*$"
CEILINGS = ("max_increase", "max_slow", "max_broken", "max_latency_ratio", "max_shift", "max_disagreement")
CLOCK = r"^(Mon|Tue|Wed|Thu|Fri|Sat|Sun) ([01]\d|2[0-3]):[0-5]\d$"
WhenInWeek = Annotated[str, Meta(pattern=CLOCK)]


class Replay(Section, frozen=True, kw_only=True):
    """Requests that the rollout sends itself, from the held-out rows: how many a second."""

    rate: Annotated[float, Meta(gt=0, le=5000)] = 300


class Freeze(Section, frozen=True, kw_only=True):
    """A part of each week in which nothing advances, in the time zone `zone`; `until` may lie in the next week."""

    since: WhenInWeek
    until: WhenInWeek
    zone: Text = "UTC"

    def __post_init__(self) -> None:
        """Refuse a time zone that this machine does not know."""
        from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError):
            raise PlacedError(f"{self.zone!r} is no time zone that this machine knows, such as UTC or Europe/Zurich", "zone") from None


class Sticky(Section, frozen=True, kw_only=True):
    """What a client's variant is drawn by: exactly one of a request header and a field of the first row."""

    header: Annotated[str, Meta(pattern=HEADER)] | None = None
    field: Text | None = None

    def __post_init__(self) -> None:
        """Refuse neither and both, and headers that never arrive, or that would be logged as a key."""
        if (self.header is None) == (self.field is None):
            raise PlacedError("sticky is exactly one of header and field, such as {header: x-user-id}")
        if self.header is not None and self.header.lower().startswith(("x-seatrial-", "x-envoy-")):
            raise PlacedError(f"{self.header!r} is taken off every request; name a header of the clients' own", "header")


class TlsFiles(Section, frozen=True, kw_only=True):
    """A certificate chain and its private key, as PEM; relative paths count from the project's folder."""

    certificate: Text
    key: Text


class StepSettings(Section, frozen=True, kw_only=True):
    """One step with its own needs: exactly one of `mirror`, `weight`, `pause`, `bake`; what is left out is as for every step."""

    mirror: Literal[True] | None = None
    weight: Weight | None = None
    pause: Positive | None = None
    bake: NotNegative | None = None
    min_requests: Count | None = None
    bake_seconds: NotNegative | None = None
    step_deadline_s: Positive | None = None
    max_increase: Share | None = None
    max_slow: Share | None = None
    max_broken: Share | None = None
    max_latency_ratio: Positive | None = None
    max_shift: Share | None = None
    max_disagreement: Share | None = None

    def __post_init__(self) -> None:
        """Refuse a step that is two things, or nothing."""
        named = [name for name in ("mirror", "weight", "pause", "bake") if getattr(self, name) is not None]
        if len(named) != 1:
            found = " and ".join(named) or "none"
            raise PlacedError(f"a step is exactly one of mirror, weight, pause and bake; found {found}")


StepForm = Plain | Weight | StepSettings


class Rollout(Section, frozen=True, kw_only=True):
    """How a challenger takes over: its steps, the evidence that each one needs, and who says yes.

    A ceiling (`max_…`) that is null is not asked about. `steps` null are the strategy's own.
    """

    host: Text = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65535)] = 8080
    tls: TlsFiles | None = None
    sticky: Sticky | None = None
    access_log: Literal["all", "errors", "none"] = "all"
    strategy: Strategy = "progressive"
    steps: tuple[StepForm, ...] | None = None
    alpha: Annotated[float, Meta(gt=0, lt=0.5)] = 0.01
    min_requests: Count = 300
    max_increase: Share | None = 0.02
    max_slow: Share | None = 0.05
    slow_ms: Positive = 500
    max_broken: Share | None = 0.02
    max_latency_ratio: Positive | None = 5.0
    max_shift: Share | None = 0.2
    max_disagreement: Share | None = 0.2
    allow_unchecked: bool = False
    bake_seconds: NotNegative = 1
    step_deadline_s: Positive = 3600
    deadline_s: Positive | None = None
    hold_deadline_s: Positive = 86_400
    on_fail: Literal["rollback", "hold"] = "rollback"
    on_inconclusive: Literal["rollback", "hold"] = "rollback"
    on_newer: Literal["refuse", "queue", "supersede"] = "refuse"
    keep_previous_s: Positive | None = None
    freeze: tuple[Freeze, ...] = ()
    lease_s: Annotated[float, Meta(ge=5)] = 15
    request_timeout_s: Positive = 2
    servers: Annotated[int, Meta(ge=1, le=64)] = 1
    replay: Replay | None = Replay()
    approval: bool = False
    approval_hours: Positive = 24
    four_eyes: bool = False

    @property
    def url(self) -> str:
        """The endpoint's address as a client on this machine writes it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - read, not listened on
        return f"{'http' if self.tls is None else 'https'}://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def ordered(self) -> tuple[StepForm, ...]:
        """The steps, the strategy's own where none are named."""
        return DEFAULT_STEPS[self.strategy] if self.steps is None else self.steps

    def __post_init__(self) -> None:
        """Refuse steps that do not lead where the strategy goes, and a rollout that looks at nothing."""
        problem = _steps_problem(self.strategy, self.ordered)
        if problem is not None:
            raise PlacedError(problem, "steps")
        if not self.allow_unchecked and all(getattr(self, name) is None for name in CEILINGS):
            raise PlacedError(
                f"every one of {', '.join(CEILINGS)} is null, so a rollout would look at nothing; "
                "give one, or say allow_unchecked: true, which is written into every verdict",
                "max_increase",
            )


def _steps_problem(strategy: Strategy, steps: tuple[StepForm, ...]) -> str | None:
    """What is wrong with the order of steps, or None."""
    weights = [weight for step in steps if (weight := weight_of(step)) is not None]
    first = next((place for place, step in enumerate(steps) if weight_of(step) is not None), len(steps))
    if any(is_mirror(step) for step in steps[first:]) or sum(map(is_mirror, steps)) > 1:
        return "mirror can stand once, before the first weight"
    if strategy == "shadow_only":
        return None if steps and not weights and any(map(is_mirror, steps)) else "shadow_only mirrors, and has no weights: [mirror]"
    if not weights or weights[-1] != 100 or weights != sorted(set(weights)):
        return "weights must rise and end at 100, such as [mirror, 5, 25, 50, 100]"
    if strategy == "blue_green" and weights != [100]:
        return "blue_green moves all traffic at once: its only weight is 100, such as [mirror, approve, 100]"
    if strategy == "canary" and len(weights) != 2:
        return "canary has one weight before 100, such as [mirror, 10, 100]; progressive has several"
    return None


def weight_of(step: StepForm) -> int | None:
    """The weight that a step gives, where it is one that does."""
    return step.weight if isinstance(step, StepSettings) else step if isinstance(step, int) else None


def is_mirror(step: StepForm) -> bool:
    """Whether a step mirrors."""
    return step.mirror is True if isinstance(step, StepSettings) else step == "mirror"
