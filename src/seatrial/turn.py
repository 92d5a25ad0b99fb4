"""Whose turn it is: a command that needs the controller's lock waits for the one who has it, or asks it to end first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from seatrial.errors import BusyError
from seatrial.failpoints import failpoint
from seatrial.files import pretty_json, write_atomic
from seatrial.journal import Journal, controller
from seatrial.look import stop_request

if TYPE_CHECKING:
    from seatrial.project import Project
    from seatrial.tools import Tools

PATIENCE_S = 30.0
POLL_S = 0.05


@contextmanager
def taken_over(
    project: Project, tools: Tools, command: str, *, reason: str | None, patience_s: float = PATIENCE_S
) -> Iterator[tuple[Journal, bool]]:
    """The journal, and whether a controller had to be waited for; with a `reason` it is asked to end its rollout.

    BusyError names a controller that is still there when patience is over; a request that it has not heard stays for when it wakes.
    """
    request, waited = stop_request(project.home), False
    end = tools.clock.monotonic() + patience_s
    with ExitStack() as stack:
        while True:
            try:
                journal = stack.enter_context(controller(project.home, command))
                break
            except BusyError:
                if tools.clock.monotonic() > end:
                    raise
            if reason is not None and not request.exists():
                failpoint("stop.write")
                write_atomic(request, pretty_json({"who": tools.who, "reason": reason}))
                failpoint("stop.written")
            waited = True
            tools.clock.sleep(POLL_S)
        if reason is not None:
            request.unlink(missing_ok=True)
        yield journal, waited
