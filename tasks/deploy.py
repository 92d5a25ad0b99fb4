"""The rollout."""

import nox

from tasks.environment import run


@nox.session(default=False)
def deploy(session: nox.Session) -> None:
    """Take the gated challenger live step by step, and back again if it misbehaves."""
    run(session, "seatrial", "deploy", *session.posargs)
