"""The pieces of one endpoint below its home: taken together, looked at, and shut down."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from seatrial.adapters import keepers
from seatrial.adapters.envoy import Route
from seatrial.adapters.programs import Seen, seen
from seatrial.adapters.runtimes import Runtimes
from seatrial.adapters.servers import Servers, by_version
from seatrial.adapters.sockets import recorded_folder
from seatrial.adapters.supervisor import Process, Supervisor, wait_until
from seatrial.adapters.traffic import Envoy
from seatrial.errors import EndpointError
from seatrial.guardian import guardian_pid, without_guardian

ENVOY = "envoy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What runs, as `status` shows it, with process ids; all empty where the endpoint is down."""

    supervisord: int | None = None
    envoy: int | None = None
    variants: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    states: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    route: Route | None = None
    guardian: int | None = None
    watchdog: int | None = None
    programs: tuple[Seen, ...] = ()


class Parts:
    """The pieces of the endpoint of `home`, whose sockets lie in `sockets`."""

    def __init__(self, home: Path, sockets: Path, env: Mapping[str, str], say: Callable[[str], None] = print) -> None:
        self.home = home
        self.env = env
        self.folder = home / "endpoint"
        self.runtimes = Runtimes(home / "runtimes", say=say)
        self.sockets = sockets
        logs = self.folder / "logs"
        self.supervisor = Supervisor(self.folder, sockets / "control", env)
        self.servers = Servers(self.supervisor, sockets=sockets, logs=logs)
        self.envoy = Envoy(self.folder / "envoy", sockets / "admin", logs / "envoy.log")
        self.access_log = logs / "access.log"

    def envoy_process(self) -> Process | None:
        """Envoy's process where it runs."""
        try:
            processes = self.supervisor.processes()
        except EndpointError:
            return None
        return next((one for one in processes if one.group == ENVOY and one.pid), None)

    def route(self, patience: float) -> Route | None:
        """The route that gets traffic, as Envoy itself says; one that has just been started is waited for, so many seconds.

        Of an Envoy that runs and does not answer, the route on disk is taken: it will serve that one. None without an Envoy.
        """
        if self.envoy_process() is None:
            return None
        live = self.envoy.live_route()
        if live is None:
            wait_until(self.envoy.ready, patience)
            live = self.envoy.live_route() or self.envoy.stored_route()
        return live

    @property
    def access(self) -> Path:
        """What the program that uploads the log may use: the only file here that holds credentials, for its owner alone."""
        return self.folder / "log-upload.json"

    def boot(self) -> str | None:
        """Names this run of Envoy."""
        process = self.envoy_process()
        return f"{process.pid}-{process.started}" if process else None

    def shut_down(self, patience: float) -> None:
        """Let requests under way end, for at most so many seconds; then stop everything and remove what it left, but its logs."""
        self.envoy.drain(patience)
        if keepers.is_controller(self.env) and self.supervisor.pid() is not None:
            keepers.stop_all_but_keepers(self)
            return
        with without_guardian(self.home):
            self.supervisor.stop()
            shutil.rmtree(self.sockets, ignore_errors=True)
            for name in ("programs", "envoy", "good", "starts"):
                shutil.rmtree(self.folder / name, ignore_errors=True)
            for left in (record_path(self.home), self.folder / keepers.CONTROLLER_FILE, self.access):
                left.unlink(missing_ok=True)


def inspect(home: Path) -> Inspection:
    """What runs below `home`: read only, nothing is started or locked."""
    parts = recorded_parts(home.absolute())
    guardian = guardian_pid(home.absolute())
    pid = parts.supervisor.pid()
    if pid is None:
        return Inspection(guardian=guardian)
    try:
        processes = parts.supervisor.processes()
    except EndpointError:
        return Inspection(guardian=guardian)
    versions = by_version(processes)
    return Inspection(
        supervisord=pid,
        envoy=next((one.pid for one in processes if one.group == ENVOY and one.pid), None),
        variants={version: tuple(one.pid for one in found if one.pid) for version, found in versions.items()},
        states={version: tuple(one.state for one in found) for version, found in versions.items()},
        route=parts.envoy.live_route(),
        guardian=guardian,
        watchdog=next((one.pid for one in processes if one.group == keepers.WATCHDOG and one.pid), None),
        programs=seen(parts.supervisor, processes, parts.folder / "logs"),
    )


def recorded_parts(home: Path, env: Mapping[str, str] = os.environ) -> Parts:
    """The parts as they were left; without a record of sockets, nobody answers at them."""
    return Parts(home, recorded_folder(home, record_path(home)) or home / "endpoint/no-sockets", env)


def record_path(home: Path) -> Path:
    """The file that names the folder of its sockets."""
    return home / "endpoint/sockets"


def lock_path(home: Path) -> Path:
    """Who changes the endpoint holds this lock."""
    return home / "endpoint/lock"
