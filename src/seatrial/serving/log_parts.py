"""The prediction log's parts: answered requests become Arrow arrays, one column after the other, and a Parquet file."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from operator import itemgetter
from pathlib import Path
from typing import Any

from seatrial.bundle import Manifest
from seatrial.files import write_atomic
from seatrial.serving.losses import Counters

OWN_COLUMNS = ("request_id", "time", "version", "digest", "variant", "simulated", "id", "label", "probability", "latency_ms")
UNIQUE = ("request_id", "id")
"""The log's own texts that a dictionary makes larger and slower."""
PIECE_ROWS = 1024
"""So many rows are made into arrays together; one column of them holds the interpreter for a tenth of a millisecond."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """When the log is written, what stays out of it, and how much may wait in memory.

    `sample` is the share of requests that are kept, chosen by their id: a mirrored request is kept where its original is.
    `drop` names inputs of the model or its id column; a name that this bundle does not have is ignored, because an older
    version must start with the same settings.
    """

    folder: Path
    flush_seconds: float = 1.0
    flush_rows: int = 2000
    keep_days: int = 30
    sample: float = 1.0
    drop: tuple[str, ...] = ()
    max_rows: int = 100_000
    max_bytes: int = 64 * 2**20


@dataclass(slots=True, kw_only=True)
class Entry:
    """One answered request: `values` and `ids` as in Rows, `time` in microseconds since 1970, `size` the body's bytes."""

    request_id: str
    time: int
    variant: str
    simulated: bool
    count: int
    values: Iterable[Sequence[Any]]
    ids: Sequence[str | None]
    labels: Sequence[str]
    probabilities: Sequence[float]
    latency_ms: float
    size: int


@dataclass(slots=True, kw_only=True)
class Part:
    """A part that is being made: its day (since 1970, UTC), its pieces as Arrow's record batches, and how much they hold."""

    day: int
    entries: int = 0
    rows: int = 0
    pieces: list[Any] = field(default_factory=list)


def _go_on() -> None:
    return


class LogWriter:
    """Turns entries into parts."""

    def __init__(self, settings: LogSettings, manifest: Manifest, *, version: str, digest: str) -> None:
        self.failed = 0
        self.version = version
        self.run = f"{version}-{os.getpid()}-{os.urandom(6).hex()}"
        self._folder = settings.folder
        self._digest = digest
        self._sequence = 0
        self._inputs = [(at, column.name, column.type) for at, column in enumerate(manifest.inputs) if column.name not in settings.drop]
        self._keep_id = "id" not in settings.drop and manifest.id not in settings.drop
        self._taken = frozenset(column.name for column in manifest.inputs)

    @property
    def columns(self) -> int:
        """How many columns a part has."""
        return len(OWN_COLUMNS) + len(self._inputs)

    def add(self, part: Part, entries: list[Entry], rest: Callable[[], None] = _go_on) -> None:
        """Make the rows of some entries a piece of a part, and empty the list; `rest` is called after each column.

        What is done in one go holds the interpreter, and every request under way with it, and so does letting go of thousands
        of entries at once: therefore column by column, and entry by entry.
        """
        part.entries += len(entries)
        part.rows += sum(entry.count for entry in entries)
        import pyarrow as pa

        columns: dict[str, Any] = {}
        for name, column in self._columns(entries):
            columns[name] = column
            rest()
        while entries:
            del entries[-1]
        part.pieces.append(pa.RecordBatch.from_pydict(columns))

    def write(self, part: Part, counters: Counters) -> None:
        """Write a part's file."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.Table.from_batches(part.pieces).combine_chunks()  # many small chunks take Parquet three times as long
        named = {own_name(name, self._taken) for name in UNIQUE}
        repeating = [field.name for field in table.schema if pa.types.is_string(field.type) and field.name not in named]
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd", use_dictionary=repeating)
        day = dt.date(1970, 1, 1) + dt.timedelta(days=part.day)
        # A process id comes back after a reboot, and in a container at every start: `run` never does.
        name = f"date={day.isoformat()}/{self.run}-{self._sequence:06d}.parquet"
        self._sequence += 1
        counters.writing(name, part.rows, part.entries)
        write_atomic(self._folder / name, sink.getvalue())
        counters.wrote()

    def _columns(self, entries: list[Entry]) -> Iterator[tuple[str, Any]]:
        """The log's own columns, and then the model's inputs."""
        import pyarrow as pa

        def repeated(field: str) -> list[Any]:
            return [value for entry in entries for value in [getattr(entry, field)] * entry.count]

        def joined(field: str) -> list[Any]:
            return [value for entry in entries for value in getattr(entry, field)]

        rows = sum(entry.count for entry in entries)
        own: dict[str, Callable[[], Any]] = {
            "request_id": lambda: pa.array(repeated("request_id"), pa.string()),
            "time": lambda: pa.array(repeated("time"), pa.timestamp("us", tz="UTC")),
            "version": lambda: pa.repeat(pa.scalar(self.version, pa.string()), rows),
            "digest": lambda: pa.repeat(pa.scalar(self._digest, pa.string()), rows),
            "variant": lambda: pa.array(repeated("variant"), pa.string()),
            "simulated": lambda: pa.array(repeated("simulated"), pa.bool_()),
            "id": lambda: pa.array(joined("ids") if self._keep_id else [None] * rows, pa.string()),
            "label": lambda: pa.array(joined("labels"), pa.string()),
            "probability": lambda: pa.array(joined("probabilities"), pa.float64()),
            "latency_ms": lambda: pa.array(repeated("latency_ms"), pa.float64()),
        }
        for name, column in own.items():
            yield own_name(name, self._taken), column()
        values = joined("values")
        for at, name, kind in self._inputs:
            yield name, _array(kind, list(map(itemgetter(at), values)))


def own_name(name: str, inputs: Iterable[str]) -> str:
    """The log's name for one of its own columns: another one where an input of the model is called so."""
    return f"seatrial_{name}" if name in inputs else name


def _array(kind: str, values: Sequence[Any]) -> Any:
    """One input as an array: JSON may say 1.0 for an integer and 1 for true, which Arrow does not take as it stands."""
    import pyarrow as pa

    type_, make = _types()[kind]
    try:
        return pa.array(values, type_)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if value is None else make(value) for value in values], type_)


@cache
def _types() -> dict[str, tuple[Any, Callable[[Any], Any]]]:
    """Arrow's type of each kind of input, and what makes a value of it that Arrow takes."""
    import pyarrow as pa

    return {"integer": (pa.int64(), int), "boolean": (pa.bool_(), bool), "number": (pa.float64(), float), "category": (pa.string(), str)}
