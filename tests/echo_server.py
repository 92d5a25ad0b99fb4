"""A server that answers what it was asked: headers, and the length of the body; `x-sleep` and `x-status` say how.

Started as `python echo_server.py SOCKET VERSION DIGEST`.
"""

import asyncio
import json
import sys

import uvicorn

SOCKET, VERSION, DIGEST = sys.argv[1:4]


async def app(scope, receive, send):
    """Answer one request."""
    if scope["type"] != "http":
        return
    headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
    length, more = 0, True
    while more:
        message = await receive()
        length, more = length + len(message.get("body", b"")), message.get("more_body", False)
    await asyncio.sleep(float(headers.get("x-sleep", 0)))
    body = json.dumps({"version": VERSION, "digest": DIGEST, "headers": headers, "length": length}).encode()
    own = [(b"x-seatrial-version", VERSION.encode()), (b"x-seatrial-digest", DIGEST.encode())]
    variant = headers.get("x-seatrial-variant", "direct").encode()
    status = int(headers.get("x-status", 200))
    await send({"type": "http.response.start", "status": status, "headers": [*own, (b"x-seatrial-variant", variant)]})
    await send({"type": "http.response.body", "body": body})


uvicorn.run(app, uds=SOCKET, log_level="warning", lifespan="off")
