"""From one environment to the next."""

import nox

from tasks.environment import run


@nox.session(default=False)
def transfer(session: nox.Session) -> None:
    """Bring a champion with its evidence into another environment (`-- --from staging --to production`)."""
    run(session, "seatrial", "transfer", *session.posargs)
