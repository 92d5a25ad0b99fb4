"""A large table with the columns of the sample: its rows drawn anew with fresh ids, as Parquet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from benchmarks._common import ROOT

SAMPLE = ROOT / "data/raw/telco_churn.csv"
GROUP = 250_000


def write(path: Path, rows: int, *, seed: int = 0, first: int = 0) -> None:
    """Write `rows` rows drawn from the sample, ids counted from `first`; a 22nd column dates each row."""
    sample = pl.read_csv(SAMPLE)
    chance = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = None
    try:
        for start in range(0, rows, GROUP):
            chunk = _chunk(sample, chance, first + start, min(GROUP, rows - start)).to_arrow(compat_level=pl.CompatLevel.oldest())
            writer = writer or pq.ParquetWriter(path, chunk.schema, compression="zstd")
            writer.write_table(chunk)
    finally:
        if writer is not None:
            writer.close()


def _chunk(sample: pl.DataFrame, chance: np.random.Generator, first: int, rows: int) -> pl.DataFrame:
    numbers = pl.Series(np.arange(first, first + rows))
    days = pl.Series(chance.integers(0, 365, rows)).cast(pl.Int32)
    return sample[chance.integers(0, sample.height, rows)].with_columns(
        customer_id="C" + numbers.cast(pl.String).str.zfill(9), joined=pl.lit(20_000, dtype=pl.Int32).add(days).cast(pl.Date)
    )


CONTRACT = (ROOT / "data/contract.yaml").read_text()


def contract() -> str:
    """The sample's contract with the dated column, and a clock and a size that suit the synthetic table."""
    text = CONTRACT.replace("\ntable:", "\n  joined: {type: date}\n\ntable:", 1)
    return text.replace("column: null", "column: joined").replace("    rows: 0.5", "    rows: 0.000001")
