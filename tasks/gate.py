"""The gate."""

import nox

from tasks.environment import run


@nox.session
def gate(session: nox.Session) -> None:
    """Test the challenger: floors, champion, fairness, behaviour, latency; register it if it passes."""
    run(session, "seatrial", "gate", *session.posargs)


@nox.session(default=False)
def noise(session: nox.Session) -> None:
    """Train with other luck, and show by how much each metric moves: the smallest sensible margins."""
    run(session, "seatrial", "noise", *session.posargs)


@nox.session(default=False)
def selftest(session: nox.Session) -> None:
    """Test the gate itself: how often it passes models of known quality (`-- --write` renews docs/selftest.md)."""
    run(session, "python", "-m", "churn.selftest", *session.posargs)
