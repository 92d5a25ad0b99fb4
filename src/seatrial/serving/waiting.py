"""A bounded queue in front of the application: past it, a request is refused before it costs anything.

Small requests wait here, without a task of their own, and are answered in the order in which they became whole: at the end of
each pass of the event loop those that are there, a few at a time, so that new ones are heard meanwhile. At most so many wait,
and none longer than it may. Who comes then gets 503 and Retry-After at once, where possible without even being parsed.

Even that costs a sixth of an answer and more, nearly all of it in the kernel, and where three times too many come it would take half of a
server's time from those who wait. So refusing may take a fiftieth of what answering takes. Whom that leaves over is set aside
with what came, unparsed, and is queued in turn when there is room, or refused when it has waited too long; only when
too many are set aside, everybody else is refused at once.
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
from seatrial.serving.exchange import NOT_AGAIN, RETRY_AFTER, Header, Request, request_of

if TYPE_CHECKING:
    from seatrial.serving.app import Application

CHAMPION = b"\r\nx-seatrial-variant: champion\r\n"
"""As Envoy writes it into a request."""
AT_ONCE = 64
"""So many are answered before the event loop looks for new ones. No more of those set aside are parsed ahead: caches hold them."""
FEWEST = 8
"""Of more than this only half are answered before it does: Envoy passes their answers on while the others are scored."""
REFUSING_SHARE = 0.02
"""Of the time that answering takes, how much refusing may take beside it."""
REFUSAL_S = 15e-6
"""About what a refusal takes, with reading and writing."""
ALONE = 16
"""When one connection has asked again so many times in a row, each time soon, a server looks for its next request before it sleeps."""
LOOKING_S = 200e-6
"""How soon that is, and how long it looks. Where others ask too it sleeps: else it would take the time from Envoy and other servers."""
ASIDE_FACTOR = 16
"""So many times the queue's length may be set aside: as a rule, all connections that can be open."""
ASIDE_BYTES = 32 * 2**20
"""So much of what was set aside is kept."""
NO_ROOM_S = 0.005
"""After this the queue looks again whether there is room, where large requests fill the server."""
PLAIN_POST = re.compile(rb"POST [^\r\n]* HTTP/1\.1\r\n").match
LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]{1,9})(?=\r\n)", re.IGNORECASE).findall
SPECIAL = re.compile(rb"\r\n(?:connection|transfer-encoding|expect|upgrade|content-length[^:]) *:", re.IGNORECASE).search


