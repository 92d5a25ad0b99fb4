"""The review."""

import nox

from tasks.environment import run


@nox.session(default=False)
def review(session: nox.Session) -> None:
    """Write the pull request's comment: metrics, gate, data and params against the merge base (`-- --base REV` for another)."""
    run(session, "seatrial", "review", *session.posargs)
