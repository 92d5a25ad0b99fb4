"""Whether DVC's remote has everything."""

import nox

from tasks.environment import run


@nox.session(default=False)
def verify(session: nox.Session) -> None:
    """Ask whether everything is reproduced and pushed: exit 1 with what is missing."""
    run(session, "seatrial", "verify", *session.posargs)
