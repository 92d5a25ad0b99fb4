"""The same once more."""

import nox

from tasks.environment import run


@nox.session(default=False)
def rerun(session: nox.Session) -> None:
    """Repeat a recorded run in a clean clone of its commit, and compare bundle and verdict (`-- metrics/run.json`)."""
    run(session, "seatrial", "rerun", *session.posargs)
