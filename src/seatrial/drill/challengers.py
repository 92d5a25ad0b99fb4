"""Drills about a challenger that misbehaves: nobody may notice, and it has to go back."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from seatrial.drill.drills import FIRM, Drill, Happened, Promise, Scene
from seatrial.drill.rig import Rig

AT_50: dict[str, Any] = {**FIRM, "steps": [50, 100], "slow_ms": 100}
AT_10: dict[str, Any] = {"bake_seconds": 4, "steps": [10, 100], "max_shift": 0.2, "max_disagreement": 0.2, "min_requests": 100}
MIRRORED: dict[str, Any] = {**AT_10, "steps": ["mirror", 10, 100]}
CHALLENGER = 2
BACK = Promise(safe_s=15, exposure=50, outcome=1)
CAUGHT = Promise(safe_s=60, exposure=10, outcome=1)
UNSEEN = Promise(safe_s=60, exposure=0, outcome=1)
REFUSED = Promise(safe_s=60, exposure=0, outcome=2)


def misbehaves(rig: Rig, kind: str, *, plan: dict[str, Any], weight: int) -> Happened:
    """A server that begins to answer in another way while it has this weight."""
    scene = Scene(rig, plan=plan, options=("--fault", kind, "--version", str(CHALLENGER), "--when", str(rig.trigger)))
    scene.begin(weight)
    rig.trigger.touch()
    return scene.end(safe_s=scene.safe())


def mirrored_lie(rig: Rig, kind: str) -> Happened:
    """A server that begins to lie while it only gets copies."""
    scene = Scene(rig, plan=MIRRORED, options=("--fault", kind, "--version", str(CHALLENGER), "--when", str(rig.trigger)))
    scene.until(lambda: (live := rig.endpoint.live_route()) is not None and live.mirror, "the mirror")
    scene.begin(0)
    rig.trigger.touch()
    return scene.end(safe_s=scene.safe())


def wrong_bundle(rig: Rig) -> Happened:
    """A server that names another digest than the gated one."""
    scene = Scene(rig, plan=AT_50, options=("--fault", "digest", "--version", str(CHALLENGER), "--when", str(rig.trigger)))
    scene.begin(0)
    ended = scene.controller.wait()
    return scene.end(safe_s=scene.safe(), ended=ended)


def crashes(rig: Rig) -> Happened:
    """Servers that are killed again as often as they are started."""
    scene = Scene(rig, plan=AT_50)
    scene.begin(50)
    with _again_and_again(lambda: _signal(rig, CHALLENGER, signal.SIGKILL)):
        safe = scene.safe()
    return scene.end(safe_s=safe)


def hangs(rig: Rig) -> Happened:
    """Servers that are stopped, and hold their connections open."""
    scene = Scene(rig, plan=AT_50)
    scene.begin(50)
    _signal(rig, CHALLENGER, signal.SIGSTOP)
    safe = scene.safe()
    _signal(rig, CHALLENGER, signal.SIGCONT)
    return scene.end(safe_s=safe)


def _signal(rig: Rig, version: int, number: int) -> None:
    for pid in rig.inspect().variants.get(version, ()):
        with suppress(ProcessLookupError):
            os.kill(pid, number)


@contextmanager
def _again_and_again(act: Callable[[], None], every: float = 0.1) -> Iterator[None]:
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(every):
            act()

    thread = threading.Thread(target=run)
    act()
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


CHALLENGERS = (
    Drill(name="crash", fault="the challenger's servers are killed at weight 50, again and again", promise=BACK, run=crashes),
    Drill(name="hang", fault="the challenger's servers are stopped (SIGSTOP) at weight 50", promise=BACK, run=hangs),
    Drill(
        name="slow",
        fault="the challenger takes 0.8 s at weight 50",
        promise=BACK,
        run=partial(misbehaves, kind="slow", plan=AT_50, weight=50),
    ),
    Drill(
        name="5xx",
        fault="the challenger answers 500 at weight 50",
        promise=BACK,
        run=partial(misbehaves, kind="5xx", plan=AT_50, weight=50),
    ),
    Drill(
        name="nan",
        fault="the challenger's model gives NaN at weight 10",
        promise=CAUGHT,
        run=partial(misbehaves, kind="nan", plan=AT_10, weight=10),
    ),
    Drill(
        name="swapped",
        fault="the challenger swaps the classes at weight 10",
        promise=CAUGHT,
        run=partial(misbehaves, kind="swapped", plan=AT_10, weight=10),
    ),
    Drill(
        name="constant",
        fault="the challenger answers 0.5 to everything at weight 10",
        promise=CAUGHT,
        run=partial(misbehaves, kind="constant", plan=AT_10, weight=10),
    ),
    Drill(
        name="mirrored-lie",
        fault="the challenger swaps the classes while it is mirrored",
        promise=UNSEEN,
        run=partial(mirrored_lie, kind="swapped"),
    ),
    Drill(name="wrong-bundle", fault="the challenger's servers load another bundle", promise=REFUSED, run=wrong_bundle),
)
