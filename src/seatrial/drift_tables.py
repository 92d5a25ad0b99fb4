"""Rows of a table instead of the log's: a file or folder, or the raw data of another revision, answered by the champion's bundle.

A broken upstream column is what drift is to find, so nothing is refused here that can be counted: a column that is not there and a
cell of another type are missing.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.bundle import Bundle
from seatrial.errors import DataError, UsageError
from seatrial.live_rows import Current
from seatrial.places import table_at
from seatrial.progress import reading
from seatrial.sources import S3, Part, batches, local_parts

if TYPE_CHECKING:
    import polars as pl

    from seatrial.manifest import Manifest
    from seatrial.params import Data
    from seatrial.project import Project
    from seatrial.serving.runtime import Runtime

BATCH = 100_000


def read_current_table(project: Project, bundle: Bundle, table: str, *, sample: int = 0, segments: Sequence[str] = ()) -> Current:
    """Every row of a CSV or Parquet file or folder, on disk or at s3://; DataError where it has none of the model's inputs."""
    from seatrial.serving.runtime import Runtime

    data = table_at(project.settings.data, table)
    found = Current(bundle.manifest, segments=segments, sample=sample)
    parts = _parts(project, table, data)
    runtime = Runtime(bundle, threads=os.cpu_count() or 1)
    with reading(sum(part.size for part in parts), "reading") as advance:
        for part in parts:
            for batch in batches(part, data, rows=BATCH):
                rows = _typed(batch, bundle.manifest, part.name)
                found.add_scored(rows, _answers(runtime, rows))
                advance(0, batch.height)
            advance(part.size, 0)
    return found


def read_revision(project: Project, bundle: Bundle, revision: str, *, sample: int = 0, segments: Sequence[str] = ()) -> Current:
    """Every row of `data.raw` as it was at a git revision; UsageError or DataError where there is no such revision or table."""
    raw = project.settings.data.raw
    if raw.startswith(S3):
        raise UsageError(f"--from {revision}: {raw} lies in a store, which has no revisions", hint="name the rows with --file")
    with tempfile.TemporaryDirectory(prefix="seatrial-revision-") as folder:
        place = Path(folder) / Path(raw).name
        _fetch(project, raw, revision, place)
        return read_current_table(project, bundle, str(place), sample=sample, segments=segments)


def _fetch(project: Project, raw: str, revision: str, place: Path) -> None:
    """DVC's own way to a file of another revision, whether git or DVC keeps it."""
    try:
        from dvc.exceptions import DvcException
        from dvc.repo import Repo
        from dvc.scm import SCMError
    except ImportError:
        raise DataError(f"--from {revision} needs DVC", hint="pip install 'seatrial[dvc]'") from None
    try:
        Repo.get(str(project.root), raw, out=str(place), rev=revision)
    except (DvcException, SCMError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{raw} at revision {revision!r} cannot be read: {reason}", hint="see: git log -- data; dvc pull") from None


def _parts(project: Project, table: str, data: Data) -> tuple[Part, ...]:
    if table.startswith(S3):
        from seatrial.object_store import stored_parts

        return stored_parts(project.root, data)
    return local_parts(Path(table), data)


def _typed(batch: pl.DataFrame, manifest: Manifest, place: str) -> pl.DataFrame:
    """The inputs that are there, in the types of the manifest; what is of another type is null."""
    import polars as pl

    from seatrial.tables import convert

    there = [column for column in manifest.inputs if column.name in batch.columns]
    if not there:
        names = ", ".join(repr(column.name) for column in manifest.inputs[:5])
        raise DataError(
            f"{place} has none of the columns that the model reads", hint=f"these are {names} …: name another table with --file"
        )
    return pl.DataFrame(convert(batch[one.name], "string" if one.type == "category" else one.type)[1].alias(one.name) for one in there)


def _answers(runtime: Runtime, rows: pl.DataFrame) -> pl.Series | None:
    """What the model answers; nothing where it cannot, because a column is not there or a cell is missing that must not be."""
    import polars as pl

    inputs = runtime.bundle.manifest.inputs
    if any(one.name not in rows.columns or (not one.nullable and rows[one.name].null_count()) for one in inputs):
        return None
    return pl.Series("probability", runtime.score_frame(rows))
