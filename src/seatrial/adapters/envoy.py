"""Envoy's configuration as data: bootstrap, listener, clusters and routes are pure functions of variants, route and settings.

For a version n there are four kinds of cluster: `version-n` holds its servers; `canary-n` sends an attempt to version n and
its one retry to the champion, so that a challenger that crashes or hangs harms nobody; `mirror-n` holds the same servers
behind tight limits, for copies of requests, and `preview-n` for testers, whose requests say nothing about live traffic. Clusters
and routes are read back from the files and from Envoy by `read_clusters` and `read_route`: what is live is asked of Envoy, not
remembered.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seatrial.adapters.envoy_listener import KEY, PREVIEW, Door, listener, typed
from seatrial.files import canonical_json, sha256_bytes

Json = dict[str, Any]

ROUTES = "seatrial"
CONNECT = "0.5s"
IDLE = "2s"
"""Envoy closes an idle connection to a server before the server does (5 s): otherwise a request can meet a closing one."""
GENEROUS = 4096
CONNECTIONS = 16_384
"""Connections of clients that are open at once; the next ones are closed."""
TIGHT = 64
ANOTHER_HOST = 20
"""How often a retry draws again when it meets the server that has just failed; of two servers, one draw in two does."""
TIMES_MS = (1, 2, 3, 5, 7.5, 10, 15, 20, 30, 50, 75, 100, 150, 200, 300, 500, 750, 1000, 2000, 5000, 60_000)
"""Upper bounds of the histograms of answer times. The last one is longer than any answer may take, so that all are in it."""
BODY_BYTES = 32 * 2**20
"""A request up to this size is kept until it is answered, so that it can be sent again."""
_ROUTE = re.compile(r"champion=(\d+) challenger=(\d+|none) weight=(\d+) mirror=(on|off) ")
_NAME = re.compile(r"(version|canary|mirror|preview)-(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where traffic goes, by version; `weight` is the challenger's whole percent, `mirror` copies requests to it instead."""

    champion: int
    challenger: int | None = None
    weight: int = 0
    mirror: bool = False

    @property
    def versions(self) -> tuple[int, ...]:
        """The versions that must run for this route."""
        return (self.champion,) if self.challenger is None else (self.champion, self.challenger)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clusters:
    """What Envoy can reach: the sockets of each version, (challenger, champion) of each canary, and the mirrored versions."""

    sockets: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    canaries: tuple[tuple[int, int], ...] = ()
    mirrors: tuple[int, ...] = ()

    def with_route(self, route: Route) -> Clusters:
        """These and the ones that `route` needs."""
        if route.challenger is None:
            return self
        canaries = dict(self.canaries) | {route.challenger: route.champion}
        mirrors = {*self.mirrors, route.challenger} if route.mirror else set(self.mirrors)
        return Clusters(sockets=self.sockets, canaries=tuple(sorted(canaries.items())), mirrors=tuple(sorted(mirrors)))

    def with_sockets(self, sockets: Mapping[int, tuple[str, ...]]) -> Clusters:
        """These with other servers; what has lost a member goes."""
        canaries = tuple(pair for pair in self.canaries if pair[0] in sockets and pair[1] in sockets)
        return Clusters(sockets=dict(sockets), canaries=canaries, mirrors=tuple(one for one in self.mirrors if one in sockets))


def bootstrap(*, folder: Path, admin: str) -> Json:
    """What Envoy starts with: an admin socket of mode 0600, and where listeners, clusters and routes are read from."""
    return {
        "node": {"id": ROUTES, "cluster": ROUTES},
        "admin": {"address": {"pipe": {"path": admin, "mode": 0o600}}},
        "dynamic_resources": {"lds_config": _watched(folder, "listeners.json"), "cds_config": _watched(folder, "clusters.json")},
        "stats_flush_on_admin": True,
        "stats_config": {"histogram_bucket_settings": [{"match": {"suffix": "upstream_rq_time"}, "buckets": list(TIMES_MS)}]},
        "overload_manager": {"resource_monitors": [_most_connections()]},
    }


def _most_connections() -> Json:
    kind = "type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"
    return typed(
        "envoy.resource_monitors.global_downstream_max_connections", {"@type": kind, "max_active_downstream_connections": CONNECTIONS}
    )


def _watched(folder: Path, name: str) -> Json:
    source = {"path": str(folder / name), "watched_directory": {"path": str(folder)}}
    return {"path_config_source": source, "resource_api_version": "V3", "initial_fetch_timeout": "5s"}


def listeners(door: Door, *, folder: Path) -> bytes:
    """The listeners file; it holds the door's secrets."""
    one = listener(door, routes=_watched(folder, "routes.json"), name=ROUTES)
    return _discovered("envoy.config.listener.v3.Listener", [one], f"{door.host} {door.port}")


