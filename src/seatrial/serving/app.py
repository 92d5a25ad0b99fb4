"""The ASGI application: routes, limits, headers; whatever a client sends gets an answer in JSON.

No framework: one row is answered in about a tenth of a millisecond, and every layer would show.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from seatrial import __version__
from seatrial.bundle import Manifest
from seatrial.errors import RequestError
from seatrial.serving import inference, protocols, scoring
from seatrial.serving.content import BINARY, JSON, Content, content_of, unpack
from seatrial.serving.metrics import Metrics
from seatrial.serving.openapi import docs_page, openapi
from seatrial.serving.predictions import Entry, PredictionLog
from seatrial.serving.rows import Decoder, Rows
from seatrial.serving.runtime import Runtime

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]
Scope = dict[str, Any]

ROLES = {role.encode(): role for role in ("champion", "challenger", "preview")}
SANE_ID = re.compile(rb"[A-Za-z0-9._:+/=-]{1,128}").fullmatch
HTML = b"text/html; charset=utf-8"
TEXT = b"text/plain; version=0.0.4; charset=utf-8"
INLINE_BYTES = 128 * 1024
"""Larger bodies are decoded and scored in a thread, so that nobody waits behind them."""
DISCARD_FACTOR = 8
"""So many times the largest body is read and thrown away before a client that sends too much is cut off."""
PROBABILITY_SLACK = 1e-5
"""A sum of 32-bit floats may end a little beyond 0 or 1; a model whose answer lies further off is broken."""


class BrokenAnswer(Exception):  # noqa: N818 - the model's fault, answered with 500 so that the endpoint notices
    """The model failed, or answered what is no probability."""


class Disconnected(Exception):  # noqa: N818 - nobody is there to be answered
    """The client went away before its request was whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one request may ask for, how many may wait, and how long one may take to arrive."""

    max_rows: int = 10_000
    max_body: int = 10 * 2**20
    max_waiting: int = 2_048
    read_seconds: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Checked rows with their answers."""

    rows: Rows
    labels: Sequence[str]
    probabilities: Sequence[float]


