"""Drift of a million rows beside Evidently's preset, with planted shifts to find and clean windows to leave alone (`-- --rows N`).

Both compare the same two tables of 21 columns in one process each; imports are not counted. Ours reads the current rows from
Parquet and its reference from a profile, counts every row, and draws Evidently's charts from a sample; the peer is Evidently's
DataDriftPreset on all rows, with its page.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks._common import ROOT
from benchmarks._figures import Figure, show

MILLION = 1_000_000
NUMBERS, WORDS = 11, 10
SHIFTED = 20
CLEAN_WINDOWS = 100
CLEAN_ROWS = 2_000
DAYS, PARTS = 90, 10
MONTH = 30


def main() -> None:
    """Measure everything that is published."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=MILLION)
    parser.add_argument("--only", choices=tuple(SIDES), help="one side, in this process (how the benchmark calls itself)")
    parser.add_argument("--scratch", type=Path)
    options = parser.parse_args()
    if options.only:
        print(json.dumps(SIDES[options.only](options.scratch)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        _tables(Path(scratch), options.rows)
        show(f"drift, {options.rows:,} rows of {NUMBERS + WORDS} columns", _figures(Path(scratch)))


def _figures(scratch: Path) -> list[Figure]:
    ours, peer, clean, quiet, month = (_measured(side, scratch) for side in SIDES)
    both = {*ours["flagged"], *peer["flagged"]}
    agreed = [name for name in both if (name in ours["flagged"]) == (name in peer["flagged"])]
    return [
        Figure(name="verdict and page, after imports", value=ours["seconds"], unit="s", high=10),
        Figure(name="peak memory", value=ours["peak_mib"], unit="MiB", high=1024),
        Figure(name="Evidently's preset on all rows", value=peer["seconds"], unit="s"),
        Figure(name="its peak memory", value=peer["peak_mib"], unit="MiB"),
        Figure(name="how many times faster", value=peer["seconds"] / ours["seconds"], low=5),
        Figure(name="planted shifts that are flagged, of 20", value=len(set(ours["flagged"]) - {"still"}), low=19),
        Figure(name="columns on which both agree, of those flagged by either", value=len(agreed) / max(len(both), 1), low=0.95),
        Figure(name="false columns in 100 clean windows", value=clean["false"], high=1),
        Figure(name="requests to retrain in 90 days without change", value=quiet["requests"], high=1),
        Figure(name="a day of a month's log: parts that the monitor opens, of other days", value=month["others"], high=0),
        Figure(name="the same, parts of that day", value=month["own"], low=1),
        Figure(name="the same, seconds for a million rows of 5 columns", value=month["seconds"], unit="s"),
        Figure(name="the same, peak memory", value=month["peak_mib"], unit="MiB"),
    ]


def _measured(side: str, scratch: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.drift", "--only", side, "--scratch", str(scratch)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _table(rows: int, seed: int, *, shifted: bool) -> Any:
    """21 columns: 11 numbers of several shapes and 10 categories; the last number stands still, the others move where they are shifted."""
    import numpy as np
    import polars as pl

    draw = np.random.default_rng(seed)
    move = 0.4 if shifted else 0.0
    columns: dict[str, Any] = {"still": draw.normal(size=rows)}
    for at in range(NUMBERS - 1):
        base = draw.gamma(2 + at, size=rows) if at % 2 else draw.normal(size=rows)
        columns[f"number{at}"] = base + move * base.std()
    for at in range(WORDS):
        shares = np.arange(1, 4 + at, dtype=float)
        shares = shares / shares.sum()
        mixed = 0.4 * shares + 0.6 * shares[::-1] if shifted else shares
        columns[f"word{at}"] = np.array([f"w{number}" for number in range(len(shares))])[draw.choice(len(shares), rows, p=mixed)]
    return pl.DataFrame(columns)


def _tables(scratch: Path, rows: int) -> None:
    _table(rows, 0, shifted=False).write_parquet(scratch / "reference.parquet")
    _table(rows, 1, shifted=True).write_parquet(scratch / "current.parquet")


def _inputs() -> Any:
    from seatrial.manifest import Input

    numbers = ["still", *(f"number{at}" for at in range(NUMBERS - 1))]
    return tuple(Input(name=name, type="number", nullable=False) for name in numbers) + tuple(
        Input(name=f"word{at}", type="category", nullable=False) for at in range(WORDS)
    )


def _peak_mib() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _ours(scratch: Path) -> dict[str, Any]:
    """The verdict of all rows and the page, as `seatrial drift` makes them; the reference's profile is there already."""
    import time

    import polars as pl

    from seatrial.checks.drift_scores import scores_of
    from seatrial.evidently_report import ColumnPair, compare
    from seatrial.live_profile import LiveTally
    from seatrial.live_rows import Sample
    from seatrial.params import Drift

    policy, inputs = Drift(), _inputs()
    _warm(compare, ColumnPair)
    reference = LiveTally(inputs)
    before = Sample(policy.max_rows)
    for part in pl.scan_parquet(scratch / "reference.parquet").collect_batches(chunk_size=100_000):
        reference.add(part)
        before.add(part)
    then = reference.profile().inputs.columns
    start = time.perf_counter()
    tally, sample = LiveTally(inputs), Sample(policy.max_rows)
    for part in pl.scan_parquet(scratch / "current.parquet").collect_batches(chunk_size=100_000):
        tally.add(part)
        sample.add(part)
    now = tally.profile(listed=True).inputs.columns
    scores = scores_of(policy, {name: (now[name], then[name]) for name in now}).columns
    pairs = [_pair(column, before.rows, sample.rows, policy) for column in inputs]
    _, html = compare(pairs, drifted_share=0.5)
    (scratch / "ours.html").write_text(html)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "peak_mib": _peak_mib(), "flagged": sorted(name for name, score in scores.items() if score.drifted)}


def _pair(column: Any, then: Any, now: Any, policy: Any) -> Any:
    from seatrial.evidently_report import ColumnPair

    kind = "numeric" if column.type == "number" else "category"
    chosen = policy.numeric if kind == "numeric" else policy.category
    sides = [side[column.name].to_numpy() if kind == "numeric" else side[column.name].to_list() for side in (then, now)]
    return ColumnPair(name=column.name, kind=kind, method=chosen.method, limit=float(chosen.limit), reference=sides[0], current=sides[1])


def _warm(compare: Any, pair: Any) -> None:
    """Import what Evidently imports when it is first asked."""
    import numpy as np

    values = np.arange(50.0)
    compare([pair(name="x", kind="numeric", method="ks_stat", limit=0.1, reference=values, current=values)], drifted_share=0.5)


def _evidently(scratch: Path) -> dict[str, Any]:
    """Evidently's own preset with the same distances and limits, on all rows, and its page."""
    import time

    import polars as pl

    from seatrial.evidently_report import ColumnPair, compare
    from seatrial.params import Drift

    policy, inputs = Drift(), _inputs()
    _warm(compare, ColumnPair)
    start = time.perf_counter()
    then, now = (pl.read_parquet(scratch / f"{name}.parquet") for name in ("reference", "current"))
    scores, html = compare([_pair(column, then, now, policy) for column in inputs], drifted_share=0.5)
    (scratch / "evidently.html").write_text(html)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "peak_mib": _peak_mib(), "flagged": sorted(name for name, score in scores.items() if score.drifted)}


def _clean(scratch: Path) -> dict[str, Any]:
    """How many columns are flagged in windows that are drawn as the reference is."""
    import polars as pl

    from seatrial.checks.drift_scores import scores_of
    from seatrial.live_profile import LiveTally
    from seatrial.params import Drift

    def profile(frame: Any) -> Any:
        tally = LiveTally(_inputs())
        tally.add(frame)
        return tally.profile(listed=True).inputs.columns

    then = profile(pl.read_parquet(scratch / "reference.parquet").head(100_000))
    false = 0
    for seed in range(2, 2 + CLEAN_WINDOWS):
        now = profile(_table(CLEAN_ROWS, seed, shifted=False))
        scores = scores_of(Drift(), {name: (now[name], then[name]) for name in now}).columns
        false += sum(score.drifted for score in scores.values())
    return {"false": false}


def _quiet(scratch: Path) -> dict[str, Any]:
    """How often a training is asked for in 90 days that are drawn as the reference is, with the defaults of params.yaml."""
    import datetime as dt

    import polars as pl

    from seatrial.checks.drift_scores import scores_of
    from seatrial.live_profile import LiveTally
    from seatrial.params import Drift
    from seatrial.params_retrain import Retrain
    from seatrial.retrain import Day, Facts, decide

    def profile(frame: Any) -> Any:
        tally = LiveTally(_inputs())
        tally.add(frame)
        return tally.profile(listed=True).inputs.columns

    then = profile(pl.read_parquet(scratch / "reference.parquet").head(100_000))
    start, days, requests = dt.datetime(2026, 1, 1, tzinfo=dt.UTC), [], 0
    for day in range(DAYS):
        now = profile(_table(CLEAN_ROWS, 1_000 + day, shifted=False))
        found = scores_of(Drift(), {name: (now[name], then[name]) for name in now})
        failed = any(score.drifted for score in found.columns.values()) or any(p < Drift().alpha for p in found.missing.values())
        days.append(Day(until=start + dt.timedelta(days=day + 1), drift=failed))
        facts = Facts(windows=days, trained=start, data="same", trained_on="same")
        requests += decide(Retrain(), facts, now=days[-1].until).wanted
    return {"requests": requests}


def _month(scratch: Path) -> dict[str, Any]:
    """One day measured out of a month of a million answers a day, and which of the log's parts were opened for it."""
    import time

    from seatrial import live_rows, monitor_run
    from seatrial.commands.monitor import Question, monitor
    from tests.sites import NOON, Site

    folder = scratch / "month"
    folder.mkdir()
    site = Site(folder)
    site.profiled()
    today = _fill(site, folder)
    opened: list[str] = []
    real = live_rows.open_part

    def watched(part: Any, store: Any) -> Any:
        opened.append(f"{part.parent.name}/{part.name}")
        return real(part, store)

    live_rows.open_part = monitor_run.open_part = watched
    start = time.perf_counter()
    monitor(site.project, Question(window=today), now=NOON.replace(hour=0) + 2 * (NOON - NOON.replace(hour=0)))
    seconds = time.perf_counter() - start
    own = {name for name in opened if name.startswith(f"date={today.since:%Y-%m-%d}")}
    return {"own": len(own), "others": len(set(opened) - own), "seconds": seconds, "peak_mib": _peak_mib()}


def _fill(site: Any, folder: Path) -> Any:
    """A month of answers, ten parts a day: the first day's rows again and again, at their own times; gives the newest day."""
    import datetime as dt

    import polars as pl

    from seatrial.windows import Window
    from tests.bundles import make_rows
    from tests.sites import NOON

    midnight = NOON.replace(hour=0)
    site.asked(make_rows(1_000, seed=3), at=midnight + dt.timedelta(minutes=1))
    part = next((site.project.home / "log").glob("date=*/*.parquet"))
    rows = pl.concat([pl.read_parquet(part, hive_partitioning=False)] * (MILLION // 1_000 // PARTS))
    spread = pl.int_range(0, pl.len()) * (86_000_000_000 // rows.height)
    for day in range(MONTH):
        at = midnight - dt.timedelta(days=day)
        there = part.parent.parent / f"date={at:%Y-%m-%d}"
        there.mkdir(exist_ok=True)
        ready = rows.with_columns((pl.lit(at).cast(rows["time"].dtype) + spread.cast(pl.Duration("us"))).alias("time"))
        for number in range(PARTS):
            ready.write_parquet(there / f"{part.stem}-{number}.parquet")
    part.unlink()
    return Window(since=midnight, until=midnight + dt.timedelta(days=1))


SIDES = {"ours": _ours, "evidently": _evidently, "clean": _clean, "quiet": _quiet, "month": _month}

if __name__ == "__main__":
    main()
