"""A bounded queue in front of the application: past it, a request is refused before it costs anything.

Requests are scored one after the other, so a server that is asked for more than it can do would let everybody wait. Here at
most so many wait; who comes then gets 503 and Retry-After at once, written without a task, without the application and without
reading the body, so that refusing leaves the server its time for those who wait.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

RETRY_AFTER_S = 1


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, whose tasks are the requests that wait; `bounded` makes one that knows its limit and its refusal.

    `refusal` is the whole answer on a connection that is closed, and on one that is kept.
    """

    max_waiting = 2_048
    refusal = (b"", b"")
    count: Callable[[], None] = staticmethod(lambda: None)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Start a request, or refuse it; what is asked by GET (health, metrics) is always answered."""
        if len(self.tasks) < self.max_waiting or self.scope["method"] != "POST":
            super()._start_asgi_task(cycle, app)
        else:
            self._refuse(cycle)

    def _refuse(self, cycle: RequestResponseCycle) -> None:
        """Answer on the spot; a body that is still to come is read and forgotten."""
        self.count()
        cycle.response_started = cycle.response_complete = True
        self.transport.write(self.refusal[cycle.keep_alive])
        if not cycle.keep_alive:
            self.transport.close()
        cycle.on_response()


def bounded(headers: Sequence[tuple[bytes, bytes]], count: Callable[[], None], *, max_waiting: int) -> type[HttpToolsProtocol]:
    """The protocol of a server; `headers` go with each refusal, `count` is called at each."""
    body = b'{"error":{"message":"too many requests wait; ask again after a second","column":null,"row":null}}'
    own = [
        *headers,
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"retry-after", b"%d" % RETRY_AFTER_S),
    ]

    def refusal(connection: bytes) -> bytes:
        lines = b"".join(b"%b: %b\r\n" % pair for pair in [*own, (b"connection", connection)])
        return b"HTTP/1.1 503 Service Unavailable\r\n%b\r\n%b" % (lines, body)

    answers = (refusal(b"close"), refusal(b"keep-alive"))
    return type("Protocol", (BoundedProtocol,), {"max_waiting": max_waiting, "refusal": answers, "count": staticmethod(count)})