class Application:
    """One bundle behind HTTP. `boot` names this process; `log` may be None."""

    def __init__(self, runtime: Runtime, *, name: str, version: str, boot: str, limits: Limits, log: PredictionLog | None) -> None:
        manifest, digest = runtime.bundle.manifest, runtime.bundle.digest
        self.metrics = Metrics(manifest, version=version, digest=digest)
        self._runtime = runtime
        self._decoder = Decoder(manifest)
        self._limits = limits
        self._log = log
        self._name, self._version = name, version
        self._prepare(manifest)
        static = [(b"x-seatrial-version", version.encode()), (b"x-seatrial-digest", digest.encode()), (b"x-seatrial-boot", boot.encode())]
        self._headers = {role: [*static, (b"x-seatrial-variant", role.encode())] for role in (*ROLES.values(), "mirror", "direct")}
        self._routes = self._make_routes(boot)

    @property
    def identity(self) -> list[Header]:
        """The headers that name version, digest and process."""
        return self._headers["direct"][:-1]

    def refused(self) -> None:
        """Count a request that was refused because too many waited."""
        self.metrics.requests[503] += 1

    def _prepare(self, manifest: Manifest) -> None:
        """What the answers of a binary task are made with."""
        self._negative, self._positive, self._threshold = manifest.binary
        self._one_row = {
            label: b'{"predictions":[{"label":%b,"probability":' % protocols.encode(label) for label in manifest.target.classes
        }

    def _make_routes(self, boot: str) -> dict[str, bytes | Callable[..., Any]]:
        """Each path with its fixed answer (GET), with what makes its answer (GET), or with what reads its body (POST)."""
        bundle, name, version = self._runtime.bundle, self._name, self._version
        digest, example = bundle.digest, bundle.golden[0]["row"] if bundle.golden else {}
        described = protocols.encode(inference.describe(bundle.manifest, name=name, version=version, digest=digest))
        fixed = {
            "/ping": {"status": "ok"},
            "/health": {"status": "ok"},
            "/version": {"name": name, "version": version, "digest": digest, "boot": boot, "seatrial": __version__},
            "/v2": {"name": "seatrial", "version": __version__, "extensions": ["binary_tensor_data"]},
            "/v2/health/live": {"live": True},
            "/v2/health/ready": {"ready": True},
        }
        routes: dict[str, bytes | Callable[..., Any]] = {path: protocols.encode(answer) for path, answer in fixed.items()}
        for model in (f"/v2/models/{name}", f"/v2/models/{name}/versions/{version}"):
            routes[model] = described
            routes[f"{model}/ready"] = protocols.encode({"name": name, "ready": True})
            routes[f"{model}/infer"] = self._infer
        self._page = docs_page(bundle.manifest, example, name=name, version=version, digest=digest).encode()
        routes["/openapi.json"] = protocols.encode(openapi(bundle.manifest, example, name=name, version=version, digest=digest))
        return routes | {"/docs": self._render_docs, "/metrics": self._render_metrics, "/invocations": self._invocations}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started = time.perf_counter()
        headers = dict(scope["headers"])
        role = _role(headers)
        request_id = _request_id(headers)
        extra: tuple[Header, ...] = ()
        content = JSON
        try:
            status = 200
            route = self._route(scope)
            if type(route) is bytes:
                body = route
            elif route == self._render_metrics:
                body, content = self._render_metrics(), TEXT
            elif route == self._render_docs:
                body, content = self._page, HTML
            else:
                body, header = await self._score(route, headers, receive, started, role, request_id)
                if header is not None:
                    content, extra = BINARY, ((b"inference-header-content-length", b"%d" % header),)
        except RequestError as error:
            status, body, extra = error.status, protocols.write_error(error, short=_is_v2(scope)), _allow(scope, error)
        except BrokenAnswer as error:
            print(f"request {request_id.decode()}: {error}", file=sys.stderr, flush=True)
            status, body = 500, protocols.write_error(RequestError(str(error), status=500), short=_is_v2(scope))
        except Disconnected:
            return
        self.metrics.requests[status] += 1
        length = b"%d" % len(body)
        answer = [*self._headers[role], (b"x-request-id", request_id), (b"content-type", content), (b"content-length", length), *extra]
        await send({"type": "http.response.start", "status": status, "headers": answer})
        await send({"type": "http.response.body", "body": body})

    def _route(self, scope: Scope) -> Any:
        path, method = scope["path"], scope["method"]
        route = self._routes.get(path)
        if route is None:
            raise RequestError(_unknown_path(path, self._name), status=404)
        posted = route in (self._invocations, self._infer)
        if method != "POST" if posted else method not in ("GET", "HEAD"):
            wanted = "POST" if posted else "GET"
            raise RequestError(f"{path} is asked with {wanted}, not with {method[:20]}", status=405)
        return route

    def _render_docs(self) -> bytes:
        return self._page

    def _render_metrics(self) -> bytes:
        log = self._log
        written, dropped, lost = (log.written, log.lost, log.lost_before) if log else (0, 0, 0)
        return self.metrics.render(log_written=written, log_dropped=dropped, log_lost=lost)

    async def _score(
        self,
        answer: Callable[[bytes, Content], tuple[Scored, bytes, int | None]],
        headers: dict[bytes, bytes],
        receive: Receive,
        started: float,
        role: str,
        request_id: bytes,
    ) -> tuple[bytes, int | None]:
        """Read the body, check and score its rows, write them to the log; gives the answer, and its JSON's length where it is binary."""
        content = content_of(headers, tensors=answer == self._infer)
        body = await _read_body(headers, receive, self._limits.max_body)
        if content.packed:
            body = unpack(body, self._limits.max_body)
        if len(body) <= INLINE_BYTES:
            scored, reply, header = answer(body, content)
        else:
            scored, reply, header = await asyncio.get_running_loop().run_in_executor(None, answer, body, content)
        rows = scored.rows
        self.metrics.answered(rows.count, rows.unusual, rows.unknown)
        if self._log is not None and rows.count and self._log.keeps(request_id):
            self._log.append(
                Entry(
                    request_id=request_id.decode(),
                    time=time.time_ns() // 1000,
                    variant=role,
                    simulated=headers.get(b"x-seatrial-simulated") == b"1",
                    count=rows.count,
                    values=rows.values,
                    ids=rows.ids,
                    labels=scored.labels,
                    probabilities=scored.probabilities,
                    latency_ms=(time.perf_counter() - started) * 1000,
                    size=len(body),
                )
            )
            asyncio.get_running_loop().call_soon(self._log.sent, rows.count)  # in the loop's next turn, when the answer is written
        return reply, header

    def _invocations(self, body: bytes, content: Content) -> tuple[Scored, bytes, None]:
        read = scoring.read_csv if content.csv else scoring.read_invocation
        scored = self._answer(read(body, self._decoder, max_rows=self._limits.max_rows))
        if scored.rows.count == 1:
            return scored, b"%b%b}]}" % (self._one_row[scored.labels[0]], repr(scored.probabilities[0]).encode()), None
        return scored, scoring.write_predictions(scored.labels, scored.probabilities), None

    def _infer(self, body: bytes, content: Content) -> tuple[Scored, bytes, int | None]:
        asked = inference.read_inference(body, self._decoder, max_rows=self._limits.max_rows, header=content.header)
        scored = self._answer(asked.rows)
        reply, header = inference.write_inference(asked, scored.labels, scored.probabilities, name=self._name, version=self._version)
        return scored, reply, header

    def _answer(self, rows: Rows) -> Scored:
        probabilities = self._probabilities(rows)
        labels = [self._positive if value >= self._threshold else self._negative for value in probabilities]
        return Scored(rows=rows, labels=labels, probabilities=probabilities)

    def _probabilities(self, rows: Rows) -> list[float]:
        try:
            found: list[float] = self._runtime.score(rows.tensors).tolist()
        except Exception as error:
            raise BrokenAnswer(f"the model failed: {type(error).__name__}") from error
        for row, value in enumerate(found):
            if not 0 <= value <= 1:
                if not -PROBABILITY_SLACK <= value <= 1 + PROBABILITY_SLACK:
                    raise BrokenAnswer(f"the model answered {value!r} for row {row}, which is no probability")
                found[row] = min(max(value, 0.0), 1.0)
        return found


