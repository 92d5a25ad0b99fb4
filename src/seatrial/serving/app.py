"""The ASGI application: routes, limits, headers; whatever a client sends gets an answer in JSON.

No framework: one row is answered in about a tenth of a millisecond, and every layer would show.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from seatrial import __version__
from seatrial.bundle import Manifest
from seatrial.errors import RequestError
from seatrial.serving import inference, protocols, scoring
from seatrial.serving.batches import BrokenAnswer, score_all, score_alone
from seatrial.serving.content import BINARY, Content, content_of, unpack
from seatrial.serving.exchange import (
    NOT_AGAIN,
    RETRY_AFTER,
    ROLES,
    Answered,
    Asked,
    Disconnected,
    Header,
    Receive,
    Reply,
    Request,
    Scope,
    Send,
    check_waited,
    in_http,
    read_body,
    request_of,
)
from seatrial.serving.metrics import Metrics
from seatrial.serving.openapi import docs_page, openapi
from seatrial.serving.predictions import Entry, PredictionLog
from seatrial.serving.rows import Decoder
from seatrial.serving.runtime import Probabilities, Runtime

HTML = b"text/html; charset=utf-8"
TEXT = b"text/plain; version=0.0.4; charset=utf-8"
INLINE_BYTES = 128 * 1024
"""Larger bodies are decoded and scored in a thread, so that nobody waits behind them."""
DIRECT_BYTES = 64 * 1024
"""Requests up to this size are answered without a task of their own; uvicorn stops reading a connection beyond it."""
PROBABILITY_SLACK = 1e-5
"""A sum of 32-bit floats may end a little beyond 0 or 1; a model whose answer lies further off is broken."""

Reader = Callable[[bytes, Content], Asked]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one request may ask for, how many may wait and how long, how long one may take to arrive, and how many rows are one call."""

    max_rows: int = 10_000
    max_body: int = 10 * 2**20
    max_waiting: int = 1_024
    deadline_s: float = 2.0
    read_seconds: float = 60.0
    batch: int = 1


