"""A bounded queue in front of the application: past it, a request is refused before it costs anything.

Small requests wait here, without a task of their own, and are answered in the order in which they became whole: at the end of
each pass of the event loop those that are there, a few at a time, so that new ones are heard meanwhile. At most so many wait,
and none longer than it may. Who comes then gets 503 and Retry-After at once, where possible without even being parsed, so that
refusing leaves the server its time for those who wait.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from seatrial.serving.arrival import ArrivingProtocol
from seatrial.serving.exchange import RETRY_AFTER, Header, Request, request_of

if TYPE_CHECKING:
    from seatrial.serving.app import Application

CHAMPION = b"\r\nx-seatrial-variant: champion\r\n"
"""As Envoy writes it into a request."""
NOT_AGAIN = (b"x-envoy-ratelimited", b"true")
AT_ONCE = 64
"""So many are answered before the event loop looks for new ones."""
PLAIN_POST = re.compile(rb"POST [^\r\n]* HTTP/1\.1\r\n").match
LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]{1,9})(?=\r\n)", re.IGNORECASE).findall
SPECIAL = re.compile(rb"\r\n(?:connection|transfer-encoding|expect|upgrade|content-length[^:]) *:", re.IGNORECASE).search


class Queue:
    """The requests that wait in one process; all of its connections share it."""

    def __init__(self, application: Application, *, max_waiting: int) -> None:
        self._application = application
        self._max_waiting = max_waiting
        self._waiting: deque[tuple[RequestResponseCycle, Request]] = deque()
        both = (False, True)
        self._refusals = {(kept, final): _refusal(application.identity, kept=kept, final=final) for kept in both for final in both}
        self.takes = application.takes

    def full(self, tasks: int) -> bool:
        """Whether no more may wait, where `tasks` requests wait elsewhere."""
        return len(self._waiting) + tasks >= self._max_waiting

    def refusal(self, *, kept: bool, final: bool) -> bytes:
        """The whole answer to who may not wait, on a connection that is kept or closed; counts it.

        A `final` one tells Envoy not to ask again: a champion with too much to do would get every such request twice, and
        nobody else is there to answer. What a challenger refuses, the champion answers.
        """
        self._application.refused()
        return self._refusals[kept, final]

    def put(self, cycle: RequestResponseCycle) -> None:
        """Let a whole request wait."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._answer)
        scope: Any = cycle.scope
        self._waiting.append((cycle, request_of(scope, started=time.perf_counter())))

    def _answer(self) -> None:
        """Answer the first of those who wait, whose clients are still there."""
        taken = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._answer)
        there = [(cycle, request) for cycle, request in taken if not cycle.disconnected]
        replies = self._application.answer([(request, bytes(cycle.body)) for cycle, request in there])
        for (cycle, request), reply in zip(there, replies, strict=True):
            first, keep_alive = cycle.default_headers, cycle.keep_alive
            _send(cycle, self._application.in_http(request, reply, first=first, keep_alive=keep_alive))


def _send(cycle: RequestResponseCycle, answer: bytes) -> None:
    """Write a whole answer, and let the connection go on or end."""
    cycle.response_started = cycle.response_complete = True
    cycle.transport.write(answer)
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
    cycle.on_response = _nothing  # as uvicorn does: a connection and its last request would keep each other


def _nothing() -> None:
    return


class BoundedProtocol(ArrivingProtocol):
    """A protocol with a queue for small requests; the others have tasks, which count as waiting too."""

    queue: Queue
    _held: RequestResponseCycle | None = None
    """The request that will wait as soon as its body is whole."""

    def data_received(self, data: bytes) -> None:
        """Parse what came, or refuse it as it stands."""
        if self.queue.full(len(self.tasks)) and self._between() and _is_one_post(data):
            self._unwatch()
            self.transport.write(self.queue.refusal(kept=True, final=CHAMPION in data))
        else:
            super().data_received(data)

    def _between(self) -> bool:
        """Whether nothing is under way on this connection."""
        return self._whole and (self.cycle is None or self.cycle.response_complete)

    def on_message_complete(self) -> None:
        """Let the request wait whose body is whole now."""
        super().on_message_complete()
        if self._held is not None and self._held is self.cycle:
            self._held = None
            self.queue.put(self.cycle)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Start a request, let it wait, or refuse it; what is asked by GET (health, metrics) is always answered."""
        scope: Any = cycle.scope
        if scope["method"] == "POST" and self.queue.full(len(self.tasks)):
            final = (b"x-seatrial-variant", b"champion") in scope["headers"]
            _send(cycle, self.queue.refusal(kept=cycle.keep_alive, final=final))
        elif self.flow.write_paused or not self.queue.takes(scope):
            super()._start_asgi_task(cycle, app)
        elif cycle.more_body:
            self._held = cycle
        else:
            self.queue.put(cycle)


def _is_one_post(data: bytes) -> bool:
    """Whether these bytes are one whole request, to be answered on a connection that is kept, with nothing special about it."""
    head = data.find(b"\r\n\r\n")
    if head < 0 or not PLAIN_POST(data):
        return False
    lines = data[: head + 2]
    lengths = LENGTH(lines)
    return len(lengths) == 1 and len(data) == head + 4 + int(lengths[0]) and not SPECIAL(lines)


def _refusal(headers: Sequence[Header], *, kept: bool, final: bool) -> bytes:
    body = b'{"error":{"message":"too many requests wait; ask again after a second","column":null,"row":null}}'
    own = [
        *headers,
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        RETRY_AFTER,
        (b"connection", b"keep-alive" if kept else b"close"),
        *([NOT_AGAIN] if final else []),
    ]
    lines = b"".join(b"%b: %b\r\n" % pair for pair in own)
    return b"HTTP/1.1 503 Service Unavailable\r\n%b\r\n%b" % (lines, body)


def bounded(application: Application, *, max_waiting: int, read_seconds: float) -> type[HttpToolsProtocol]:
    """The protocol of a server that answers with `application`."""
    own = {"queue": Queue(application, max_waiting=max_waiting), "read_seconds": read_seconds}
    return type("Protocol", (BoundedProtocol,), own)
