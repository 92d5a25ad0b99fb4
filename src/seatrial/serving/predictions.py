"""The prediction log: what was asked and answered, as Parquet parts under `date=YYYY-MM-DD/`.

A request only appends to a bounded buffer. A thread writes the buffer every few seconds into a part, under a temporary name
first, so that a reader sees whole parts only and a killed server loses at most what it had not flushed. When the thread
cannot keep up, or the disk is full, rows are dropped and counted: the log never holds up an answer.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from seatrial.bundle import Manifest
from seatrial.errors import DataError
from seatrial.files import write_atomic
from seatrial.serving.compaction import compact, superseded
from seatrial.serving.losses import Counters, opened, settle, told

if TYPE_CHECKING:
    import polars as pl

    from seatrial.serving.log_store import LogStore

OWN_COLUMNS = ("request_id", "time", "version", "digest", "variant", "simulated", "id", "label", "probability", "latency_ms")
HOUSEKEEPING_SECONDS = 600
DAY_MICROSECONDS = 86_400_000_000
READ_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """When the log is written, what stays out of it, and how much may wait in memory.

    `sample` is the share of requests that are kept, chosen by their id: a mirrored request is kept where its original is.
    `drop` names inputs of the model or its id column; a name that this bundle does not have is ignored, because an older
    version must start with the same settings.
    """

    folder: Path
    flush_seconds: float = 1.0
    flush_rows: int = 5000
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


class PredictionLog:
    """Written by one server process; `append` is called from one thread (the event loop) and never waits."""

    def __init__(
        self, settings: LogSettings, manifest: Manifest, *, version: str, digest: str, clock: Callable[[], float] = time.time
    ) -> None:
        self.settings = settings
        self.dropped = 0
        self.written = 0
        self.lost_before = 0
        self._counters = Counters()
        self._resources = ExitStack()
        self._kept_below = None if settings.sample >= 1 else int(settings.sample * 2**32)
        self._writer = _Writer(settings, manifest, version=version, digest=digest)
        self._clock = clock
        self._entries: deque[Entry] = deque()
        # Each counter has one thread that writes it, so that no lock is needed: what waits is the difference.
        self._rows_in = self._rows_out = self._bytes_in = self._bytes_out = 0
        self._wake = threading.Event()
        self._closing = False
        self._complained = False
        self._next_housekeeping = 0.0
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)

    def start(self) -> None:
        """Start the thread that writes, and count from here on so that a kill -9 leaves the number of rows that it took."""
        writer = self._writer
        try:
            self._counters = self._resources.enter_context(opened(self.settings.folder, version=writer.version, run=writer.run))
        except OSError as error:
            print(f"prediction log: what a kill would take is not counted: {error}", file=sys.stderr, flush=True)
        self._thread.start()

    def keeps(self, request_id: bytes) -> bool:
        """Whether a request is in the sample, by its id alone: every server of every version answers alike."""
        return self._kept_below is None or int.from_bytes(hashlib.blake2b(request_id, digest_size=4).digest()) < self._kept_below

    def append(self, entry: Entry) -> None:
        """Keep an answered request, or count its rows as dropped where the buffer is full."""
        self._counters.answered(entry.count)
        waiting = self._rows_in - self._rows_out
        if waiting + entry.count > self.settings.max_rows or self._bytes_in - self._bytes_out + entry.size > self.settings.max_bytes:
            self.dropped += entry.count
            self._counters.dropped(entry.count)
            return
        self._entries.append(entry)
        self._rows_in += entry.count
        self._bytes_in += entry.size
        if waiting + entry.count >= self.settings.flush_rows:
            self._wake.set()

    def sent(self, rows: int) -> None:
        """The answer to a request that was appended is with the kernel."""
        self._counters.sent(rows)

    @property
    def lost(self) -> int:
        """Rows that did not reach the disk: the buffer was full, or writing failed."""
        return self.dropped + self._writer.failed

    def close(self) -> None:
        """Write what waits and stop the thread."""
        self._closing = True
        self._wake.set()
        self._thread.join()
        self._resources.close()
        self._settle()

    def flush(self) -> None:
        """Write what waits now (called by the thread; tests without one call it too)."""
        entries = [self._entries.popleft() for _ in range(len(self._entries))]
        for _, part in groupby(entries, key=lambda entry: entry.time // DAY_MICROSECONDS):
            self._write(list(part))
        self._rows_out += sum(entry.count for entry in entries)
        self._bytes_out += sum(entry.size for entry in entries)

    def _write(self, entries: list[Entry]) -> None:
        rows = sum(entry.count for entry in entries)
        try:
            self._writer.write(entries, self._counters)
            self.written += rows
            self._complained = False
        except Exception as error:  # noqa: BLE001 - whatever happens to the log, answers go on
            self._writer.failed += rows
            if not self._complained:
                print(f"prediction log: {rows} rows lost, cannot write in {self.settings.folder}: {error}", file=sys.stderr, flush=True)
            self._complained = True

    def _settle(self) -> None:
        """Say what servers that were killed have lost, and what this one has lost once it ended."""
        try:
            self.lost_before += told(settle(self.settings.folder, now=self._clock()))
        except OSError as error:
            print(f"prediction log: what was lost cannot be written down: {error}", file=sys.stderr, flush=True)

    def _run(self) -> None:
        self._settle()
        import pyarrow.parquet  # noqa: F401 - now, after the server became ready and before anything waits to be written

        closing = False
        while not closing:
            self._wake.wait(self.settings.flush_seconds)
            self._wake.clear()
            closing = self._closing  # read before the flush, so that the last one takes everything
            self.flush()
            self._keep_house()

    def _keep_house(self) -> None:
        now = self._clock()
        if now >= self._next_housekeeping:
            self._next_housekeeping = now + HOUSEKEEPING_SECONDS
            self._settle()  # before parts are merged or removed
            remove_old_parts(self.settings.folder, today=dt.datetime.fromtimestamp(now, dt.UTC).date(), keep_days=self.settings.keep_days)
            self._compact(now)

    def _compact(self, now: float) -> None:
        """Merge small parts; what goes wrong is said, and the log goes on with small ones."""
        for day in sorted(self.settings.folder.glob("date=*")):
            try:
                compact(day, now=now)
            except Exception as error:  # noqa: BLE001 - whatever happens to the log, answers go on
                print(f"prediction log: the parts of {day.name} are not merged: {error}", file=sys.stderr, flush=True)


class _Writer:
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

    def write(self, entries: list[Entry], counters: Counters) -> None:
        """Write one part with the rows of all entries, which lie on one day (UTC)."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        sink = pa.BufferOutputStream()
        pq.write_table(pa.table(self._columns(entries)), sink, compression="zstd")
        day = dt.datetime.fromtimestamp(entries[0].time / 1e6, dt.UTC).date()
        # A process id comes back after a reboot, and in a container at every start: `run` never does.
        name = f"date={day.isoformat()}/{self.run}-{self._sequence:06d}.parquet"
        self._sequence += 1
        counters.writing(name, sum(entry.count for entry in entries), len(entries))
        write_atomic(self._folder / name, sink.getvalue())
        counters.wrote()

    def _columns(self, entries: list[Entry]) -> dict[str, Any]:
        import pyarrow as pa

        def repeated(field: str) -> list[Any]:
            return [value for entry in entries for value in [getattr(entry, field)] * entry.count]

        def joined(field: str) -> list[Any]:
            return [value for entry in entries for value in getattr(entry, field)]

        rows = sum(entry.count for entry in entries)
        own = {
            "request_id": pa.array(repeated("request_id"), pa.string()),
            "time": pa.array(repeated("time"), pa.timestamp("us", tz="UTC")),
            "version": pa.repeat(pa.scalar(self.version, pa.string()), rows),
            "digest": pa.repeat(pa.scalar(self._digest, pa.string()), rows),
            "variant": pa.array(repeated("variant"), pa.string()),
            "simulated": pa.array(repeated("simulated"), pa.bool_()),
            "id": pa.array(joined("ids") if self._keep_id else [None] * rows, pa.string()),
            "label": pa.array(joined("labels"), pa.string()),
            "probability": pa.array(joined("probabilities"), pa.float64()),
            "latency_ms": pa.array(repeated("latency_ms"), pa.float64()),
        }
        values = list(zip(*joined("values"), strict=True)) or [()] * len(self._taken)
        inputs = {name: _array(kind, values[at]) for at, name, kind in self._inputs}
        return {own_name(name, self._taken): column for name, column in own.items()} | inputs


