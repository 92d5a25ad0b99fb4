"""After the deploy: drift, outcomes, and what a window of live traffic showed."""

import nox

from tasks.environment import run


@nox.session(default=False)
def drift(session: nox.Session) -> None:
    """Compare what the endpoint was asked with what the champion was trained on."""
    run(session, "seatrial", "drift", *session.posargs)


@nox.session(default=False)
def labels(session: nox.Session) -> None:
    """Keep outcomes that became known (`-- TABLE`), and say how well the champion did."""
    run(session, "seatrial", "labels", *session.posargs)


@nox.session(default=False)
def monitor(session: nox.Session) -> None:
    """Measure the newest window of live traffic, and tell what is wrong (`-- --open` for the one under way)."""
    run(session, "seatrial", "monitor", *session.posargs)
