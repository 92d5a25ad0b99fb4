"""After the deploy: drift, outcomes, what a window of live traffic showed, and whether to train again."""

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


@nox.session(default=False)
def retrain(session: nox.Session) -> None:
    """Ask whether to train again, and why (`-- --run` pulls, validates, trains and gates; deploy stays yours)."""
    run(session, "seatrial", "retrain", *session.posargs)
