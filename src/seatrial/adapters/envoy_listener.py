"""Envoy's listener as data: who may come in, who is a tester, what a request's key is, and what is written about it.

The listener turns what a client sends into two headers that only it can set: `x-seatrial-preview` (a tester's choice of variant)
and `x-seatrial-key` (what a client's variant is drawn by). Routes match on these alone, so that no secret stands in a route, and
whoever moves traffic needs to know none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Json = dict[str, Any]

LISTENER = "public"
PREVIEW, KEY = "x-seatrial-preview", "x-seatrial-key"
HEALTH = "/ping"
"""The one path that needs no token: it says that a server answers, and nothing else."""
AccessLog = Literal["all", "errors", "none"]
_EXTENSIONS = "type.googleapis.com/envoy.extensions"
_SCRIPT = Path(__file__).with_name("sticky_field.lua")


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Where Envoy listens and whom it lets in: tokens and PEM texts are the secrets themselves, so nothing shows them.

    At most one of `sticky_header` and `sticky_field` is given; without them each request is drawn for itself.
    """

    host: str
    port: int
    access_log: AccessLog = "all"
    sticky_header: str | None = None
    sticky_field: str | None = None
    token: str | None = field(default=None, repr=False)
    tester_token: str | None = field(default=None, repr=False)
    certificate: str | None = field(default=None, repr=False)
    key: str | None = field(default=None, repr=False)


def listener(door: Door, *, routes: Json, name: str) -> Json:
    """The listener; `routes` says where the routes of this `name` are read from."""
    chain: Json = {"filters": [typed("envoy.filters.network.http_connection_manager", _manager(door, routes, name))]}
    if door.certificate is not None:
        chain["transport_socket"] = typed("envoy.transport_sockets.tls", _tls(door))
    return {
        "name": LISTENER,
        "address": {"socket_address": {"address": door.host, "port_value": door.port}},
        # With reuse_port a second Envoy would silently share the port.
        "enable_reuse_port": False,
        "per_connection_buffer_limit_bytes": 2**20,
        "filter_chains": [chain],
    }


def typed(name: str, config: Json) -> Json:
    """An extension with its configuration."""
    return {"name": name, "typed_config": config}


def _tls(door: Door) -> Json:
    pair = {"certificate_chain": {"inline_string": door.certificate}, "private_key": {"inline_string": door.key}}
    return {
        "@type": f"{_EXTENSIONS}.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
            "tls_certificates": [pair],
            "alpn_protocols": ["h2", "http/1.1"],
        },
    }


def _manager(door: Door, routes: Json, name: str) -> Json:
    return {
        "@type": f"{_EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": LISTENER,
        "rds": {"route_config_name": name, "config_source": routes},
        # The client's own request id is kept as it is: without this, Envoy writes its trace decision into a UUID.
        "request_id_extension": {
            "typed_config": {"@type": f"{_EXTENSIONS}.request_id.uuid.v3.UuidRequestIdConfig", "pack_trace_reason": False}
        },
        "preserve_external_request_id": True,
        "always_set_request_id_in_response": True,
        # Every client is an outsider: Envoy takes off the headers by which it could change retries, timeouts or statistics.
        "use_remote_address": True,
        "server_header_transformation": "PASS_THROUGH",
        "request_headers_timeout": "10s",
        "request_timeout": "60s",
        "stream_idle_timeout": "60s",
        "http2_protocol_options": {"max_concurrent_streams": 100},
        "early_header_mutation_extensions": [_headers(door)],
        "http_filters": [*_filters(door), typed("envoy.filters.http.router", _router())],
        "local_reply_config": _replies(),
        "access_log": _access_log(door.access_log),
    }


def _headers(door: Door) -> Json:
    """What becomes of headers before anything else sees them: a client's word for ours goes, ours come, and tokens go."""
    changes: list[Json] = [{"remove": PREVIEW}, {"remove": KEY}]
    if door.tester_token is not None:
        wish = f"request.headers['x-seatrial-token'] == '{door.tester_token}' ? request.headers['x-seatrial-variant'] : ''"
        changes.append(_set(PREVIEW, f"%CEL({wish})%"))
    if door.sticky_header is not None:
        changes.append(_set(KEY, f"%REQ({door.sticky_header})%"))
    changes.append({"remove": "x-seatrial-token"})
    config = {"@type": f"{_EXTENSIONS}.http.early_header_mutation.header_mutation.v3.HeaderMutation", "mutations": changes}
    return typed("envoy.http.early_header_mutation.header_mutation", config)


