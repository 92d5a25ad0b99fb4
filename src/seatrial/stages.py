"""What every DVC stage shares: one project, one lock, errors as sentences."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.errors import DataError, SeatrialError
from seatrial.files import locked
from seatrial.project import Project

if TYPE_CHECKING:
    import polars as pl


def run_stage(stage: Callable[[Project], None]) -> None:
    """Run a stage and exit: 0, or 2 with one message.

    DVC leaves a stage running when it is killed itself, and would start a second one beside it: so a stage holds a lock
    of its own and refuses to be the second.
    """
    try:
        project = Project.find(Path.cwd(), environment="local")
        with locked(project.home / "stage.lock", wait=False):
            stage(project)
    except BlockingIOError:
        sys.exit("error: another stage of this project is still running; wait for it, or stop it")
    except SeatrialError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def read_rows(path: Path) -> pl.DataFrame:
    """The rows that an earlier stage wrote; DataError where they are missing or torn."""
    import polars as pl

    try:
        return pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"data/processed/{path.name} cannot be read ({str(error).splitlines()[0]})", hint="make it: nox -s train") from None
