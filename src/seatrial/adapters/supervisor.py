"""supervisord, which starts, watches and stops the endpoint's programs; it is spoken to over a unix socket.

Each group of programs is one file below `programs/`; a group is added by its file, and its file goes with it, so that a
supervisord that is started again starts what ran before and nothing else.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

from seatrial.adapters.runtimes import Runtime
from seatrial.adapters.sockets import UnixConnection
from seatrial.adapters.supervisor_files import STOP_S, Program, group_config, supervisord_config
from seatrial.errors import EndpointError
from seatrial.failpoints import failpoint
from seatrial.files import write_atomic

__all__ = [
    "Process",
    "Program",
    "Supervisor",
    "alive",
    "await_an_end",
    "command_line",
    "group_config",
    "supervisord_config",
    "tail",
    "wait_until",
]

START_S = 15.0
STARTS = "starts"
PASSED_ON = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "XDG_RUNTIME_DIR", "LD_LIBRARY_PATH")
"""What programs get of the caller's environment: no token of a registry or a cloud is among it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """What supervisord says about one program; `pid` is 0 where it does not run, `started` and `ended` in seconds since 1970."""

    group: str
    name: str
    state: str
    pid: int
    started: int
    ended: int = 0
    exit_code: int = 0


class Supervisor:
    """The supervisord of one endpoint: its state lies in `folder`, its control socket at `control`."""

    def __init__(self, folder: Path, control: Path, env: Mapping[str, str]) -> None:
        self._folder = folder
        self._control = control
        self._env = env
        self._pid_file = folder / "supervisord.pid"

    @property
    def log(self) -> Path:
        """supervisord's own log."""
        return self._folder / "logs" / "supervisord.log"

    def pid(self) -> int | None:
        """The process id of the supervisord that answers on the socket, or None."""
        try:
            with self._rpc(timeout=2) as rpc:
                return int(rpc.getPID())
        except EndpointError:
            return None

    def recorded(self) -> int | None:
        """The process id of the pid file, where that process runs and is this endpoint's supervisord, answering or not."""
        pid = self._recorded_pid()
        mine = pid is not None and alive(pid) and str(self._folder / "supervisord.conf") in command_line(pid)
        return pid if mine else None

    def start(self, runtime: Runtime | None = None) -> None:
        """Start supervisord, detached from this process and its terminal, with the groups that have a file.

        It runs from `runtime`, by default with the interpreter of this process. Returns once each of those groups has been tried.
        """
        python = sys.executable if runtime is None else str(runtime.python)
        self.end_lost()
        (self._folder / STARTS).mkdir(parents=True, exist_ok=True)
        (self._folder / "programs").mkdir(parents=True, exist_ok=True)
        self.log.parent.mkdir(exist_ok=True)
        config = self._folder / "supervisord.conf"
        failpoint("supervisord.start")
        write_atomic(config, self._config().encode())
        command = [python, "-I", "-m", "supervisor.supervisord", "-c", str(config)]
        environment = {name: self._env[name] for name in PASSED_ON if name in self._env} | {"OMP_NUM_THREADS": "1"}
        ended = subprocess.run(
            command,
            env=environment,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=START_S,
            check=False,
        )
        if ended.returncode != 0 or not wait_until(self._has_begun, START_S):
            raise EndpointError(f"supervisord did not start: {(ended.stderr + ended.stdout).strip() or tail(self.log)}")
        failpoint("supervisord.started")

    def _has_begun(self) -> bool:
        """Whether it answers and has started its programs once: it answers before, and all of them look as if stopped for good."""
        try:
            return all(one.state != "STOPPED" for one in self.processes())
        except EndpointError:
            return False

    def processes(self) -> tuple[Process, ...]:
        """Every program that supervisord knows, in order of group and name."""
        with self._rpc() as rpc:
            found = rpc.getAllProcessInfo()
        made = (
            Process(
                group=one["group"],
                name=one["name"],
                state=one["statename"],
                pid=int(one["pid"]),
                started=int(one["start"]),
                ended=int(one["stop"]),
                exit_code=int(one["exitstatus"]),
            )
            for one in found
        )
        return tuple(sorted(made, key=lambda process: (process.group, process.name)))

    def add(self, group: str, programs: tuple[Program, ...], *, priority: int) -> None:
        """Write the group's file and start it; a larger priority is started later and stopped earlier."""
        failpoint("group.add")
        for program in programs:
            (self._folder / STARTS / program.name).unlink(missing_ok=True)
        write_atomic(self._file(group), group_config(group, programs, priority=priority, pid_file=self._pid_file).encode())
        with self._rpc() as rpc:
            failpoint("group.written")
            rpc.reloadConfig()
            rpc.addProcessGroup(group)
        failpoint("group.added")

    def put(self, group: str, programs: tuple[Program, ...], *, priority: int) -> None:
        """Make the group run as it is described here; one that does already is left alone."""
        wanted = group_config(group, programs, priority=priority, pid_file=self._pid_file)
        known = any(one.group == group and one.state not in ("FATAL", "STOPPED") for one in self.processes())
        if known and self._file(group).exists() and self._file(group).read_text() == wanted:
            return
        self.remove(group)
        self.add(group, programs, priority=priority)

    def texts(self) -> list[str]:
        """The files of all groups: what they name is in use."""
        return [path.read_text() for path in (self._folder / "programs").glob("*.conf")]

    def start_again(self, group: str) -> None:
        """Start the programs of a group that supervisord has given up; what runs is left alone."""
        with self._rpc() as rpc:
            rpc.startProcessGroup(group, False)

    def restarts(self, program: str) -> int:
        """How often a program was started again since its group was added, as its leash wrote it down."""
        try:
            return max(0, len((self._folder / STARTS / program).read_bytes().splitlines()) - 1)
        except OSError:
            return 0

    def remove(self, group: str) -> None:
        """Stop the group, take it out of supervisord, and remove its file; a group that is not there is no error."""
        failpoint("group.remove")
        self._file(group).unlink(missing_ok=True)
        failpoint("group.unlinked")
        if group not in {process.group for process in self.processes()}:
            return
        for again in (True, True, False):
            try:
                self._stop_and_remove(group)
                return
            except EndpointError:
                # A program that crashed in this very moment has been started again.
                if not again:
                    raise

    def _stop_and_remove(self, group: str) -> None:
        with self._rpc() as rpc:
            rpc.stopProcessGroup(group, False)
        self._await_stopped(group)
        with self._rpc() as rpc:
            rpc.reloadConfig()
            rpc.removeProcessGroup(group)
        failpoint("group.removed")

    def _await_stopped(self, group: str | None = None) -> None:
        """Wait until a group, or everything, has stopped; supervisord kills what does not within STOP_S.

        Asking again and again is also what keeps supervisord awake: by itself it looks around once a second.
        """
        wait_until(lambda: not any(one.pid for one in self.processes() if group in (None, one.group)), STOP_S + 5)

    def stop(self) -> None:
        """End supervisord and all its programs, by force where it does not listen; returns when they are gone."""
        pid = self.pid()
        if pid is not None:
            pids = [process.pid for process in self.processes() if process.pid]
            with self._rpc() as rpc:
                rpc.stopAllProcesses(False)
            self._await_stopped()
            with self._rpc() as rpc:
                rpc.shutdown()
            if not wait_until(lambda: self.pid() is None and not alive(pid), 10):
                os.kill(pid, signal.SIGKILL)
            wait_until(lambda: not any(map(alive, pids)), 5)
        self.end_lost()

    def end_lost(self) -> None:
        """Where nobody answers: kill the supervisord of the pid file, if it is this endpoint's, and remove what it left.

        The leash takes its programs along; this returns when they are gone, too.
        """
        if self.pid() is not None:
            return
        pid = self.recorded()
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: not alive(pid), 5)
        started = self._started_last()
        wait_until(lambda: not any(map(alive, started)) and not self._starting(), 5)
        for left in (self._control, self._pid_file):
            left.unlink(missing_ok=True)

    def _started_last(self) -> list[int]:
        """The process of each program that was started last, as its leash wrote it down."""
        notes = [path.read_text().split() for path in (self._folder / STARTS).glob("*")]
        return [int(words[-1]) for words in notes if words]

    def _starting(self) -> list[int]:
        """Processes between supervisord's fork and a program: they name its files still, and end where it is gone."""
        names = (str(self._pid_file), str(self._folder / "supervisord.conf"))
        pids = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
        return [pid for pid in pids if pid != os.getpid() and any(name in command_line(pid) for name in names)]

    def _recorded_pid(self) -> int | None:
        try:
            return int(self._pid_file.read_text())
        except (OSError, ValueError):
            return None

    def _file(self, group: str) -> Path:
        return self._folder / "programs" / f"{group}.conf"

    def _config(self) -> str:
        return supervisord_config(control=self._control, log=self.log, pid_file=self._pid_file)

    @contextmanager
    def _rpc(self, timeout: float = 10) -> Iterator[Any]:
        """supervisord's methods; EndpointError where it is not there or refuses."""
        transport = _UnixTransport(self._control, timeout)
        try:
            yield xmlrpc.client.ServerProxy("http://localhost", transport=transport).supervisor
        except xmlrpc.client.Fault as fault:
            raise EndpointError(f"supervisord refused: {fault.faultString}; its log ends:\n{tail(self.log)}") from None
        except (OSError, HTTPException, xmlrpc.client.Error) as error:
            raise EndpointError(f"supervisord does not answer ({error})", hint="start the endpoint again: seatrial up") from None
        finally:
            transport.close()


