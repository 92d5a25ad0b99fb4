"""What every DVC stage shares: one project, one lock, errors as sentences."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.adapters.leash import die_with_parent
from seatrial.errors import DataError, SeatrialError
from seatrial.files import locked
from seatrial.project import Project

if TYPE_CHECKING:
    import polars as pl


def run_stage(stage: Callable[[Project], None]) -> None:
    """Run a stage and exit: 0, or 2 with one message.

    DVC leaves a stage running when it is killed itself, and would start a second one beside it: so a stage ends with the
    process that started it, holds a lock of its own that names it, and refuses to be the second.
    """
    if sys.platform == "linux":
        die_with_parent()
    try:
        project = Project.find(Path.cwd(), environment="local")
        lock = project.home / "stage.lock"
        with locked(lock, wait=False):
            lock.write_text(f"{os.getpid()}\n")
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
