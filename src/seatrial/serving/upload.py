"""Takes the prediction log to an object store: a program of its own, so that no server holds a credential or waits for a network.

    python -m seatrial.serving.upload --log DIR --uri s3://bucket/prefix [--access FILE] [--keep-days N]

Servers write to the disk as ever. This program merges what has settled, claims it, puts it into the store, asks the store
whether it has those very bytes, and removes it from the disk later. A part has one name in both places, and what is in both is
read once: killed at any moment, it begins again. While the store cannot be reached, parts wait on the disk.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath

from seatrial.errors import DataError
from seatrial.files import locked, pretty_json, write_atomic
from seatrial.serving.compaction import claim, claim_of, compact
from seatrial.serving.log_store import LogStore, open_store, remote_settings
from seatrial.serving.losses import settle, told

EVERY_S = 300.0
SETTLED_S = 60.0
KEEP_LOCAL_S = 7200.0
LONGEST_WAIT_S = 900.0
FEWEST = 2
STATE = ".upload.json"
LOCK = ".upload.lock"
STORED = b"stored"
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
AWS = "AWS_"
"""Variables whose names begin so are handed to this program, and the proxies; servers get neither."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadState:
    """When all that had settled was in the store last (seconds since 1970), how many parts wait, and what is wrong."""

    uri: str
    done: float | None
    waiting: int
    problem: str | None


