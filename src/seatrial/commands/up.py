"""Start the endpoint again with what was live; an interrupted rollout returns to the champion first.

With --foreground it stays, for systemd and containers, and stops the endpoint when it is told to end.
"""

from __future__ import annotations

import argparse
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress

from seatrial.control import state_of
from seatrial.deploy import desk_for, recorded_state
from seatrial.errors import BusyError, UsageError
from seatrial.journal import controller
from seatrial.plan import Plan
from seatrial.project import Project
from seatrial.tools import Tools, local_tools

LOOK_S = 0.5
GONE_S = 60.0
"""How long nothing may serve, in the foreground, before this ends too: the guardian brings back what it can within seconds."""
STOPPED_S = 30.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--foreground", action="store_true", help="stay, and stop the endpoint at SIGTERM or Ctrl-C")


def run(project: Project, options: argparse.Namespace) -> int:
    """Start, and say what serves; 0, or an exception that says why not. In the foreground, 1 where it stopped serving by itself."""
    ending: list[int] = []
    if options.foreground:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _: ending.append(number))
    tools = local_tools(project, say=_say)
    if options.foreground and state_of(recorded_state(project)).champion is None:
        _say("nothing was live here yet: this waits for the first deployment")
    else:
        _say(up(project, tools))
    if not options.foreground:
        return 0
    lasted = _stay(project, lambda: bool(ending))
    _stop(project, tools)
    return 0 if lasted else 1


def _stay(project: Project, told_to_end: Callable[[], bool]) -> bool:
    """Wait until told to end; False where what had served has not done so for GONE_S."""
    from seatrial.adapters.endpoint import inspect

    served: float | None = None
    while not told_to_end():
        if inspect(project.home).route is not None:
            served = time.monotonic()
        elif served is not None and time.monotonic() - served > GONE_S:
            _say(f"nothing has served for {GONE_S:.0f} s, so this ends")
            return False
        _reap()
        time.sleep(LOOK_S)
    return True


def _reap() -> None:
    """As a container's first process, take in the children that others left behind."""
    with suppress(ChildProcessError):
        while os.getpid() == 1 and os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _stop(project: Project, tools: Tools) -> None:
    """Stop the endpoint; a command that is at work has a moment to end."""
    from seatrial.commands.down import down

    end = time.monotonic() + STOPPED_S
    while True:
        try:
            down(project, tools)
            _say("stopped; nothing runs any more")
            return
        except BusyError:
            if time.monotonic() > end:
                raise
            time.sleep(LOOK_S)


def _say(text: str) -> None:
    print(f"up: {text}", flush=True)


def up(project: Project, tools: Tools) -> str:
    """Bring the endpoint to what the journal says was live; gives one sentence. UsageError where nothing was."""
    with controller(project.home, "up") as journal:
        desk = desk_for(project, tools, journal)
        desk.recover(Plan.of(project.settings.rollout), None)
        champion = desk.state.champion
        if champion is None:
            raise UsageError("nothing was live here yet", hint="deploy a version first: nox -s deploy")
        desk.start()
        return f"version {champion.version} serves on {project.settings.rollout.url}"
