"""The gate."""

import nox

from tasks.environment import run


@nox.session
def gate(session: nox.Session) -> None:
    """Test the challenger: floors, champion, fairness, behaviour, latency; register it if it passes."""
    run(session, "seatrial", "gate", *session.posargs)
