"""Drills about what carries the traffic: champion, Envoy, supervisord, the route file, the registry, the disk."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from typing import Any

from seatrial.drill.drills import FIRM, Drill, Happened, Promise, Scene
from seatrial.drill.rig import Rig

AT_50: dict[str, Any] = {**FIRM, "steps": [50, 100], "slow_ms": 100}
CHAMPION = 1
OUTAGE = Promise(harmed=None, safe_s=0.5)
QUIET_S = 1.0
"""So long nobody may be without an answer before an outage counts as over."""


def champion_crashes(rig: Rig) -> Happened:
    """The champion's servers are killed; then the challenger is fixed by a rollback and a deployment that goes through."""
    scene = Scene(rig, plan=AT_50)
    scene.begin(50)
    for pid in rig.inspect().variants[CHAMPION]:
        os.kill(pid, signal.SIGKILL)
    healed = _served_again(scene)
    promoted = rig.registry.holder("champion") != CHAMPION
    rig.control("rollback").wait()
    found = scene.end(safe_s=healed, harmless=False)
    problems = [*found.problems, *(["the challenger was promoted"] if promoted else [])]
    rig.plan(steps=[50, 100])
    client, fix = rig.client(), rig.control("deploy", "--retry").wait()
    client.stop()
    if fix.code != 0:
        problems.append(f"a fix could not be deployed: {fix.output.strip()[-400:]}")
    return amended(found, problems, outage=healed)


def envoy_crashes(rig: Rig) -> Happened:
    """Envoy is killed at weight 50."""
    scene = Scene(rig, plan=AT_50)
    scene.begin(50)
    os.kill(_pid(rig.inspect().envoy), signal.SIGKILL)
    healed = _served_again(scene)
    rig.control("rollback").wait()
    return scene.end(safe_s=healed, harmless=False)


def supervisord_crashes(rig: Rig) -> Happened:
    """supervisord is killed at weight 50, and Envoy and the servers with it."""
    scene = Scene(rig, plan=AT_50)
    scene.begin(50)
    os.kill(_pid(rig.inspect().supervisord), signal.SIGKILL)
    healed = _served_again(scene)
    rig.control("rollback").wait()
    return scene.end(safe_s=healed, harmless=False)


def route_file_is_torn(rig: Rig) -> Happened:
    """Half a route file is moved into place, and Envoy is killed right after."""
    scene = Scene(rig, plan=AT_50)
    scene.begin(50)
    path = rig.route_file()
    torn = path.with_name("torn")
    torn.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    torn.replace(path)
    scene.moment = time.time()
    os.kill(_pid(rig.inspect().envoy), signal.SIGKILL)
    healed = _served_again(scene)
    rig.control("rollback").wait()
    return scene.end(safe_s=healed, harmless=False)


def registry_is_down(rig: Rig) -> Happened:
    """The registry stops answering at weight 50, and a person rolls back; it answers again later, and the next command tells it."""
    scene = Scene(rig, plan=AT_50)
    scene.begin(50)
    rig.registry.down.touch()
    back = rig.control("rollback")
    safe = scene.safe()
    back.wait()
    scene.controller.wait()
    rig.registry.down.unlink()
    told = rig.control("tick").wait()
    found = scene.end(safe_s=safe)
    return found if told.code in (0, 1, 3) else amended(found, [*found.problems, told.output.strip()[-400:]])


def disk_is_full(rig: Rig) -> Happened:
    """The journal cannot be written in the middle of a rollout; there is room again for the next command."""
    scene = Scene(rig, plan=AT_50 | {"bake_seconds": 0}, failpoint="journal.append#4:enospc")
    scene.controller.wait()
    scene.moment = time.time()
    said = scene.controller.output()
    again = rig.control("deploy").wait()
    found = scene.end(safe_s=time.time() - scene.moment, ended=again)
    clear = "No space left" in said or "ENOSPC" in said or "full" in said
    return found if clear else amended(found, [*found.problems, f"no clear message about the full disk: {said.strip()[-400:]}"])


def amended(found: Happened, problems: list[str], *, outage: float | None = None) -> Happened:
    """The same with these problems, and with `outage` (seconds) in place of the time to safety where it is given."""
    return replace(found, problems=tuple(problems), safe_s=found.safe_s if outage is None else outage)


def _pid(found: int | None) -> int:
    assert found is not None, "the drill's endpoint runs"
    return found


def _served_again(scene: Scene) -> float:
    """Wait until no request has failed for a while; seconds from the fault to the end of the last that did (0 where none did)."""

    def quiet() -> bool:
        seen = scene.client.seen()
        last = max((answer.done for answer in seen if not answer.ok), default=scene.moment)
        recent = [answer for answer in seen if answer.ok and answer.done > last]
        return bool(recent) and max(answer.done for answer in recent) - last > QUIET_S

    scene.rig.until(quiet, what="an answer to every request")
    failed = [answer.done for answer in scene.client.seen() if not answer.ok and answer.done >= scene.moment]
    return max(failed) - scene.moment if failed else 0.0


ACCIDENTS = (
    Drill(
        name="champion-crash",
        fault="the champion's servers are killed at weight 50; later a fix is deployed",
        promise=Promise(harmed=None, safe_s=5, exposure=50),
        run=champion_crashes,
    ),
    Drill(name="envoy-crash", fault="Envoy is killed at weight 50", promise=OUTAGE, run=envoy_crashes),
    Drill(
        name="supervisord-crash",
        fault="supervisord is killed at weight 50",
        promise=Promise(harmed=None, safe_s=5),
        run=supervisord_crashes,
    ),
    Drill(
        name="torn-route",
        fault="half a route file is moved into place, then Envoy is killed",
        promise=OUTAGE,
        run=route_file_is_torn,
    ),
    Drill(name="registry-down", fault="the registry is down, and a person rolls back", promise=Promise(safe_s=5), run=registry_is_down),
    Drill(name="disk-full", fault="the disk is full when the journal is written", promise=Promise(outcome=0), run=disk_is_full),
)