def read_address(data: bytes) -> tuple[str, int] | None:
    """Host and port of a listeners file; None for one that is torn or not as it was written."""
    if file_version(data) is None:
        return None
    found = json.loads(data)["resources"][0]["address"]["socket_address"]
    return found["address"], found["port_value"]


def clusters(wanted: Clusters) -> bytes:
    """The clusters file."""
    made = [_servers(f"version-{version}", sockets, GENEROUS) for version, sockets in sorted(wanted.sockets.items())]
    made += [_canary(challenger, champion) for challenger, champion in wanted.canaries]
    made += [_servers(f"mirror-{version}", wanted.sockets[version], TIGHT) for version in wanted.mirrors]
    made += [_servers(f"preview-{version}", sockets, TIGHT) for version, sockets in sorted(wanted.sockets.items())]
    return _discovered("envoy.config.cluster.v3.Cluster", made, "clusters")


def _header(name: str, match: Json) -> Json:
    return {"http_response_headers_match": {"headers": [{"name": name, **match}]}}


_FAULTY: Json = {
    "and_match": {
        "rules": [
            _header(":status", {"string_match": {"prefix": "5"}}),
            {"not_match": _header("retry-after", {"present_match": True})},
        ]
    }
}
"""Errors for which a server may be left out: not that it has too much to do, because the others would have more then."""


def _servers(name: str, sockets: tuple[str, ...], limit: int) -> Json:
    """Servers on their sockets. One that keeps failing is left out for a while, but never the last half.

    That half (the panic threshold) matters: a canary whose challenger has no host left would go to the champion at once,
    and the challenger's failures would not be counted.
    """
    endpoints = [{"endpoint": {"address": {"pipe": {"path": path}}}} for path in sockets]
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": CONNECT,
        "lb_policy": "LEAST_REQUEST",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]},
        "common_lb_config": {"healthy_panic_threshold": {"value": 50}},
        "outlier_detection": {
            "consecutive_5xx": 5,
            "interval": "1s",
            "base_ejection_time": "2s",
            "max_ejection_time": "10s",
            "max_ejection_percent": 100,
            "enforcing_success_rate": 0,
        },
        "circuit_breakers": _breakers(limit),
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "common_http_protocol_options": {"idle_timeout": IDLE},
                "explicit_http_config": {"http_protocol_options": {}},
                "outlier_detection": {"error_matcher": _FAULTY},
            }
        },
    }


def _canary(challenger: int, champion: int) -> Json:
    members = [{"name": f"version-{version}"} for version in (challenger, champion)]
    return {
        "name": f"canary-{challenger}",
        "connect_timeout": CONNECT,
        "lb_policy": "CLUSTER_PROVIDED",
        "cluster_type": typed(
            "envoy.clusters.composite",
            {"@type": "type.googleapis.com/envoy.extensions.clusters.composite.v3.ClusterConfig", "clusters": members},
        ),
        "circuit_breakers": _breakers(GENEROUS),
    }


def _breakers(limit: int) -> Json:
    """Limits of one cluster; Envoy's own 3 retries at a time would let a crash through under load."""
    names = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
    return {"thresholds": [dict.fromkeys(names, limit)]}


def routes(route: Route | None, *, timeout: float) -> bytes:
    """The route file; without a route every request is answered 503. `timeout` is seconds for one attempt."""
    host = {
        "name": ROUTES,
        "domains": ["*"],
        "request_body_buffer_limit": BODY_BYTES,
        "request_headers_to_remove": ["authorization", PREVIEW, KEY],
        "routes": [{"match": {"prefix": "/"}, **_nothing("no version is routed yet")}] if route is None else _routes(route, timeout),
    }
    config = {"name": ROUTES, "validate_clusters": True, "virtual_hosts": [host]}
    return _discovered("envoy.config.route.v3.RouteConfiguration", [config], _version_of(route))


def _nothing(why: str) -> Json:
    return {"direct_response": {"status": 503, "body": {"inline_string": why}}}


def _routes(route: Route, timeout: float) -> list[Json]:
    """Testers first, then everybody."""
    named = {"champion": route.champion, "challenger": route.challenger}
    previews = [
        {"match": {"prefix": "/", "headers": [{"name": PREVIEW, "string_match": {"exact": variant}}]}, **_preview(version, timeout)}
        for variant, version in named.items()
    ]
    return [*previews, {"match": {"prefix": "/"}, "route": _action(route, timeout)}]


def _preview(version: int | None, timeout: float) -> Json:
    """To the very version and nowhere else: no rescue, no copy, and an answer that says which it was."""
    if version is None:
        return _nothing("no challenger runs")
    return {"route": {"cluster": f"preview-{version}", "timeout": f"{timeout:.3f}s"}, **_named("preview")}