def upload_state(folder: Path) -> UploadState | None:
    """What the program that uploads the log below `folder` said last; None where there is none."""
    try:
        return UploadState(**json.loads((folder / STATE).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def upload(folder: Path, store: LogStore, *, now: float, settled: float = SETTLED_S, keep_local: float = KEEP_LOCAL_S) -> int:
    """Take all settled parts to the store, and remove from the disk what is there and older than `keep_local` seconds.

    Gives how many parts were taken. DataError at the first thing that the store does not do; what is done by then stays done.
    """
    told(settle(folder, now=now))
    taken = 0
    for day in sorted(folder.glob("date=*")):
        compact(day, now=now, fewest=FEWEST, settled=settled)
        for path in claim(day, now=now, settled=settled):
            taken += _take(path, store)
            _let_go(path, store, now=now, keep_local=keep_local)
        _clear(day)
    return taken


def _take(path: Path, store: LogStore) -> int:
    """Put one part into the store and have it confirmed: 1, or 0 where that was done before."""
    if _is_stored(path):
        return 0
    data, part = path.read_bytes(), PurePath(path.parent.name, path.name)
    store.write(part, data)
    if not store.holds(part, data):
        raise DataError(f"{store.uri} took {part} and does not have it", hint="look at the bucket's rules; it is tried again")
    write_atomic(claim_of(path), STORED)
    return 1


def _let_go(path: Path, store: LogStore, *, now: float, keep_local: float) -> None:
    """Remove a part from the disk once no rollout looks for it there, if the store still has it."""
    if now - path.stat().st_mtime < keep_local:
        return
    if store.holds(PurePath(path.parent.name, path.name), path.read_bytes()):
        path.unlink()
        claim_of(path).unlink(missing_ok=True)
    else:
        write_atomic(claim_of(path), b"")  # somebody removed it there: it is taken again


def _clear(day: Path) -> None:
    """Remove marks of parts that are gone."""
    for mark in day.glob(".*.claimed"):
        if not mark.with_name(mark.name.removeprefix(".").removesuffix(".claimed")).exists():
            mark.unlink(missing_ok=True)


def waiting(folder: Path) -> int:
    """Parts on the disk that the store is not known to have."""
    return sum(not _is_stored(path) for path in folder.glob("date=*/[!.]*.parquet"))


def _is_stored(path: Path) -> bool:
    try:
        return claim_of(path).read_bytes() == STORED
    except OSError:
        return False


class Uploader:
    """One turn after the other; what goes wrong is said once, and tried again after a while that grows."""

    def __init__(self, options: argparse.Namespace, remote: Mapping[str, str]) -> None:
        self._options = options
        self._remote = remote
        self._store: LogStore | None = None
        self._problem: str | None = None
        self._done: float | None = None
        self._failures = 0

    def turn(self, now: float) -> float:
        """Upload what there is; gives the seconds to wait before the next turn."""
        problem = self._upload(now)
        if problem != self._problem:
            print(f"prediction log: {problem or f'parts go to {self._options.uri} again'}", file=sys.stderr, flush=True)
        self._problem = problem
        self._failures = self._failures + 1 if problem else 0
        self._done = self._done if problem else now
        self._save()
        every = float(self._options.every)
        return every if not problem else min(every * 2 ** min(self._failures - 1, 10), max(every, LONGEST_WAIT_S))

    def _upload(self, now: float) -> str | None:
        """What went wrong, or None."""
        asked = self._options
        today = dt.datetime.fromtimestamp(now, dt.UTC).date()
        try:
            self._store = self._store or open_store(asked.uri, self._remote)
            upload(asked.log, self._store, now=now, settled=asked.settled_seconds, keep_local=asked.keep_local_seconds)
            self._store.remove_before(today - dt.timedelta(days=asked.keep_days))
        except (DataError, OSError) as error:
            return str(error)
        return None

    def _save(self) -> None:
        folder: Path = self._options.log
        state = UploadState(uri=self._options.uri, done=self._done, waiting=waiting(folder), problem=self._problem)
        try:
            write_atomic(folder / STATE, pretty_json(asdict(state)))
        except OSError as error:
            print(f"prediction log: the state of the upload cannot be written: {error}", file=sys.stderr, flush=True)


def access(root: Path, uri: str, env: Mapping[str, str], *, keep_days: int = 30) -> bytes:
    """What the program may use to reach the store, for a file that only its owner reads; other bytes ask for another start."""
    environment = {name: value for name, value in env.items() if name.startswith(AWS) or name in PROXIES}
    return pretty_json({"uri": uri, "keep_days": keep_days, "environment": environment, "remote": remote_settings(root, uri)})


def command(log: Path, uri: str, access_file: Path, *, keep_days: int, keep_local: float) -> tuple[str, ...]:
    """The program's command line; it holds no secret."""
    head = (sys.executable, "-m", "seatrial.serving.upload", "--log", str(log), "--uri", uri, "--access", str(access_file))
    return (*head, "--keep-days", str(keep_days), "--keep-local-seconds", str(keep_local))


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m seatrial.serving.upload", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--log", type=Path, required=True, help="folder of the prediction log")
    parser.add_argument("--uri", required=True, help="s3://bucket/prefix that parts go to")
    parser.add_argument("--access", type=Path, help="JSON file with variables and a remote's settings (default: this environment)")
    parser.add_argument("--keep-days", type=int, default=30, help="remove parts from the store that are older (default: 30)")
    parser.add_argument("--every", type=float, default=EVERY_S, help="seconds between two turns (default: 300)")
    parser.add_argument("--settled-seconds", type=float, default=SETTLED_S, help="leave younger parts alone (default: 60)")
    parser.add_argument("--keep-local-seconds", type=float, default=KEEP_LOCAL_S, help="then stored parts leave the disk (default: 7200)")
    parser.add_argument("--once", action="store_true", help="one turn; exit 1 where it did not take everything")
    return parser


def _access(path: Path | None) -> dict[str, str]:
    """The file's settings of a remote; its variables are laid over this process's own."""
    if path is None:
        return {}
    found = json.loads(path.read_bytes())
    os.environ.update(found["environment"])
    return dict(found["remote"])


def main(argv: list[str] | None = None) -> int:
    """Upload until SIGTERM (0); 2 where another program uploads this log."""
    options = _arguments().parse_args(argv)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    uploader = Uploader(options, _access(options.access))
    try:
        with locked(options.log / LOCK, wait=False):
            wait = uploader.turn(time.time())
            while not options.once and not stop.wait(wait):
                wait = uploader.turn(time.time())
    except BlockingIOError:
        print(f"error: another program uploads {options.log.name}", file=sys.stderr)
        return 2
    state = upload_state(options.log)
    return 1 if options.once and (state is None or state.problem) else 0


if __name__ == "__main__":
    sys.exit(main())
