"""Scoring in batch: a table of any size through one bundle, the same runtime and the same checks of input as a server's.

Rows are read and written a batch at a time, and as many batches as there are cores are checked and scored at once, so memory does not
grow with the table. The output appears under its name once it is whole; a row that cannot be answered stops the run and leaves
nothing behind.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar

from msgspec.structs import replace

from seatrial.errors import DataError, UsageError
from seatrial.files import sync_folder
from seatrial.progress import reading
from seatrial.sources import S3, Part, batches, format_of, local_parts

if TYPE_CHECKING:
    import polars as pl

    from seatrial.bundle import Input, Manifest
    from seatrial.params import Data
    from seatrial.serving.runtime import Probabilities, Runtime

BATCH = 50_000
T = TypeVar("T")
OWN = ("label", "probability", "version", "digest")


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted:
    """What came of it: rows, how many got each label, and by column the values that training never saw or that lie outside its range."""

    rows: int
    labels: dict[str, int]
    unseen: dict[str, int]
    outside: dict[str, int]


@dataclass(slots=True, kw_only=True)
class _Tally:
    rows: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    unseen: Counter[str] = field(default_factory=Counter)
    outside: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scored:
    """A batch as it was read and as it was checked, and the model's answers, shape (rows,)."""

    batch: pl.DataFrame
    rows: pl.DataFrame
    answers: Probabilities


def predict(
    table: str | Path, output: Path, runtime: Runtime, data: Data, *, version: str, inputs: bool = False, root: Path | None = None
) -> Predicted:
    """Score every row of `table`, a file or a folder, on disk or at s3://, and write `output`, CSV or Parquet by its name.

    Each line has the row's id where the table has one (else its number, from 1), label, probability, version and digest, and
    with `inputs` the columns of the table before them. `data` says how the table is written, `root` is the project that opens
    s3://. Raises UsageError for an output that cannot be, DataError for a table that cannot be read, or for the first row that the
    model cannot take.
    """
    if format_of(output.name) is None or output.suffix in (".gz", ".zst"):
        raise UsageError(f"the output {output.name} is neither .csv nor .parquet", hint="name it so, with --output")
    parts = _parts(table, data, root)
    if output.resolve() in {Path(part.location).resolve() for part in parts if not part.remote}:
        raise UsageError(f"{output.name} is the table itself", hint="name another file with --output")
    tally = _Tally()
    with reading(sum(part.size for part in parts), "scoring") as advance, _writer(output) as writer:
        for part in parts:
            for scored in in_order(_tasks(part, data, runtime), ahead=os.cpu_count() or 1):
                writer.write(_lines(scored, runtime, tally, version=version, inputs=inputs))
                advance(0, scored.batch.height)
            advance(part.size, 0)
    return Predicted(rows=tally.rows, labels=dict(sorted(tally.labels.items())), unseen=dict(tally.unseen), outside=dict(tally.outside))


def _parts(table: str | Path, data: Data, root: Path | None) -> tuple[Part, ...]:
    """The table's files; those of an object store are opened as the project at `root` opens its data."""
    if not str(table).startswith(S3):
        return local_parts(Path(table), data)
    from seatrial.object_store import stored_parts

    return stored_parts(root or Path(), replace(data, raw=str(table)))


def _tasks(part: Part, data: Data, runtime: Runtime) -> Iterator[Callable[[], _Scored]]:
    """What is to be done for each batch of a part; any thread may do it."""
    start = 0
    for batch in batches(part, data, rows=BATCH):
        yield partial(_score, batch, runtime, place=part.name, start=start)
        start += batch.height


def _score(batch: pl.DataFrame, runtime: Runtime, *, place: str, start: int) -> _Scored:
    """Check and score one batch; `start` counts the part's rows before it."""
    rows = checked(batch, runtime.bundle.manifest, place=place, start=start)
    return _Scored(batch=batch, rows=rows, answers=runtime.score_frame(rows))


def in_order(tasks: Iterator[Callable[[], T]], *, ahead: int) -> Iterator[T]:
    """The results of tasks in their order, while threads are at work on up to so many of those that follow.

    It ends with the first problem in that order, wherever it comes from.
    """
    with ThreadPoolExecutor(ahead) as pool:
        under_way: deque[Future[T]] = deque()
        for task in _or_problem(tasks):
            under_way.append(pool.submit(task))
            if len(under_way) > ahead:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


def _or_problem(tasks: Iterator[Callable[[], T]]) -> Iterator[Callable[[], T]]:
    """The tasks; where they end with a problem of the table, one that raises it in its turn."""
    try:
        yield from tasks
    except DataError as error:
        yield partial(_fail, error)


def _fail(problem: DataError) -> NoReturn:
    raise problem


