"""The journal: what the controller decided, written before it is done, one record to a line, a checksum in each.

A record holds the whole state, so the last whole one is all that a controller needs. Only the holder of the lock
`<home>/controller.lock` writes; everybody may read. A torn tail (the machine died while it wrote) is left out when reading
and cut off by the next writing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from seatrial.errors import BusyError
from seatrial.failpoints import failpoint
from seatrial.files import canonical_json, locked, sync_folder

TAIL_BYTES = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One line: its number, the token of the controller that wrote it, when, what happened, and the whole state."""

    number: int
    token: int
    time: str
    event: str
    state: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The last whole record; `end` is where it ends, and `torn` says that something unreadable follows."""

    record: Record | None = None
    end: int = 0
    torn: bool = False


def journal_path(home: Path) -> Path:
    """Where the journal lies."""
    return home / "journal.jsonl"


def read_last(path: Path) -> Reading:
    """The last whole record of a journal; without a file, none."""
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            start = stream.seek(max(0, size - TAIL_BYTES))
            data = stream.read(size - start)
    except FileNotFoundError:
        return Reading()
    end = len(data)
    for line in reversed(data.splitlines(keepends=True)):
        record = parse_record(line)
        if record is not None:
            return Reading(record=record, end=start + end, torn=end != len(data))
        end -= len(line)
    return Reading(torn=bool(data))


def read_records(path: Path, *, start: int = 0) -> Iterator[Record]:
    """Every whole record from the byte `start`, oldest first, one at a time; what cannot be read is left out. Without a file, none."""
    return (record for record in map(parse_record, _lines(path, start)) if record is not None)


def read_rollout(path: Path, id: str) -> Iterator[Record]:
    """The records of one rollout, and the one after it, which says how it ended; lines about others are not even parsed."""
    mark, near = canonical_json({"id": id})[1:-1], False
    for line in _lines(path, 0):
        mine = mark in line
        record = parse_record(line) if mine or near else None
        if record is not None:
            yield record
        near = mine


def _lines(path: Path, start: int) -> Iterator[bytes]:
    """The lines of a file, no more than TAIL_BYTES of each: what is longer is no record."""
    try:
        stream: IO[bytes] = path.open("rb")
    except FileNotFoundError:
        return
    with stream:
        stream.seek(start)
        begins = True
        while line := stream.readline(TAIL_BYTES):
            if begins:
                yield line
            begins = line.endswith(b"\n")


def parse_record(line: bytes) -> Record | None:
    """The record of one whole line, or None."""
    if not line.endswith(b"\n"):
        return None
    try:
        value = json.loads(line)
        checksum = value.pop("sum")
        return Record(**value) if checksum == _checksum(value) else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _checksum(value: dict[str, Any]) -> str:
    return hashlib.sha256(canonical_json(value)).hexdigest()[:16]


class Journal:
    """The journal of one controller, made by `controller`; `last` is the newest record, `torn` what was found at the start."""

    def __init__(self, path: Path) -> None:
        """Read what is there; this controller's token is one above the last."""
        reading = read_last(path)
        self._path = path
        self._end = reading.end
        self.last = reading.record
        self.torn = reading.torn
        self.token = reading.record.token + 1 if reading.record else 1

    def append(self, event: str, state: dict[str, Any], *, time: str) -> Record:
        """Write a record durably; a torn tail is cut off first. BusyError where another controller has written since."""
        number = self.last.number + 1 if self.last else 1
        record = {"number": number, "token": self.token, "time": time, "event": event, "state": state}
        line = canonical_json({**record, "sum": _checksum(record)}) + b"\n"
        fresh = not self._path.exists()
        with self._path.open("ab") as stream:
            self._refuse_strangers()
            failpoint("journal.append")
            stream.truncate(self._end)
            stream.write(line)
            stream.flush()
            failpoint("journal.written")
            os.fsync(stream.fileno())
        if fresh:
            sync_folder(self._path.parent)
        failpoint("journal.synced")
        self._end += len(line)
        self.last = Record(number=number, token=self.token, time=time, event=event, state=json.loads(line)["state"])
        return self.last

    def _refuse_strangers(self) -> None:
        found = read_last(self._path).record
        if found is not None and (self.last is None or found.number > self.last.number):
            raise BusyError(f"another controller (token {found.token}) has written the journal since; this one (token {self.token}) stops")


def holder(home: Path) -> str:
    """Who held the controller's lock last, in words."""
    try:
        found = json.loads((home / "controller.lock").read_bytes())
        return f"process {found['pid']} on {found['host']} ({found['command']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def holder_pid(home: Path) -> int | None:
    """The process that held the controller's lock last."""
    try:
        return int(json.loads((home / "controller.lock").read_bytes())["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


@contextmanager
def controller(home: Path, command: str) -> Iterator[Journal]:
    """Be the one controller of this home, with its journal; BusyError names the one that is already there."""
    lock = home / "controller.lock"
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(lock, wait=False))
        except BlockingIOError:
            raise BusyError(
                f"another controller is at work: {holder(home)}",
                hint="wait for it, watch it with seatrial status, or end it with seatrial rollback",
            ) from None
        failpoint("lock.taken")
        # Not replaced by a new file: the lock is on this one.
        lock.write_bytes(canonical_json({"pid": os.getpid(), "host": socket.gethostname(), "command": command}))
        failpoint("lock.named")
        yield Journal(home / "journal.jsonl")