class _UnixTransport(xmlrpc.client.Transport):
    """XML-RPC over a unix socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__()
        self._path, self._timeout = path, timeout

    def make_connection(self, host: Any) -> UnixConnection:
        """Connect to the socket; `host` has no meaning here."""
        return UnixConnection(self._path, self._timeout)


def alive(pid: int) -> bool:
    """Whether the process runs (one that ended and was not waited for does not)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _looked_up(pid, "stat").startswith("Z")


def command_line(pid: int) -> str:
    """The command of a process, empty where there is none."""
    return _looked_up(pid, "command")


def _looked_up(pid: int, field: str) -> str:
    """State or command of a process: from /proc where there is one, because small containers have no `ps`."""
    if sys.platform != "linux":
        ended = subprocess.run(["ps", "-ww", "-o", f"{field}=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return ended.stdout.strip()
    try:
        if field == "command":
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].strip()
    except OSError:
        return "" if field == "command" else "Z"


def await_an_end(pids: Collection[int], seconds: float) -> bool:
    """Wait until one of these processes has ended, at most for so long; on Linux the kernel says so at once."""
    if not hasattr(os, "pidfd_open"):
        return wait_until(lambda: not all(map(alive, pids)), seconds, every=0.25)
    with ExitStack() as stack:
        waiting = select.poll()
        for pid in pids:
            try:
                descriptor = os.pidfd_open(pid)
            except OSError:
                time.sleep(0.05)
                return True
            stack.callback(os.close, descriptor)
            waiting.register(descriptor, select.POLLIN)
        return bool(waiting.poll(seconds * 1000))


def wait_until(condition: Callable[[], bool], seconds: float, *, every: float = 0.02) -> bool:
    """Ask `condition` until it is true, at most for so many seconds; gives its last answer."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(every)
    return True


def tail(log: Path, lines: int = 12) -> str:
    """The last lines of a log, indented; what is not there is said."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - 8192))
            found = stream.read().decode(errors="replace").strip().splitlines()[-lines:]
    except OSError:
        found = []
    return "\n".join(f"    {line[:400]}" for line in found) or f"    ({log.name} is empty)"
