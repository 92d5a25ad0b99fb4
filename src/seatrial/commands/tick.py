"""One look at the rollout that is under way, one decision, and what it asks for: for cron, or a CI job that returns.

0 no rollout is under way, or it ended well · 1 it was rolled back by evidence · 3 it goes on, or waits for a person. The time
between two ticks has to be shorter than `rollout.lease_s`: else the watchdog takes the traffic back.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

from seatrial.commands.deploy import headline
from seatrial.control import Controller
from seatrial.deploy import desk_for, ended, recorded_state
from seatrial.drive import tick as one_tick
from seatrial.errors import RefusedError
from seatrial.journal import controller
from seatrial.plan import Plan
from seatrial.project import Project
from seatrial.rollout_state import Phase, State
from seatrial.tools import Tools, local_tools


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command has no options of its own."""


def run(project: Project, options: argparse.Namespace) -> int:
    """Tick once, and say what was decided."""
    code, words = tick(project, local_tools(project, say=_say))
    _say(words)
    return code


def _say(text: str) -> None:
    print(f"tick: {text}", flush=True)


def tick(project: Project, tools: Tools) -> tuple[int, str]:
    """Tick once; gives the exit code and one sentence. RefusedError where params.yaml has another plan than the rollout."""
    plan = Plan.of(project.settings.rollout)
    with controller(project.home, "tick") as journal:
        desk = desk_for(project, tools, journal)
        if desk.state.phase is Phase.IDLE:
            desk.settle()
            return 0, "no rollout is under way"
        if desk.state.plan != plan.digest:
            raise RefusedError("params.yaml has another plan than this rollout began with", hint="put it back, or nox -s abort")
        desk.state = _watched(desk, tools, recorded_state(project).get("seen"))
        decision = one_tick(desk, tools, plan, save=True)
        if desk.state.phase is Phase.IDLE:
            done = ended(desk, plan)
            return done.exit_code, done.message
        return 3, headline(plan, decision)


def _watched(desk: Controller, tools: Tools, seen: float | None) -> State:
    """The state, with the time since the last tick as time that was watched, where the lease says that it was."""
    lease, now = desk.state.lease, tools.clock.monotonic()
    held = lease is not None and lease.boot == tools.clock.boot() and now < lease.until
    return replace(desk.state, seen=seen) if held else desk.state
