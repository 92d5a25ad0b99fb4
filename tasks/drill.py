"""Game day."""

import nox

from tasks.environment import run


@nox.session(default=False)
def drill(session: nox.Session) -> None:
    """Break a scratch endpoint on purpose and see what is kept of the promises (`-- --sweep`, `-- --random 100`, `-- --list`)."""
    run(session, "seatrial", "drill", *session.posargs)
