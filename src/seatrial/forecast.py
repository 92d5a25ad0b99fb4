"""What a plan does to challengers of known quality: whole rollouts through the state machine, with requests drawn by chance.

The state machine is the one that `deploy` ticks; only endpoint and clock are replaced by draws, so what is forecast is what the
rules really do, the looks at every tick included.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from seatrial.plan import Plan, Step
from seatrial.rollout import Action, advance
from seatrial.rollout_state import Counters, Counts, Grant, Observation, Pairs, Phase, Pin, Smoke, State
from seatrial.verdict import Outcome

if TYPE_CHECKING:
    import numpy as np

RATIOS = (1.0, 2.0, 3.0, 5.0, 10.0)
BASE = 0.01
LOOKS = 20
"""Looks at a step until it has its least requests; more looks change little and take longer."""
LONGEST_S = 1e7


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a step needs at least: the challenger's requests, all requests for them, and seconds at a rate (None: a person)."""

    step: str
    share: str
    challenger: int
    requests: int
    seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One simulated rollout: how it ended, the requests that the challenger answered, all requests, and seconds."""

    outcome: Outcome
    challenger: int
    requests: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Of rollouts of a challenger that fails `ratio` times as often: shares that end so, and medians of those that went back."""

    ratio: float
    promoted: float
    failed: float
    undecided: float
    challenger: float | None
    requests: float | None


def needs(plan: Plan, rate: float) -> list[Need]:
    """The schedule of a plan at `rate` requests a second over both sides."""
    return [_need(step, rate) for step in plan.steps]


def _need(step: Step, rate: float) -> Need:
    if not step.judges:
        return Need(step=step.name, share=_share_words(step), challenger=0, requests=0, seconds=step.seconds)
    share = 1.0 if step.mirrors else step.weight / 100
    total = round(step.min_requests / share) if share else 0
    seconds = max(total / rate, step.seconds or 0.0)
    return Need(step=step.name, share=_share_words(step), challenger=step.min_requests, requests=total, seconds=seconds)


def _share_words(step: Step) -> str:
    return "copies of all" if step.mirrors else f"{step.weight} %"


def forecast(
    plan: Plan,
    *,
    ratios: Sequence[float] = RATIOS,
    base: float = BASE,
    rate: float,
    rollouts: int,
    seed: int,
    looks: int = LOOKS,
    progress: Callable[[], None] = lambda: None,
) -> Iterator[Forecast]:
    """For each ratio, what becomes of so many rollouts against a champion that fails with probability `base`; `progress` per rollout."""
    import numpy as np

    draw = np.random.default_rng(seed)
    for ratio in ratios:
        runs = []
        for _ in range(rollouts):
            runs.append(simulate(plan, base=base, ratio=ratio, rate=rate, draw=draw, looks=looks))
            progress()
        yield _summed(ratio, runs)


def _summed(ratio: float, runs: Sequence[Run]) -> Forecast:
    def share(outcome: Outcome) -> float:
        return sum(run.outcome is outcome for run in runs) / len(runs)

    back = [run for run in runs if run.outcome is Outcome.FAIL]
    return Forecast(
        ratio=ratio,
        promoted=share(Outcome.PASS),
        failed=share(Outcome.FAIL),
        undecided=share(Outcome.INCONCLUSIVE),
        challenger=statistics.median(run.challenger for run in back) if back else None,
        requests=statistics.median(run.requests for run in back) if back else None,
    )


def simulate(plan: Plan, *, base: float, ratio: float, rate: float, draw: np.random.Generator, looks: int = LOOKS) -> Run:
    """One rollout with failures drawn by chance; a person approves at once, answers agree, and take equally long."""
    world = _World(base=base, ratio=min(ratio, 1 / base), draw=draw)
    state = State(phase=Phase.STARTING, champion=Pin(version=1, digest="a"), challenger=Pin(version=2, digest="b"), plan=plan.digest)
    state = replace(state, smoke=Smoke(rows=1, worst=0.0))
    now = 0.0
    while now < LONGEST_S:
        decision = advance(plan, state, world.observe(), now)
        state = _spoken(plan, decision.state)
        if decision.action in (Action.PROMOTE, Action.ROLL_BACK) or state.pause is not None:
            break
        if decision.action is Action.WAIT:
            step = plan.steps[state.step]
            seconds = _interval(step, rate, looks)
            world.pass_time(step, seconds * rate)
            now += seconds
    outcome = state.outcome or (state.pause.outcome if state.pause else None) or Outcome.INCONCLUSIVE
    return Run(outcome=outcome, challenger=world.asked, requests=world.all, seconds=now)


def _interval(step: Step, rate: float, looks: int) -> float:
    """Seconds between two looks, of which a step has so many until it has its least requests and time."""
    share = 1.0 if step.mirrors else max(step.weight, 1) / 100
    return max(step.min_requests / looks / (rate * share), (step.seconds or 0.0) / looks, 1e-3)


def _spoken(plan: Plan, state: State) -> State:
    """The state after a person has said yes to whatever waits for one."""
    if state.phase not in (Phase.MIRROR, Phase.CANARY) or plan.steps[state.step].judges or plan.steps[state.step].seconds is not None:
        return state
    grant = Grant(bundle="b", gate="", environment="", who="", reason="", until="", nonce="")
    return replace(state, grant=grant, step_done="forecast")


class _World:
    """Counters that grow as time passes."""

    def __init__(self, *, base: float, ratio: float, draw: np.random.Generator) -> None:
        self._rates = (base, base * ratio)
        self._draw = draw
        self._sides = [Counts(), Counts()]
        self.asked = self.all = 0

    def observe(self) -> Observation:
        """What a look sees now."""
        counters = Counters(boot="0", champion=self._sides[0], challenger=self._sides[1])
        return Observation(counters=counters, pairs=Pairs(asked=10**9, differing=0, shift=0.0))

    def pass_time(self, step: Step, requests: float) -> None:
        """So many requests come, and go where the step sends them."""
        count = int(self._draw.poisson(requests))
        own = count if step.mirrors else int(self._draw.binomial(count, step.weight / 100))
        sizes = (count if step.mirrors else count - own, own)
        self.all, self.asked = self.all + count, self.asked + own
        for side, (size, rate) in enumerate(zip(sizes, self._rates, strict=True)):
            more = Counts(requests=size, failures=int(self._draw.binomial(size, rate)), times=((1.0, size),))
            self._sides[side] = self._sides[side] + more
