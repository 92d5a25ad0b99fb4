"""What a drill is: a rollout under a client's load, a fault, what came of it, and the promise that it is held to."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from seatrial.drill.examine import examine
from seatrial.drill.processes import Ended
from seatrial.drill.rig import Rig
from seatrial.errors import EndpointError

FIRM: Mapping[str, Any] = {"bake_seconds": 120, "step_deadline_s": 300}
"""A step that lasts until something else ends it."""
WORST = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What must not be exceeded: requests without a 2xx, seconds to safety, percent of traffic on the challenger; None is not asked.

    `outcome` is the exit code that the rollout has to end with.
    """

    harmed: int | None = 0
    safe_s: float | None = None
    exposure: int | None = None
    outcome: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """What a drill saw. Times are seconds after the fault: `detected_s` until it was decided about, `safe_s` until nobody was exposed.

    `exposure` is the largest percent of live traffic that the challenger had. `problems` are sentences about what does not hold.
    """

    requests: int = 0
    harmed: int = 0
    detected_s: float | None = None
    safe_s: float | None = None
    exposure: int = 0
    outcome: int | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """One drill: its name for `--only`, the fault in words, what is promised, and how it is run."""

    name: str
    fault: str
    promise: Promise
    run: Callable[[Rig], Happened]


def broken_promises(promise: Promise, happened: Happened) -> tuple[str, ...]:
    """What was promised and not kept, as sentences; empty is kept."""
    found = list(happened.problems)
    if promise.harmed is not None and happened.harmed > promise.harmed:
        found.append(f"{happened.harmed} of {happened.requests} requests had no 2xx; {promise.harmed} are allowed")
    if promise.safe_s is not None and not (happened.safe_s is not None and happened.safe_s <= promise.safe_s):
        took = "never" if happened.safe_s is None else f"after {happened.safe_s:.2f} s"
        found.append(f"safe {took}; {promise.safe_s:g} s are allowed")
    if promise.exposure is not None and happened.exposure > promise.exposure:
        found.append(f"the challenger had {happened.exposure} % of the traffic; {promise.exposure} % are allowed")
    if promise.outcome is not None and happened.outcome != promise.outcome:
        found.append(f"the rollout ended with exit code {happened.outcome}, not {promise.outcome}")
    return tuple(found)


class Scene:
    """A rollout at work, with a client. `begin` waits until the challenger has `weight` percent; `end` gathers what was seen."""

    def __init__(self, rig: Rig, *, plan: Mapping[str, Any], options: tuple[str, ...] = (), failpoint: str | None = None) -> None:
        rig.reset()
        rig.plan(**plan)
        self.rig = rig
        self.client = rig.client()
        self.controller = rig.control("deploy", *options, failpoint=failpoint)
        self.moment = 0.0

    def begin(self, weight: int) -> None:
        """Wait for the weight; from now on times are counted."""
        self.until(lambda: self.weight() == weight, f"weight {weight}")
        time.sleep(0.3)  # some requests at this weight, before anything happens
        self.moment = time.time()

    def weight(self) -> int:
        """The challenger's percent of live traffic, as Envoy has it."""
        live = self.rig.endpoint.live_route()
        return live.weight if live is not None and live.challenger is not None else 0

    def until(self, condition: Callable[[], bool], what: str, seconds: float = WORST) -> float:
        """Wait for a condition; seconds since the fault. Where the controller ends before, its words are the error."""
        self.rig.until(lambda: condition() or self.controller.over(), seconds, what)
        if not condition():
            raise EndpointError(f"{what} did not happen: {self.controller.output().strip()[-800:]}")
        return time.time() - self.moment

    def champion_alone(self) -> bool:
        """Whether no request goes to the challenger."""
        live = self.rig.endpoint.live_route()
        return live is not None and live.weight == 0 and not live.mirror

    def safe(self, seconds: float = WORST) -> float:
        """Wait until the champion has all traffic; seconds since the fault."""
        self.rig.until(self.champion_alone, seconds, "all traffic on the champion")
        return time.time() - self.moment

    def decided(self) -> float | None:
        """Seconds from the fault to the first record that takes the challenger back."""
        found = [at - self.moment for at, state in self.rig.records() if at >= self.moment - 0.05 and str(state.phase) == "rolling_back"]
        return max(0.0, found[0]) if found else None

    def end(self, *, safe_s: float | None, ended: Ended | None = None, harmless: bool = True, shares: bool = True) -> Happened:
        """Stop the client once the controller is over, and ask the invariants."""
        ended = ended or self.controller.wait(WORST)
        time.sleep(0.3)
        traffic = self.client.stop()
        problems = list(examine(self.rig, traffic, harmless=harmless, shares=shares))
        if "Traceback" in ended.output:
            problems.append(f"a traceback: {ended.output.strip()[-600:]}")
        return Happened(
            requests=len(traffic.sent),
            harmed=traffic.harmed,
            detected_s=self.decided(),
            safe_s=safe_s,
            exposure=max((weight for weight in self._weights()), default=0),
            outcome=ended.code,
            problems=tuple(problems),
        )

    def _weights(self) -> list[int]:
        """The weights that the journal gave the challenger, in this rollout."""
        return [self.rig.weight_of(state) for _, state in self.rig.records() if state.challenger is not None]
