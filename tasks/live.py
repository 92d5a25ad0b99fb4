"""What an operator does and asks."""

import nox

from tasks.environment import run


@nox.session(default=False)
def status(session: nox.Session) -> None:
    """Show what serves, with which weight (`-- --json` for programs)."""
    run(session, "seatrial", "status", *session.posargs)


@nox.session(default=False)
def rollback(session: nox.Session) -> None:
    """Return all traffic to the previous champion."""
    run(session, "seatrial", "rollback", *session.posargs)


@nox.session(default=False)
def up(session: nox.Session) -> None:
    """Start the endpoint again with what was live."""
    run(session, "seatrial", "up", *session.posargs)


@nox.session(default=False)
def down(session: nox.Session) -> None:
    """Stop the endpoint: no process, port or socket stays."""
    run(session, "seatrial", "down", *session.posargs)


@nox.session(default=False)
def audit(session: nox.Session) -> None:
    """Ask whether the registry still says what was decided: bytes, verdicts, aliases, ledger."""
    run(session, "seatrial", "audit", *session.posargs)


@nox.session(default=False)
def replay(session: nox.Session) -> None:
    """Send rows of the table to the endpoint (`-- --shift monthly_charges=1.5` sends shifted ones, labelled so)."""
    run(session, "seatrial", "replay", *session.posargs)


@nox.session(default=False)
def predict(session: nox.Session) -> None:
    """Score a table in batch with the champion's bundle (`-- TABLE --output FILE`)."""
    run(session, "seatrial", "predict", *session.posargs)
