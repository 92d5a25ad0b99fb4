"""Drills about the controller: killed, gone for good, twice at once, asleep, with a wrong clock, told to go back."""

from __future__ import annotations

import signal
import time
from typing import Any

from seatrial.drill.accidents import AT_50, amended
from seatrial.drill.drills import Drill, Happened, Promise, Scene
from seatrial.drill.rig import Rig
from seatrial.journal import holder_pid

LEASE_S = 5
WATCHDOG_S = 2
EXPOSED: dict[str, Any] = {**AT_50, "lease_s": LEASE_S}


def killed_and_back(rig: Rig) -> Happened:
    """The controller is killed at weight 50; the next one goes on and ends the rollout."""
    scene = Scene(rig, plan=EXPOSED | {"bake_seconds": 1})
    scene.begin(50)
    scene.controller.signal(signal.SIGKILL)
    scene.controller.wait()
    again = rig.control("deploy")
    rig.until(
        lambda: holder_pid(rig.home) == again.pid and rig.agree(), 10, "a controller at work, and agreement of all that knows a route"
    )
    agreed = time.time() - scene.moment
    return scene.end(safe_s=agreed, ended=again.wait())


def killed_for_good(rig: Rig) -> Happened:
    """The controller is killed at weight 50, and nobody comes after it."""
    scene = Scene(rig, plan=EXPOSED)
    scene.begin(50)
    scene.controller.signal(signal.SIGKILL)
    safe = scene.safe()
    found = scene.end(safe_s=safe)
    left = rig.state()
    wrong = [] if left.champion and left.champion.version == 1 else [f"the journal's champion is {left.champion}"]
    return amended(found, [*found.problems, *wrong])


def sleeps_past_its_lease(rig: Rig) -> Happened:
    """The controller is stopped (SIGSTOP) at weight 50, and wakes up after its lease."""
    scene = Scene(rig, plan=EXPOSED)
    scene.begin(50)
    scene.controller.signal(signal.SIGSTOP)
    safe = scene.safe()
    before = len(rig.records())
    scene.controller.signal(signal.SIGCONT)
    scene.controller.wait()
    time.sleep(1)
    found = scene.end(safe_s=safe)
    written = [state.phase for _, state in rig.records()[before:] if state.challenger is not None and rig.weight_of(state) > 0]
    return amended(found, [*found.problems, *([f"it wrote {len(written)} records after it was replaced"] if written else [])])


def two_at_once(rig: Rig) -> Happened:
    """Nine more controllers are started beside the one at work."""
    scene = Scene(rig, plan=EXPOSED | {"bake_seconds": 4})
    scene.begin(50)
    others = [rig.control("deploy") for _ in range(9)]
    ended = [other.wait() for other in others]
    named = f"process {scene.controller.pid} "
    wrong = [
        f"another controller ended with {one.code}: {one.output.strip()[-300:]}"
        for one in ended
        if one.code != 2 or named not in one.output
    ]
    found = scene.end(safe_s=None)
    return amended(found, [*found.problems, *wrong])


def clock_jumps(rig: Rig) -> Happened:
    """The wall clock jumps a day ahead at weight 50."""
    jump = ("--jump", "86400", "--when", str(rig.trigger))
    scene = Scene(rig, plan=EXPOSED | {"bake_seconds": 3}, options=jump)
    scene.begin(50)
    rig.trigger.touch()
    return scene.end(safe_s=None, shares=False)


def told_to_go_back(rig: Rig) -> Happened:
    """A person rolls back at weight 50; what counts is the client's last answer from the challenger."""
    scene = Scene(rig, plan=EXPOSED)
    scene.begin(50)
    back = rig.control("rollback")
    back.wait()
    found = scene.end(safe_s=None)
    decided = next(at for at, state in rig.records() if at >= scene.moment and str(state.phase) == "rolling_back")
    last = max((answer.sent for answer in scene.client.seen() if answer.version == "2"), default=decided)
    return amended(found, list(found.problems), outage=max(0.0, last - decided))


CONTROLLERS = (
    Drill(
        name="controller-killed",
        fault="the controller is killed at weight 50; the next command goes on",
        promise=Promise(safe_s=5, exposure=100, outcome=0),
        run=killed_and_back,
    ),
    Drill(
        name="controller-gone",
        fault=f"the controller is killed at weight 50 and never comes back (lease {LEASE_S} s)",
        promise=Promise(safe_s=LEASE_S + WATCHDOG_S, exposure=50),
        run=killed_for_good,
    ),
    Drill(
        name="controller-asleep",
        fault=f"the controller is stopped at weight 50 and wakes up after its lease ({LEASE_S} s)",
        promise=Promise(safe_s=LEASE_S + WATCHDOG_S, exposure=50),
        run=sleeps_past_its_lease,
    ),
    Drill(name="ten-controllers", fault="nine more controllers are started", promise=Promise(outcome=0), run=two_at_once),
    Drill(name="clock-jump", fault="the wall clock jumps a day ahead", promise=Promise(outcome=0), run=clock_jumps),
    Drill(name="rollback", fault="a person rolls back at weight 50", promise=Promise(safe_s=1, exposure=50), run=told_to_go_back),
)
