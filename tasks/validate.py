"""Data."""

import nox

from tasks.environment import run


@nox.session
def validate(session: nox.Session) -> None:
    """Test the data: contract, quality, statistics against the reference, freshness."""
    run(session, "seatrial", "validate", *session.posargs)
