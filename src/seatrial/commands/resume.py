"""Let a paused or undecided rollout go on."""

from __future__ import annotations

import argparse

from seatrial.operators import Word, speak
from seatrial.project import Project
from seatrial.tools import local_tools


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--reason", default="", help="why, for the journal and the ledger")


def run(project: Project, options: argparse.Namespace) -> int:
    """Say it, and print the answer; 0, or 1 where it is refused."""
    print(f"resume: {speak(project, local_tools(project, say=lambda text: None), Word.RESUME, options.reason)}")
    return 0
