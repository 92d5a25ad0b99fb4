"""Rows a second of scoring in batch beside one row a request over HTTP, in turn on one machine; and memory on a long table.

`-- --rows N` sets the length of the table whose memory is measured (3,000,000).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks._common import ROOT, free_port, median, plain_environment, serving, table, wrk

TURNS = 3
SECONDS = 4
RATE_ROWS = 1_000_000
LEAST = 20.0
MEMORY_MIB = 600
"""Of the process that scores the long table: batches of 50,000 rows and their answers, a few at a time, whatever the table's length."""

SCORE = """
import resource, sys, time
import polars, pyarrow.parquet
from pathlib import Path
from seatrial.bundle import load_bundle
from seatrial.params import Data
from seatrial.predict import predict
from seatrial.serving.runtime import Runtime
runtime = Runtime(load_bundle(Path(sys.argv[1])))
started = time.perf_counter()
found = predict(sys.argv[2], Path(sys.argv[3]), runtime, Data(raw="t", target="t"), version="1")
print(found.rows, time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def main() -> None:
    """Measure in turn; exit 1 where batch is not so much faster a row, or memory grows with the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=3_000_000)
    rows = options.parse_args().rows
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        short, long = (_table(folder / f"{count}.parquet", count) for count in (RATE_ROWS, rows))
        batch, single = _rates(folder, short)
        _, small = _score(folder, short)
        seconds, memory = _score(folder, long)
    ratio = batch / single
    table(
        f"Scoring, rows a second, median of {TURNS} turns",
        ["batch (predict)", "one row a request, 16 connections", "ratio", "asked"],
        [[f"{batch:,.0f}", f"{single:,.0f}", f"{ratio:.0f}", f"at least {LEAST:.0f}"]],
    )
    shown = [[f"{RATE_ROWS:,}", "", f"{small:.0f} MiB"], [f"{rows:,}", f"{seconds:.0f} s", f"{memory:.0f} MiB (at most {MEMORY_MIB})"]]
    table("Memory of the process, all told", ["rows", "time", "peak"], shown)
    if ratio < LEAST or memory > MEMORY_MIB:
        raise SystemExit(1)


def _rates(folder: Path, short: Path) -> tuple[float, float]:
    """Rows a second in batch, and over HTTP with one row in each request."""
    bundle, port = ROOT / "artifacts/model", free_port()
    row = json.loads((bundle / "golden.json").read_text())[0]["row"]
    command = [sys.executable, "-m", "seatrial", "serve", str(bundle), "--port", str(port)]
    batch, single = [], []
    with serving(command, ready=f"http://127.0.0.1:{port}/ping", cwd=folder_with_params(folder), env=plain_environment()):
        for _ in range(TURNS):
            batch.append(RATE_ROWS / _score(folder, short)[0])
            url, body = f"http://127.0.0.1:{port}/invocations", {"dataframe_records": [row]}
            single.append(wrk(url, body, connections=16, seconds=SECONDS, folder=folder))
    return median(batch), median(single)


def folder_with_params(folder: Path) -> Path:
    """A project for the server: this one's settings, elsewhere."""
    (folder / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    return folder


def _table(path: Path, count: int) -> Path:
    """The held-out rows of the sample again and again, written piece by piece."""
    import pyarrow.parquet as pq

    rows = pq.read_table(ROOT / "data/processed/test.parquet")
    with pq.ParquetWriter(path, rows.schema) as writer:
        for start in range(0, count, rows.num_rows):
            writer.write_table(rows.slice(0, min(rows.num_rows, count - start)))
    return path


def _score(folder: Path, rows: Path) -> tuple[float, float]:
    """Seconds and peak MiB of a process of its own that scores a table; what it takes to start is not counted as seconds."""
    command = [sys.executable, "-c", SCORE, str(ROOT / "artifacts/model"), str(rows), str(folder / "out.parquet")]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, env=plain_environment())
    _, seconds, peak = ended.stdout.split()
    return float(seconds), int(peak) / 1024


if __name__ == "__main__":
    main()
