"""Claims about what a model has learnt: metrics against limits, against the champion, and in slices of the rows.

Bounds are one-sided at `confidence`, as the gate's own: a claim holds where it is shown, fails where the contrary is shown,
and is undecided between the two.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from seatrial.checks.comparison import comparison_checks
from seatrial.checks.fairness import word
from seatrial.checks.performance import Level, floor_checks, needed
from seatrial.claims.finding import Finding, conclude, outcome_of, undecided, unjudged
from seatrial.errors import UsageError
from seatrial.located import nearest
from seatrial.metrics import METRICS, Labels, Metric, Scores
from seatrial.params import MetricPolicy
from seatrial.resampling import estimate_metrics
from seatrial.row_hashes import row_hashes, trained_on
from seatrial.statistics import Estimate, holm, settle
from seatrial.verdict import Check, Outcome, worst

if TYPE_CHECKING:
    import polars as pl

    from seatrial.suite import Model

CONFIDENCE = 0.95
RESAMPLES = 2000
MIN_PER_CLASS = 10


def assert_at_least(metric: str, value: float, floor: float, *, advisory: bool = False) -> Finding:
    """A measured `value` is `floor` or more, in the unit of both; `metric` is its name in the sentence."""
    holds = value >= floor
    sentence = f"{metric} {value:g} is {'at least' if holds else 'below'} {floor:g}"
    return conclude(Finding(observed=value, limit=floor, sentence=sentence, outcome=outcome_of(holds), advisory=advisory))


def assert_at_most(metric: str, value: float, ceiling: float, *, advisory: bool = False) -> Finding:
    """A measured `value` is `ceiling` or less, in the unit of both; `metric` is its name in the sentence."""
    holds = value <= ceiling
    sentence = f"{metric} {value:g} is {'at most' if holds else 'above'} {ceiling:g}"
    return conclude(Finding(observed=value, limit=ceiling, sentence=sentence, outcome=outcome_of(holds), advisory=advisory))


def assert_metric(
    model: Model,
    rows: pl.DataFrame,
    labels: Labels,
    metric: str,
    *,
    floor: float | None = None,
    ceiling: float | None = None,
    confidence: float = CONFIDENCE,
    seed: int = 0,
    advisory: bool = False,
) -> Finding:
    """The metric's one-sided bound keeps a floor, or a ceiling; undecided where only the observed value does, or the bound does not.

    `labels` are 0 and 1, shape (n,), for the n rows. `metric` is a name of `seatrial.metrics.METRICS`; thresholded ones use the
    bundle's threshold. Raises UsageError for an unknown metric, and where not exactly one limit is given.
    """
    if (floor is None) == (ceiling is None):
        raise UsageError("assert_metric takes a floor or a ceiling, one of the two")
    _known(metric)
    policy = MetricPolicy(floor=floor, ceiling=ceiling)
    level = Level(confidence=confidence, resamples=RESAMPLES, seed=seed)
    check = floor_checks({metric: policy}, labels, _scores(model, rows, labels), level)[0]
    return conclude(_of_check(check, advisory))


def assert_calibrated(
    model: Model, rows: pl.DataFrame, labels: Labels, ceiling: float, *, confidence: float = CONFIDENCE, advisory: bool = False
) -> Finding:
    """The expected calibration error over ten bins of equal count, a share from 0 to 1, is at most `ceiling` by its upper bound."""
    return assert_metric(model, rows, labels, "calibration_error", ceiling=ceiling, confidence=confidence, advisory=advisory)


def assert_no_regression(
    model: Model,
    champion: Model | None,
    rows: pl.DataFrame,
    labels: Labels,
    metric: str,
    margin: float,
    *,
    confidence: float = CONFIDENCE,
    seed: int = 0,
    advisory: bool = False,
) -> Finding:
    """The model is worse than the champion by less than `margin`, in the metric's unit, by the bound of the paired difference.

    Rows that the champion was trained on are left out, where the rows have the target and its bundle says which they were.
    Undecided where neither is shown or too few rows are left; skipped where there is no champion.
    """
    if champion is None:
        pytest.skip("there is no champion to compare with")
    _known(metric)
    new = _not_learned(champion, rows)
    fewest = min(int((labels[new] == 1).sum()), int((labels[new] != 1).sum()))
    if fewest < MIN_PER_CLASS:
        undecided(f"{int(new.sum()):,} rows are new to the champion, {fewest} of one class: too few to compare on")
    mine, theirs = _scores(model, rows, labels).only(new), _scores(champion, rows, labels).only(new)
    level = Level(confidence=confidence, resamples=RESAMPLES, seed=seed)
    check = comparison_checks({metric: MetricPolicy(margin=margin)}, labels[new], mine, theirs, level)[0]
    return conclude(_of_check(check, advisory))


def _not_learned(champion: Model, rows: pl.DataFrame) -> NDArray[np.bool_]:
    known = trained_on(champion.bundle) if champion.manifest.target.name in rows.columns else None
    return np.ones(rows.height, dtype=bool) if known is None else ~np.isin(row_hashes(rows, champion.manifest), known)


def assert_slices(
    model: Model,
    rows: pl.DataFrame,
    labels: Labels,
    column: str,
    metric: str,
    floor: float,
    *,
    min_rows: int = 100,
    min_positives: int = 10,
    confidence: float = CONFIDENCE,
    seed: int = 0,
    advisory: bool = False,
) -> Finding:
    """The metric is at least `floor` for each value of a column; the lowest value is what was observed.

    A slice with fewer rows than `min_rows`, or fewer of either class than `min_positives`, is named and not judged. "Below the
    floor" is claimed by Holm over the slices, "at least the floor" at the whole level each, as all must be. Skipped where every
    slice is too small. Raises UsageError for a metric of which less is better.
    """
    if not _known(metric).higher_is_better:
        raise UsageError(f"less {metric} is better, so it has no floor; assert_slices takes a metric of which more is better")
    scores = _scores(model, rows, labels)
    found = list(_slices(rows[column].to_list(), labels, scores, metric, min_rows, min_positives, seed))
    judged = [one for one in found if one.estimate is not None]
    small = [str(one) for one in found if one.estimate is None]
    if not judged:
        pytest.skip(f"no value of {column} has {min_rows} rows and {min_positives} of each class")
    return conclude(_of_slices(judged, small, column, METRICS[metric], floor, 1 - confidence, advisory))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slice:
    value: str
    rows: int
    estimate: Estimate | None

    def __str__(self) -> str:
        return f"{self.value} ({self.rows:,} rows)" if self.estimate is None else f"{self.value} {self.estimate.value:.3f}"


def _slices(
    values: list[Any], labels: Labels, scores: Scores, metric: str, min_rows: int, min_positives: int, seed: int
) -> Iterator[_Slice]:
    words = np.array([word(value) for value in values], dtype=object)
    for value in sorted(set(words)):
        mask = words == value
        size, positives = int(mask.sum()), int((labels[mask] == 1).sum())
        estimate = None
        if size >= min_rows and min(positives, size - positives) >= min_positives:
            estimate = estimate_metrics([metric], labels[mask], scores.only(mask), resamples=RESAMPLES, seed=seed)[metric]
        yield _Slice(value=value, rows=size, estimate=estimate)


def _of_slices(judged: list[_Slice], small: list[str], column: str, metric: Metric, floor: float, alpha: float, advisory: bool) -> Finding:
    estimates = [one.estimate for one in judged if one.estimate is not None]
    below = holm([one.p_below(floor) for one in estimates])
    outcomes = [settle(one.p_above(floor), p_below, alpha) for one, p_below in zip(estimates, below, strict=True)]
    at = min(range(len(judged)), key=lambda index: estimates[index].value if math.isfinite(estimates[index].value) else -math.inf)
    outcome = worst(outcomes)
    words = {Outcome.PASS: "at least", Outcome.FAIL: "not at least"}.get(outcome, "not shown to be at least")
    sentence = f"{metric.title} for each of {len(judged)} values of {column} is {words} {floor:g}, lowest for {judged[at]}"
    if outcome is Outcome.INCONCLUSIVE:
        first = outcomes.index(Outcome.INCONCLUSIVE)
        sentence += f"; for {judged[first].value} {needed(estimates[first], floor, judged[first].rows, alpha)}"
    examples = tuple(str(one) for one, said in zip(judged, outcomes, strict=True) if said is not Outcome.PASS)
    return Finding(
        observed=estimates[at].value,
        limit=floor,
        sentence=sentence + unjudged(small),
        examples=examples,
        outcome=outcome,
        advisory=advisory,
    )


def _known(metric: str) -> Metric:
    if metric not in METRICS:
        raise UsageError(f"{metric!r} is no metric{nearest(metric, METRICS)}", hint=f"known are {', '.join(METRICS)}")
    return METRICS[metric]


def _scores(model: Model, rows: pl.DataFrame, labels: Labels) -> Scores:
    """The answers to rows that can be judged: as many as labels, and of both classes."""
    if len(labels) != rows.height:
        raise UsageError(f"{len(labels):,} labels for {rows.height:,} rows")
    if len(np.unique(labels)) < 2:
        undecided(f"the {rows.height:,} rows are not of both classes, so no metric can be judged on them")
    scores = Scores(probabilities=model.score(rows), threshold=model.manifest.binary.threshold)
    if scores.strange:
        sentence = f"{scores.strange:,} of {rows.height:,} answers are no probability, so no metric can be judged on them"
        conclude(Finding(observed=math.nan, limit=0, sentence=sentence))
    return scores


def _of_check(check: Check, advisory: bool) -> Finding:
    observed, limit = (float("nan") if value is None else float(value) for value in (check.observed, check.limit))
    return Finding(observed=observed, limit=limit, sentence=check.message, outcome=check.outcome, advisory=advisory)