class Queue:
    """The requests that wait in one process; all of its connections share it."""

    def __init__(self, application: Application, *, max_waiting: int, deadline_s: float) -> None:
        self._application = application
        self._max_waiting, self._deadline_s = max_waiting, deadline_s
        self._waiting: deque[tuple[RequestResponseCycle, Request]] = deque()
        self._aside: deque[BoundedProtocol] = deque()
        self.aside_bytes = 0
        self._looks_again = False
        self._alone, self._answered = 0, 0.0
        self._asker: int | None = None
        self._refusals_left = float(max_waiting)
        both = (False, True)
        self._refusals = {(kept, final): _refusal(application.identity, kept=kept, final=final) for kept in both for final in both}
        self.takes = application.takes

    def crowded(self, tasks: int) -> bool:
        """Whether who comes now has to be refused or set aside, where `tasks` requests wait elsewhere."""
        return bool(self._aside) or self.full(tasks)

    def sets_aside(self, protocol: BoundedProtocol, size: int) -> bool:
        """Set aside a connection that sent so many bytes, unless refusing it is cheap enough, or nobody would come back to it."""
        if self._refusals_left >= 1 or not self._waiting:
            return False
        if len(self._aside) >= ASIDE_FACTOR * self._max_waiting or not self.keeps(size):
            return False
        self._aside.append(protocol)
        return True

    def keeps(self, size: int) -> bool:
        """Count so many bytes more of those set aside, if there is room for them."""
        if self.aside_bytes + size > ASIDE_BYTES:
            return False
        self.aside_bytes += size
        return True

    def full(self, tasks: int) -> bool:
        """Whether no more may wait, where `tasks` requests wait elsewhere."""
        return len(self._waiting) + tasks >= self._max_waiting

    def refusal(self, *, kept: bool, final: bool) -> bytes:
        """The whole answer to who may not wait, on a connection that is kept or closed; counts it.

        A `final` one tells Envoy not to ask again: a champion with too much to do would get every such request twice, and
        nobody else is there to answer. What a challenger refuses, the champion answers.
        """
        self._application.refused()
        self._refusals_left = max(0.0, self._refusals_left - 1)
        return self._refusals[kept, final]

    def put(self, cycle: RequestResponseCycle, *, since: float) -> None:
        """Let a whole request wait that came at `since`."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._answer)
        scope: Any = cycle.scope
        self._waiting.append((cycle, request_of(scope, started=since)))

    def _answer(self) -> None:
        """Answer the first of those who wait, whose clients are still there; then there is room for others."""
        began = time.perf_counter()
        taken = self._take()
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._answer)
        there = [(cycle, request) for cycle, request in taken if not cycle.disconnected]
        replies = self._application.answer([(request, bytes(cycle.body)) for cycle, request in there])
        for (cycle, request), reply in zip(there, replies, strict=True):
            first, keep_alive = cycle.default_headers, cycle.keep_alive
            _send(cycle, self._application.in_http(request, reply, first=first, keep_alive=keep_alive))
        now = time.perf_counter()
        self._refusals_left = min(float(self._max_waiting), self._refusals_left + REFUSING_SHARE * (now - began) / REFUSAL_S)
        self._count_alone(taken, began, now)
        if self._aside:
            self._make_room(now)
        elif self._alone >= ALONE:
            self._look_on(now + LOOKING_S)

    def _count_alone(self, taken: Sequence[tuple[RequestResponseCycle, Request]], began: float, ended: float) -> None:
        """Count how often in a row one connection asked again soon after its answer, and nobody else did."""
        asker = id(taken[0][0].transport) if len(taken) == 1 else None
        again = asker == self._asker and began - self._answered < LOOKING_S
        self._alone = self._alone + 1 if asker and again else 0
        self._asker, self._answered = asker, ended

    def _look_on(self, until: float) -> None:
        """Look for who comes next before sleeping: after a sleep caches are cold, and a request takes twice the CPU."""
        if not self._waiting and time.perf_counter() < until:
            asyncio.get_running_loop().call_soon(self._look_on, until)

    def _take(self) -> list[tuple[RequestResponseCycle, Request]]:
        """The first of those who wait."""
        count = len(self._waiting)
        few = AT_ONCE if self._aside else max(FEWEST, min(AT_ONCE, count // 2))
        return [self._waiting.popleft() for _ in range(min(count, few))]

    def _make_room(self, now: float) -> None:
        """Let those who were set aside go on, the first first, as long as there is room."""
        while self._aside and len(self._waiting) < AT_ONCE and not self.full(len(self._aside[0].tasks)):
            self._aside.popleft().go_on(refused=now - self._deadline_s)
        if self._aside and not self._waiting and not self._looks_again:
            self._looks_again = True
            asyncio.get_running_loop().call_later(NO_ROOM_S, self._look_again)

    def _look_again(self) -> None:
        self._looks_again = False
        self._make_room(time.perf_counter())


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

    __slots__ = ("_held", "_since", "_unparsed")
    queue: Queue

    def connection_made(self, transport: Any) -> None:
        """Start with nothing that waits."""
        self._held: RequestResponseCycle | None = None  # the request that will wait as soon as its body is whole
        self._unparsed = b""  # what came of a request that was set aside
        self._since = 0.0  # when the last of a request came
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Parse what came, or refuse it as it stands, or set it aside."""
        if self._unparsed:
            self._keep_or_go_on(data)
            return
        self._since = time.perf_counter()
        if self.queue.crowded(len(self.tasks)) and data.startswith(b"POST ") and self._between():
            self._set_aside_or_refuse(data)
        else:
            super().data_received(data)

    def _set_aside_or_refuse(self, data: bytes) -> None:
        """Set aside what begins as a request, whole or not; what is too much is refused, parsed only where it has to be."""
        self._unwatch()
        if self.queue.sets_aside(self, len(data)):
            self._unparsed = data
        elif _is_one_post(data):
            self._refuse(data)
        else:
            super().data_received(data)

    def _keep_or_go_on(self, data: bytes) -> None:
        """Who sends more before his turn is read no further; where that is too much to keep, he goes on now."""
        if self.queue.keeps(len(data)):
            self._unparsed += data
            self.transport.pause_reading()
        else:
            self.go_on()
            super().data_received(data)

    def go_on(self, *, refused: float = 0.0) -> None:
        """Parse what was set aside, or refuse it where it came before `refused`; nothing where the client went, or it went on already."""
        data, self._unparsed = self._unparsed, b""
        self.queue.aside_bytes -= len(data)
        if not data or self.transport.is_closing():
            return
        if not self.transport.is_reading():
            self.transport.resume_reading()
        if self._since < refused and _is_one_post(data):
            self._refuse(data)
        else:
            super().data_received(data)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Who will send no more is queued now, so that the connection waits for its answer."""
        self.go_on()
        return super().eof_received()

    def shutdown(self) -> None:
        """A server that ends answers what it was asked."""
        self.go_on()
        super().shutdown()

    def _between(self) -> bool:
        """Whether nothing is under way on this connection, or set aside."""
        return not self._unparsed and super()._between()

    def _refuse(self, data: bytes) -> None:
        """Answer a whole request that nobody has parsed."""
        self.transport.write(self.queue.refusal(kept=True, final=CHAMPION in data))
        self._idle()

    def on_message_complete(self) -> None:
        """Let the request wait whose body is whole now."""
        super().on_message_complete()
        if self._held is not None and self._held is self.cycle:
            self._held = None
            self.queue.put(self.cycle, since=self._since)

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
            self.queue.put(cycle, since=self._since)


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


def bounded(application: Application, *, max_waiting: int, deadline_s: float, read_seconds: float) -> type[HttpToolsProtocol]:
    """The protocol of a server that answers with `application`."""
    own = {"queue": Queue(application, max_waiting=max_waiting, deadline_s=deadline_s), "read_seconds": read_seconds}
    return type("Protocol", (BoundedProtocol,), own)
