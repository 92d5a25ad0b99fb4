"""Send held-out rows to the endpoint at a fixed rate, labelled as simulation; `--shift` changes a column first.

    seatrial replay --seconds 10 --shift amount=1.5 --shift region=north

0 when every answer was 2xx, 1 when one was not, 2 when nothing listens.
"""

from __future__ import annotations

import argparse
import math
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from seatrial.adapters.door import ENDPOINT_TOKEN, read_token
from seatrial.errors import DataError, EndpointError, UsageError
from seatrial.located import nearest
from seatrial.project import Project
from seatrial.replay import ReplayResult, replay

if TYPE_CHECKING:
    import polars as pl

DEFAULT_RATE = 300.0
PLAIN_EVERY_S = 5


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--rate", type=float, help="requests a second (default: rollout.replay.rate of params.yaml)")
    parser.add_argument("--requests", type=int, help="how many requests (default: every held-out row once)")
    parser.add_argument("--seconds", type=float, help="for how long")
    parser.add_argument(
        "--shift",
        action="append",
        default=[],
        metavar="COLUMN=FACTOR",
        help="multiply a column of numbers, or set another column to this value (may be repeated)",
    )


def run(project: Project, options: argparse.Namespace) -> int:
    """Send, and print what came back."""
    configured = project.settings.rollout.replay
    rate = options.rate if options.rate is not None else float(configured.rate if configured else DEFAULT_RATE)
    for name, value in (("--rate", rate), ("--requests", options.requests), ("--seconds", options.seconds)):
        if value is not None and not (value > 0 and math.isfinite(value)):
            raise UsageError(f"{name} must be more than 0, found {value:g}")
    rows = held_out_rows(project, options.shift)
    requests = options.requests if options.requests or options.seconds else len(rows)
    total = min(requests or math.inf, options.seconds * rate if options.seconds else math.inf)
    url, tls = _url(project), project.settings.rollout.tls
    token = read_token(ENDPOINT_TOKEN, home=project.home, env=project.env)
    certificate = project.root / tls.certificate if tls else None
    with _progress(int(total), rate) as progress:
        result = replay(
            url, rows, rate=rate, requests=requests, seconds=options.seconds, token=token, certificate=certificate, progress=progress
        )
    _print(result, shifted=options.shift)
    return 0 if result.failed == 0 else 1


def held_out_rows(project: Project, shifts: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The held-out rows as a client would send them, without their target; each of `shifts` is COLUMN=FACTOR or COLUMN=VALUE.

    Raises DataError where there are none, UsageError for a shift of a column that is not there, or that does not fit it.
    """
    import polars as pl

    path = project.test_data
    try:
        frame = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{path.relative_to(project.root)} cannot be read: {error}", hint="make it: nox -s train") from None
    frame = frame.drop(project.settings.data.target, strict=False)
    for shift in shifts:
        frame = shifted(frame, shift)
    floats = [name for name, kind in frame.schema.items() if kind.is_float()]
    return frame.with_columns(pl.col(floats).fill_nan(None)).to_dicts()


def shifted(frame: pl.DataFrame, shift: str) -> pl.DataFrame:
    """`frame` with one column multiplied (numbers; whole ones stay whole) or set to one value (all others)."""
    import polars as pl

    column, equals, value = shift.partition("=")
    if not equals or not value:
        raise UsageError(f"--shift {shift!r}: expected COLUMN=FACTOR or COLUMN=VALUE")
    if column not in frame.columns:
        raise UsageError(f"--shift {shift!r}: there is no column {column!r}{nearest(column, frame.columns)}")
    kind = frame.schema[column]
    if kind.is_numeric():
        moved = pl.col(column) * _factor(shift, value)
        return frame.with_columns(moved.round().cast(kind) if kind.is_integer() else moved)
    if kind == pl.Boolean:
        if value.lower() not in ("true", "false"):
            raise UsageError(f"--shift {shift!r}: {column} is true or false")
        return frame.with_columns(pl.lit(value.lower() == "true").alias(column))
    return frame.with_columns(pl.lit(value).alias(column))


def _factor(shift: str, value: str) -> float:
    try:
        factor = float(value)
    except ValueError:
        factor = math.nan
    if not math.isfinite(factor):
        raise UsageError(f"--shift {shift!r}: the column holds numbers, so {value!r} must be a factor such as 1.5")
    return factor


def _url(project: Project) -> str:
    """Where the endpoint listens; EndpointError where nothing does."""
    url = project.settings.rollout.url
    place = urlsplit(url)
    try:
        socket.create_connection((place.hostname, place.port), timeout=2).close()
    except OSError:
        raise EndpointError(f"nothing listens on {place.hostname}:{place.port}", hint="start the endpoint: nox -s deploy") from None
    return f"{url}/invocations"


@contextmanager
def _progress(total: int, rate: float) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, a line every few seconds elsewhere."""
    if not sys.stdout.isatty():
        every = max(1, int(rate * PLAIN_EVERY_S))
        yield lambda sent: print(f"replay: {sent} of {total} sent", flush=True) if sent % every == 0 and sent < total else None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    with Progress(TextColumn("replay"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), transient=True) as bar:
        task = bar.add_task("replay", total=total)
        yield lambda sent: bar.update(task, completed=sent)


def _print(result: ReplayResult, *, shifted: Sequence[str]) -> None:
    changed = f", shifted by {', '.join(shifted)}" if shifted else ""
    print(f"replay: {result.sent} simulated requests in {result.seconds:.1f} s{changed}: {result.ok} answered, {result.failed} failed")
    if result.failed:
        print("replay: " + ", ".join(f"{count} × {status}" for status, count in result.statuses.items()))
    if result.by_version:
        print("replay: " + ", ".join(f"version {version}: {count}" for version, count in result.by_version.items()))
    if result.p50_ms is not None:
        print(f"replay: p50 {result.p50_ms:.1f} ms, p99 {result.p99_ms:.1f} ms, max {result.max_ms:.1f} ms")
