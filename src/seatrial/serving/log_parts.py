"""The prediction log's parts: answered requests become Arrow arrays, one column after the other, and a Parquet file."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from seatrial.bundle import Manifest
from seatrial.files import write_atomic
from seatrial.serving.log_arrays import array_of, moments, repeated
from seatrial.serving.log_records import Records
from seatrial.serving.losses import Counters

if TYPE_CHECKING:
    from seatrial.serving.rows import Rows

OWN_COLUMNS = ("request_id", "time", "version", "digest", "variant", "simulated", "id", "label", "probability", "latency_ms")
PIECE_ROWS = 2048
"""So many rows are made into arrays together; one column of entries holds the interpreter for a fifth of a millisecond."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """When the log is written, what stays out of it, and how much may wait in memory.

    `sample` is the share of requests that are kept, chosen by their id: a mirrored request is kept where its original is.
    `drop` names inputs of the model or its id column; a name that this bundle does not have is ignored, because an older
    version must start with the same settings.
    """

    folder: Path
    flush_seconds: float = 1.0
    flush_rows: int = 4000
    keep_days: int = 30
    sample: float = 1.0
    drop: tuple[str, ...] = ()
    max_rows: int = 100_000
    max_bytes: int = 64 * 2**20


class Entry(msgspec.Struct, kw_only=True, gc=False):
    """One answered request: its rows, `time` in microseconds since 1970, `size` the body's bytes."""

    request_id: str
    time: int
    variant: str
    simulated: bool
    rows: Rows
    labels: Sequence[str]
    probabilities: Sequence[float]
    latency_ms: float
    size: int


