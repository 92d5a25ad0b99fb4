"""What an operator does and asks."""

import nox

from tasks.environment import run


@nox.session(default=False)
def status(session: nox.Session) -> None:
    """Show what serves, with which weight (`-- --json` for programs)."""
    run(session, "seatrial", "status", *session.posargs)


@nox.session(default=False)
def history(session: nox.Session) -> None:
    """Show every rollout, or what was champion when (`-- --at 2026-11-20T10:00`)."""
    run(session, "seatrial", "history", *session.posargs)


@nox.session(default=False)
def tick(session: nox.Session) -> None:
    """Decide once about the rollout that is under way: for cron and CI."""
    run(session, "seatrial", "tick", *session.posargs)


@nox.session(default=False)
def approve(session: nox.Session) -> None:
    """Say yes to the challenger that waits for a person (`-- --reason '…'`)."""
    run(session, "seatrial", "approve", *session.posargs)


@nox.session(default=False)
def pause(session: nox.Session) -> None:
    """Stop a rollout from advancing; it is watched on (`-- --reason '…'`)."""
    run(session, "seatrial", "pause", *session.posargs)


@nox.session(default=False)
def resume(session: nox.Session) -> None:
    """Let a paused rollout go on (`-- --reason '…'`)."""
    run(session, "seatrial", "resume", *session.posargs)


@nox.session(default=False)
def promote(session: nox.Session) -> None:
    """Make the challenger champion before its steps are over (`-- --now --reason '…'`)."""
    run(session, "seatrial", "promote", *session.posargs)


@nox.session(default=False)
def abort(session: nox.Session) -> None:
    """End the rollout that is under way; all traffic returns to the champion."""
    run(session, "seatrial", "abort", *session.posargs)


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
