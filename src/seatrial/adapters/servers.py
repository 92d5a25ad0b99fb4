"""Model servers as supervisord runs them: a group of processes for each version, each on a socket of its own."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from seatrial.adapters.runtimes import Runtime
from seatrial.adapters.sockets import fetch
from seatrial.adapters.supervisor import Process, Program, Supervisor, tail, wait_until
from seatrial.errors import EndpointError
from seatrial.params import Log

READY_S = 15.0
BEFORE_ENVOY = 100
"""The priority: servers start before Envoy and stop after it."""
_GROUP = re.compile(r"version-(\d+)")
_OVER = ("BACKOFF", "FATAL", "EXITED")


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One registered version that runs: its number, its bundle's digest, that bundle's folder, and its servers' interpreter."""

    version: int
    digest: str
    bundle: Path
    python: str = sys.executable


ServerCommand = Callable[[Variant, Path], list[str]]
"""The command of one server process, from the variant and the socket to listen on."""


def model_server(
    *, log: Path | None = None, settings: Log | None = None, name: str = "model", deadline_s: float | None = None
) -> ServerCommand:
    """The command of Seatrial's own model server, with its prediction log in `log`; `deadline_s` is how long a request may wait there."""
    options = ["--name", name]
    if deadline_s is not None:
        options += ["--deadline-seconds", str(deadline_s)]
    if log is not None:
        wanted = settings or Log()
        options += ["--log", str(log), "--flush-seconds", str(wanted.flush_seconds), "--flush-rows", str(wanted.flush_rows)]
        options += ["--sample", str(wanted.sample)]
        options += ["--keep-days", str(wanted.keep_days), *(part for column in wanted.drop for part in ("--drop", column))]

    def command(variant: Variant, uds: Path) -> list[str]:
        head = [variant.python, "-I", "-m", "seatrial.serving.server", "--bundle", str(variant.bundle), "--digest", variant.digest]
        return [*head, "--version", str(variant.version), "--uds", str(uds), *options]

    return command


def by_version(processes: tuple[Process, ...]) -> dict[int, tuple[Process, ...]]:
    """The server processes of each version."""
    found: dict[int, tuple[Process, ...]] = {}
    for process in processes:
        if match := _GROUP.fullmatch(process.group):
            version = int(match[1])
            found[version] = (*found.get(version, ()), process)
    return found


class Servers:
    """The model servers of one endpoint; sockets lie in `sockets`, what they print in `logs`."""

    def __init__(self, supervisor: Supervisor, *, sockets: Path, logs: Path) -> None:
        self._supervisor = supervisor
        self._folder = sockets
        self._logs = logs

    def running(self) -> dict[int, tuple[Process, ...]]:
        """The processes of each version that supervisord looks after, whatever their state."""
        return by_version(self._supervisor.processes())

    def sockets(self) -> dict[int, tuple[str, ...]]:
        """The sockets of each of these versions."""
        return {version: tuple(str(self._socket(one)) for one in processes) for version, processes in self.running().items()}

    def start(self, variant: Variant, *, count: int, command: ServerCommand, runtime: Runtime | None = None) -> None:
        """Start so many servers of a version, on a runtime where one is given; it is not waited for."""
        variant = variant if runtime is None else replace(variant, python=str(runtime.python))
        group = f"version-{variant.version}"
        self.stop(variant.version)
        programs = []
        for number in range(count):
            name = f"{group}-{number}"
            line = tuple(command(variant, self._folder / f"v{variant.version}-{number}"))
            programs.append(Program(name=name, command=line, log=self._logs / f"{name}.log", runtime=runtime))
        self._supervisor.add(group, tuple(programs), priority=BEFORE_ENVOY)

    def stop(self, version: int) -> None:
        """Stop a version's servers, if there are any, and remove their sockets."""
        self._supervisor.remove(f"version-{version}")
        for left in self._folder.glob(f"v{version}-*"):
            left.unlink(missing_ok=True)

    def await_ready(self, variant: Variant) -> None:
        """Wait until every server of a version answers; EndpointError, with the end of its log, where one does not."""
        for process in self.running().get(variant.version, ()):
            path = self._socket(process)
            pids: set[int] = set()
            wait_until(lambda: _answers(path) or self._ended(variant.version, process.name, pids), READY_S, every=0.05)  # noqa: B023
            if not _answers(path):
                raise EndpointError(f"the server {process.name} is not ready; its log ends:\n{tail(self._logs / f'{process.name}.log')}")

    def await_starting(self, version: int) -> None:
        """Give servers that supervisord is starting at this moment the time to be ready; those that do not get there are left to it."""
        for process in self.running().get(version, ()):
            if process.state == "STARTING":
                wait_until(lambda: _answers(self._socket(process)), READY_S, every=0.05)  # noqa: B023

    def check_digest(self, variant: Variant) -> None:
        """Compare what each server that answers says it serves; EndpointError where it is something else."""
        for process in self.running().get(variant.version, ()):
            found = _digest(self._socket(process))
            if found is not None and found != variant.digest:
                raise EndpointError(f"the server {process.name} serves {found}, not {variant.digest}", hint="gate again: nox -s gate")

    def _ended(self, version: int, name: str, pids: set[int]) -> bool:
        """Whether a server that is being started has ended, if only to be started again; `pids` collects those seen."""
        process = next((one for one in self.running().get(version, ()) if one.name == name), None)
        if process is not None and process.pid:
            pids.add(process.pid)
        return process is None or process.state in _OVER or len(pids) > 1

    def _socket(self, process: Process) -> Path:
        return self._folder / f"v{process.name.removeprefix('version-')}"


def _answers(path: Path) -> bool:
    answer = fetch(path, "/ping")
    return answer is not None and answer[0] == 200


def _digest(path: Path) -> str | None:
    """The digest that a server names; None where it does not answer, empty where it names none."""
    answer = fetch(path, "/version")
    if answer is None:
        return None
    try:
        return str(json.loads(answer[1])["digest"])
    except (ValueError, KeyError, TypeError):
        return ""
