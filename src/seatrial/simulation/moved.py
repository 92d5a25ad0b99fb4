"""What the endpoint wrote down about one month's rows, taken to the desk with simulated times.

The endpoint's own log stays as it is. Rows are spread evenly over their window, in the order in which they were sent; a request of
the access log moves with them. Whatever was logged before the month began (a rollout's own requests) belongs to none.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from seatrial.errors import EndpointError
from seatrial.files import write_atomic
from seatrial.live_rows import own_columns
from seatrial.serving.predictions import read_log

if TYPE_CHECKING:
    import polars as pl

    from seatrial.manifest import Manifest
    from seatrial.windows import Window

T = TypeVar("T")
PATIENCE_S = 20.0
POLL_S = 0.1
TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


def logged(log: Path, *, since: dt.datetime, rows: int) -> pl.DataFrame:
    """The rows of the prediction log from a moment on, once they are all there; EndpointError where they do not come."""
    return _awaited(lambda: read_log(log, since=since), lambda found: found.height, rows, "answered rows are in the prediction log")


def requested(log: Path, *, since: dt.datetime, requests: int) -> list[dict[str, Any]]:
    """The lines of the access log about rows from a moment on, once they are all there: Envoy writes them late. A torn line is left out."""

    def read() -> list[dict[str, Any]]:
        lines = [line for line in log.read_bytes().splitlines() if line.startswith(b"{") and line.endswith(b"}")]
        return [one for one in map(json.loads, lines) if one.get("method") == "POST" and dt.datetime.fromisoformat(one["time"]) >= since]

    return _awaited(read, len, requests, "requests are in the access log")


def _awaited(read: Callable[[], T], count: Callable[[T], int], wanted: int, words: str) -> T:
    end = time.monotonic() + PATIENCE_S
    while count(found := read()) < wanted:
        if time.monotonic() > end:
            raise EndpointError(f"{count(found)} of {wanted} {words} after {PATIENCE_S:.0f} s")
        time.sleep(POLL_S)
    return found


def times_in(window: Window, count: int) -> list[dt.datetime]:
    """So many moments spread evenly over a window."""
    length = window.until - window.since
    return [window.since + (at + 0.5) / count * length for at in range(count)]


def keep_rows(folder: Path, rows: pl.DataFrame, manifest: Manifest, ids: Sequence[str], window: Window) -> None:
    """Write a month's logged rows below the desk's log, each at the moment of its id, as parts of their days."""
    import polars as pl

    own = own_columns(manifest)
    moments = pl.DataFrame({own["id"]: list(ids), "moment": times_in(window, len(ids))})
    moved = rows.join(moments.cast({"moment": pl.Datetime("us", "UTC")}), on=own["id"], how="inner")
    moved = moved.with_columns(pl.col("moment").alias(own["time"])).drop("moment").sort(own["time"])
    for (day,), part in moved.group_by(pl.col(own["time"]).dt.date(), maintain_order=True):
        place = folder / f"date={day}"
        place.mkdir(parents=True, exist_ok=True)
        part.write_parquet(place / f"simulated-{window.since:%Y%m%d}.parquet")


def keep_requests(target: Path, requests: Sequence[Mapping[str, Any]], window: Window) -> None:
    """Append a month's requests to the desk's access log, at moments of the month."""
    moments = times_in(window, len(requests))
    lines = [json.dumps({**one, "time": moment.strftime(TIME)}) for one, moment in zip(requests, moments, strict=True)]
    before = target.read_bytes() if target.exists() else b""
    write_atomic(target, before + "".join(f"{line}\n" for line in lines).encode())
    last = window.until.timestamp()
    os.utime(target, (last, last))
