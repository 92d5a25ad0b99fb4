"""The processes beside a rig's endpoint: a client that asks it all the time, controllers that decide, and what each of them left."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from seatrial.adapters.leash import leashed
from seatrial.errors import EndpointError
from seatrial.invariants import Answer, read_answers

PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What a client saw: its answers, and the ids that it sent."""

    answers: tuple[Answer, ...]
    sent: frozenset[str]

    @property
    def harmed(self) -> int:
        """Requests without a 2xx."""
        fine = {answer.id for answer in self.answers if answer.ok}
        return len(self.sent - fine)


class Client:
    """The client's process, from its first request on; `stop` waits for its last answer."""

    def __init__(self, process: subprocess.Popen[str], out: Path) -> None:
        self._process = process
        self._out = out

    def stop(self) -> Traffic:
        """End the schedule, and give what came back."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(PATIENCE_S)
        lines = self._out.read_text().splitlines()
        last = json.loads(lines[-1])
        answers = tuple(read_answers(lines[:-1]))
        return Traffic(answers=answers, sent=frozenset(f"{last['run']}-{number}" for number in range(last["sent"])))

    def seen(self) -> list[Answer]:
        """The answers so far."""
        return list(read_answers(line for line in self._out.read_text().splitlines() if '"status"' in line))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a controller ended: its exit code (negative: the signal that killed it) and what it printed."""

    code: int
    output: str


class Running:
    """A controller at work."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.pid = process.pid
        self._process = process
        self._log = log

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def over(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    def wait(self, seconds: float = PATIENCE_S) -> Ended:
        """Wait for its end; EndpointError where it does not come."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise EndpointError(f"a controller did not end within {seconds:.0f} s: {self.output()[-2000:]}") from None
        return Ended(code=code, output=self.output())

    def output(self) -> str:
        """What it has printed so far."""
        return self._log.read_text()


class Processes:
    """What was started in one folder: each in a leash, so that it ends with this process, and at the latest with `stack`."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._files = 0
        self._started: dict[int, subprocess.Popen[str]] = {}

    @property
    def pids(self) -> frozenset[int]:
        """The process ids of all that was started."""
        return frozenset(self._started)

    def file(self, kind: str, suffix: str) -> Path:
        """A name that no other file in the folder has."""
        self._files += 1
        return self._folder / f"{kind}-{self._files}.{suffix}"

    def start(self, kind: str, module: Sequence[str], env: Mapping[str, str]) -> tuple[subprocess.Popen[str], Path]:
        """Run a module of Python with its arguments; gives the process and the log of what it prints."""
        log = self.file(kind, "log")
        with log.open("w") as stream:
            command = leashed(self._folder / "leash.pid", [sys.executable, "-m", *module])
            process = subprocess.Popen(
                command, cwd=self._folder, env=dict(env), stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, text=True
            )
        self._started[process.pid] = process
        self._stack.callback(_end, process)
        return process, log

    def end_all(self) -> None:
        """End those that nobody waited for."""
        for process in self._started.values():
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    """End a process, by force where it does not listen."""
    if process.poll() is None:
        process.send_signal(signal.SIGCONT)
        process.kill()
    process.wait()