def _version_of(route: Route | None) -> str:
    if route is None:
        return "nothing"
    challenger = "none" if route.challenger is None else route.challenger
    return f"champion={route.champion} challenger={challenger} weight={route.weight} mirror={'on' if route.mirror else 'off'}"


def _action(route: Route, timeout: float) -> Json:
    action: Json = {
        "weighted_clusters": {"clusters": _weighted(route), "use_hash_policy": True},
        "hash_policy": [_drawn_by(route)],
        "timeout": f"{2 * timeout + 1:.3f}s",
        "retry_policy": {
            "retry_on": "5xx,connect-failure,reset",
            "num_retries": 1,
            "per_try_timeout": f"{timeout:.3f}s",
            "retry_back_off": {"base_interval": "0.001s", "max_interval": "0.010s"},
            "retry_host_predicate": [
                typed(
                    "envoy.retry_host_predicates.previous_hosts",
                    {"@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"},
                )
            ],
            "host_selection_retry_max_attempts": ANOTHER_HOST,
        },
    }
    if route.mirror and route.challenger is not None:
        action["request_mirror_policies"] = [{"cluster": f"mirror-{route.challenger}"}]
    return action


def _drawn_by(route: Route) -> Json:
    """A request with a key is drawn by it, and one without by chance; another challenger draws its keys anew."""
    salt = {"pattern": {"regex": "^"}, "substitution": f"{route.challenger} "}
    return {"header": {"header_name": KEY, "regex_rewrite": salt}}


def _weighted(route: Route) -> list[Json]:
    """The shares of champion and challenger, in this order: as the weight rises, a key's variant only moves to the challenger."""
    champion = _weight(f"version-{route.champion}", "champion", 100 - route.weight)
    if route.challenger is None or route.weight == 0:
        return [champion]
    return [champion, _weight(f"canary-{route.challenger}", "challenger", route.weight)]


def _weight(cluster: str, variant: str, weight: int) -> Json:
    return {"name": cluster, "weight": weight, **_named(variant)}


def _named(variant: str) -> Json:
    """The header by which server and client are told the variant, whatever a client wrote there."""
    header = {"key": "x-seatrial-variant", "value": variant}
    return {
        "request_headers_to_add": [{"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}],
        "response_headers_to_add": [{"header": header, "append_action": "ADD_IF_ABSENT"}],
    }


def _discovered(kind: str, resources: list[Json], version: str) -> bytes:
    """A discovery file; its version says what it is in words, and by its hash exactly which."""
    typed = [{"@type": f"type.googleapis.com/{kind}", **resource} for resource in resources]
    digest = sha256_bytes(canonical_json(typed)).removeprefix("sha256:")[:16]
    return json.dumps({"version_info": f"{version} {digest}", "resources": typed}, indent=1).encode() + b"\n"


def file_version(data: bytes) -> str | None:
    """The version of a discovery file; None for one that is torn, empty, or not as it was written."""
    try:
        content = json.loads(data)
        version, resources = str(content["version_info"]), content["resources"]
        digest = sha256_bytes(canonical_json(resources)).removeprefix("sha256:")[:16]
    except (ValueError, KeyError, TypeError):
        return None
    return version if version.endswith(f" {digest}") else None


def read_route(version: str) -> Route | None:
    """The route that a version of the route file names; None where it names none."""
    match = _ROUTE.match(version)
    if match is None:
        return None
    champion, challenger, weight, mirror = match.groups()
    named = None if challenger == "none" else int(challenger)
    return Route(champion=int(champion), challenger=named, weight=int(weight), mirror=mirror == "on")


def read_clusters(data: bytes) -> Clusters | None:
    """What a clusters file holds; None for one that is torn or not as it was written."""
    if file_version(data) is None:
        return None
    sockets, canaries, mirrors = {}, [], []
    for resource in json.loads(data)["resources"]:
        match = _NAME.fullmatch(resource["name"])
        kind, version = (match[1], int(match[2])) if match else ("", 0)
        if kind == "version":
            endpoints = resource["load_assignment"]["endpoints"][0]["lb_endpoints"]
            sockets[version] = tuple(one["endpoint"]["address"]["pipe"]["path"] for one in endpoints)
        elif kind == "canary":
            fallback = resource["cluster_type"]["typed_config"]["clusters"][1]["name"]
            canaries.append((version, int(fallback.removeprefix("version-"))))
        elif kind == "mirror":
            mirrors.append(version)
    return Clusters(sockets=sockets, canaries=tuple(canaries), mirrors=tuple(mirrors))
