"""From DVC's remote."""

import nox

from tasks.environment import run


@nox.session(default=False)
def pull(session: nox.Session) -> None:
    """Fetch from DVC's remote what is needed, each object checked by its hash (`-- --all` for all)."""
    run(session, "seatrial", "pull", *session.posargs)