def own_name(name: str, inputs: Iterable[str]) -> str:
    """The log's name for one of its own columns: another one where an input of the model is called so."""
    return f"seatrial_{name}" if name in inputs else name


def _array(kind: str, values: Sequence[Any]) -> Any:
    """One input as an array: JSON may say 1.0 for an integer and 1 for true."""
    import pyarrow as pa

    if kind == "integer":
        return pa.array([None if value is None else int(value) for value in values], pa.int64())
    if kind == "boolean":
        return pa.array([None if value is None else bool(value) for value in values], pa.bool_())
    if kind == "number":
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    return pa.array(values, pa.string())


def remove_old_parts(folder: Path, *, today: dt.date, keep_days: int) -> None:
    """Remove the days that are more than `keep_days` old, and what a killed writer left half written before today.

    Several servers share a log, so what another one removed first is no problem.
    """
    for day_folder in folder.glob("date=*"):
        day = _day(day_folder)
        if day is None or day >= today:
            continue
        expired = (today - day).days > keep_days
        for path in day_folder.iterdir() if expired else day_folder.glob(".*.tmp"):
            path.unlink(missing_ok=True)
        if expired:
            _remove_folder(day_folder)


def _day(folder: Path) -> dt.date | None:
    try:
        return dt.date.fromisoformat(folder.name.removeprefix("date="))
    except ValueError:
        return None


