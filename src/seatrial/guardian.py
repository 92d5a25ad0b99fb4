"""The guardian: starts supervisord again where it was killed, with the groups that had files; nothing else.

    python -m seatrial.guardian HOME

Only the standard library is imported. It is detached from who
started it, and a lock (`guardian.lock`, with its process id in it) keeps it alone. It waits for supervisord's end, takes the
endpoint's lock, so that it never acts while a command does, and starts supervisord; where that does not last, it waits longer
each time. `down` ends it; so do SIGTERM, and the removal of its lock's file, also where another one has been made since.
"""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from seatrial.adapters.sockets import open_folder, recorded_folder
from seatrial.adapters.supervisor import PASSED_ON, Supervisor, alive, await_an_end, command_line, wait_until
from seatrial.errors import SeatrialError
from seatrial.files import locked

LOCK = "guardian.lock"
LASTING_S = 60.0
LONGEST_S = 60.0
LOOK_S = 1.0
ENDED_S = 5.0
STARTED_S = 30.0
LOG_BYTES = 2**20


@dataclass(slots=True, kw_only=True)
class Backoff:
    """How long to wait before the next start: at once, then 1, 2, 4 … seconds, until a supervisord has lasted a minute."""

    tries: int = 0

    def delay(self, lasted: float) -> float:
        """Seconds to wait now, given how long the last supervisord ran."""
        self.tries = 0 if lasted >= LASTING_S else self.tries
        self.tries += 1
        return 0.0 if self.tries == 1 else min(LONGEST_S, 2.0 ** (self.tries - 2))


@dataclass(slots=True, kw_only=True)
class Guardian:
    """Looks after the supervisord of one endpoint; `ending` is asked before each wait and each start."""

    home: Path
    say: Callable[[str], None]
    ending: Callable[[], bool]
    env: Mapping[str, str] = field(repr=False)
    backoff: Backoff = field(default_factory=Backoff)
    idle: bool = False

    @property
    def folder(self) -> Path:
        """The endpoint's folder."""
        return endpoint_folder(self.home)

    def run(self) -> None:
        """Guard until told to end, or until there is nothing left to guard."""
        while not self._over():
            began = time.monotonic()
            self._await_end()
            if self._over():
                return
            delay = self.backoff.delay(time.monotonic() - began)
            self.say(f"supervisord is gone; starting it again{f' in {delay:.0f} s' if delay else ''}")
            if not self._wait(delay):
                return
            self._start()

    def _over(self) -> bool:
        return self.idle or self.ending()

    def _supervisor(self) -> Supervisor:
        """supervisord, at the socket that is written down now."""
        record = self.folder / "sockets"
        sockets = recorded_folder(self.home, record) or self.folder / "no-sockets"
        return Supervisor(self.folder, sockets / "control", self.env)

    def _await_end(self) -> None:
        """Return once supervisord does not run; on Linux the kernel says so at once."""
        while not self._over():
            pid = self._supervisor().recorded()
            if pid is None:
                return
            await_an_end((pid,), LOOK_S)

    def _wait(self, seconds: float) -> bool:
        """Sleep, unless it is time to end; False then."""
        return not wait_until(self._over, seconds, every=0.1) if seconds else not self._over()

    def _start(self) -> None:
        """Start supervisord, unless somebody has: under the endpoint's lock only, where nobody ends it in the middle of this."""
        with _endpoint(self.folder / "lock", self._over) as free:
            if not free or self._over() or self._supervisor().recorded() is not None:
                return
            self.idle = not any((self.folder / "programs").glob("*.conf"))
            if not self.idle:
                self._start_held()

    def _start_held(self) -> None:
        try:
            open_folder(self.home, self.folder / "sockets", self.env)
            supervisor = self._supervisor()
            supervisor.start()
            self.say(f"supervisord runs again, process {supervisor.recorded()}")
        except (SeatrialError, OSError, subprocess.SubprocessError) as error:
            self.say(f"supervisord did not start: {error}")


