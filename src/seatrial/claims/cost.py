"""Claims about what a model costs: bytes, memory and milliseconds. Megabytes are millions of bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.claims.finding import Finding, conclude, outcome_of, undecided
from seatrial.errors import UsageError
from seatrial.verdict import Outcome

if TYPE_CHECKING:
    import polars as pl

    from seatrial.suite import Model

MEGABYTE = 1_000_000
MEMORY_ROWS = 1_000
LATENCY_ROWS = 200


def assert_size(model: Model, max_mb: float, *, advisory: bool = False) -> Finding:
    """The bundle's files together have at most `max_mb` megabytes."""
    observed = model.size / MEGABYTE
    sentence = f"the bundle has {observed:.2f} MB, at most {max_mb:g} MB may it have"
    return conclude(Finding(observed=observed, limit=max_mb, sentence=sentence, outcome=outcome_of(observed <= max_mb), advisory=advisory))


def assert_memory(model: Model, max_mb: float, *, advisory: bool = False) -> Finding:
    """A fresh process that loads the bundle and scores 1,000 rows holds at most `max_mb` megabytes at its peak, libraries included."""
    from seatrial.serving.footprint import peak_memory

    if model.folder is None:
        raise UsageError("the model has no folder, so no other process can load it")
    observed = peak_memory(model.folder, model.digest, MEMORY_ROWS) / MEGABYTE
    sentence = f"loading the bundle and scoring {MEMORY_ROWS:,} rows takes {observed:.0f} MB at the peak, at most {max_mb:g} MB may it take"
    outcome = outcome_of(observed <= max_mb)
    return conclude(Finding(observed=observed, limit=max_mb, sentence=sentence, outcome=outcome, advisory=advisory, volatile=True))


def assert_fast(
    model: Model,
    rows: pl.DataFrame,
    p99_ms: float,
    *,
    requests: int = 2000,
    rate: float = 400,
    confidence: float = 0.95,
    advisory: bool = False,
) -> Finding:
    """The 99th percentile of one-row calls to the real server is at most `p99_ms` milliseconds, by its upper order statistic.

    `rate` is calls a second, each counted from when it was due. Observed is the upper bound, which needs 299 calls at 95 %;
    undecided with fewer, and where only the lower bound keeps the limit.
    """
    from seatrial.checks.latency import p99_bounds
    from seatrial.latency import measure_latency

    if model.folder is None:
        raise UsageError("the model has no folder, so no server can load it")
    records = rows.select([column.name for column in model.manifest.inputs]).head(LATENCY_ROWS).to_dicts()
    if not records:
        undecided("there are no rows to ask about")
    taken = measure_latency({"model": (model.folder, model.digest)}, records, requests=requests, rate=rate)["model"]
    bounds = p99_bounds(taken, confidence)
    if bounds is None:
        undecided(f"{requests:,} calls are too few to bound their 99th percentile")
    low, seen, high = bounds
    outcome = Outcome.PASS if high <= p99_ms else Outcome.FAIL if low > p99_ms else Outcome.INCONCLUSIVE
    bound = f"one-sided {100 * confidence:g} % bounds {low:.2f} and {high:.2f}"
    sentence = f"the slowest hundredth of {requests:,} calls takes {seen:.2f} ms or more ({bound}), {p99_ms:g} ms is the limit"
    return conclude(Finding(observed=high, limit=p99_ms, sentence=sentence, outcome=outcome, advisory=advisory, volatile=True))
