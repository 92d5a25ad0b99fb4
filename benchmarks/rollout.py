"""Under load: weight moves, ways back as the client sees them, and what a controller costs while it waits (`-- --moves N --ways N`).

A scratch endpoint with the sample's bundle, as `nox -s drill` uses it: real Envoy, supervisord, servers and controllers; the registry
is a file. The client asks 200 times a second by a schedule, whatever the answers take.
"""

from __future__ import annotations

import argparse
import os
import time

from benchmarks._common import ROOT, median
from benchmarks._figures import Figure, show
from seatrial.adapters.endpoint import Route
from seatrial.drill.drills import FIRM, Scene
from seatrial.drill.rig import Rig, rig
from seatrial.project import Project

RATE = 200.0
WAITED_S = 20.0
TICKS = 50
AT_50 = {**FIRM, "steps": [50, 100]}


def main() -> None:
    """Measure, print one table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--moves", type=int, default=1000)
    options.add_argument("--ways", type=int, default=50)
    asked = options.parse_args()
    with rig(Project.find(ROOT, env=dict(os.environ))) as made:
        made.plan(**AT_50)
        made.release()
        figures = [*_moves(made, asked.moves), *_cost(made), *_ticks(made), *_ways_back(made, asked.ways)]
    show(f"under {RATE:.0f} requests/s", figures)
    if any(figure.met is False for figure in figures):
        raise SystemExit("a figure missed its target")


def _moves(made: Rig, moves: int) -> list[Figure]:
    """Both versions run; the challenger's weight goes 5, 10, … 95, 5, …"""
    made.reset()
    endpoint = made.endpoint
    made.run_both()
    client, taken = made.client(RATE), []
    for move in range(moves):
        began = time.perf_counter()
        endpoint.route(Route(champion=1, challenger=2, weight=5 * (move % 19 + 1)))
        taken.append(1000 * (time.perf_counter() - began))
    endpoint.route(made.champion)
    traffic = client.stop()
    return [
        Figure(name=f"{moves:,} weight moves: requests", value=float(len(traffic.sent))),
        Figure(name="not 2xx", value=float(traffic.harmed), high=0),
        Figure(name="one move until Envoy confirms it, median", value=median(taken), unit="ms"),
        Figure(name="largest", value=max(taken), unit="ms"),
    ]


def _cost(made: Rig) -> list[Figure]:
    """The controller's processor time and memory while a step waits."""
    import psutil

    scene = Scene(made, plan=AT_50)
    scene.begin(50)
    process = psutil.Process(scene.controller.pid)
    before, began = sum(process.cpu_times()[:2]), time.monotonic()
    time.sleep(WAITED_S)
    share = (sum(process.cpu_times()[:2]) - before) / (time.monotonic() - began)
    memory = process.memory_info().rss / 1e6
    made.control("rollback").wait()
    scene.end(safe_s=None)
    return [
        Figure(name="controller while it waits, of one core", value=100 * share, unit="%", high=2),
        Figure(name="controller's memory", value=memory, unit="MB", high=120),
    ]


def _ticks(made: Rig) -> list[Figure]:
    """One tick after the other from this process, as `seatrial tick` does one: lock, load, observe, decide, save, act."""
    from seatrial.commands.tick import tick
    from seatrial.drill.desk import plain_tools

    scene = Scene(made, plan=AT_50 | {"lease_s": 60})
    scene.begin(50)
    scene.controller.signal(9)
    scene.controller.wait()
    taken = []
    for _ in range(TICKS):
        began = time.perf_counter()
        tick(made.project, plain_tools(made.project))
        taken.append(1000 * (time.perf_counter() - began))
        time.sleep(0.05)
    made.control("rollback").wait()
    scene.client.stop()
    taken.sort()
    return [
        Figure(name=f"a tick, median of {TICKS}", value=median(taken), unit="ms", high=50),
        Figure(name="a tick, 95th percentile", value=taken[int(0.95 * TICKS)], unit="ms"),
    ]


def _ways_back(made: Rig, ways: int) -> list[Figure]:
    """From the decision in the journal to the last request that the challenger was given; and from the command to that."""
    decided, asked, harmed = [], [], 0
    for _ in range(ways):
        scene = Scene(made, plan=AT_50)
        scene.begin(50)
        said = time.time()
        made.control("rollback").wait()
        happened = scene.end(safe_s=None)
        last = max((answer.sent for answer in scene.client.seen() if answer.version == "2"), default=said)
        decided.append(max(0.0, last - scene.moment - (happened.detected_s or 0.0)))
        asked.append(max(0.0, last - said))
        harmed += happened.harmed
    return [
        Figure(name=f"decision to 0 % as the client sees it, largest of {ways}", value=max(decided), unit="s", high=1),
        Figure(name="command to 0 %, largest", value=max(asked), unit="s", high=2),
        Figure(name="requests without a 2xx in all of them", value=float(harmed), high=0),
    ]


if __name__ == "__main__":
    main()
