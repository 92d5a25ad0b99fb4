"""To DVC's remote."""

import nox

from tasks.environment import run


@nox.session(default=False)
def push(session: nox.Session) -> None:
    """Send to DVC's remote what it lacks, checked before, and read every object back."""
    run(session, "seatrial", "push", *session.posargs)