def _set(name: str, value: str) -> Json:
    """Set a header; an empty value sets none."""
    return {"append": {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}}


def _filters(door: Door) -> list[Json]:
    found = []
    if door.token is not None:
        found.append(typed("envoy.filters.http.rbac", _bearer(door.token)))
    if door.sticky_field is not None:
        script = _SCRIPT.read_text().replace("@FIELD@", lua_text(door.sticky_field)).replace("@KEY@", lua_text(KEY))
        config = {"@type": f"{_EXTENSIONS}.filters.http.lua.v3.Lua", "default_source_code": {"inline_string": script}}
        found.append(typed("envoy.filters.http.lua", config))
    return found


def lua_text(text: str) -> str:
    """A text as Lua writes it, every byte by its number: nothing in it can end the text."""
    return '"' + "".join(f"\\{byte:03d}" for byte in text.encode()) + '"'


def _bearer(token: str) -> Json:
    """Who has the token, or asks for the health path; Envoy's RBAC, because its filter for API keys is not finished."""
    any_one = [{"any": True}]
    schemes = [{"header": {"name": "authorization", "string_match": {"exact": f"{scheme} {token}"}}} for scheme in ("Bearer", "bearer")]
    health = [{"header": {"name": ":path", "string_match": {"exact": HEALTH}}}]
    policies = {"token": {"permissions": any_one, "principals": schemes}, "health": {"permissions": health, "principals": any_one}}
    return {"@type": f"{_EXTENSIONS}.filters.http.rbac.v3.RBAC", "rules": {"action": "ALLOW", "policies": policies}}


def _replies() -> Json:
    """What Envoy answers itself is JSON, as a server's answers are.

    403 is what RBAC says, and means 401 here; UO is a limit on what may be under way.
    """
    body: Json = {"json_format": {"error": "%LOCAL_REPLY_BODY%"}}
    refused = {
        "filter": _status_filter("EQ", 403),
        "status_code": 401,
        "headers_to_add": [{"header": {"key": "www-authenticate", "value": "Bearer"}}],
        "body_format_override": {"json_format": {"error": "a bearer token is needed: authorization: Bearer ..."}},
    }
    crowded = {
        "filter": {"response_flag_filter": {"flags": ["UO"]}},
        "headers_to_add": [{"header": {"key": "retry-after", "value": "1"}}],
        "body_format_override": {"json_format": {"error": "too many requests are under way; ask again after a second"}},
    }
    return {"mappers": [refused, crowded], "body_format": body}


def _status_filter(operator: str, status: int) -> Json:
    value = {"default_value": status, "runtime_key": f"seatrial.status.{operator}"}
    return {"status_code_filter": {"comparison": {"op": operator, "value": value}}}


def _router() -> Json:
    return {"@type": f"{_EXTENSIONS}.filters.http.router.v3.Router", "suppress_envoy_headers": True}


def _access_log(kept: AccessLog) -> list[Json]:
    """One line of JSON a request on standard output; what a client sent is in it by size, never by content."""
    if kept == "none":
        return []
    line = {
        "time": "%START_TIME%",
        "request_id": "%REQ(x-request-id):128%",
        "method": "%REQ(:method):16%",
        "path": "%PATH(NQ):256%",
        "status": "%RESPONSE_CODE%",
        "received_bytes": "%BYTES_RECEIVED%",
        "sent_bytes": "%BYTES_SENT%",
        "duration_ms": "%DURATION%",
        "cluster": "%UPSTREAM_CLUSTER%",
        "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
        "flags": "%RESPONSE_FLAGS%",
        "variant": "%RESP(x-seatrial-variant)%",
        "version": "%RESP(x-seatrial-version)%",
        "digest": "%RESP(x-seatrial-digest)%",
    }
    config: Json = {"@type": f"{_EXTENSIONS}.access_loggers.stream.v3.StdoutAccessLog", "log_format": {"json_format": line}}
    one = typed("envoy.access_loggers.stdout", config)
    if kept == "errors":
        one["filter"] = {"or_filter": {"filters": [_status_filter("GE", 400), {"response_flag_filter": {}}]}}
    return [one]
