"""Start the endpoint again with what was live; an interrupted rollout returns to the champion first."""

from __future__ import annotations

import argparse

from seatrial.deploy import desk_for
from seatrial.errors import UsageError
from seatrial.journal import controller
from seatrial.plan import Plan
from seatrial.project import Project
from seatrial.tools import Tools, local_tools


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command has no options of its own."""


def run(project: Project, options: argparse.Namespace) -> int:
    """Start, and say what serves; 0, or an exception that says why not."""
    _say(up(project, local_tools(project, say=_say)))
    return 0


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
