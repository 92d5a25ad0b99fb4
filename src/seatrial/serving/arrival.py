"""How a request arrives: one that is not whole in time, or whose head does not end, is cut off with a reason.

So slow clients hold no connection for ever, and what is no HTTP is refused in JSON as everything else is.

uvicorn starts a clock with each answer, to close a connection that stays idle, and stops it when the next request comes: a sixth of what
reading a request costs, and more with thousands of connections. Here a connection has one clock, which looks how long nothing was asked.

What a connection keeps is small, for with thousands of them the processor's caches hold only a few. uvicorn's protocol has nearly as many
attributes as CPython keeps within an object (30); those that come here are slots, or all of them would move to a dictionary.
"""

from __future__ import annotations

import time
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LONGEST_HEAD = 64 * 1024
REASONS = {400: b"Bad Request", 408: b"Request Timeout", 431: b"Request Header Fields Too Large"}


class ArrivingProtocol(HttpToolsProtocol):
    """uvicorn's protocol with a clock for each request that is on its way, and one for the connection."""

    __slots__ = ("_head", "_idle_since", "_in_head", "_timer", "_whole")
    read_seconds = 60.0

    def connection_made(self, transport: Any) -> None:
        """Watch whoever comes over a network from the first moment; Envoy keeps connections to sockets for later."""
        self._whole, self._in_head, self._head = True, False, 0
        self._timer: Any = None
        self._idle_since = 0.0  # when the last answer was given
        super().connection_made(transport)
        if self.client is not None:
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the clocks."""
        self._unwatch()
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse; a request that is not whole by then is watched."""
        head = self._in_head
        super().data_received(data)
        if self._whole:
            return
        if self._timer is None:
            self._watch()
        if head and self._in_head:
            self._head += len(data)
            if self._head > LONGEST_HEAD:
                self._cut_off(431, f"the request's head has more than {LONGEST_HEAD} bytes")

    def eof_received(self) -> bool:  # type: ignore[override]
        """A client that will send no more still gets its answers; the connection ends with the last."""
        cycle = self.cycle
        if not self._whole or cycle is None or cycle.response_complete:
            return False
        cycle.keep_alive = False
        return True

    def on_message_begin(self) -> None:
        """A request's first byte is there."""
        self._whole, self._in_head, self._head = False, True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its head is there."""
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """All of it is there."""
        self._whole = True
        if self._timer is not None:
            self._unwatch()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """A request has its answer: the next one goes on, or the connection is idle."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        self._idle()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._whole:
            self._forget_request()

    def _forget_request(self) -> None:
        """Free what is known of a request that has its answer: the next one, of whatever connection, finds that memory in the caches."""
        self.scope = self.headers = self.cycle = None  # type: ignore[assignment]

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that was idle for so long; look again later at one that was not."""
        idle_s = time.perf_counter() - self._idle_since if self._between() else 0.0
        if idle_s >= self.timeout_keep_alive:
            super().timeout_keep_alive_handler()
        else:
            self._strike_in(self.timeout_keep_alive - idle_s)

    def _unset_keepalive_if_required(self) -> None:
        """Leave the clock alone: it is for each request that uvicorn would stop it."""

    def _between(self) -> bool:
        """Whether nothing is under way on this connection."""
        return self._whole and (self.cycle is None or self.cycle.response_complete)

    def _idle(self) -> None:
        """Note that nothing is under way any more; the first time, start the clock."""
        self._idle_since = time.perf_counter()
        if self.timeout_keep_alive_task is None:
            self._strike_in(self.timeout_keep_alive)

    def _strike_in(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP is told so in JSON, as every other refusal."""
        self._cut_off(400, "this is no valid HTTP request")

    def _watch(self) -> None:
        self._timer = self.loop.call_later(self.read_seconds, self._too_slow)

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        self._cut_off(408, f"the request did not arrive within {self.read_seconds:g} seconds")

    def _cut_off(self, status: int, message: str) -> None:
        """Say why and close; where an earlier request of this connection is still being answered, only close."""
        self._whole = True
        cycle = self.cycle
        quiet = cycle is None or cycle.response_complete or (cycle.more_body and not cycle.response_started and not self.pipeline)
        if quiet and not self.transport.is_closing():
            self.transport.write(_whole_answer(status, message))
        self.transport.close()


def _whole_answer(status: int, message: str) -> bytes:
    body = b'{"error":{"message":"%b","column":null,"row":null}}' % message.encode()
    head = b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
    return head % (status, REASONS[status], len(body)) + body
