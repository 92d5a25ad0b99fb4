"""The client of a drill, a process of its own: requests at a fixed rate, each with an id, and a record of every answer.

    python -m seatrial.drill.client --url URL --rows ROWS.json --rate 100 --out ANSWERS.jsonl

Open loop: requests leave by a schedule, whatever the answers take, and nothing is sent twice. SIGTERM ends the schedule; once
the last answer is in, a line `{"sent": N, "run": ID}` closes the file: its requests are `ID-0` to `ID-<N-1>`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    import aiohttp

TIMEOUT_S = 20.0
CONNECTIONS = 512
NAMED = ("digest", "version", "boot", "variant")


async def send_all(url: str, bodies: list[bytes], rate: float, out: TextIO) -> None:
    """Send until SIGTERM, write a line for each answer, and a last one with the number sent."""
    import aiohttp

    run, stop = uuid.uuid4().hex[:12], asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    headers, pending, sent = {"content-type": "application/json", "x-seatrial-simulated": "1"}, set[asyncio.Task[None]](), 0
    connector, timeout = aiohttp.TCPConnector(limit=CONNECTIONS), aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, headers=headers) as session:
        print("ready", flush=True)
        start = time.perf_counter()
        while not stop.is_set():
            await asyncio.sleep(max(0.0, start + sent / rate - time.perf_counter()))
            task = asyncio.create_task(_send(session, url, bodies[sent % len(bodies)], f"{run}-{sent}", out))
            pending.add(task)
            task.add_done_callback(pending.discard)
            sent += 1
        await asyncio.gather(*pending)
    out.write(json.dumps({"sent": sent, "run": run}) + "\n")


async def _send(session: aiohttp.ClientSession, url: str, body: bytes, name: str, out: TextIO) -> None:
    import aiohttp

    record: dict[str, Any] = {"id": name, "sent": time.time(), "status": 0}
    try:
        async with session.post(url, data=body, headers={"x-request-id": name}) as answer:
            await answer.read()
            record |= {"status": answer.status, **{key: answer.headers.get(f"x-seatrial-{key}", "") for key in NAMED}}
    except (aiohttp.ClientError, OSError, TimeoutError):
        pass  # no answer: status 0
    out.write(json.dumps(record | {"done": time.time()}) + "\n")


def main(argv: list[str] | None = None) -> int:
    """Send until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m seatrial.drill.client", description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--rows", type=Path, required=True, help="a JSON list of rows")
    parser.add_argument("--rate", type=float, required=True, help="requests a second")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(argv)
    bodies = [json.dumps({"dataframe_records": [row]}).encode() for row in json.loads(options.rows.read_bytes())]
    with options.out.open("w") as out:
        asyncio.run(send_all(options.url, bodies, options.rate, out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