class Chunk(NamedTuple):
    """Requests that were answered together, on one day (since 1970, UTC): how many rows they have, and their bodies bytes.

    Of those that have a record, the records joined, and the ids of requests and rows; the others are kept as they are.
    """

    day: int
    rows: int
    size: int
    records: bytes
    request_ids: Sequence[str]
    ids: Sequence[str | None]
    entries: Sequence[Entry]


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
        self._records = Records(manifest)
        self._inputs = [(at, column.name, column.type) for at, column in enumerate(manifest.inputs) if column.name not in settings.drop]
        self._keep_id = "id" not in settings.drop and manifest.id not in settings.drop
        self._taken = frozenset(column.name for column in manifest.inputs)

    @property
    def columns(self) -> int:
        """How many columns a part has."""
        return len(OWN_COLUMNS) + len(self._inputs)

    def chunk(self, entries: Sequence[Entry], *, day: int, rows: int, size: int) -> Chunk:
        """What is kept of entries until they are written."""
        if len(entries) == 1 and (record := self._records.write(entries[0])) is not None:
            return Chunk(day, rows, size, record, (entries[0].request_id,), entries[0].rows.ids, ())
        records: list[bytes] = []
        request_ids: list[str] = []
        ids: list[str | None] = []
        others: list[Entry] = []
        for entry in entries:
            record = self._records.write(entry)
            if record is None:
                others.append(entry)
            else:
                records.append(record)
                request_ids.append(entry.request_id)
                ids.append(entry.rows.ids[0])
        return Chunk(day, rows, size, b"".join(records), request_ids, ids, others)

    def add(self, part: Part, chunks: list[Chunk], rest: Callable[[], None] = _go_on) -> None:
        """Make pieces of a part of some chunks, and empty the list; `rest` is called after each column.

        What is done in one go holds the interpreter, and every request under way with it, and so does letting go of thousands
        of entries at once: therefore column by column, and entry by entry.
        """
        records = b"".join([chunk.records for chunk in chunks])
        request_ids = list(chain.from_iterable([chunk.request_ids for chunk in chunks]))
        ids = list(chain.from_iterable([chunk.ids for chunk in chunks]))
        entries = list(chain.from_iterable([chunk.entries for chunk in chunks]))
        part.rows += len(request_ids) + sum([entry.rows.count for entry in entries])
        part.entries += len(request_ids) + len(entries)
        chunks.clear()
        rest()
        if request_ids:
            part.pieces.append(_piece(self._of_records(records, request_ids, ids), rest))
        if entries:
            part.pieces.append(_piece(self._of_entries(entries), rest))
        while entries:
            del entries[-1]

    def write(self, part: Part, counters: Counters) -> None:
        """Write a part's file."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.Table.from_batches(part.pieces).combine_chunks()  # many small chunks take Parquet three times as long
        repeating = [field.name for field in table.schema if pa.types.is_dictionary(field.type)]
        sink = pa.BufferOutputStream()
        # In little time rather than little space: merged parts are packed better.
        pq.write_table(
            table,
            sink,
            compression="lz4",
            use_dictionary=repeating,
            store_schema=False,
            write_statistics=[own_name("time", self._taken)],
        )
        day = dt.date(1970, 1, 1) + dt.timedelta(days=part.day)
        # A process id comes back after a reboot, and in a container at every start: `run` never does.
        name = f"date={day.isoformat()}/{self.run}-{self._sequence:06d}.parquet"
        self._sequence += 1
        counters.writing(name, part.rows, part.entries)
        write_atomic(self._folder / name, sink.getvalue())
        counters.wrote()

    def _of_records(self, records: bytes, request_ids: list[str], ids: list[str | None]) -> Iterator[tuple[str, Any]]:
        """One column after the other, the log's own and then the model's inputs."""
        import pyarrow as pa

        count = len(request_ids)
        own, inputs = self._records.read(records)
        own |= {
            "request_id": lambda: pa.array(request_ids, pa.string()),
            "id": lambda: pa.array(ids if self._keep_id else [None] * count, pa.string()),
            "version": lambda: repeated(self.version, count),
            "digest": lambda: repeated(self._digest, count),
        }
        for name in OWN_COLUMNS:
            yield own_name(name, self._taken), own[name]()
        for _, name, _ in self._inputs:
            yield name, inputs[name]()

    def _of_entries(self, entries: Sequence[Entry]) -> Iterator[tuple[str, Any]]:
        """As `_of_records`."""
        import pyarrow as pa

        def of_request(field: str) -> list[Any]:
            return [value for entry in entries for value in [getattr(entry, field)] * entry.rows.count]

        def of_row(field: str) -> list[Any]:
            return [value for entry in entries for value in getattr(entry, field)]

        count = sum(entry.rows.count for entry in entries)
        ids = [one for entry in entries for one in entry.rows.ids]
        own: dict[str, Callable[[], Any]] = {
            "request_id": lambda: pa.array(of_request("request_id"), pa.string()),
            "time": lambda: pa.array(of_request("time"), moments()),
            "version": lambda: repeated(self.version, count),
            "digest": lambda: repeated(self._digest, count),
            "variant": lambda: array_of("category", of_request("variant")),
            "simulated": lambda: array_of("boolean", of_request("simulated")),
            "id": lambda: pa.array(ids if self._keep_id else [None] * count, pa.string()),
            "label": lambda: array_of("category", of_row("labels")),
            "probability": lambda: array_of("number", of_row("probabilities")),
            "latency_ms": lambda: array_of("number", of_request("latency_ms")),
        }
        for name, column in own.items():
            yield own_name(name, self._taken), column()
        values = [value for entry in entries for value in entry.rows.values]
        for at, name, kind in self._inputs:
            yield name, array_of(kind, list(map(itemgetter(at), values)))


def _piece(columns: Iterable[tuple[str, Any]], rest: Callable[[], None]) -> Any:
    import pyarrow as pa

    made: dict[str, Any] = {}
    for name, column in columns:
        made[name] = column
        rest()
    return pa.RecordBatch.from_pydict(made)


def own_name(name: str, inputs: Iterable[str]) -> str:
    """The log's name for one of its own columns: another one where an input of the model is called so."""
    return f"seatrial_{name}" if name in inputs else name
