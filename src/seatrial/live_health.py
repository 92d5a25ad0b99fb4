"""How a window's requests went: answers and failures from Envoy's access log, latency from the prediction log."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.checks.monitor import Latency, Requests

if TYPE_CHECKING:
    import polars as pl

    from seatrial.windows import Window

FIELDS = ("time", "method", "status")


def requests_of(log: Path, window: Window, *, now: dt.datetime) -> Requests | None:
    """What the access log and its older files have of a window; None where they have nothing. A torn line is left out."""
    counted, errors, refused = 0, 0, 0
    first: dt.datetime | None = None
    for rows in _files(log, window):
        begin = rows["time"].min()
        first = begin if isinstance(begin, dt.datetime) and (first is None or begin < first) else first
        asked = rows.filter((rows["time"] >= window.since) & (rows["time"] < window.until) & (rows["method"] == "POST"))
        counted += asked.height
        errors += int((asked["status"] >= 500).sum())
        refused += int(asked["status"].is_between(400, 499).sum())
    if first is None or not counted:
        return None
    end = min(window.until, now)
    length = (end - window.since).total_seconds()
    rotated = any(log.parent.glob(f"{log.name}.*"))
    covered = 1.0 if not rotated or first <= window.since or length <= 0 else max((end - first).total_seconds() / length, 0.0)
    return Requests(requests=counted, errors=errors, refused=refused, covered=round(min(covered, 1.0), 4))


def _files(log: Path, window: Window) -> Iterator[pl.DataFrame]:
    """Each file of the log that was written to since the window began."""
    import polars as pl

    schema = {"time": pl.String(), "method": pl.String(), "status": pl.Int64()}
    for path in (log, *sorted(log.parent.glob(f"{log.name}.[0-9]*"))):
        try:
            if path.stat().st_mtime < window.since.timestamp():
                continue
            data = path.read_bytes()
        except FileNotFoundError:  # turned over in this very moment
            continue
        lines = [line for line in data.splitlines() if line.startswith(b"{") and line.endswith(b"}")]
        if lines:
            rows = pl.read_ndjson(io.BytesIO(b"\n".join(lines)), schema=schema, ignore_errors=True).select(FIELDS)
            times = pl.col("time").str.to_datetime(time_unit="us", time_zone="UTC", strict=False)
            yield rows.with_columns(times).filter(pl.col("time").is_not_null())


def latency_of(answers: pl.DataFrame) -> Latency | None:
    """Of the answered requests (a request of many rows counts once); None where none says how long it took."""
    import polars as pl

    times = answers.unique(subset="request_id")["latency_ms"].drop_nulls()
    times = times.filter(times.is_finite())
    if not times.len():
        return None
    p50, p95, p99 = (float(times.quantile(share, interpolation="higher") or 0) for share in (0.5, 0.95, 0.99))
    return Latency(p50=p50, p95=p95, p99=p99, requests=times.cast(pl.Float64).len())
