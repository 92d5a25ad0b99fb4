"""The endpoint: versions that run side by side, and the route that shares traffic between them.

`Endpoint` is what a rollout needs of one; `LocalEndpoint` is supervisord (processes) and Envoy (traffic) on this machine. All
its state lies in `<home>/endpoint` and in a short socket folder; what is live is asked of the two, never remembered.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from seatrial.adapters import keepers
from seatrial.adapters.door import door_of, numeric
from seatrial.adapters.envoy import Clusters, Route
from seatrial.adapters.envoy_listener import Door
from seatrial.adapters.parts import ENVOY, Inspection, Parts, inspect, lock_path, record_path, recorded_parts
from seatrial.adapters.servers import ServerCommand, Variant, model_server
from seatrial.adapters.sockets import open_folder
from seatrial.adapters.supervisor import Program, tail, wait_until
from seatrial.adapters.traffic import Traffic
from seatrial.errors import EndpointError
from seatrial.files import locked
from seatrial.params import Log, Rollout

__all__ = ["ENVOY", "Endpoint", "Inspection", "LocalEndpoint", "Route", "Telemetry", "Traffic", "Variant", "inspect", "model_server"]

START_S = 15.0
KEPT_LONGER_S = 600.0
FREED_S = 2.0
AFTER_SERVERS = 900
WAITING_SHARE = 0.9
"""Of an attempt's time, how much a request may wait in a server: the refusal has to be there before Envoy gives the attempt up."""
CONCURRENCY = 1
"""Envoy's worker threads: on two cores shared with the servers, a second one answers no more requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """Counters by version since `boot`; another boot means that they began at zero again."""

    boot: str
    variants: Mapping[int, Traffic]
    mirror: Mapping[int, Traffic]


class Endpoint(Protocol):
    """What a rollout asks of an endpoint; every method may be called again with the same arguments."""

    def ensure(self, variants: tuple[Variant, ...]) -> None:
        """Make exactly these versions run, ready, each with its digest compared."""

    def route(self, route: Route) -> None:
        """Move traffic; returns once the endpoint itself confirms it."""

    def observe(self) -> Telemetry:
        """Give the endpoint's own statistics."""

    def down(self) -> None:
        """Leave no process, port or socket."""


