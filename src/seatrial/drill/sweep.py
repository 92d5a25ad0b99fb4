"""The sweep: a controller killed at each failpoint that a clean run passes, or at random times; the next one has to end it well.

Three runs are swept: a first release from nothing, a rollout with a promotion, and a way back. Clients ask all the time.
"""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seatrial.drill.examine import AGREE_S, agreeing_after, examine
from seatrial.drill.processes import Ended, Running, Traffic
from seatrial.drill.rig import Rig
from seatrial.errors import EndpointError
from seatrial.rollout_state import Phase

PLAN: Mapping[str, Any] = {"steps": ["mirror", 50, 100]}
FIRM_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A run that is swept: what it starts from, its command, whether clients ask meanwhile, and who may be champion in the end."""

    name: str
    start: Callable[[Rig], None]
    command: str
    champions: tuple[int, ...]
    asked: bool = True


SCENARIOS = (
    Scenario(name="release", start=Rig.nothing, command="deploy", champions=(1,), asked=False),
    Scenario(name="rollout", start=Rig.reset, command="deploy", champions=(1, 2)),
    Scenario(name="way back", start=lambda rig: rig.reset("two"), command="rollback", champions=(1,)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Where a run is broken: at the `nth` passing of a failpoint, or so many seconds after its start."""

    scenario: str
    name: str = ""
    nth: int = 1
    after: float | None = None
    action: str = "kill"

    @property
    def words(self) -> str:
        """As people name it, and `--only` takes it."""
        place = f"{self.name}#{self.nth}" if self.after is None else f"{self.after:.2f}s"
        return f"{self.scenario}:{place}:{self.action}".replace(" ", "-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How one run ended: whether the fault happened at all, what clients noticed, when everything agreed again, what does not hold."""

    point: Point
    reached: bool
    requests: int
    harmed: int
    agreed_s: float | None
    problems: tuple[str, ...]


def prepare(rig: Rig) -> None:
    """From nothing to what the scenarios start from: version 1 is champion, and after it version 2."""
    rig.plan(**PLAN)
    rig.release()
    client = rig.client()
    rig.deploy()
    client.stop()
    rig.keep("two")


def count(rig: Rig, scenarios: Sequence[Scenario] = SCENARIOS, *, action: str = "kill") -> Iterator[Point]:
    """The failpoints that clean runs pass, in order."""
    rig.plan(**PLAN)
    for scenario in scenarios:
        scenario.start(rig)
        passed = rig.root / f"passed-{scenario.name.replace(' ', '-')}"
        client = rig.client() if scenario.asked else None
        ended = rig.control(scenario.command, passed=passed).wait()
        if client is not None:
            client.stop()
        if ended.code != 0:
            raise EndpointError(f"a clean {scenario.name} did not end well: {ended.output}")
        seen: Counter[str] = Counter()
        for name in passed.read_text().split():
            seen[name] += 1
            yield Point(scenario=scenario.name, name=name, nth=seen[name], action=action)


def clean_seconds(rig: Rig) -> float:
    """How long a rollout takes that nothing breaks."""
    rig.plan(**PLAN)
    rig.reset()
    client, began = rig.client(), time.monotonic()
    rig.deploy()
    took = time.monotonic() - began
    client.stop()
    return took


def at_random(number: int, *, seconds: float, seed: int) -> Iterator[Point]:
    """So many random times of a rollout that lasts `seconds`."""
    draw = random.Random(seed)
    for _ in range(number):
        yield Point(scenario="rollout", after=draw.uniform(0, seconds))


def break_at(rig: Rig, point: Point) -> Result:
    """One run: broken, then brought to an end by the same command, then examined."""
    scenario = next(one for one in SCENARIOS if one.name == point.scenario)
    _from_the_start(rig, scenario)
    client = rig.client() if scenario.asked else None
    broken = _broken(rig, scenario, point)
    again = rig.control(scenario.command)
    agreed = agreeing_after(rig, again)
    ended = again.wait()
    traffic = client.stop() if client else None
    problems = [*_ended_well(rig, scenario, ended, agreed), *examine(rig, traffic)]
    return Result(
        point=point,
        reached=broken.code != 0,
        requests=len(traffic.sent) if traffic else 0,
        harmed=traffic.harmed if isinstance(traffic, Traffic) else 0,
        agreed_s=agreed,
        problems=tuple(problems),
    )


def _from_the_start(rig: Rig, scenario: Scenario) -> None:
    """What the scenario starts from; where the last run left an endpoint that does not come along, a new one."""
    rig.plan(**PLAN)
    try:
        scenario.start(rig)
    except EndpointError:
        prepare(rig)
        scenario.start(rig)


def _broken(rig: Rig, scenario: Scenario, point: Point) -> Ended:
    if point.after is None:
        return rig.control(scenario.command, failpoint=f"{point.name}#{point.nth}:{point.action}").wait()
    running: Running = rig.control(scenario.command)
    time.sleep(point.after)
    running.signal(signal.SIGKILL)
    return running.wait()


def _ended_well(rig: Rig, scenario: Scenario, ended: Ended, agreed: float | None) -> Iterator[str]:
    """Whether the command that came after ended what was broken, in time."""
    if ended.code not in (0, 1, 3):
        yield f"the next {scenario.command} ended with {ended.code}: {ended.output.strip()[-600:]}"
    if "Traceback" in ended.output:
        yield f"the next {scenario.command} showed a traceback: {ended.output.strip()[-600:]}"
    if agreed is None or agreed > AGREE_S + (FIRM_S if not scenario.asked else 0):
        yield f"I3: journal, route, Envoy and registry agreed {'never' if agreed is None else f'after {agreed:.1f} s'}"
    state = rig.state()
    champion = state.champion.version if state.champion else None
    if state.phase is not Phase.IDLE or state.pending or champion not in scenario.champions:
        yield f"the journal is left {state.phase} with champion {champion} and {len(state.pending)} pending"