class Application:
    """One bundle behind HTTP. `boot` names this process; `log` may be None."""

    def __init__(self, runtime: Runtime, *, name: str, version: str, boot: str, limits: Limits, log: PredictionLog | None) -> None:
        manifest, digest = runtime.bundle.manifest, runtime.bundle.digest
        self.metrics = Metrics(manifest, version=version, digest=digest)
        self._runtime = runtime
        self._decoder = Decoder(manifest)
        self._limits = limits
        self._log = log
        self._answered: list[Entry] = []
        self._unsent = 0
        self._name, self._version = name, version
        self._prepare(manifest)
        static = [(b"x-seatrial-version", version.encode()), (b"x-seatrial-digest", digest.encode()), (b"x-seatrial-boot", boot.encode())]
        self._headers = {role: [*static, (b"x-seatrial-variant", role.encode())] for role in (*ROLES.values(), "mirror", "direct")}
        self._lines = {role: b"".join(b"%b: %b\r\n" % pair for pair in headers) for role, headers in self._headers.items()}
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
        self._outputs: inference.Outputs = inference.OUTPUTS
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
        request = request_of(scope, started=time.perf_counter())
        try:
            reply = await self._reply(request, receive)
        except (RequestError, BrokenAnswer) as error:
            reply = self._failed(request, error)
        except Disconnected:
            return
        self.metrics.requests[reply.status] += 1
        own = [(b"x-request-id", request.id), (b"content-type", reply.content), (b"content-length", b"%d" % len(reply.body))]
        headers = [*self._headers[request.role], *own, *reply.extra]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})

    def takes(self, scope: Scope) -> bool:
        """Whether `answer` may be given this request: rows to score, in a small body that is announced and not packed."""
        if scope["method"] != "POST" or self._routes.get(scope["path"]) not in (self._invocations, self._infer):
            return False
        length = b""
        for name, value in scope["headers"]:
            if name == b"content-length":
                length = value
            elif name in (b"expect", b"transfer-encoding", b"content-encoding"):
                return False
        return length.isdigit() and int(length) <= min(DIRECT_BYTES, self._limits.max_body)

    def answer(self, requests: Sequence[tuple[Request, bytes]]) -> list[Reply]:
        """The replies to requests that wait at the same time; those of one row are scored in one call, where that pays.

        What is wrong with one of them is no concern of the others.
        """
        read = [self._read_or_refuse(request, body) for request, body in requests]
        rows = [one.rows for one in read if isinstance(one, Asked)]
        found = iter(score_all(self._runtime, rows, largest=self._limits.batch))
        replies = []
        for (request, body), one in zip(requests, read, strict=True):
            answers = next(found) if isinstance(one, Asked) else one
            replies.append(self._reply_to(request, one, answers, len(body)))
        self._keep_answered()
        return replies

    def in_http(self, request: Request, reply: Reply, *, first: Sequence[Header], keep_alive: bool) -> bytes:
        """A reply of `answer` as it goes over the wire."""
        return in_http(request, reply, first=first, identity=self._lines[request.role], keep_alive=keep_alive)

    def _read_or_refuse(self, request: Request, body: bytes) -> Asked | RequestError:
        try:
            check_waited(request, time.perf_counter() - request.started, limit=self._limits.deadline_s)
            read = self._routes[request.path]
            return read(body, content_of(request.headers, tensors=read == self._infer))  # type: ignore[operator, no-any-return]
        except RequestError as error:
            return error

    def _reply_to(self, request: Request, asked: Asked | RequestError, found: Probabilities | Exception, size: int) -> Reply:
        try:
            if isinstance(asked, RequestError):
                raise asked
            if isinstance(found, Exception):
                raise found
            reply = self._finish(request, asked, self._write(asked, found), size)
        except (RequestError, BrokenAnswer) as error:
            reply = self._failed(request, error)
        self.metrics.requests[reply.status] += 1
        return reply

    async def _reply(self, request: Request, receive: Receive) -> Reply:
        route = self._route(request)
        if type(route) is bytes:
            return Reply(body=route)
        if route == self._render_metrics:
            return Reply(body=self._render_metrics(), content=TEXT)
        if route == self._render_docs:
            return Reply(body=self._page, content=HTML)
        return await self._score(request, route, receive)

    def _failed(self, request: Request, error: RequestError | BrokenAnswer) -> Reply:
        if isinstance(error, BrokenAnswer):
            print(f"request {request.id.decode()}: {error}", file=sys.stderr, flush=True)
            error = RequestError(str(error), status=500)
        body = protocols.write_error(error, short=request.path.startswith("/v2"))
        return Reply(status=error.status, body=body, extra=_extra(request, error))

    def _route(self, request: Request) -> Any:
        path, method = request.path, request.method
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

    async def _score(self, request: Request, read: Reader, receive: Receive) -> Reply:
        """Read the body, check and score its rows: in a thread where they are many."""
        content = content_of(request.headers, tensors=read == self._infer)
        body = await read_body(request.headers, receive, self._limits.max_body)
        whole = time.perf_counter()
        if content.packed:
            body = unpack(body, self._limits.max_body)

        def work() -> tuple[Asked, Answered]:
            check_waited(request, time.perf_counter() - whole, limit=self._limits.deadline_s)
            asked = read(body, content)
            return asked, self._write(asked, score_alone(self._runtime, asked.rows))

        asked, answered = work() if len(body) <= INLINE_BYTES else await asyncio.get_running_loop().run_in_executor(None, work)
        reply = self._finish(request, asked, answered, len(body))
        self._keep_answered()
        return reply

    def _finish(self, request: Request, asked: Asked, answered: Answered, size: int) -> Reply:
        """Count what was answered, and note it for the log."""
        rows = asked.rows
        self.metrics.answered(rows.count, rows.unusual, rows.unknown)
        if self._log is not None and rows.count and self._log.keeps(request.id):
            self._answered.append(
                Entry(
                    request_id=request.id.decode(),
                    time=time.time_ns() // 1000,
                    variant=request.role,
                    simulated=request.headers.get(b"x-seatrial-simulated") == b"1",
                    rows=rows,
                    labels=answered.labels,
                    probabilities=answered.probabilities,
                    latency_ms=(time.perf_counter() - request.started) * 1000,
                    size=size,
                )
            )
        if answered.header is None:
            return Reply(body=answered.body)
        return Reply(body=answered.body, content=BINARY, extra=((b"inference-header-content-length", b"%d" % answered.header),))

    def _keep_answered(self) -> None:
        """Give the log what was answered since the last time, before anything of it is sent."""
        if self._log is None or not self._answered:
            return
        rows = self._log.append(*self._answered)
        if not self._unsent:  # in the loop's next turn the answers of this one are with the kernel
            asyncio.get_running_loop().call_soon(self._sent, self._log)
        self._unsent += rows
        self._answered.clear()

    def _sent(self, log: PredictionLog) -> None:
        log.sent(self._unsent)
        self._unsent = 0

    def _invocations(self, body: bytes, content: Content) -> Asked:
        read = scoring.read_csv if content.csv else scoring.read_invocation
        return Asked(rows=read(body, self._decoder, max_rows=self._limits.max_rows))

    def _infer(self, body: bytes, content: Content) -> Asked:
        asked = inference.read_inference(body, self._decoder, max_rows=self._limits.max_rows, header=content.header, known=self._outputs)
        return Asked(rows=asked.rows, inference=asked)

    def _write(self, asked: Asked, found: Probabilities) -> Answered:
        """The answer to rows from what the model says of them; BrokenAnswer where that is none."""
        probabilities = _probabilities(found)
        labels = [self._positive if value >= self._threshold else self._negative for value in probabilities]
        header = None
        if asked.inference is not None:
            body, header = inference.write_inference(asked.inference, labels, probabilities, name=self._name, version=self._version)
        elif len(labels) == 1:
            body = b"%b%b}]}" % (self._one_row[labels[0]], repr(probabilities[0]).encode())
        else:
            body = scoring.write_predictions(labels, probabilities)
        return Answered(body=body, header=header, labels=labels, probabilities=probabilities)


def _probabilities(found: Probabilities) -> list[float]:
    values: list[float] = found.tolist()
    for row, value in enumerate(values):
        if not 0 <= value <= 1:
            if not -PROBABILITY_SLACK <= value <= 1 + PROBABILITY_SLACK:
                raise BrokenAnswer(f"the model answered {value!r} for row {row}, which is no probability")
            values[row] = min(max(value, 0.0), 1.0)
    return values


def _unknown_path(path: str, name: str) -> str:
    if path.startswith("/v2/models/"):
        return f"there is no model at {path[:100]!r}; this server has /v2/models/{name}"
    return f"there is nothing at {path[:100]!r}; rows are scored by POST /invocations or /v2/models/{name}/infer"


def _extra(request: Request, error: RequestError) -> tuple[Header, ...]:
    """Headers that some refusals need."""
    if error.status == 503:
        return (RETRY_AFTER, NOT_AGAIN) if request.role == "champion" else (RETRY_AFTER,)
    if error.status != 405:
        return ()
    posted = request.path == "/invocations" or request.path.endswith("/infer")
    return ((b"allow", b"POST" if posted else b"GET, HEAD"),)
