"""Send rows to an endpoint at a fixed rate, whatever the answers take.

The load is open loop: requests leave by a schedule, and a latency is counted from when its request was due, so that a slow
endpoint cannot slow down the client that measures it. Every request has an id of its own, and says that it is simulated.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seatrial.errors import UsageError

if TYPE_CHECKING:
    import aiohttp

TIMEOUT_S = 15.0
CONNECTIONS = 256
NO_ANSWER = "no answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayResult:
    """What came back: `statuses` counts by HTTP status (or "no answer" and why), `by_version` the 2xx answers, latencies in ms."""

    sent: int
    ok: int
    failed: int
    seconds: float
    statuses: Mapping[str, int]
    by_version: Mapping[str, int]
    p50_ms: float | None
    p99_ms: float | None
    max_ms: float | None


@dataclass(slots=True)
class _Tally:
    """Answers as they come in."""

    statuses: Counter[str] = field(default_factory=Counter)
    by_version: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)


def replay(
    url: str,
    rows: Sequence[Mapping[str, Any]],
    *,
    rate: float,
    requests: int | None = None,
    seconds: float | None = None,
    simulated: bool = True,
    token: str | None = None,
    certificate: Path | None = None,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int], None] = lambda sent: None,
) -> ReplayResult:
    """Post `rows` one by one to `url`, from the first again after the last, `rate` a second.

    It ends after `requests`, after `seconds`, or once `stop()` is true, whichever is first, when every answer is in;
    `progress` is told the number sent so far; `token` goes along as a bearer token, and `certificate` (PEM) is the one that an https
    address is trusted by, whatever name stands in it. Raises UsageError where there are no rows, or no end.
    """
    if not rows:
        raise UsageError("there are no rows to send")
    if rate <= 0:
        raise UsageError(f"a rate of {rate} requests a second sends nothing")
    bodies = [json.dumps({"dataframe_records": [row]}, default=str, allow_nan=False).encode() for row in rows]
    limit = requests if seconds is None else min(int(rate * seconds), requests if requests is not None else int(rate * seconds))
    if limit is not None and limit < 1:
        raise UsageError(f"{seconds:g} s at {rate:g} requests a second is not one request" if seconds else "0 requests are no replay")
    headers = {"content-type": "application/json"} | ({"x-seatrial-simulated": "1"} if simulated else {})
    headers |= {"authorization": f"Bearer {token}"} if token else {}
    return asyncio.run(_run(url, bodies, headers, _trusting(certificate), rate, limit, stop, progress))


def _trusting(certificate: Path | None) -> ssl.SSLContext | bool:
    """Trust this certificate alone, as a leaf too; without one, what aiohttp trusts by itself."""
    if certificate is None:
        return True
    context = ssl.create_default_context(cafile=certificate)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.check_hostname = False
    return context


async def _run(
    url: str,
    bodies: Sequence[bytes],
    headers: Mapping[str, str],
    trust: ssl.SSLContext | bool,
    rate: float,
    limit: int | None,
    stop: Callable[[], bool],
    progress: Callable[[int], None],
) -> ReplayResult:
    import aiohttp

    tally, pending, run = _Tally(), set[asyncio.Task[None]](), uuid.uuid4().hex[:12]
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    connector = aiohttp.TCPConnector(limit=CONNECTIONS, ssl=trust)
    start, sent = time.perf_counter(), 0
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, headers=headers, auto_decompress=False) as session:
        while (limit is None or sent < limit) and not stop():
            due = start + sent / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            task = asyncio.create_task(_send(session, url, bodies[sent % len(bodies)], f"{run}-{sent}", due, tally))
            pending.add(task)
            task.add_done_callback(pending.discard)
            sent += 1
            progress(sent)
        await asyncio.gather(*pending)
    return _result(tally, sent, time.perf_counter() - start)


async def _send(session: aiohttp.ClientSession, url: str, body: bytes, request_id: str, due: float, tally: _Tally) -> None:
    import aiohttp

    try:
        async with session.post(url, data=body, headers={"x-request-id": request_id}) as answer:
            await answer.read()
            status, version = answer.status, answer.headers.get("x-seatrial-version")
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        tally.statuses[f"{NO_ANSWER} ({type(error).__name__})"] += 1
        return
    tally.statuses[str(status)] += 1
    tally.latencies.append((time.perf_counter() - due) * 1000)
    if 200 <= status < 300:
        tally.by_version[version or "unknown"] += 1


def _result(tally: _Tally, sent: int, seconds: float) -> ReplayResult:
    ok = sum(count for status, count in tally.statuses.items() if status.startswith("2"))
    ordered = sorted(tally.latencies)
    return ReplayResult(
        sent=sent,
        ok=ok,
        failed=sent - ok,
        seconds=seconds,
        statuses=dict(sorted(tally.statuses.items())),
        by_version=dict(sorted(tally.by_version.items())),
        p50_ms=percentile(ordered, 0.5),
        p99_ms=percentile(ordered, 0.99),
        max_ms=ordered[-1] if ordered else None,
    )


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """The smallest of the sorted values that at least `share` of them do not exceed; None where there are none."""
    if not ordered:
        return None
    rank = -(-len(ordered) * share // 1)
    return ordered[max(0, int(rank) - 1)]
