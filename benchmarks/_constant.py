"""uvicorn, set up as Seatrial's server is, answering a constant: `_constant.py PORT`, with `--queue` by Seatrial's own short way."""

from __future__ import annotations

import sys
from typing import Any

import uvicorn

from seatrial.serving.exchange import Reply, in_http
from seatrial.serving.waiting import bounded

BODY = b'{"predictions":[{"label":"Yes","probability":0.6587}]}'
HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))]


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """Read the body and answer."""
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})


class Constant:
    """What the queue needs of an application."""

    identity: tuple[()] = ()

    def refused(self) -> None:
        """Nothing is counted here."""

    def takes(self, scope: Any) -> bool:
        """Every POST."""
        return scope["method"] == "POST"

    def answer(self, requests: Any) -> list[Reply]:
        """The same for all."""
        return [Reply(body=BODY) for _ in requests]

    def in_http(self, request: Any, reply: Reply, *, first: Any, keep_alive: bool) -> bytes:
        """As the application writes it."""
        return in_http(request, reply, first=first, identity=b"", keep_alive=keep_alive)


if __name__ == "__main__":
    protocol: Any = bounded(Constant(), max_waiting=1_024, deadline_s=2, read_seconds=60) if "--queue" in sys.argv else "httptools"  # type: ignore[arg-type]
    config = uvicorn.Config(
        answer, port=int(sys.argv[1]), loop="uvloop", http=protocol, ws="none", lifespan="off", log_level="warning", access_log=False
    )
    uvicorn.Server(config).run()
