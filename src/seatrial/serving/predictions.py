"""The prediction log: what was asked and answered, as Parquet parts under `date=YYYY-MM-DD/`.

A request only appends to a bounded buffer. A thread writes the buffer every few seconds into a part, under a temporary name
first, so that a reader sees whole parts only and a killed server loses at most what it had not flushed. When the thread
cannot keep up, or the disk is full, rows are dropped and counted: the log never holds up an answer.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, TypeVar

from seatrial.bundle import Manifest
from seatrial.errors import DataError
from seatrial.serving.compaction import start_compaction, superseded
from seatrial.serving.log_parts import OWN_COLUMNS, PIECE_ROWS, Chunk, Entry, LogSettings, LogWriter, Part, own_name
from seatrial.serving.losses import Counters, opened, settle, told

if TYPE_CHECKING:
    import polars as pl

    from seatrial.serving.log_store import LogStore

__all__ = ["OWN_COLUMNS", "Entry", "LogSettings", "PredictionLog", "own_name", "parts", "read_log", "remove_old_parts"]

HOUSEKEEPING_SECONDS = 600
DAY_MICROSECONDS = 86_400_000_000
READ_TRIES = 3
T = TypeVar("T")
LONGEST_PAUSE = 0.005
SPREAD = 0.3
"""The share of flush_seconds over which the work of a flush is spread."""
NICE = 5
"""By so much the thread that writes steps back; by more, on a busy machine it would be too slow and hold the interpreter meanwhile."""


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
        self._writer = LogWriter(settings, manifest, version=version, digest=digest)
        self._clock = clock
        self._waiting: deque[Chunk] = deque()
        # Each counter has one thread that writes it, so that no lock is needed: what waits is the difference.
        self._rows_in = self._rows_out = self._bytes_in = self._bytes_out = 0
        self._wake = threading.Event()
        self._ending = threading.Event()
        self._complained = False
        self._next_housekeeping = 0.0
        self._compaction: subprocess.Popen[bytes] | None = None
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

    def append(self, *entries: Entry) -> int:
        """Keep requests that were answered together, or count their rows as dropped where the buffer is full; gives how many rows."""
        day = entries[0].time // DAY_MICROSECONDS
        if entries[-1].time // DAY_MICROSECONDS != day:
            return sum([self.append(entry) for entry in entries])
        rows, size = sum([entry.rows.count for entry in entries]), sum([entry.size for entry in entries])
        self._counters.answered(rows, len(entries))
        waiting = self._rows_in - self._rows_out + rows
        if waiting > self.settings.max_rows or self._bytes_in - self._bytes_out + size > self.settings.max_bytes:
            self.dropped += rows
            self._counters.dropped(rows)
            return rows
        self._waiting.append(self._writer.chunk(entries, day=day, rows=rows, size=size))
        self._rows_in += rows
        self._bytes_in += size
        if waiting >= self.settings.flush_rows:
            self._wake.set()
        return rows

    def sent(self, rows: int) -> None:
        """The answer to a request that was appended is with the kernel."""
        self._counters.sent(rows)

    @property
    def lost(self) -> int:
        """Rows that did not reach the disk: the buffer was full, or writing failed."""
        return self.dropped + self._writer.failed

    def close(self) -> None:
        """Write what waits and stop the thread."""
        self._ending.set()
        self._wake.set()
        self._thread.join()
        if self._compaction is not None:
            self._compaction.terminate()
            self._compaction.wait()
        self._resources.close()
        self._settle()

    def flush(self, *, spread: float = 0.0) -> None:
        """Write what waits now (called by the thread; tests without one call it too), the work spread over about so many seconds."""
        left = len(self._waiting)
        pieces = (self._rows_in - self._rows_out) // PIECE_ROWS + 1
        pause = spread / pieces / 2
        while left:
            left -= self._write(left, pause)

    def _write(self, left: int, pause: float) -> int:
        """Write one part, of those of the oldest `left` chunks that lie on one day (UTC); gives how many they were."""
        part, begun = Part(day=self._waiting[0].day), left
        try:
            while left and self._waiting[0].day == part.day:
                chunks = self._some(left, part.day)
                left -= len(chunks)
                self._convert(part, chunks, pause)
                self._rest(pause)
            self._writer.write(part, self._counters)
            self.written += part.rows
            self._complained = False
        except Exception as error:  # noqa: BLE001 - whatever happens to the log, answers go on
            self._writer.failed += part.rows
            if not self._complained:
                print(
                    f"prediction log: {part.rows} rows lost, cannot write in {self.settings.folder}: {error}", file=sys.stderr, flush=True
                )
            self._complained = True
        return begun - left

    def _convert(self, part: Part, chunks: list[Chunk], pause: float) -> None:
        """Make chunks a piece of a part; until then they count as waiting."""
        rows, size = sum([chunk.rows for chunk in chunks]), sum([chunk.size for chunk in chunks])
        try:
            self._writer.add(part, chunks, lambda: self._rest(pause / self._writer.columns))
        finally:
            self._rows_out += rows
            self._bytes_out += size

    def _some(self, most: int, day: int) -> list[Chunk]:
        """Take the oldest chunks of a day, some rows; one with many rows is alone."""
        found: list[Chunk] = []
        rows = 0
        while len(found) < most and rows < PIECE_ROWS and self._waiting[0].day == day:
            found.append(self._waiting.popleft())
            rows += found[-1].rows
        return found

    def _rest(self, seconds: float) -> None:
        """Let requests go first."""
        if self._calm and not self._ending.is_set():
            time.sleep(min(LONGEST_PAUSE, seconds))

    @property
    def _calm(self) -> bool:
        """Whether so few rows wait that requests may go first; else memory is the greater trouble, and many at once take less time."""
        return self._rows_in - self._rows_out < 2 * self.settings.flush_rows

    def _settle(self) -> None:
        """Say what servers that were killed have lost, and what this one has lost once it ended."""
        try:
            self.lost_before += told(settle(self.settings.folder, now=self._clock()))
        except OSError as error:
            print(f"prediction log: what was lost cannot be written down: {error}", file=sys.stderr, flush=True)

    def _run(self) -> None:
        self._settle()
        import pyarrow.parquet  # noqa: F401 - now, after the server became ready and before anything waits to be written

        _step_back()
        closing, took = False, 0.0
        # What is being written was answered before, and is lost with it: together they are no older than flush_seconds.
        spread = SPREAD * self.settings.flush_seconds
        while not closing:
            self._await(self.settings.flush_seconds - spread - took)
            closing = self._ending.is_set()  # read before the flush, so that the last one takes everything
            began = time.monotonic()
            self.flush(spread=spread)
            took = time.monotonic() - began
            self._keep_house()

    def _await(self, seconds: float) -> None:
        """Wait so long, or until enough rows wait, or until the log ends.

        What wakes it while a part is written may be the very rows of that part: they are looked at again, not written in two parts.
        """
        until = time.monotonic() + seconds
        while self._wake.wait(max(0.0, until - time.monotonic())):
            self._wake.clear()
            if self._ending.is_set() or self._rows_in - self._rows_out >= self.settings.flush_rows:
                return

    def _keep_house(self) -> None:
        now = self._clock()
        if now >= self._next_housekeeping:
            self._next_housekeeping = now + HOUSEKEEPING_SECONDS
            self._settle()  # before parts are merged or removed
            remove_old_parts(self.settings.folder, today=dt.datetime.fromtimestamp(now, dt.UTC).date(), keep_days=self.settings.keep_days)
            self._compact()

    def _compact(self) -> None:
        """Have small parts merged, unless that is still going on; a machine that starts no process goes on with small ones."""
        if self._compaction is not None and self._compaction.poll() is None:
            return
        try:
            self._compaction = start_compaction(self.settings.folder)
        except OSError as error:
            print(f"prediction log: its parts are not merged: {error}", file=sys.stderr, flush=True)


def _step_back() -> None:
    """Let requests go first where this thread and they want the same core."""
    own = threading.get_native_id()
    with suppress(OSError):  # not every system knows a thread's own priority
        os.setpriority(os.PRIO_PROCESS, own, os.getpriority(os.PRIO_PROCESS, own) + NICE)


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

    def attempt() -> list[pl.DataFrame]:
        return [collected(open_part(part, store), part) for part in parts(folder, since=since, store=store)]

    frames = settled(attempt)
    if not frames:
        return _empty()
    log = pl.concat(frames, how="diagonal_relaxed")
    time_column = "seatrial_time" if "seatrial_time" in log.columns else "time"
    wanted = log if since is None else log.filter(pl.col(time_column) >= since)
    return wanted.sort(time_column, maintain_order=True)


def parts(
    folder: Path, *, since: dt.datetime | None = None, until: dt.datetime | None = None, store: LogStore | None = None
) -> list[PurePath]:
    """The log's whole parts, day by day; days before `since` and those that begin at `until` or later are left out. A Path lies on the
    disk, any other PurePath in the store.

    A part keeps its name when it is taken to the store, and goes from the disk after that: the disk is listed first, so that none
    is missed, and what is in both places stands here once.
    """
    first = dt.date.min if since is None else since.astimezone(dt.UTC).date()
    last = dt.date.max if until is None else (until.astimezone(dt.UTC) - dt.datetime.resolution).date()
    days = sorted(path for path in folder.glob("date=*") if (day := _day(path)) and first <= day <= last)
    found = [path for day in days for path in sorted(day.glob("[!.]*.parquet"))]
    twice = superseded(found)
    local: dict[PurePath, PurePath] = {PurePath(path.parent.name, path.name): path for path in found if path not in twice}
    stored = store.parts(since=None if since is None else first) if store else []
    both = {part: part for part in stored if part.parent.name <= f"date={last.isoformat()}"} | local
    return [both[name] for name in sorted(both)]


class PartGoneError(Exception):
    """A part was merged with others, taken to the store or removed since it was listed: list them again."""


def open_part(part: PurePath, store: LogStore | None) -> pl.LazyFrame:
    """A part to read from, columns and rows as they are asked for; PartGoneError or DataError where that cannot be."""
    import io

    import polars as pl

    source: Path | io.BytesIO
    if isinstance(part, Path):
        source = part
    elif store is not None and (data := store.read(part)) is not None:
        source = io.BytesIO(data)
    else:
        raise PartGoneError(str(part))
    try:
        lazy = pl.scan_parquet(source, hive_partitioning=False, glob=False)
        lazy.collect_schema()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise read_problem(part, error) from None
    return lazy


def read_problem(part: object, error: Exception) -> Exception:
    """What reading a part came to, as it is told."""
    import polars as pl

    if isinstance(error, FileNotFoundError):
        return PartGoneError(str(part))
    if isinstance(error, pl.exceptions.PolarsError | OSError):
        name = "/".join(PurePath(str(part)).parts[-2:])
        return DataError(f"the prediction log's part {name} cannot be read: {error}", hint="move it away")
    return error


def collected(lazy: pl.LazyFrame, part: PurePath) -> pl.DataFrame:
    """A part's rows; PartGoneError where it went meanwhile, DataError where it is no Parquet file."""
    try:
        return lazy.collect()
    except Exception as error:  # noqa: BLE001 - told apart there; what is not known stays what it is
        raise read_problem(part, error) from None


def settled(attempt: Callable[[], T]) -> T:
    """What `attempt` gives; tried again where parts were merged, taken away or removed while it read, DataError where that goes on."""
    for _ in range(READ_TRIES):
        try:
            return attempt()
        except PartGoneError as error:
            gone = error
    raise DataError(f"the prediction log changes while it is read: {gone} went", hint="ask again, or look for what removes its parts")


def _empty() -> pl.DataFrame:
    import polars as pl

    types = {"time": pl.Datetime("us", "UTC"), "simulated": pl.Boolean(), "probability": pl.Float64(), "latency_ms": pl.Float64()}
    return pl.DataFrame(schema={name: types.get(name, pl.String()) for name in OWN_COLUMNS})
