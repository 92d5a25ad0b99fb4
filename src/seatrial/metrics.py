"""What a metric is, for every task, and those of a binary one: functions of answers and labels, and of weights on the rows.

`METRICS` is the table: `METRICS["roc_auc"](labels, probabilities, threshold)` gives the value. Resampling asks a metric for
its statistic instead, which maps weights of shape (b, n) to b values, so that both come from one definition.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from seatrial.manifest import Task

Labels = NDArray[np.int64]
Floats = NDArray[np.float64]
Targets = Labels | Floats
"""What is true of each row, shape (n,): a class by its number, or the value of a regression."""
Weights = NDArray[np.uint8] | Floats
"""How often each row counts, shape (b, n): drawn, as bytes, or any."""
Statistic = Callable[[Weights], Floats]

BINS = 10


class Answers(Protocol):
    """One model's answers to the rows, whatever its task."""

    @property
    def task(self) -> Task:
        """Which task they are answers of; `metrics_of` knows its metrics."""

    @property
    def raw(self) -> Floats:
        """The answers as the runtime gives them, shape (n,) or (n, classes)."""

    @property
    def strange(self) -> int:
        """How many of them are not what the task's answers can be, NaN for one; no metric is defined then."""

    @property
    def given(self) -> Labels | None:
        """The number of the class that each row is given, shape (n,); None for a regression."""

    def of(self, raw: Floats) -> Self:
        """Other answers of the same model."""

    def only(self, rows: NDArray[np.bool_]) -> Self:
        """The answers to some of the rows, by a mask of shape (n,)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scores:
    """One model's probabilities of the positive class, shape (n,), and the threshold from which it answers positive."""

    task: ClassVar[Task] = "binary"
    probabilities: Floats
    threshold: float

    @property
    def raw(self) -> Floats:
        """The probabilities."""
        return self.probabilities

    @property
    def positive(self) -> NDArray[np.bool_]:
        """Which rows the model labels positive."""
        return self.probabilities >= self.threshold

    @property
    def strange(self) -> int:
        """How many answers are no probability: NaN, infinite, below 0 or above 1."""
        return int((~((self.probabilities >= 0) & (self.probabilities <= 1))).sum())

    @property
    def given(self) -> Labels:
        """The class that each row is given: 1 where it is positive."""
        return self.positive.astype(np.int64)

    def of(self, raw: Floats) -> Scores:
        """Other probabilities of the same model."""
        return Scores(probabilities=raw, threshold=self.threshold)

    def only(self, rows: NDArray[np.bool_]) -> Scores:
        """The answers to some of the rows, by a mask of shape (n,)."""
        return self.of(self.probabilities[rows])


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric: a function of the rows' mean parts (`parts`, `combine`), or of the ranked rows (`ranked`)."""

    name: str
    title: str
    higher_is_better: bool
    uses_threshold: bool = False
    parts: Callable[[Any, Any], Floats] | None = None
    combine: Callable[[Floats], Floats] | None = None
    ranked: Callable[[Any, Floats], Statistic] | None = None

    def __call__(self, labels: Labels, probabilities: Floats, threshold: float = 0.5) -> float:
        """The metric's value; NaN without rows, where an answer is no probability, or where a missing class leaves it undefined."""
        return self.value(np.asarray(labels), Scores(probabilities=np.asarray(probabilities, dtype=np.float64), threshold=threshold))

    def value(self, labels: Targets, answers: Answers) -> float:
        """The metric's value for answers of its task; NaN without rows, where an answer is strange, or where it is undefined."""
        if len(labels) == 0 or answers.strange:
            return float("nan")
        return float(self.statistic(labels, answers)(np.ones((1, len(labels))))[0])

    def statistic(self, labels: Targets, scores: Answers) -> Statistic:
        """The metric as a function of weights, shape (b, n), that add up to n in each line; gives shape (b,)."""
        if self.ranked is not None:
            return self.ranked(labels, scores.raw)
        parts, combine = self._sums(labels, scores)
        return lambda weights: combine(weights @ parts / parts.shape[0])

    def leave_one_out(self, labels: Targets, scores: Answers, strata: Labels) -> Floats | None:
        """The metric without each row in turn, in O(n), shape (n,); None for ranked metrics.

        The other rows of its stratum stand in for the row, as they do in a bootstrap within `strata` (shape (n,)).
        """
        if self.ranked is not None:
            return None
        parts, combine = self._sums(labels, scores)
        totals = np.broadcast_to(parts.sum(axis=0), parts.shape).copy()
        for stratum in np.unique(strata):
            rows = strata == stratum
            count = int(rows.sum())
            if count > 1:
                mean = parts[rows].mean(axis=0)
                totals[rows] += (mean - parts[rows]) * count / (count - 1)
        return combine(totals / len(labels))

    def _sums(self, labels: Targets, scores: Answers) -> tuple[Floats, Callable[[Floats], Floats]]:
        if self.parts is None or self.combine is None:
            raise TypeError(f"the metric {self.name} has neither parts nor ranks")
        return self.parts(labels, scores), self.combine


