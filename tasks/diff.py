"""What changed."""

import nox

from tasks.environment import run


@nox.session(default=False)
def diff(session: nox.Session) -> None:
    """Show metrics, params and plots against the merge base (`-- --base REV` for another)."""
    run(session, "seatrial", "diff", *session.posargs)
