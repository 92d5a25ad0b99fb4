"""The metrics of multiclass and regression tasks, and the answers that they judge; `metrics_of` gives the table of any task.

As for a binary task, a metric is a statistic of weights on the rows, so that value and bootstrap come from one definition.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from seatrial.manifest import Task
from seatrial.metrics import METRICS, Floats, Labels, Metric, Statistic, Weights

SLACK = 1e-5
"""How far below 0 a probability may end, which is a sum of 32-bit floats."""
SUM_SLACK = 1e-4
"""How far from 1 the probabilities of one row may add up."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Classes:
    """One model's probabilities of each class, shape (n, classes), in the order of the bundle's classes."""

    task: ClassVar[Task] = "multiclass"
    probabilities: Floats

    @property
    def raw(self) -> Floats:
        """The probabilities."""
        return self.probabilities

    @property
    def given(self) -> Labels:
        """The number of the class that each row is given, the likeliest, shape (n,); of equals the first."""
        likeliest: Labels = self.probabilities.argmax(axis=1)
        return likeliest

    @property
    def strange(self) -> int:
        """How many rows have no probabilities: one that is NaN, infinite or below 0, or a sum that is not 1."""
        whole = np.abs(self.probabilities.sum(axis=1) - 1) <= SUM_SLACK
        return int((~(whole & (self.probabilities >= -SLACK).all(axis=1))).sum())

    def of(self, raw: Floats) -> Classes:
        """Other probabilities of the same model."""
        return Classes(probabilities=raw)

    def only(self, rows: NDArray[np.bool_]) -> Classes:
        """The answers to some of the rows, by a mask of shape (n,)."""
        return self.of(self.probabilities[rows])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Values:
    """One regression's answers, shape (n,)."""

    task: ClassVar[Task] = "regression"
    values: Floats

    @property
    def raw(self) -> Floats:
        """The values."""
        return self.values

    @property
    def strange(self) -> int:
        """How many answers are no finite number."""
        return int((~np.isfinite(self.values)).sum())

    @property
    def given(self) -> None:
        """No class."""
        return None

    def of(self, raw: Floats) -> Values:
        """Other values of the same model."""
        return Values(values=raw)

    def only(self, rows: NDArray[np.bool_]) -> Values:
        """The answers to some of the rows, by a mask of shape (n,)."""
        return self.of(self.values[rows])


def metrics_of(task: Task) -> Mapping[str, Metric]:
    """Each metric of a task by its name in params.yaml."""
    return _TASKS[task]


def _first(means: Floats) -> Floats:
    first: Floats = means[..., 0]
    return first


def _correct(labels: Labels, answers: Classes) -> Floats:
    right: Floats = (labels == answers.given).astype(np.float64)
    return right[:, None]


def _hits_and_counts(labels: Labels, answers: Classes) -> Floats:
    """For each class, whether the row is one rightly given it, is one, and is given it; shape (n, 3·classes)."""
    one_hot = np.eye(answers.probabilities.shape[1])
    actual, given = one_hot[labels], one_hot[answers.given]
    return np.concatenate([actual * given, actual, given], axis=1)


def _f1_by_class(means: Floats) -> tuple[Floats, Floats]:
    """F1 of each class against the others, 2tp/(actual + given), 0 where there is neither; and each class's share of the rows."""
    hits, actual, given = np.split(means, 3, axis=-1)
    both = actual + given
    return np.divide(2 * hits, both, out=np.zeros_like(hits), where=both > 1e-12), actual


def _macro_f1(means: Floats) -> Floats:
    """The mean of all classes' F1, each counting the same."""
    mean: Floats = _f1_by_class(means)[0].mean(axis=-1)
    return mean


def _weighted_f1(means: Floats) -> Floats:
    """The mean of all classes' F1, each weighted by its share of the rows."""
    f1, shares = _f1_by_class(means)
    weighted: Floats = (f1 * shares).sum(axis=-1)
    return weighted


def _surprise(labels: Labels, answers: Classes) -> Floats:
    """-log of the probability given to the true class, at least the smallest step above 0 (Good 1952)."""
    own = answers.probabilities[np.arange(len(labels)), labels]
    losses: Floats = -np.log(np.clip(own, np.finfo(np.float64).eps, 1))
    return losses[:, None]


def _squared_distance(labels: Labels, answers: Classes) -> Floats:
    """Squared distance of the probabilities from the class, summed over all classes: 0 to 2 (Brier 1950)."""
    actual = np.eye(answers.probabilities.shape[1])[labels]
    distances: Floats = np.square(answers.probabilities - actual).sum(axis=1)
    return distances[:, None]


def _absolute(targets: Floats, answers: Values) -> Floats:
    return np.abs(answers.values - targets)[:, None]


def _squares(targets: Floats, answers: Values) -> Floats:
    return np.square(answers.values - targets)[:, None]


def _root(means: Floats) -> Floats:
    return np.sqrt(np.maximum(means[..., 0], 0))


def _squares_and_spread(targets: Floats, answers: Values) -> Floats:
    """Squared error, distance from the mean of the targets (for exactness), and its square; shape (n, 3)."""
    away = targets - targets.mean()
    return np.column_stack([np.square(answers.values - targets), away, np.square(away)])


def _determination(means: Floats) -> Floats:
    """1 - mean squared error / variance of the targets; NaN where they are all the same."""
    variance = means[..., 2] - np.square(means[..., 1])
    share: Floats = np.divide(means[..., 0], variance, out=np.full_like(variance, np.nan), where=variance > 1e-12 * means[..., 2])
    return 1 - share


def _median_distance(targets: Floats, values: Floats) -> Statistic:
    """The median of the absolute errors; where half of the weight lies on either side, the middle of the two."""
    distances = np.abs(values - targets)
    order = np.argsort(distances, kind="stable")
    ranked = distances[order]

    def value(weights: Weights) -> Floats:
        sums: Floats = np.cumsum(np.take(weights, order, axis=1), axis=1, dtype=np.float64)
        half = sums[:, -1:] / 2
        lower, upper = (np.minimum(one.sum(axis=1), len(ranked) - 1) for one in (sums < half, sums <= half))
        middle: Floats = (ranked[lower] + ranked[upper]) / 2
        return middle

    return value


_MULTICLASS = (
    Metric(name="accuracy", title="accuracy", higher_is_better=True, parts=_correct, combine=_first),
    Metric(name="macro_f1", title="macro F1", higher_is_better=True, parts=_hits_and_counts, combine=_macro_f1),
    Metric(name="weighted_f1", title="weighted F1", higher_is_better=True, parts=_hits_and_counts, combine=_weighted_f1),
    Metric(name="log_loss", title="log loss", higher_is_better=False, parts=_surprise, combine=_first),
    Metric(name="brier", title="Brier score", higher_is_better=False, parts=_squared_distance, combine=_first),
)
_REGRESSION = (
    Metric(name="mae", title="mean absolute error", higher_is_better=False, parts=_absolute, combine=_first),
    Metric(name="rmse", title="root mean squared error", higher_is_better=False, parts=_squares, combine=_root),
    Metric(name="r2", title="R²", higher_is_better=True, parts=_squares_and_spread, combine=_determination),
    Metric(name="median_absolute_error", title="median absolute error", higher_is_better=False, ranked=_median_distance),
)
_TASKS: Mapping[Task, Mapping[str, Metric]] = {
    "binary": METRICS,
    "multiclass": {metric.name: metric for metric in _MULTICLASS},
    "regression": {metric.name: metric for metric in _REGRESSION},
}
