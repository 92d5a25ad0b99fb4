"""A year in minutes."""

import nox

from tasks.environment import run


@nox.session(default=False)
def simulate(session: nox.Session) -> None:
    """Replay the sample through a scripted year: which alarms fire, which stay quiet, what trainings do (`-- --months 12`)."""
    run(session, "seatrial", "simulate", *session.posargs)
