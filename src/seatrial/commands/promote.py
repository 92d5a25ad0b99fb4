"""Make the challenger champion now, before its steps have shown what they were to show; who and why is in every record of it.

The evidence that there is still counts: a challenger that it is against is not promoted.
"""

from __future__ import annotations

import argparse

from seatrial.errors import UsageError
from seatrial.operators import Word, speak
from seatrial.project import Project
from seatrial.tools import local_tools


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--now", action="store_true", help="skip the steps that are left (needs --reason)")
    parser.add_argument("--reason", default="", help="why, for the journal and the ledger")


def run(project: Project, options: argparse.Namespace) -> int:
    """Say it, and print the answer; 0, or 1 where it is refused."""
    if not options.now:
        raise UsageError("a rollout promotes by itself; before its end only with --now", hint="nox -s promote -- --now --reason '…'")
    tools = local_tools(project, say=lambda text: None)
    print(f"promote: {speak(project, tools, Word.PROMOTE, options.reason)}; its controller does it, or where none runs: nox -s deploy")
    return 0
