"""Outcomes that come after the answers: kept by the id of the row, joined to the prediction log whenever somebody asks.

Each table of outcomes becomes a part below `.seatrial/labels/`, named by the hash of its bytes, so the same file twice is once.
Nothing is thrown away: outcomes of unknown ids wait for their answers, later ones correct earlier ones. The rule: for each id the
outcome that became known last holds; of two from the same moment, the one that was added last, then the one further down.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from seatrial.errors import DataError
from seatrial.files import locked, sha256_bytes, write_atomic
from seatrial.places import GLOB, table_at
from seatrial.sources import Part, batches, local_parts

if TYPE_CHECKING:
    import polars as pl

    from seatrial.params import Data
    from seatrial.project import Project

COLUMNS = ("id", "outcome", "known", "added", "place")
PREFIX = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """How a table of outcomes names them: the id, the outcome, and when it became known (None: when it was added)."""

    id: str
    outcome: str
    known: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What came of one call: outcomes that were new, rows without an outcome yet, files that were there already."""

    outcomes: int = 0
    empty: int = 0
    repeated: int = 0
    files: int = 0


def labels_folder(home: Path) -> Path:
    """Where outcomes are kept."""
    return home / "labels"


def add_labels(
    project: Project, places: Sequence[str], columns: Columns, *, classes: Sequence[str], spelled: Mapping[str, str], now: dt.datetime
) -> Added:
    """Keep the outcomes of files, folders and globs; all of them are read before the first is kept.

    `classes` are the target's, `spelled` says what other spellings mean. Raises DataError naming file, row and value for an
    outcome that is no class, a time that is none, or a column that is not there.
    """
    parts = [part for place in places for part in _parts(place, project.settings.data)]
    read = [_read(part, project.settings.data, columns, classes, spelled, now) for part in parts]
    folder, found = labels_folder(project.home), Added()
    with locked(folder / ".lock"):
        for part, (table, empty) in zip(parts, read, strict=True):
            found = _keep(folder, Path(part.location), table, empty, found)
    return found


def _parts(place: str, data: Data) -> tuple[Part, ...]:
    """The files of one argument; a glob is what the shell left alone."""
    if not any(sign in place for sign in GLOB):
        return _plain_parts(Path(place), data)
    at = Path(place)
    found = sorted(Path(at.anchor).glob(str(at.relative_to(at.anchor)))) if at.is_absolute() else sorted(Path().glob(place))
    if not found:
        raise DataError(f"no file matches {place}", hint="put it in quotes, and look with ls")
    return tuple(part for path in found for part in _plain_parts(path, data))


def _plain_parts(path: Path, data: Data) -> tuple[Part, ...]:
    """A file or folder of outcomes, whose folders' names say nothing."""
    return local_parts(path, replace(table_at(data, str(path)), partitions=()))


def _keep(folder: Path, path: Path, table: pl.DataFrame, empty: int, found: Added) -> Added:
    """Write one file's outcomes as a part, unless the same file was kept before."""
    import io

    digest = sha256_bytes(path.read_bytes()).removeprefix("sha256:")[:PREFIX]
    if any(folder.glob(f"*-{digest}.parquet")):
        return Added(outcomes=found.outcomes, empty=found.empty, repeated=found.repeated + 1, files=found.files + 1)
    number = 1 + max((int(one.name.partition("-")[0]) for one in folder.glob("[0-9]*-*.parquet")), default=0)
    import polars as pl

    sink = io.BytesIO()
    table.with_columns(pl.lit(number).cast(pl.Int64).alias("added")).select(COLUMNS).write_parquet(sink, compression="zstd")
    write_atomic(folder / f"{number:08d}-{digest}.parquet", sink.getvalue())
    return Added(outcomes=found.outcomes + table.height, empty=found.empty + empty, repeated=found.repeated, files=found.files + 1)


