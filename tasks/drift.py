"""Drift."""

import nox

from tasks.environment import run


@nox.session(default=False)
def drift(session: nox.Session) -> None:
    """Compare what the endpoint was asked with what the champion was trained on (Evidently)."""
    run(session, "seatrial", "drift", *session.posargs)
