"""Envoy's configuration as data: bootstrap, clusters and routes are pure functions of variants, route and settings.

For a version n there are three kinds of cluster: `version-n` holds its servers; `canary-n` sends an attempt to version n and
its one retry to the champion, so that a challenger that crashes or hangs harms nobody; `mirror-n` holds the same servers
behind tight limits, for copies of requests. Clusters and routes are read back from the files and from Envoy by `read_clusters`
and `read_route`: what is live is asked of Envoy, not remembered.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seatrial.files import canonical_json, sha256_bytes

Json = dict[str, Any]

ROUTES = "seatrial"
LISTENER = "public"
CONNECT = "0.5s"
IDLE = "2s"
"""Envoy closes an idle connection to a server before the server does (5 s): otherwise a request can meet a closing one."""
GENEROUS = 4096
TIGHT = 64
ANOTHER_HOST = 20
"""How often a retry draws again when it meets the server that has just failed; of two servers, one draw in two does."""
TIMES_MS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 75, 100, 150, 200, 300, 500, 750, 1000, 2000, 5000, 60_000)
"""Upper bounds of the histograms of answer times. The last one is longer than any answer may take, so that all are in it."""
BODY_BYTES = 32 * 2**20
"""A request up to this size is kept until it is answered, so that it can be sent again."""
_ROUTE = re.compile(r"champion=(\d+) challenger=(\d+|none) weight=(\d+) mirror=(on|off) ")
_NAME = re.compile(r"(version|canary|mirror)-(\d+)")


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


def bootstrap(*, host: str, port: int, folder: Path, admin: str) -> Json:
    """What Envoy starts with: one listener, an admin socket of mode 0600, and where clusters and routes are read from."""
    return {
        "node": {"id": ROUTES, "cluster": ROUTES},
        "admin": {"address": {"pipe": {"path": admin, "mode": 0o600}}},
        "dynamic_resources": {"cds_config": _watched(folder, "clusters.json")},
        "static_resources": {"listeners": [_listener(host, port, folder)]},
        "stats_flush_on_admin": True,
        "stats_config": {"histogram_bucket_settings": [{"match": {"suffix": "upstream_rq_time"}, "buckets": list(TIMES_MS)}]},
    }


def _watched(folder: Path, name: str) -> Json:
    source = {"path": str(folder / name), "watched_directory": {"path": str(folder)}}
    return {"path_config_source": source, "resource_api_version": "V3", "initial_fetch_timeout": "5s"}


def _listener(host: str, port: int, folder: Path) -> Json:
    return {
        "name": LISTENER,
        "address": {"socket_address": {"address": host, "port_value": port}},
        # With reuse_port a second Envoy would silently share the port.
        "enable_reuse_port": False,
        "per_connection_buffer_limit_bytes": 2**20,
        "filter_chains": [{"filters": [_typed("envoy.filters.network.http_connection_manager", _manager(folder))]}],
    }


def _manager(folder: Path) -> Json:
    prefix = "type.googleapis.com/envoy.extensions"
    return {
        "@type": f"{prefix}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": LISTENER,
        "rds": {"route_config_name": ROUTES, "config_source": _watched(folder, "routes.json")},
        # The client's own request id is kept as it is: without this, Envoy writes its trace decision into a UUID.
        "request_id_extension": {"typed_config": {"@type": f"{prefix}.request_id.uuid.v3.UuidRequestIdConfig", "pack_trace_reason": False}},
        "preserve_external_request_id": True,
        "always_set_request_id_in_response": True,
        # Every client is an outsider: Envoy takes off the headers by which it could change retries, timeouts or statistics.
        "use_remote_address": True,
        "server_header_transformation": "PASS_THROUGH",
        "request_headers_timeout": "10s",
        "request_timeout": "60s",
        "stream_idle_timeout": "60s",
        "http_filters": [
            _typed(
                "envoy.filters.http.router",
                {"@type": f"{prefix}.filters.http.router.v3.Router", "suppress_envoy_headers": True},
            )
        ],
    }


def _typed(name: str, config: Json) -> Json:
    return {"name": name, "typed_config": config}


def clusters(wanted: Clusters) -> bytes:
    """The clusters file."""
    made = [_servers(f"version-{version}", sockets, GENEROUS) for version, sockets in sorted(wanted.sockets.items())]
    made += [_canary(challenger, champion) for challenger, champion in wanted.canaries]
    made += [_servers(f"mirror-{version}", wanted.sockets[version], TIGHT) for version in wanted.mirrors]
    return _discovered("envoy.config.cluster.v3.Cluster", made, "clusters")


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
            }
        },
    }


def _canary(challenger: int, champion: int) -> Json:
    members = [{"name": f"version-{version}"} for version in (challenger, champion)]
    return {
        "name": f"canary-{challenger}",
        "connect_timeout": CONNECT,
        "lb_policy": "CLUSTER_PROVIDED",
        "cluster_type": _typed(
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
    version = _version_of(route)
    if route is None:
        body = {"inline_string": '{"error":"no version is routed yet"}\n'}
        action: Json = {"direct_response": {"status": 503, "body": body}}
    else:
        action = {"route": _action(route, timeout)}
    host = {
        "name": ROUTES,
        "domains": ["*"],
        "request_body_buffer_limit": BODY_BYTES,
        "routes": [{"match": {"prefix": "/"}, **action}],
    }
    config = {"name": ROUTES, "validate_clusters": True, "virtual_hosts": [host]}
    return _discovered("envoy.config.route.v3.RouteConfiguration", [config], version)


def _version_of(route: Route | None) -> str:
    if route is None:
        return "nothing"
    challenger = "none" if route.challenger is None else route.challenger
    return f"champion={route.champion} challenger={challenger} weight={route.weight} mirror={'on' if route.mirror else 'off'}"


def _action(route: Route, timeout: float) -> Json:
    action: Json = {
        "weighted_clusters": {"clusters": _weighted(route)},
        "timeout": f"{2 * timeout + 1:.3f}s",
        "retry_policy": {
            "retry_on": "5xx,connect-failure,reset",
            "num_retries": 1,
            "per_try_timeout": f"{timeout:.3f}s",
            "retry_back_off": {"base_interval": "0.001s", "max_interval": "0.010s"},
            "retry_host_predicate": [
                _typed(
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


def _weighted(route: Route) -> list[Json]:
    champion = _weight(f"version-{route.champion}", "champion", 100 - route.weight)
    if route.challenger is None or route.weight == 0:
        return [champion]
    return [champion, _weight(f"canary-{route.challenger}", "challenger", route.weight)]


def _weight(cluster: str, variant: str, weight: int) -> Json:
    header = {"key": "x-seatrial-variant", "value": variant}
    return {
        "name": cluster,
        "weight": weight,
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
