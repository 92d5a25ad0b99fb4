"""Stop the endpoint: no process, port or socket stays. What was live stays in the journal, for `up`."""

from __future__ import annotations

import argparse

from seatrial.journal import controller
from seatrial.project import Project
from seatrial.tools import Tools, local_tools


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command has no options of its own."""


def run(project: Project, options: argparse.Namespace) -> int:
    """Stop; 0, also where nothing ran."""
    down(project, local_tools(project, say=print))
    print("down: nothing runs any more; seatrial up starts it again")
    return 0


def down(project: Project, tools: Tools) -> None:
    """Stop everything; BusyError while another controller is at work."""
    with controller(project.home, "down"):
        tools.endpoint.down()