def _confusion(labels: Labels, scores: Scores) -> Floats:
    """True positives, false positives, false negatives and true negatives, shape (n, 4)."""
    actual, positive = labels == 1, scores.positive
    return np.column_stack([actual & positive, ~actual & positive, actual & ~positive, ~actual & ~positive]).astype(np.float64)


def _ratio(above: Floats, below: Floats) -> Floats:
    """Quotients, 0 where the divisor is 0."""
    quotients: Floats = np.divide(above, below, out=np.zeros_like(above), where=below > 0)
    return quotients


def _f1(means: Floats) -> Floats:
    """2tp/(2tp + fp + fn), 0 where nothing is positive (van Rijsbergen 1979)."""
    true, wrong = means[..., 0], means[..., 1] + means[..., 2]
    return _ratio(2 * true, 2 * true + wrong)


def _weighted_f1(means: Floats) -> Floats:
    """F1 of both classes, each weighted by its share of the rows."""
    positives = means[..., 0] + means[..., 2]
    weighted: Floats = positives * _f1(means) + (1 - positives) * _f1(means[..., [3, 2, 1, 0]])
    return weighted


def _only(means: Floats) -> Floats:
    first: Floats = means[..., 0]
    return first


def _correct(labels: Labels, scores: Scores) -> Floats:
    right: Floats = ((labels == 1) == scores.positive).astype(np.float64)
    return right[:, None]


def _surprise(labels: Labels, scores: Scores) -> Floats:
    """-log of the probability given to the true class, at least the smallest step above 0 (Good 1952)."""
    own = np.where(labels == 1, scores.probabilities, 1 - scores.probabilities)
    smallest = np.finfo(np.float64).eps
    losses: Floats = -np.log(np.clip(own, smallest, 1 - smallest))
    return losses[:, None]