class LocalEndpoint:
    """supervisord and Envoy on this machine, below `home`.

    `name` is the model's; `log` the prediction log's settings (its parts go to `<home>/log`); `root` is the project: what relative
    paths of the settings count from, and whose DVC remotes open the store that the log is taken to (else the folder of `home`);
    `env` is what folders, tokens and the programs' environment are taken from; `server_command` gives the command of one server, by
    default Seatrial's own; `say` is told where a runtime had to be made again.
    """

    def __init__(
        self,
        home: Path,
        settings: Rollout,
        *,
        log: Log | None = None,
        name: str = "model",
        root: Path | None = None,
        env: Mapping[str, str] | None = None,
        server_command: ServerCommand | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        self._say = say
        self._home = home.absolute()
        self._settings = settings
        self._log = log or Log()
        self._root = root or self._home.parent
        self._env = dict(os.environ) if env is None else env
        self._command = server_command or model_server(
            log=self._home / "log", settings=log, name=name, deadline_s=WAITING_SHARE * settings.request_timeout_s
        )

    def ensure(self, variants: tuple[Variant, ...]) -> None:
        """Make exactly these versions run: start what is missing, wait until it is ready and has its digest, stop the others.

        A version that runs keeps running as it was started, and one that gets traffic is left to supervisord while it crashes,
        so that a fix can be deployed. Raises EndpointError for a port that is taken (before anything is started), a version that
        gets traffic but is not named (nothing is changed), and a server that does not start or has another digest (it is
        stopped again).
        """
        wanted = {variant.version: variant for variant in variants}
        door = door_of(self._settings, home=self._home, root=self._root, env=self._env, now=dt.datetime.now(dt.UTC))
        with self._held() as parts:
            parts.supervisor.end_lost()
            self._check_port(parts)
            routed = self._routed(parts, wanted)
            self._start_supervisord(parts)
            self._start_servers(parts, wanted, routed)
            self._start_envoy(parts, wanted, door)
            keepers.start_upload(parts, self._log, root=self._root, keep_local=self._settings.step_deadline_s + KEPT_LONGER_S)
            keepers.start_watch(parts, timeout=self._timeout)
            self._stop_others(parts, wanted)
            keepers.tidy(parts)

    def route(self, route: Route) -> None:
        """Move traffic; returns once Envoy itself has the route live.

        Clusters come first, then the route that needs them. Raises EndpointError for a route that makes no sense or names a
        version that does not run (nothing is written), and for one that Envoy does not confirm (the last good one is back).
        """
        _check_route(route)
        with self._held() as parts:
            known = parts.envoy.clusters()
            running = parts.servers.running() if parts.supervisor.pid() else {}
            for version in route.versions:
                if version not in running or version not in known.sockets:
                    raise EndpointError(f"version {version} does not run, so no traffic can go to it", hint="start it first: seatrial up")
            parts.envoy.apply_clusters(known.with_route(route))
            parts.envoy.apply_route(route, timeout=self._timeout)

    def observe(self) -> Telemetry:
        """Envoy's own counters; EndpointError where Envoy does not run, or restarts while it is asked. A torn file is put back first."""
        self.mend()
        parts = recorded_parts(self._home)
        boot = parts.boot()
        live, mirror = parts.envoy.traffic()
        if boot is None or not live or parts.boot() != boot:
            raise EndpointError(f"Envoy does not answer, so nothing is known about traffic; its log ends:\n{tail(parts.envoy.log)}")
        return Telemetry(boot=boot, variants=live, mirror=mirror)

    def mend(self) -> bool:
        """Put back what is torn or strange of Envoy's files, so that it could start again; gives whether there was something to do."""
        if not recorded_parts(self._home).envoy.strange():
            return False
        with self._held() as parts:
            return parts.envoy.heal()

    def live_route(self) -> Route | None:
        """The route that Envoy itself says is live; None where there is none, or no Envoy."""
        return recorded_parts(self._home).envoy.live_route()

    def serves(self, version: int) -> bool:
        """Whether Envoy knows servers of a version."""
        return version in recorded_parts(self._home).envoy.clusters().sockets

    def retire(self, version: int) -> None:
        """Stop a version's servers; EndpointError where it gets traffic."""
        with self._held() as parts:
            route = parts.route(START_S)
            if route is not None and version in route.versions:
                raise _still_routed(version)
            known = parts.envoy.clusters()
            parts.envoy.apply_clusters(known.with_sockets({one: found for one, found in known.sockets.items() if one != version}))
            parts.servers.stop(version)

    def supervise(self, command: list[str], *, folder: Path, env: Mapping[str, str]) -> None:
        """Let supervisord look after a controller until it ends with 0, 1 or 3; `env` is kept in a file that only this user can read."""
        with self._held() as parts:
            parts.supervisor.end_lost()
            self._start_supervisord(parts)
            keepers.start_watch(parts, timeout=self._timeout)
            keepers.start_controller(parts, command, folder=folder, env=env)

    def down(self) -> None:
        """Stop everything: no process, port or socket stays. Twice is once.

        A controller that supervisord looks after ends itself last: supervisord, it and the watchdog stay.
        """
        if (self._home / "endpoint").exists():
            with locked(lock_path(self._home)):
                recorded_parts(self._home, self._env).shut_down(self._patience)

    @property
    def _timeout(self) -> float:
        return float(self._settings.request_timeout_s)

    @property
    def _address(self) -> tuple[str, int]:
        return numeric(self._settings.host), self._settings.port

    @property
    def _patience(self) -> float:
        """How long a request can take: two attempts and what lies between them."""
        return 2 * self._timeout + 1

    @contextmanager
    def _held(self) -> Iterator[Parts]:
        """The parts, with a folder for sockets, while nobody else changes the endpoint."""
        with locked(lock_path(self._home)):
            yield Parts(self._home, open_folder(self._home, record_path(self._home), self._env), self._env, self._say)

    def _check_port(self, parts: Parts) -> None:
        """Refuse a port that somebody else has; one that a killed endpoint had is free in a moment."""
        ours = parts.envoy_process() is not None and parts.envoy.address() == self._address
        if not ours and not wait_until(lambda: _taken(*self._address) is None, FREED_S if parts.envoy.address() else 0):
            host, port = self._address
            raise EndpointError(
                f"port {port} on {host} cannot be used: {_taken(host, port)}",
                hint="nox -s down stops an endpoint that lost its state here; else free the port, or change rollout.port in params.yaml",
            )

    def _routed(self, parts: Parts, wanted: Mapping[int, Variant]) -> set[int]:
        """The versions that get traffic; EndpointError where one of them is not wanted."""
        parts.envoy.heal()
        route = parts.route(START_S)
        routed = set(route.versions) if route else set()
        if missing := routed - set(wanted):
            raise _still_routed(min(missing))
        return routed

    def _start_supervisord(self, parts: Parts) -> None:
        """Start supervisord, where it does not run, with nothing to do yet."""
        if parts.supervisor.pid() is None:
            shutil.rmtree(parts.folder / "programs", ignore_errors=True)
            parts.supervisor.start(parts.runtimes.present())

    def _start_servers(self, parts: Parts, wanted: Mapping[int, Variant], routed: set[int]) -> None:
        """Start the versions that do not run; all of them are asked for their digest. What gets traffic may crash meanwhile."""
        running = parts.servers.running()
        lost = {version for version, processes in running.items() if all(one.state in ("FATAL", "STOPPED") for one in processes)}
        started = [variant for version, variant in wanted.items() if version not in running or version in lost]
        try:
            for variant in started:
                runtime = parts.runtimes.of(variant.version, variant.digest)
                parts.servers.start(variant, count=self._settings.servers, command=self._command, runtime=runtime)
            for variant in started:
                if variant.version not in routed:
                    parts.servers.await_ready(variant)
            for variant in wanted.values():
                parts.servers.await_starting(variant.version)
                parts.servers.check_digest(variant)
        except BaseException:
            self._give_up(parts, {variant.version for variant in started} - routed)
            raise

    def _give_up(self, parts: Parts, versions: set[int]) -> None:
        """Stop what was started; where nothing else runs, stop everything."""
        for version in versions:
            parts.servers.stop(version)
        if not parts.servers.running():
            parts.shut_down(self._patience)

    def _start_envoy(self, parts: Parts, wanted: Mapping[int, Variant], door: Door) -> None:
        """Start Envoy where it does not run, or open another door while it does; then it knows all that runs."""
        if parts.envoy_process() is not None:
            wait_until(parts.envoy.ready, START_S)
            parts.envoy.apply_door(door)
            parts.envoy.apply_clusters(parts.envoy.clusters().with_sockets(parts.servers.sockets()))
            return
        parts.supervisor.remove(ENVOY)
        route = _possible(parts.envoy.stored_route(), wanted)
        clusters = Clusters(sockets=parts.servers.sockets())
        parts.envoy.prepare(door=door, clusters=clusters.with_route(route) if route else clusters, route=route, timeout=self._timeout)
        runtime = parts.runtimes.present()
        binary, *options = parts.envoy.command(concurrency=CONCURRENCY, drain=self._patience)
        command = (str(runtime.file(binary)), *options)
        program = Program(name=ENVOY, command=command, log=parts.envoy.log, output=parts.access_log, runtime=runtime)
        parts.supervisor.add(ENVOY, (program,), priority=AFTER_SERVERS)
        self._await_envoy(parts)

    def _await_envoy(self, parts: Parts) -> None:
        def ended() -> bool:
            return any(one.group == ENVOY and one.state in ("BACKOFF", "FATAL", "EXITED") for one in parts.supervisor.processes())

        wait_until(lambda: parts.envoy.ready() or ended(), START_S)
        if not parts.envoy.ready():
            problem = tail(parts.envoy.log)
            parts.supervisor.remove(ENVOY)
            raise EndpointError(f"Envoy did not start; its log ends:\n{problem}")

    def _stop_others(self, parts: Parts, wanted: Mapping[int, Variant]) -> None:
        """Stop what is not named: its last requests end, its clusters go, then its processes."""
        others = set(parts.servers.running()) - set(wanted)
        if not others:
            return
        wait_until(lambda: parts.envoy.drained(others), self._patience)
        known = parts.envoy.clusters()
        parts.envoy.apply_clusters(known.with_sockets({version: found for version, found in known.sockets.items() if version in wanted}))
        for version in sorted(others):
            parts.servers.stop(version)


def _check_route(route: Route) -> None:
    """EndpointError for a route that makes no sense."""
    alone = route.challenger is None
    if not 0 <= route.weight <= 100 or (alone and (route.weight or route.mirror)) or route.challenger == route.champion:
        raise EndpointError(f"this is no route: {route}; a weight is 0 to 100, and a weight or a mirror needs a challenger of its own")


def _still_routed(version: int) -> EndpointError:
    return EndpointError(f"version {version} still gets traffic, so it cannot be stopped", hint="route traffic away from it first")


def _possible(route: Route | None, wanted: Mapping[int, Variant]) -> Route | None:
    """What of a stored route can be served by these versions: all of it, its champion alone, or nothing."""
    if route is None or route.champion not in wanted:
        return None
    return route if all(version in wanted for version in route.versions) else Route(champion=route.champion)


def _taken(host: str, port: int) -> str | None:
    """Why the port cannot be listened on, or None."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.strerror or str(error)
    return None
