"""End the rollout that is under way: all traffic returns to the champion. Without one, nothing changes."""

from __future__ import annotations

import argparse

from seatrial.commands.rollback import rollback
from seatrial.control import state_of
from seatrial.deploy import recorded_state
from seatrial.project import Project
from seatrial.rollout_state import Phase
from seatrial.tools import Tools, local_tools


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--reason", default="no reason given", help="why, for the journal and the ledger")


def run(project: Project, options: argparse.Namespace) -> int:
    """Abort, and say what serves now; 0, also where there was nothing to do."""
    _say(abort(project, local_tools(project, say=_say), reason=options.reason))
    return 0


def _say(text: str) -> None:
    print(f"abort: {text}", flush=True)


def abort(project: Project, tools: Tools, *, reason: str) -> str:
    """Return all traffic to the champion if a rollout is under way; gives one sentence. Twice is the same as once."""
    if state_of(recorded_state(project)).phase is Phase.IDLE:
        return "no rollout is under way; nox -s rollback returns to the previous champion"
    return rollback(project, tools, reason=reason)