def _squared(labels: Labels, scores: Scores) -> Floats:
    """Squared distance of the probability from the label (Brier 1950)."""
    return np.square(scores.probabilities - labels)[:, None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Ranked:
    """Rows in order of their probability: where each comes from, whether it is positive, and where each tie ends.

    Rows of one probability stand or fall together, so the order of rows in the table does not matter.
    """

    order: NDArray[np.int64]
    actual: NDArray[np.uint8]
    ends: NDArray[np.int64]

    @classmethod
    def of(cls, labels: Labels, probabilities: Floats, *, descending: bool) -> _Ranked:
        order = np.argsort(-probabilities if descending else probabilities, kind="stable")
        ranked = probabilities[order]
        ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
        return cls(order=order, actual=(labels[order] == 1).astype(np.uint8), ends=ends)

    def sort(self, weights: Weights) -> NDArray[Any]:
        """The weights in order of the rows' probability."""
        return np.take(weights, self.order, axis=1)

    def cumulate(self, weights: Weights) -> tuple[Floats, Floats]:
        """The cumulated weight of the positive and of all rows at the end of each tie, shape (b, ties + 1), from 0."""
        drawn = self.sort(weights)
        return _from_zero(_cumulated(drawn * self.actual)[:, self.ends]), _from_zero(_cumulated(drawn)[:, self.ends])


def _cumulated(weights: NDArray[Any]) -> NDArray[Any]:
    """Cumulated sums along each line; of counts in 32 bits, which is three times faster than in 64."""
    return np.cumsum(weights, axis=1, dtype=np.int32 if weights.dtype == np.uint8 else np.float64)


def _from_zero(sums: NDArray[Any]) -> Floats:
    return np.concatenate([np.zeros((sums.shape[0], 1)), sums], axis=1)


def _roc_auc(labels: Labels, probabilities: Floats) -> Statistic:
    """Chance that a positive row scores above a negative one, ties counted half (Hanley and McNeil 1982)."""
    ranked = _Ranked.of(labels, probabilities, descending=False)
    alone = len(ranked.ends) == len(ranked.order)

    def value(weights: Weights) -> Floats:
        drawn = ranked.sort(weights)
        positives: NDArray[Any] = drawn * ranked.actual
        below = _cumulated(drawn - positives)
        negatives = below[:, -1].astype(np.float64)
        if not alone:
            ties = _from_zero(below[:, ranked.ends])
            below, positives = (ties[:, :-1] + ties[:, 1:]) / 2, np.diff(_from_zero(_cumulated(positives)[:, ranked.ends]), axis=1)
        pairs = np.einsum("ij,ij->i", below, positives, dtype=np.float64, casting="unsafe")  # which is safe, and makes no copies
        return _or_nan(pairs, positives.sum(axis=1, dtype=np.float64) * negatives)

    return value


def _pr_auc(labels: Labels, probabilities: Floats) -> Statistic:
    """Average precision: Σ (R_k - R_{k-1})·P_k over the distinct probabilities, from the highest, without interpolation."""
    ranked = _Ranked.of(labels, probabilities, descending=True)

    def value(weights: Weights) -> Floats:
        positives, rows = ranked.cumulate(weights)
        precision = _ratio(positives[:, 1:], rows[:, 1:])
        return _or_nan((np.diff(positives, axis=1) * precision).sum(axis=1), positives[:, -1])

    return value


def _or_nan(above: Floats, below: Floats) -> Floats:
    quotients: Floats = np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
    return quotients


def _calibration_error(labels: Labels, probabilities: Floats) -> Statistic:
    """Expected calibration error over ten bins of equal count: the mean distance of mean probability and share of positives.

    Bins of equal count, not of equal width (Nguyen and O'Connor 2015), which stay filled when most answers are alike. A
    bin's edge that falls within a row, or within rows of one probability, takes its part of them.
    """
    ranked = _Ranked.of(labels, probabilities, descending=False)
    distinct = np.unique(probabilities)

    def value(weights: Weights) -> Floats:
        positives, rows = ranked.cumulate(weights)
        expected = _from_zero(np.cumsum(np.diff(rows, axis=1) * distinct, axis=1))
        edges = np.linspace(0, weights.shape[1], BINS + 1)
        lines = zip(rows, positives, expected, strict=True)
        distances: Floats = np.array([_bin_distance(edges, *line) for line in lines]) / weights.shape[1]
        return distances

    return value


def _bin_distance(edges: Floats, rows: Floats, positives: Floats, expected: Floats) -> float:
    observed, predicted = np.diff(np.interp(edges, rows, positives)), np.diff(np.interp(edges, rows, expected))
    return float(np.abs(observed - predicted).sum())


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(name="roc_auc", title="ROC AUC", higher_is_better=True, ranked=_roc_auc),
        Metric(name="pr_auc", title="PR AUC", higher_is_better=True, ranked=_pr_auc),
        Metric(name="f1", title="F1", higher_is_better=True, uses_threshold=True, parts=_confusion, combine=_f1),
        Metric(name="weighted_f1", title="weighted F1", higher_is_better=True, uses_threshold=True, parts=_confusion, combine=_weighted_f1),
        Metric(name="accuracy", title="accuracy", higher_is_better=True, uses_threshold=True, parts=_correct, combine=_only),
        Metric(name="log_loss", title="log loss", higher_is_better=False, parts=_surprise, combine=_only),
        Metric(name="brier", title="Brier score", higher_is_better=False, parts=_squared, combine=_only),
        Metric(name="calibration_error", title="calibration error", higher_is_better=False, ranked=_calibration_error),
    )
}
"""Each metric of a binary task by its name in params.yaml."""