def _lines(scored: _Scored, runtime: Runtime, tally: _Tally, *, version: str, inputs: bool) -> pl.DataFrame:
    """The output's lines for one batch."""
    import polars as pl

    manifest, batch = runtime.bundle.manifest, scored.batch
    labels = runtime.labels(scored.answers)
    _count(tally, scored.rows, manifest, labels)
    numbers = pl.Series("row", range(tally.rows - batch.height + 1, tally.rows + 1))
    key = [batch[manifest.id]] if manifest.id in batch.columns else [numbers]
    kept = [one for one in batch if one.name != key[0].name and one.name not in OWN] if inputs else []
    own = pl.DataFrame({"label": labels, "probability": scored.answers}).with_columns(
        pl.lit(version).alias("version"), pl.lit(runtime.bundle.digest).alias("digest")
    )
    return pl.DataFrame([*key, *kept]).hstack(own)


def checked(batch: pl.DataFrame, manifest: Manifest, *, place: str, start: int = 0) -> pl.DataFrame:
    """The batch with the model's inputs in the types of its manifest; DataError names column, row (from 1) and value otherwise.

    A category is an enumeration where training knew all of its values, text otherwise.
    """
    from seatrial.tables import convert

    missing = [column.name for column in manifest.inputs if column.name not in batch.columns]
    if missing:
        raise DataError(f"{place} has no column {', '.join(map(repr, missing[:5]))}, which the model reads")
    typed = {column.name: convert(batch[column.name], "string" if column.type == "category" else column.type) for column in manifest.inputs}
    for column in manifest.inputs:
        _refuse(column, *typed[column.name], place=place, start=start)
    return batch.with_columns(_enumerated(typed[column.name][1], column.categories) for column in manifest.inputs)


def _enumerated(values: pl.Series, categories: Sequence[str] | None) -> pl.Series:
    """A column of categories as an enumeration, where all of its values are known; any other column as it is."""
    import polars as pl

    if categories is None:
        return values
    known = values.cast(pl.Enum(categories), strict=False)
    return known if known.null_count() == values.null_count() else values


def _refuse(column: Input, before: pl.Series, after: pl.Series, *, place: str, start: int) -> None:
    """DataError for a cell of another type, and for a missing one where the model needs a value."""
    wrong = before.is_not_null() & after.is_null()
    if wrong.any():
        at = wrong.arg_true()[0]
        wanted = "text" if column.type == "category" else column.type
        raise DataError(f"{place}, row {start + at + 1}, column {column.name!r}: {str(before[at])[:60]!r} is no {wanted}")
    if not column.nullable and after.null_count():
        at = after.is_null().arg_true()[0]
        raise DataError(f"{place}, row {start + at + 1}, column {column.name!r}: a value is missing, and the model needs one here")


def _count(tally: _Tally, rows: pl.DataFrame, manifest: Manifest, labels: Sequence[str]) -> None:
    import polars as pl

    tally.rows += rows.height
    tally.labels.update(labels)
    for column in manifest.inputs:
        values = rows[column.name].drop_nulls()
        if column.categories is not None:
            tally.unseen[column.name] += 0 if isinstance(values.dtype, pl.Enum) else int((~values.is_in(column.categories)).sum())
        elif column.minimum is not None and column.maximum is not None and values.dtype.is_numeric():
            tally.outside[column.name] += int(((values < column.minimum) | (values > column.maximum)).sum())


class _Writer(Protocol):
    def write(self, frame: pl.DataFrame) -> None:
        """Add rows."""


@contextmanager
def _writer(output: Path) -> Iterator[_Writer]:
    """Write beside, rename when whole; nothing stays where it ends early. DataError where the folder cannot be written."""
    unfinished = output.with_name(f".{output.name}.{os.getpid()}.part")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with _Parquet(unfinished) if output.suffix in (".parquet", ".pq") else _Csv(unfinished) as writer:
            yield writer
        unfinished.rename(output)
        sync_folder(output.parent)
    except OSError as error:
        raise DataError(
            f"{output.name} cannot be written: {error.strerror or error}", hint="free some space, or name another place"
        ) from None
    finally:
        unfinished.unlink(missing_ok=True)


class _Csv:
    """Lines of text, the header first."""

    def __init__(self, path: Path) -> None:
        self._stream = path.open("wb")
        self._header = True

    def write(self, frame: pl.DataFrame) -> None:
        frame.write_csv(self._stream, include_header=self._header)
        self._header = False

    def __enter__(self) -> _Csv:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()


class _Parquet:
    """Row groups as they come; the first batch's types are those of all."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: Any = None

    def write(self, frame: pl.DataFrame) -> None:
        import pyarrow.parquet as pq

        table = frame.to_arrow()
        if self._writer is None:
            repeated = [one.name for one in frame if not one.dtype.is_numeric()]
            self._writer = pq.ParquetWriter(self._path, table.schema, compression="zstd", use_dictionary=repeated)
        self._writer.write_table(table.cast(self._writer.schema))

    def __enter__(self) -> _Parquet:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()
