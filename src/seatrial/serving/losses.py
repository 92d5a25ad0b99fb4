"""How many answered rows a server that was killed did not bring into the prediction log: counted while it runs, said afterwards.

Each server counts in a page of memory that is a file below `<log>/.running/`: counting calls no kernel, and what was counted
survives kill -9. The server holds the file's lock, so a file whose lock is free is of one that ended; whoever finds it compares
what was answered with what was written, adds a line to `<log>/losses.jsonl`, and removes the file.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from seatrial.files import locked, sync_folder

RUNNING = ".running"
LOSSES = "losses.jsonl"
BOOT = Path("/proc/sys/kernel/random/boot_id")
PAGE = 4096
ROWS, REQUESTS, SENT, DROPPED, WRITTEN, WRITTEN_REQUESTS, AFTER, AFTER_REQUESTS, NAME_LENGTH, ABOUT_LENGTH = range(10)
NAME_AT, ABOUT_AT = 256, 1024
"""A page: ten counters of 8 bytes, the name of the part that is being written, and as JSON whose page it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Rows that one run of a server answered and that are in no part of the log.

    `unsent` of the rows belong to requests that were being answered in that moment, so that their clients may have got nothing;
    `dropped` of them the server itself gave up, because its buffer was full. `exact` is false after a power failure, which
    takes the last counts along. `found` is when it was noticed, in seconds since 1970.
    """

    run: str
    version: str
    pid: int
    rows: int
    requests: int
    unsent: int
    dropped: int
    exact: bool
    found: float

    def __str__(self) -> str:
        about = "" if self.exact else "about "
        unsent = f"; {self.unsent} of them were being answered in that moment" if self.unsent else ""
        dropped = f"; {self.dropped} of them it had given up itself" if self.dropped else ""
        return (
            f"a server of version {self.version} (process {self.pid}) ended with {about}{self.rows} rows of {self.requests} answered "
            f"requests that are not in the prediction log{unsent}{dropped}"
        )


class Counters:
    """What one server counts: the event loop what is answered, sent and dropped, the log's thread what is written.

    Each counter has one thread that adds to it. Without a page (`opened` makes one) nothing survives the process.
    """

    def __init__(self, page: mmap.mmap | None = None) -> None:
        self._page: Any = bytearray(PAGE) if page is None else page
        self._cells = memoryview(self._page)[:NAME_AT].cast("Q")

    def answered(self, rows: int, requests: int = 1) -> None:
        """Requests were scored, and their answers are on their way."""
        self._cells[ROWS] += rows
        self._cells[REQUESTS] += requests

    def sent(self, rows: int) -> None:
        """The answers to these are with the kernel."""
        self._cells[SENT] += rows

    def dropped(self, rows: int) -> None:
        """These will not be written."""
        self._cells[DROPPED] += rows

    def writing(self, name: str, rows: int, requests: int) -> None:
        """A part of this name is about to appear: killed before `wrote`, the part itself says whether its rows are there."""
        encoded = name.encode()
        self._cells[AFTER] = self._cells[WRITTEN]
        self._page[NAME_AT : NAME_AT + len(encoded)] = encoded
        self._cells[NAME_LENGTH] = len(encoded)
        self._cells[AFTER_REQUESTS] = self._cells[WRITTEN_REQUESTS] + requests
        self._cells[AFTER] += rows

    def wrote(self) -> None:
        """The part is there."""
        self._cells[WRITTEN_REQUESTS] = self._cells[AFTER_REQUESTS]
        self._cells[WRITTEN] = self._cells[AFTER]

    def close(self) -> None:
        """Let go of the page; from here on counting is an error."""
        self._cells.release()
        if isinstance(self._page, mmap.mmap):
            self._page.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    """A page as it is read back."""

    cells: tuple[int, ...]
    part: str
    about: dict[str, Any]

    @classmethod
    def read(cls, data: bytes) -> _Page | None:
        """None for what is no page of a server."""
        cells = tuple(memoryview(data)[:80].cast("Q")) if len(data) == PAGE else ()
        try:
            about = json.loads(data[ABOUT_AT : ABOUT_AT + cells[ABOUT_LENGTH]])
            return cls(cells=cells, part=data[NAME_AT : NAME_AT + cells[NAME_LENGTH]].decode(), about=about)
        except (IndexError, ValueError):
            return None

    def loss(self, folder: Path, run: str, *, now: float) -> Loss:
        """What is missing; a part that was about to be written counts where it is there."""
        arrived = bool(self.part) and self.cells[AFTER] > self.cells[WRITTEN] and (folder / self.part).exists()
        written, requests = (AFTER, AFTER_REQUESTS) if arrived else (WRITTEN, WRITTEN_REQUESTS)
        rows = self.cells[ROWS] - self.cells[written]
        return Loss(
            run=run,
            version=str(self.about["version"]),
            pid=int(self.about["pid"]),
            rows=rows,
            requests=self.cells[REQUESTS] - self.cells[requests],
            unsent=max(0, min(rows, self.cells[ROWS] - self.cells[SENT])),
            dropped=self.cells[DROPPED],
            exact=self.about["boot"] == machine_boot(),
            found=now,
        )


def machine_boot() -> str:
    """Names this run of the machine; empty where the system does not say."""
    try:
        return BOOT.read_text().strip()
    except OSError:
        return ""


@contextmanager
def opened(folder: Path, *, version: str, run: str) -> Iterator[Counters]:
    """Counters in a file of their own for as long as the block lasts; OSError where it cannot be made.

    The bytes are written first, because a page that a full disk has no room for would end the process that counts in it.
    """
    path = folder / RUNNING / run
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = path.with_name(f".{run}")
    with hidden.open("w+b") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)  # before it has its name, so that nobody takes it for one that was left
        stream.write(_first_page(version))
        stream.flush()
        os.fsync(stream.fileno())
        hidden.rename(path)
        counters = Counters(mmap.mmap(stream.fileno(), PAGE))
        try:
            yield counters
        finally:
            counters.close()


def _first_page(version: str) -> bytes:
    about = json.dumps({"version": version, "pid": os.getpid(), "boot": machine_boot()}).encode()
    page = bytearray(PAGE)
    memoryview(page)[:80].cast("Q")[ABOUT_LENGTH] = len(about)
    page[ABOUT_AT : ABOUT_AT + len(about)] = about
    return bytes(page)


def settle(folder: Path, *, now: float) -> tuple[Loss, ...]:
    """Write down what servers that ended have lost, each once; gives those that lost something. `now` as time.time().

    Called before parts are merged, moved or removed, because the last part of such a server is looked for under its name.
    """
    if not (folder / RUNNING).is_dir():
        return ()
    with locked(folder / RUNNING / ".lock"):
        known = {loss.run for loss in _recorded(folder)}
        ended = _ended(folder)
        lost = tuple(loss for loss in _losses(folder, ended, now) if loss.run not in known)
        _record(folder, lost)
        for path in ended:
            path.unlink(missing_ok=True)
    return lost


def log_losses(folder: Path, *, now: float = 0.0) -> tuple[Loss, ...]:
    """Every loss of the log below `folder`, oldest first, those included that no server has written down yet. Writes nothing."""
    recorded = _recorded(folder)
    known = {loss.run for loss in recorded}
    return (*recorded, *(loss for loss in _losses(folder, _ended(folder), now) if loss.run not in known))


def told(lost: tuple[Loss, ...]) -> int:
    """Say each loss on stderr; gives their rows."""
    for loss in lost:
        print(f"prediction log: {loss}", file=sys.stderr, flush=True)
    return sum(loss.rows for loss in lost)


def _ended(folder: Path) -> list[Path]:
    """The files of servers that no longer hold their lock."""
    return [path for path in sorted((folder / RUNNING).glob("[!.]*")) if _is_free(path)]


def _is_free(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return True
    except (BlockingIOError, FileNotFoundError):
        return False


def _losses(folder: Path, ended: list[Path], now: float) -> list[Loss]:
    """What those servers lost, where it is something."""
    found = []
    for path in ended:
        try:
            page = _Page.read(path.read_bytes())
        except FileNotFoundError:
            continue  # another server was faster
        if page is not None:
            found.append(page.loss(folder, path.name, now=now))
    return [loss for loss in found if loss.rows > 0]


def _recorded(folder: Path) -> list[Loss]:
    """The lines of losses.jsonl; one that a power failure tore is left out."""
    try:
        lines = (folder / LOSSES).read_bytes().splitlines()
    except OSError:
        return []
    found = {}
    for line in lines:
        try:
            loss = Loss(**json.loads(line))
        except (ValueError, TypeError):
            continue
        found[loss.run] = loss
    return list(found.values())


def _record(folder: Path, lost: tuple[Loss, ...]) -> None:
    if not lost:
        return
    with (folder / LOSSES).open("ab+") as stream:
        stream.seek(max(0, stream.seek(0, os.SEEK_END) - 1))
        torn = stream.read(1) not in (b"", b"\n")
        stream.write((b"\n" if torn else b"") + b"".join(json.dumps(asdict(loss)).encode() + b"\n" for loss in lost))
        stream.flush()
        os.fsync(stream.fileno())
    sync_folder(folder)
