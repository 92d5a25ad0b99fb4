"""A request and its reply, between HTTP and the application: what is kept of them, how a body is read, how an answer is written."""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from seatrial.errors import RequestError
from seatrial.serving.content import JSON
from seatrial.serving.inference import Inference
from seatrial.serving.rows import Rows

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]
Scope = dict[str, Any]

ROLES = {role.encode(): role for role in ("champion", "challenger", "preview")}
SANE_ID = re.compile(rb"[A-Za-z0-9._:+/=-]{1,128}").fullmatch
PATIENCE = b"x-envoy-expected-rq-timeout-ms"
"""The header in which Envoy says after how long it gives an attempt up; whoever asks a server directly may send it too."""
RETRY_AFTER = (b"retry-after", b"1")
NOT_AGAIN = (b"x-envoy-ratelimited", b"true")
"""What Envoy takes as: do not ask again."""
DISCARD_FACTOR = 8
"""So many times the largest body is read and thrown away before a client that sends too much is cut off."""


class Disconnected(Exception):  # noqa: N818 - nobody is there to be answered
    """The client went away before its request was whole."""


@dataclass(slots=True, kw_only=True)
class Request:
    """What is known of a request beside its body; `started` is when it came, in seconds of `time.perf_counter`."""

    path: str
    method: str
    headers: dict[bytes, bytes]
    role: str
    id: bytes
    started: float


@dataclass(slots=True, kw_only=True)
class Asked:
    """A body that was read: its checked rows, and what the Open Inference Protocol says beside them."""

    rows: Rows
    inference: Inference | None = None


@dataclass(slots=True, kw_only=True)
class Answered:
    """An answer's body, the length of its JSON where binary data follows, and what the log keeps of it."""

    body: bytes
    header: int | None = None
    labels: Sequence[str] = ()
    probabilities: Sequence[float] = ()


@dataclass(slots=True, kw_only=True)
class Reply:
    """What is sent back."""

    body: bytes
    status: int = 200
    content: bytes = JSON
    extra: tuple[Header, ...] = ()


def request_of(scope: Scope, *, started: float) -> Request:
    """The request behind an ASGI scope, with an id of its own where it brings none that is sane."""
    headers = dict(scope["headers"])
    given = headers.get(b"x-request-id")
    return Request(
        path=scope["path"],
        method=scope["method"],
        headers=headers,
        role=_role(headers),
        id=given if given and SANE_ID(given) else os.urandom(16).hex().encode(),
        started=started,
    )


def _role(headers: Mapping[bytes, bytes]) -> str:
    """What this process is for this request: Envoy marks a mirrored request by its host, and the others by a header."""
    if headers.get(b"host", b"").partition(b":")[0].endswith(b"-shadow"):
        return "mirror"
    return ROLES.get(headers.get(b"x-seatrial-variant", b""), "direct")


def patience(headers: Mapping[bytes, bytes], limit: float) -> float:
    """Seconds that a request may wait: the server's limit, or less where its headers say so."""
    given = headers.get(PATIENCE)
    return min(limit, int(given) / 1000) if given and given.isdigit() and len(given) < 10 else limit


def check_waited(request: Request, seconds: float, *, limit: float) -> None:
    """RequestError (503) for a request that has waited longer than it may: its answer would come too late for whoever asked."""
    allowed = patience(request.headers, limit)
    if seconds > allowed:
        raise RequestError(f"the request waited {seconds:.1f} s, longer than its {allowed:g} s; ask again after a second", status=503)


def in_http(request: Request, reply: Reply, *, first: Sequence[Header], identity: bytes, keep_alive: bool) -> bytes:
    """The whole answer in HTTP/1.1; `first` are the headers at its head, `identity` those of the server as they are written."""
    head = [_STATUS_LINES[reply.status], *(b"%b: %b\r\n" % pair for pair in first), identity]
    head.append(b"x-request-id: %b\r\ncontent-type: %b\r\ncontent-length: %d\r\n" % (request.id, reply.content, len(reply.body)))
    head += [b"%b: %b\r\n" % pair for pair in reply.extra]
    head.append(b"\r\n" if keep_alive else b"connection: close\r\n\r\n")
    head.append(reply.body)
    return b"".join(head)


_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}


async def read_body(headers: Mapping[bytes, bytes], receive: Receive, limit: int) -> bytes:
    """The whole body; RequestError where it has more than `limit` bytes, Disconnected where it never becomes whole."""
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
