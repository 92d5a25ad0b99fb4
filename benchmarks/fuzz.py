"""100,000 broken requests to the model server's application: what it answers, and whether its memory grows (`-- --requests N`).

Valid bodies of every form are damaged: bytes flipped, cut, doubled; values exchanged for odd ones; headers that do not fit. The
application runs in this process, without a socket, so that a request costs a tenth of a millisecond.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import gzip
import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks._common import table

WARM = 0.2
"""The share of the requests after which memory is looked at first: caches have filled by then."""
ODD = (None, True, -1, 0, 2**63, 10**400, 1e308, -0.0, "", "x" * 5000, "\u202e", "1", [], {}, [[]], {"a": []}, [1, "a", None])
TEXTS = (b"NaN", b"Infinity", b"-", b"\xff\xfe", b"\0", b'"\\ud800"', b"1e999", b"{" * 300, b"[" * 300, b',"amount":1', b"}")
TYPES = (b"application/json", b"text/csv", b"application/octet-stream", b"text/html", b"application/json; charset=utf-16", b"")
ENCODINGS = (b"gzip", b"deflate", b"br", b"identity")

Headers = list[tuple[bytes, bytes]]


def main() -> None:
    """Ask, count, and exit 1 where one answer is a 5xx, something is raised, or memory grows."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--requests", type=int, default=100_000)
    options.add_argument("--seed", type=int, default=0)
    asked = options.parse_args()
    statuses, seconds, (first, last) = asyncio.run(fuzz(asked.requests, asked.seed))
    failed = sum(count for status, count in statuses.items() if status >= 500)
    rows = [[str(status), f"{count:,}", ""] for status, count in sorted(statuses.items())]
    rows += [["5xx", f"{failed:,}", "0"], ["memory", f"{first:.0f} → {last:.0f} MiB", "at most 10 MiB more"]]
    table(f"{asked.requests:,} broken requests, {seconds:.0f} s, seed {asked.seed}", ["answer", "count", "limit"], rows)
    if failed or last > first + 10:
        raise SystemExit(1)


async def fuzz(requests: int, seed: int) -> tuple[Counter[int], float, tuple[float, float]]:
    """Statuses, seconds, and MiB of this process after the first requests and after all."""
    draw, statuses, first = random.Random(seed), Counter[int](), 0.0
    with tempfile.TemporaryDirectory() as scratch:
        application, bases = _application(Path(scratch))
        start = time.perf_counter()
        for number in range(requests):
            path, headers, body = _damaged(draw, *draw.choice(bases))
            statuses[await _ask(application, path, headers, body)] += 1
            if number == int(requests * WARM):
                first = _memory()
        return statuses, time.perf_counter() - start, (first, _memory())


def _application(scratch: Path) -> tuple[Callable[..., Any], list[tuple[str, Headers, bytes]]]:
    """The application around a small model, and valid requests in every form that it reads."""
    from seatrial.serving.app import Application, Limits
    from seatrial.serving.runtime import Runtime
    from tests.bundles import make_bundle, make_rows

    runtime = Runtime(make_bundle(scratch / "bundle"))
    application = Application(runtime, name="m", version="1", boot="b", limits=Limits(max_rows=50, max_body=50_000), log=None)
    rows = make_rows(3)
    forms = [{"dataframe_records": rows}, {"instances": rows}, {"inputs": {name: [row[name] for row in rows] for name in rows[0]}}]
    forms.append({"dataframe_split": {"columns": list(rows[0]), "data": [list(row.values()) for row in rows]}})
    kinds = {"number": "FP64", "integer": "INT64", "boolean": "BOOL", "category": "BYTES"}
    tensors = [
        {"name": column.name, "shape": [3], "datatype": kinds[column.type], "data": [row[column.name] for row in rows]}
        for column in runtime.bundle.manifest.inputs
    ]
    lines = [",".join(rows[0]), *(",".join("" if value is None else str(value) for value in row.values()) for row in rows)]
    infer = "/v2/models/m/infer"
    plain = [("/invocations", [], json.dumps(form).encode()) for form in forms] + [(infer, [], json.dumps({"inputs": tensors}).encode())]
    csv = ("/invocations", [(b"content-type", b"text/csv")], "\n".join(lines).encode())
    packed = ("/invocations", [(b"content-encoding", b"gzip")], gzip.compress(plain[0][2]))
    return application, [*plain, csv, packed, _binary(infer, tensors)]


def _binary(path: str, tensors: list[dict[str, Any]]) -> tuple[str, Headers, bytes]:
    from seatrial.serving.binary import write_tensor

    described, tail = [], b""
    for tensor in tensors:
        values = [("" if tensor["datatype"] == "BYTES" else 0) if value is None else value for value in tensor["data"]]
        data = write_tensor(tensor["datatype"], values)
        tail += data
        described.append({**{key: tensor[key] for key in ("name", "shape", "datatype")}, "parameters": {"binary_data_size": len(data)}})
    head = json.dumps({"inputs": described}).encode()
    return path, [(b"inference-header-content-length", str(len(head)).encode())], head + tail


def _damaged(draw: random.Random, path: str, headers: Headers, body: bytes) -> tuple[str, Headers, bytes]:
    """One to three damages; one request in twenty stays as it is."""
    for _ in range(draw.choice((1, 1, 1, 2, 3)) if draw.random() < 0.95 else 0):
        kind = draw.random()
        if kind < 0.35:
            body = _exchanged(draw, body)
        elif kind < 0.9:
            body = _bytes(draw, body)
        else:
            name, values = draw.choice(
                ((b"content-type", TYPES), (b"content-encoding", ENCODINGS), (b"inference-header-content-length", TEXTS))
            )
            headers = [*(pair for pair in headers if pair[0] != name), (name, draw.choice(values))]
    return path, headers, body


def _exchanged(draw: random.Random, body: bytes) -> bytes:
    """A value somewhere in the JSON exchanged for an odd one; other bodies stay."""
    try:
        document = json.loads(body)
    except ValueError:
        return body
    place: Any = document
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return body
        key = draw.choice(keys)
        if not isinstance(place[key], dict | list) or not place[key] or draw.random() < 0.2:
            place[key] = draw.choice(ODD)
            return json.dumps(document).encode("utf-8", "surrogatepass")
        place = place[key]


def _bytes(draw: random.Random, body: bytes) -> bytes:
    """Bytes flipped, cut out, doubled, or put in."""
    if not body:
        return body
    at = draw.randrange(len(body))
    end = min(len(body), at + draw.choice((1, 1, 4, 40)))
    return draw.choice(
        (
            body[:at] + bytes((body[at] ^ 1 << draw.randrange(8),)) + body[at + 1 :],
            body[:at] + body[end:],
            body[:end] + body[at:],
            body[:at] + draw.choice(TEXTS) + body[at:],
            body[:at],
        )
    )


async def _ask(application: Callable[..., Any], path: str, headers: Headers, body: bytes) -> int:
    """The status of one answer, whose body must be JSON."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await application({"type": "http", "method": "POST", "path": path, "headers": headers}, receive, send)
    status = int(sent[0]["status"])
    if not dict(sent[0]["headers"]).get(b"content-type", b"").startswith(b"application/octet-stream"):
        json.loads(sent[1]["body"])
    return status


def _memory() -> float:
    """MiB that this process holds now."""
    import psutil

    gc.collect()
    return float(psutil.Process().memory_info().rss / 2**20)


if __name__ == "__main__":
    main()
