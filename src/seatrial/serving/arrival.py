"""How a request arrives: one that is not whole in time, or whose head does not end, is cut off with a reason.

So slow clients hold no connection for ever, and what is no HTTP is refused in JSON as everything else is.
"""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LONGEST_HEAD = 64 * 1024
REASONS = {400: b"Bad Request", 408: b"Request Timeout", 431: b"Request Header Fields Too Large"}


class ArrivingProtocol(HttpToolsProtocol):
    """uvicorn's protocol with a clock for each request that is on its way."""

    read_seconds = 60.0
    _whole = True
    _in_head = False
    _head = 0
    _timer: Any = None

    def connection_made(self, transport: Any) -> None:
        """Watch whoever comes over a network from the first moment; Envoy keeps connections to sockets for later."""
        super().connection_made(transport)
        if self.client is not None:
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer."""
        self._unwatch()
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
