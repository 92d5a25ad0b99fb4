"""The controller of a drill, a process of its own: the commands of an operator with the registry of the scratch folder.

    python -m seatrial.drill.desk deploy|rollback|tick [--fault KIND --version N --when FILE] [--jump SECONDS]

Run in the scratch folder. The servers of version N misbehave in the way KIND once FILE exists; with `--jump` the wall clock jumps
by so many seconds once FILE exists.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

from seatrial.adapters.endpoint import LocalEndpoint, Variant, model_server
from seatrial.commands.deploy import headline
from seatrial.deploy import deploy
from seatrial.drill.registry import FileRegistry
from seatrial.errors import SeatrialError
from seatrial.failpoints import FailpointError, arm
from seatrial.project import Project
from seatrial.rollout import Action
from seatrial.tools import SystemClock, Tools, local_tools


class JumpingClock(SystemClock):
    """This machine's time, whose wall clock jumps once a file exists; what counts seconds does not."""

    def __init__(self, seconds: float, when: Path) -> None:
        self._seconds, self._when = seconds, when

    def wall(self) -> str:
        """Now, or another day."""
        jump = self._seconds if self._when.exists() else 0.0
        return (dt.datetime.now(dt.UTC) + dt.timedelta(seconds=jump)).isoformat(timespec="milliseconds")


def plain_tools(project: Project) -> Tools:
    """The real tools, but for the registry; nothing goes wrong."""
    return drill_tools(project, argparse.Namespace(fault=None, version=None, when=Path("never"), jump=0.0))


def drill_tools(project: Project, options: argparse.Namespace) -> Tools:
    """The real tools, but for the registry, and what the options ask to go wrong."""
    settings = project.settings
    plain = model_server(log=project.home / "log", settings=settings.monitor.log, name=settings.model.name)

    def command(variant: Variant, uds: Path) -> list[str]:
        line = plain(variant, uds)
        if variant.version != options.version or options.fault is None:
            return line
        faulty = ["seatrial.drill.server", "--fault", options.fault, "--when", str(options.when)]
        at = line.index("seatrial.serving.server")
        return [*line[:at], *faulty, *line[at + 1 :]]

    tools = local_tools(project, say=lambda text: print(text, flush=True))
    return replace(
        tools,
        registry=FileRegistry(project.root),
        endpoint=LocalEndpoint(project.home, settings.rollout, env=project.env, server_command=command),
        clock=JumpingClock(options.jump, options.when) if options.jump else tools.clock,
        show=lambda plan, decision: None if decision.action is Action.WAIT else print(headline(plan, decision), flush=True),
    )


def act(project: Project, tools: Tools, command: str, *, retry: bool = False) -> int:
    """One command of an operator; its exit code. With `retry` a bundle that was sent back gets new evidence."""
    if command == "deploy":
        done = deploy(project, tools, retry="a drill" if retry else None)
        print(done.message, flush=True)
        return done.exit_code
    if command == "tick":
        from seatrial.commands.tick import tick

        code, words = tick(project, tools)
        print(words, flush=True)
        return code
    from seatrial.commands.rollback import rollback

    print(rollback(project, tools, reason="a drill"), flush=True)
    return 0


def main(argv: list[str] | None = None) -> int:
    """Run one command; the exit code is that of the command line."""
    parser = argparse.ArgumentParser(prog="python -m seatrial.drill.desk", description=__doc__)
    parser.add_argument("command", choices=("deploy", "rollback", "tick"))
    parser.add_argument("--retry", action="store_true")
    parser.add_argument("--fault")
    parser.add_argument("--version", type=int)
    parser.add_argument("--when", type=Path, default=Path("never"))
    parser.add_argument("--jump", type=float, default=0.0)
    options = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        arm(os.environ)
        project = Project.find(Path.cwd())
        return act(project, drill_tools(project, options), options.command, retry=options.retry)
    except KeyboardInterrupt:
        return 130
    except (SeatrialError, FailpointError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code if isinstance(error, SeatrialError) else 2


if __name__ == "__main__":
    sys.exit(main())
