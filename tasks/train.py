"""Training."""

import nox

from tasks.environment import run


@nox.session
def train(session: nox.Session) -> None:
    """Reproduce the DVC pipeline (only what changed), then log the run to MLflow."""
    run(session, "seatrial", "train", *session.posargs)