def _remove_folder(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        return  # another server put a part there, or removed it first


def read_log(folder: Path, *, since: dt.datetime | None = None, store: LogStore | None = None) -> pl.DataFrame:
    """All rows of the log below `folder`, and of what was taken to `store`, in order of time; with `since` (aware) only from then on.

    Versions may have different inputs: a column that a part lacks is null there. No parts give an empty frame with the log's
    own columns. Raises DataError naming a part that is no Parquet file, or saying why the store cannot be read.
    """
    import polars as pl

    frames = _frames(folder, since, store)
    if not frames:
        return _empty()
    log = pl.concat(frames, how="diagonal_relaxed")
    time_column = "seatrial_time" if "seatrial_time" in log.columns else "time"
    wanted = log if since is None else log.filter(pl.col(time_column) >= since)
    return wanted.sort(time_column, maintain_order=True)


def _frames(folder: Path, since: dt.datetime | None, store: LogStore | None) -> list[pl.DataFrame]:
    """Every part's rows; listed again where some were merged, taken away or removed meanwhile."""
    found: list[pl.DataFrame | None] = []
    for _ in range(READ_TRIES):
        found = [_read_part(path, store) for path in parts(folder, since=since, store=store)]
        if all(frame is not None for frame in found):
            break
    return [frame for frame in found if frame is not None]


def parts(folder: Path, *, since: dt.datetime | None = None, store: LogStore | None = None) -> list[PurePath]:
    """The log's whole parts, day by day; days before `since` are left out. A Path lies on the disk, any other PurePath in the store.

    A part keeps its name when it is taken to the store, and goes from the disk after that: the disk is listed first, so that none
    is missed, and what is in both places stands here once.
    """
    first = None if since is None else since.astimezone(dt.UTC).date()
    days = sorted(path for path in folder.glob("date=*") if (day := _day(path)) and (first is None or day >= first))
    found = [path for day in days for path in sorted(day.glob("[!.]*.parquet"))]
    twice = superseded(found)
    local: dict[PurePath, PurePath] = {PurePath(path.parent.name, path.name): path for path in found if path not in twice}
    stored = store.parts(since=first) if store else []
    both = {part: part for part in stored} | local
    return [both[name] for name in sorted(both)]


def _read_part(part: PurePath, store: LogStore | None) -> pl.DataFrame | None:
    """A part's rows; None where it was removed since it was listed."""
    import polars as pl

    source = part if isinstance(part, Path) else store.read(part) if store else None
    if source is None:
        return None
    try:
        return pl.read_parquet(source, hive_partitioning=False)
    except FileNotFoundError:
        return None
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"the prediction log's part {part.parent.name}/{part.name} cannot be read: {error}", hint="move it away") from None


def _empty() -> pl.DataFrame:
    import polars as pl

    types = {"time": pl.Datetime("us", "UTC"), "simulated": pl.Boolean(), "probability": pl.Float64(), "latency_ms": pl.Float64()}
    return pl.DataFrame(schema={name: types.get(name, pl.String()) for name in OWN_COLUMNS})
