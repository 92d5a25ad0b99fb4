"""Claims about groups: a rate of the model's labels differs between any two of them by no more than a limit.

The point values are Fairlearn's differences between groups; the judgement is by an interval for each pair of groups. "Within
the limit" is claimed at the whole level, as all pairs must be, "beyond it" by Holm over the pairs, as one is enough to fail.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from seatrial.checks.fairness import word
from seatrial.checks.performance import interval, needed
from seatrial.claims.finding import Finding, conclude, undecided, unjudged
from seatrial.errors import UsageError
from seatrial.metrics import Labels
from seatrial.statistics import NormalEstimate, holm, settle
from seatrial.verdict import Outcome, worst

if TYPE_CHECKING:
    import polars as pl

    from seatrial.suite import Model

Mask = NDArray[np.bool_]
Criterion = Literal["equal_opportunity", "equalized_odds", "demographic_parity"]

RATES: Mapping[str, tuple[str, ...]] = {
    "equal_opportunity": ("true-positive rate",),
    "equalized_odds": ("true-positive rate", "false-positive rate"),
    "demographic_parity": ("share labelled positive",),
}
"""The rates that each criterion compares: over the rows that are positive, those that are negative, and all rows."""


def assert_fairness(
    model: Model,
    rows: pl.DataFrame,
    labels: Labels,
    column: str,
    criterion: Criterion = "equal_opportunity",
    *,
    within: float,
    min_rows: int = 100,
    confidence: float = 0.95,
    advisory: bool = False,
) -> Finding:
    """The criterion's rates differ by at most `within`, a share from 0 to 1, between any two groups of a column.

    Equal opportunity and equalised odds after Hardt et al. (2016), demographic parity after Calders et al. (2009). `labels` are
    0 and 1, shape (n,). A group of which one rate has fewer than `min_rows` rows is named and not judged; skipped where fewer
    than two are left. Undecided where an interval lies on both sides of the limit, or Fairlearn is not installed.
    """
    if criterion not in RATES:
        raise UsageError(f"{criterion!r} is no criterion; known are {', '.join(RATES)}")
    if len(labels) != rows.height:
        raise UsageError(f"{len(labels):,} labels for {rows.height:,} rows")
    scores = model.score(rows)
    if not ((scores >= 0) & (scores <= 1)).all():
        conclude(Finding(observed=math.nan, limit=within, sentence="not every answer is a probability, so no group can be judged"))
    groups = np.array([word(value) for value in rows[column]], dtype=object)
    rates = [_rate(name, labels == 1) for name in RATES[criterion]]
    large, small = _sizes(groups, rates, min_rows)
    if len(large) < 2:
        pytest.skip(f"{column} has fewer than two groups with {min_rows} rows for the {' and the '.join(RATES[criterion])}")
    positive = scores >= model.manifest.binary.threshold
    judged = np.isin(groups, large)
    observed = _difference(criterion, labels[judged], positive[judged], groups[judged])
    gaps = [gap for rate in rates for gap in _gaps(rate, large, groups, positive)]
    return conclude(_judged(criterion, column, observed, gaps, small, within, 1 - confidence, advisory))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Rate:
    """A share of rows that the model labels positive, among the rows of a mask of shape (n,)."""

    name: str
    among: Mask


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gap:
    """One rate's difference between two groups, first minus second, over this many rows."""

    rate: str
    pair: tuple[str, str]
    shares: tuple[float, float]
    estimate: NormalEstimate
    rows: int

    def p_within(self, limit: float) -> float:
        """P-value of "the difference is smaller than the limit", either way."""
        return max(self.estimate.p_below(limit), self.estimate.p_above(-limit))

    def p_beyond(self, limit: float) -> float:
        """P-value of "the difference is larger than the limit", either way."""
        return min(self.estimate.p_above(limit), self.estimate.p_below(-limit))

    def __str__(self) -> str:
        return f"{self.rate} {self.shares[0]:.3f} for {self.pair[0]} and {self.shares[1]:.3f} for {self.pair[1]}"


def _rate(name: str, actual: Mask) -> _Rate:
    among = {"true-positive rate": actual, "false-positive rate": ~actual}.get(name, np.ones_like(actual))
    return _Rate(name=name, among=among)


def _sizes(groups: NDArray[Any], rates: Sequence[_Rate], min_rows: int) -> tuple[list[str], list[str]]:
    """The groups that are judged, and those of which a rate has too few rows."""
    values = sorted(set(groups))
    large = [value for value in values if min(int((rate.among & (groups == value)).sum()) for rate in rates) >= min_rows]
    return large, [value for value in values if value not in large]


def _difference(criterion: Criterion, labels: Labels, positive: Mask, groups: NDArray[Any]) -> float:
    """Fairlearn's figure: the largest difference between two groups, of either rate."""
    try:
        from fairlearn import metrics
    except ModuleNotFoundError:
        undecided("Fairlearn is not installed, so no fairness criterion can be measured")
    measure = getattr(metrics, f"{criterion}_difference")
    return float(measure(labels, positive.astype(np.int64), sensitive_features=groups.astype(str)))


def _gaps(rate: _Rate, large: Sequence[str], groups: NDArray[Any], positive: Mask) -> Iterator[_Gap]:
    for pair in combinations(large, 2):
        first, second = (positive[rate.among & (groups == value)] for value in pair)
        error = math.sqrt(_variance(first) + _variance(second))
        shares = (float(first.mean()), float(second.mean()))
        estimate = NormalEstimate(value=shares[0] - shares[1], error=error, method="normal approximation")
        yield _Gap(rate=rate.name, pair=pair, shares=shares, estimate=estimate, rows=len(first) + len(second))


def _variance(hits: Mask) -> float:
    """Of a share, with one hit and one miss added (Agresti and Caffo 2000)."""
    share = (float(hits.sum()) + 1) / (len(hits) + 2)
    return share * (1 - share) / (len(hits) + 2)


def _judged(
    criterion: str, column: str, observed: float, gaps: Sequence[_Gap], small: Sequence[str], within: float, alpha: float, advisory: bool
) -> Finding:
    beyond = holm([gap.p_beyond(within) for gap in gaps])
    outcomes = [settle(gap.p_within(within), p_beyond, alpha) for gap, p_beyond in zip(gaps, beyond, strict=True)]
    outcome = worst(outcomes)
    widest = max(gaps, key=lambda gap: abs(gap.estimate.value))
    words = {Outcome.PASS: "at most", Outcome.FAIL: "more than"}.get(outcome, "not shown to be on either side of")
    sentence = (
        f"{criterion.replace('_', ' ')} difference over {column} {observed:.3f} is {words} {within:g} "
        f"({widest}: difference {widest.estimate.value:+.3f}, {interval(widest.estimate, 1 - alpha)})"
    )
    if outcome is Outcome.INCONCLUSIVE:
        limit = math.copysign(within, widest.estimate.value)
        sentence += f"; {needed(widest.estimate, limit, widest.rows, alpha)}"
    examples = tuple(str(gap) for gap, said in zip(gaps, outcomes, strict=True) if said is Outcome.FAIL and gap is not widest)
    return Finding(
        observed=observed, limit=within, sentence=sentence + unjudged(small), examples=examples, outcome=outcome, advisory=advisory
    )