def _read(
    part: Part, data: Data, columns: Columns, classes: Sequence[str], spelled: Mapping[str, str], now: dt.datetime
) -> tuple[pl.DataFrame, int]:
    """One file's outcomes, and how many of its rows have none yet."""
    import polars as pl

    tables: list[pl.DataFrame] = []
    rows = 0
    for batch in batches(part, data):
        tables.append(_typed(batch, columns, classes, spelled, part.name, start=rows, now=now))
        rows += batch.height
    table = pl.concat(tables) if tables else pl.DataFrame(schema={"id": pl.String(), "outcome": pl.String()})
    kept = table.filter(pl.col("outcome").is_not_null() & pl.col("id").is_not_null())
    return kept, table.height - kept.height


def _typed(
    batch: pl.DataFrame, columns: Columns, classes: Sequence[str], spelled: Mapping[str, str], place: str, *, start: int, now: dt.datetime
) -> pl.DataFrame:
    """Ids and outcomes as text, times in UTC; DataError for the first that is none."""
    import polars as pl

    from seatrial.tables import convert

    wanted = [columns.id, columns.outcome, *([columns.known] if columns.known else [])]
    missing = [name for name in wanted if name not in batch.columns]
    if missing:
        raise DataError(
            f"{place} has no column {', '.join(map(repr, missing))}",
            hint=f"it has {', '.join(map(repr, batch.columns[:8]))}: name them with --id, --outcome and --known",
        )
    ids, outcomes = convert(batch[columns.id], "string")[1], convert(batch[columns.outcome], "string")[1]
    outcomes = outcomes.replace(dict(spelled)) if spelled else outcomes
    _refuse(outcomes, outcomes.is_not_null() & ~outcomes.is_in(list(classes)), place, columns.outcome, start, classes)
    known = pl.Series("known", [now] * batch.height, dtype=pl.Datetime("us", "UTC"))
    if columns.known:
        before = batch[columns.known]
        known = convert(before, "datetime")[1].fill_null(convert(before, "date")[1].cast(pl.Datetime("us"))).dt.replace_time_zone("UTC")
        _refuse(before, known.is_null() & outcomes.is_not_null(), place, columns.known, start, ())
    place_in = pl.int_range(start, start + batch.height, eager=True)
    return pl.DataFrame({"id": ids, "outcome": outcomes, "known": known, "place": place_in})


def _refuse(values: pl.Series, wrong: pl.Series, place: str, column: str, start: int, classes: Sequence[str]) -> None:
    if not wrong.any():
        return
    at = wrong.arg_true()[0]
    shown = repr(str(values[at])[:60]) if values[at] not in (None, "") else "an empty cell"
    what = f"no class of the target ({', '.join(classes)})" if classes else "no time"
    hint = f"say what it means: --spelled {str(values[at])[:20]}={classes[-1]}" if classes else "write it as 2026-11-01T12:00:00Z"
    raise DataError(f"{place}, row {start + at + 1}, column {column!r}: {shown} is {what}", hint=hint)


def read_labels(home: Path) -> pl.DataFrame:
    """For each id the outcome that holds: columns id, outcome, known (UTC), and `changed` where earlier ones said otherwise."""
    import polars as pl

    frames = list(_frames(labels_folder(home)))
    if not frames:
        return pl.DataFrame(schema={"id": pl.String(), "outcome": pl.String(), "known": pl.Datetime("us", "UTC"), "changed": pl.Boolean()})
    ordered = pl.concat(frames).sort("known", "added", "place")
    return ordered.group_by("id", maintain_order=True).agg(
        pl.col("outcome").last(), pl.col("known").last(), (pl.col("outcome").n_unique() > 1).alias("changed")
    )


def _frames(folder: Path) -> Iterator[pl.DataFrame]:
    import polars as pl

    for path in sorted(folder.glob("[0-9]*-*.parquet")):
        try:
            yield pl.read_parquet(path)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise DataError(
                f"the outcomes in labels/{path.name} cannot be read: {error}", hint="move it away, and add its file again"
            ) from None
