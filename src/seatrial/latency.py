"""How long the real server takes for one row: open loop, each time counted from when the request was due.

Requests go to a server process of its own for each bundle, in turn at a fixed rate, so that both meet the same machine.
A closed loop would wait for a slow answer before it sends the next request, and so hide it.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path
from typing import Any

from seatrial.adapters.leash import leashed
from seatrial.errors import EndpointError

START_S = 20.0
WARM_UP = 50
HEADERS = {"content-type": "application/json"}


def measure_latency(
    bundles: Mapping[str, tuple[Path, str]], rows: Sequence[Mapping[str, Any]], *, requests: int, rate: float
) -> dict[str, list[float]]:
    """Milliseconds of `requests` one-row calls to each bundle's server, by name; `rate` is calls a second over all of them.

    `bundles` maps a name to folder and digest. Raises EndpointError where a server does not start, or does not answer 200.
    """
    bodies = [json.dumps({"dataframe_records": [row]}).encode() for row in rows]
    with ExitStack() as stack:
        servers = {name: stack.enter_context(_server(*place)) for name, place in bundles.items()}
        sockets = {name: ready() for name, ready in servers.items()}  # all are starting by now
        return asyncio.run(_load(sockets, bodies, requests, rate))


@contextmanager
def _server(bundle: Path, digest: str) -> Iterator[Callable[[], Path]]:
    """A server process, started and stopped at the end of the block; the function waits until it answers and gives its socket."""
    folder = Path(tempfile.mkdtemp(prefix="seatrial-"))
    socket, log = folder / "s", folder / "log"
    command = [
        sys.executable,
        "-m",
        "seatrial.serving.server",
        "--bundle",
        str(bundle),
        "--digest",
        digest,
        "--version",
        "0",
        "--uds",
        str(socket),
    ]
    with log.open("wb") as stream:
        leash = leashed(folder / "parent", command)
        process = subprocess.Popen(leash, stdout=stream, stderr=stream, env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        yield lambda: _await(process, socket, log)
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _await(process: subprocess.Popen[bytes], socket: Path, log: Path) -> Path:
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        if socket.exists() and asyncio.run(_ready(socket)):
            return socket
        time.sleep(0.02)
    raise EndpointError(f"the model server did not start: {log.read_text(errors='replace')[-500:].strip() or 'no word from it'}")


async def _ready(socket: Path) -> bool:
    import aiohttp

    try:
        async with _session(socket) as session, session.get("http://server/ping", timeout=aiohttp.ClientTimeout(total=1)) as answer:
            return bool(answer.status == 200)
    except (aiohttp.ClientError, OSError, TimeoutError):
        return False


def _session(socket: Path) -> Any:
    import aiohttp

    return aiohttp.ClientSession(connector=aiohttp.UnixConnector(path=str(socket), limit=64))


async def _load(sockets: Mapping[str, Path], bodies: Sequence[bytes], requests: int, rate: float) -> dict[str, list[float]]:
    async with AsyncExitStack() as stack:
        sessions = {name: await stack.enter_async_context(_session(socket)) for name, socket in sockets.items()}
        for name, session in sessions.items():
            for body in bodies[:WARM_UP]:
                await _call(session, body, time.perf_counter(), name)
        calls = await _send(sessions, bodies, requests, rate)
    taken: dict[str, list[float]] = {name: [] for name in sockets}
    for name, milliseconds in calls:
        taken[name].append(milliseconds)
    return taken


async def _send(sessions: Mapping[str, Any], bodies: Sequence[bytes], requests: int, rate: float) -> list[tuple[str, float]]:
    start = time.perf_counter()
    calls: list[asyncio.Future[tuple[str, float]]] = []
    try:
        for turn, (number, name) in enumerate((number, name) for number in range(requests) for name in sessions):
            due = start + turn / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            calls.append(asyncio.ensure_future(_call(sessions[name], bodies[number % len(bodies)], due, name)))
        return await asyncio.gather(*calls)
    finally:
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)


async def _call(session: Any, body: bytes, due: float, name: str) -> tuple[str, float]:
    async with session.post("http://server/invocations", data=body, headers=HEADERS) as answer:
        text = await answer.read()
        if answer.status != 200:
            raise EndpointError(f"the {name}'s server answered {answer.status}: {text[:200].decode(errors='replace')}")
    return name, (time.perf_counter() - due) * 1000