def _role(headers: dict[bytes, bytes]) -> str:
    """What this process is for this request: Envoy marks a mirrored request by its host, and the others by a header."""
    if headers.get(b"host", b"").partition(b":")[0].endswith(b"-shadow"):
        return "mirror"
    return ROLES.get(headers.get(b"x-seatrial-variant", b""), "direct")


def _request_id(headers: dict[bytes, bytes]) -> bytes:
    given = headers.get(b"x-request-id")
    return given if given and SANE_ID(given) else os.urandom(16).hex().encode()


def _is_v2(scope: Scope) -> bool:
    return str(scope["path"]).startswith("/v2")


async def _read_body(headers: dict[bytes, bytes], receive: Receive, limit: int) -> bytes:
    """The whole body; RequestError where it has more than `limit` bytes."""
    announced = headers.get(b"content-length", b"")
    if announced.isdigit() and int(announced) > limit:
        if b"expect" not in headers:  # who asks first has not sent anything yet
            await _discard(receive, limit)
        raise _too_large(limit)
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        body: bytes = message["body"]
        if len(body) > limit:
            raise _too_large(limit)
        return body
    return await _read_parts(message, receive, limit)


async def _read_parts(message: dict[str, Any], receive: Receive, limit: int) -> bytes:
    parts = bytearray()
    while True:
        if message["type"] != "http.request":
            raise Disconnected
        parts += message.get("body", b"")
        if len(parts) > limit:
            if message.get("more_body"):
                await _discard(receive, limit)
            raise _too_large(limit)
        if not message.get("more_body"):
            return bytes(parts)
        message = await receive()


async def _discard(receive: Receive, limit: int) -> None:
    """Let a client finish sending, within bounds: most read no answer before, and a closed connection tells them nothing."""
    left = DISCARD_FACTOR * limit
    while left > 0:
        message = await receive()
        if message["type"] != "http.request":
            raise Disconnected
        if not message.get("more_body"):
            return
        left -= len(message.get("body", b""))


def _too_large(limit: int) -> RequestError:
    return RequestError(f"the body has more than {limit} bytes; send the rows in parts", status=413)


def _unknown_path(path: str, name: str) -> str:
    if path.startswith("/v2/models/"):
        return f"there is no model at {path[:100]!r}; this server has /v2/models/{name}"
    return f"there is nothing at {path[:100]!r}; rows are scored by POST /invocations or /v2/models/{name}/infer"


def _allow(scope: Scope, error: RequestError) -> tuple[Header, ...]:
    if error.status != 405:
        return ()
    posted = scope["path"] == "/invocations" or scope["path"].endswith("/infer")
    return ((b"allow", b"POST" if posted else b"GET, HEAD"),)