@contextmanager
def _endpoint(path: Path, give_up: Callable[[], bool]) -> Iterator[bool]:
    """The endpoint's lock; False where `give_up` came first."""
    while not give_up():
        try:
            with locked(path, wait=False):
                yield True
                return
        except BlockingIOError:
            time.sleep(0.05)
    yield False


def endpoint_folder(home: Path) -> Path:
    """Where the endpoint of a home keeps its state."""
    return home / "endpoint"


def guardian_pid(home: Path) -> int | None:
    """The process id of the guardian of this home, or None where it does not run."""
    try:
        pid = int((endpoint_folder(home) / LOCK).read_text())
    except (OSError, ValueError):
        return None
    command = command_line(pid)
    return pid if alive(pid) and "seatrial.guardian" in command and str(home) in command else None


def start_guardian(home: Path, python: Path, env: Mapping[str, str]) -> None:
    """Start a guardian, detached, with this interpreter; where one runs already, nothing is done."""
    if guardian_pid(home) is not None:
        return
    (endpoint_folder(home) / LOCK).touch()
    process = subprocess.Popen(
        [str(python), "-I", "-m", "seatrial.guardian", str(home)],
        cwd=endpoint_folder(home),
        env={name: env[name] for name in PASSED_ON if name in env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    # What was started forks and ends at once, so that nobody has to wait for the guardian itself.
    process.wait(STARTED_S)
    wait_until(lambda: guardian_pid(home) is not None, ENDED_S)


@contextmanager
def without_guardian(home: Path) -> Iterator[None]:
    """End the guardian, and let none start while the block runs; at its end the process is gone, not only its lock.

    The caller holds the endpoint's lock, so the guardian is not starting anything at this moment.
    """
    import fcntl

    with (endpoint_folder(home) / LOCK).open("a+") as stream:
        end = time.monotonic() + ENDED_S
        last = guardian_pid(home)
        while not _taken(fcntl.flock, stream, fcntl.LOCK_EX | fcntl.LOCK_NB):
            pid = guardian_pid(home)
            if pid is not None:
                last = pid
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM if time.monotonic() < end else signal.SIGKILL)
            time.sleep(0.02)
        yield
        wait_until(lambda: last is None or not alive(last), ENDED_S)
        (endpoint_folder(home) / LOCK).unlink(missing_ok=True)


def _taken(flock: Callable[[IO[str], int], None], stream: IO[str], operation: int) -> bool:
    try:
        flock(stream, operation)
    except BlockingIOError:
        return False
    return True


def main(argv: list[str]) -> int:
    """Detach, take the lock, and guard; 0, also where another one guards already, or nothing is there to guard."""
    import fcntl

    home = Path(argv[0])
    if os.fork():
        os._exit(0)
    ending: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: ending.append(number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with suppress(FileNotFoundError), (endpoint_folder(home) / LOCK).open("r+") as stream:
        if _taken(fcntl.flock, stream, fcntl.LOCK_EX | fcntl.LOCK_NB):
            stream.truncate(0)
            stream.write(str(os.getpid()))
            stream.flush()
            log = endpoint_folder(home) / "logs/guardian.log"

            def told() -> bool:
                return bool(ending) or not _is_at(stream, endpoint_folder(home) / LOCK)

            Guardian(home=home, say=lambda text: _write(log, text), ending=told, env=os.environ).run()
    return 0


def _is_at(stream: IO[str], path: Path) -> bool:
    """Whether this open file is the one at `path`: a lock on a file that has been removed keeps nobody away."""
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except OSError:
        return False


def _write(log: Path, text: str) -> None:
    """Append a line to the log; one earlier file of it is kept."""
    with suppress(OSError):
        if log.exists() and log.stat().st_size > LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))
        with log.open("a") as stream:
            stream.write(f"{dt.datetime.now(dt.UTC).isoformat(timespec='milliseconds')} {text}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
