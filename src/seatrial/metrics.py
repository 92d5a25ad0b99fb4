"""Classification metrics of 0/1 labels and probabilities, vectorised; tests hold them to scikit-learn's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]
Scores = NDArray[np.float64]
BINS = 10
TINY = np.finfo(np.float64).eps


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric: how it is called in sentences, its formula, which way is better, whether the threshold matters."""

    title: str
    formula: Callable[[Labels, Scores, float], float]
    higher_is_better: bool
    uses_threshold: bool

    def __call__(self, labels: Labels, scores: Scores, threshold: float) -> float:
        """The metric of labels (0 or 1) and probabilities of the positive class, both of shape (n,)."""
        return self.formula(labels, scores, threshold)


def _roc_auc(labels: Labels, scores: Scores, threshold: float) -> float:
    """Mann-Whitney U over the number of pairs, ties counted half."""
    positives = int(labels.sum())
    negatives = len(labels) - positives
    if not positives or not negatives:
        return float("nan")
    return float((midranks(scores)[labels == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def midranks(values: Scores) -> Scores:
    """Ranks from 1, equal values sharing the mean of theirs; shape (n,)."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    middle: Scores = ends - (counts - 1) / 2
    return np.asarray(middle[inverse], dtype=np.float64)


def _pr_auc(labels: Labels, scores: Scores, threshold: float) -> float:
    """Average precision: the sum over thresholds of the gain in recall times the precision."""
    if not labels.sum():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    hits = np.cumsum(labels[order])[ends]
    return float(np.sum(np.diff(hits, prepend=0) / labels.sum() * hits / (ends + 1)))


def confusion(labels: Labels, scores: Scores, threshold: float) -> tuple[int, int, int, int]:
    """True positives, false positives, false negatives, true negatives; a probability at the threshold is positive."""
    predicted = scores >= threshold
    hits = int((predicted & (labels == 1)).sum())
    false_alarms, misses = int(predicted.sum()) - hits, int(labels.sum()) - hits
    return hits, false_alarms, misses, len(labels) - hits - false_alarms - misses


def _f1_of(hits: float, false_alarms: float, misses: float) -> float:
    whole = 2 * hits + false_alarms + misses
    return 2 * hits / whole if whole else 0.0


def _f1(labels: Labels, scores: Scores, threshold: float) -> float:
    hits, false_alarms, misses, _ = confusion(labels, scores, threshold)
    return _f1_of(hits, false_alarms, misses)


def _weighted_f1(labels: Labels, scores: Scores, threshold: float) -> float:
    """F1 of both classes, weighted by how many rows they have."""
    hits, false_alarms, misses, rejections = confusion(labels, scores, threshold)
    positives, negatives = hits + misses, false_alarms + rejections
    return (positives * _f1_of(hits, false_alarms, misses) + negatives * _f1_of(rejections, misses, false_alarms)) / len(labels)


def _accuracy(labels: Labels, scores: Scores, threshold: float) -> float:
    return float(np.mean((scores >= threshold) == (labels == 1)))


def row_log_loss(labels: Labels, scores: Scores) -> Scores:
    """Log loss of each row, probabilities kept off 0 and 1 by the smallest step of a float."""
    kept = np.clip(scores, TINY, 1 - TINY)
    return np.asarray(-np.where(labels == 1, np.log(kept), np.log1p(-kept)), dtype=np.float64)


def _log_loss(labels: Labels, scores: Scores, threshold: float) -> float:
    return float(row_log_loss(labels, scores).mean())


def _brier(labels: Labels, scores: Scores, threshold: float) -> float:
    return float(np.mean((scores - labels) ** 2))


def _calibration_error(labels: Labels, scores: Scores, threshold: float) -> float:
    """Expected calibration error over ten bins of equal count: mean distance of predicted and observed rate (Naeini 2015)."""
    order = np.argsort(scores, kind="stable")
    parts = np.array_split(order, min(BINS, len(order)))
    gaps = [len(part) * abs(float(scores[part].mean()) - float(labels[part].mean())) for part in parts]
    return sum(gaps) / len(order)


METRICS: dict[str, Metric] = {
    "roc_auc": Metric(title="ROC AUC", formula=_roc_auc, higher_is_better=True, uses_threshold=False),
    "pr_auc": Metric(title="PR AUC", formula=_pr_auc, higher_is_better=True, uses_threshold=False),
    "f1": Metric(title="F1", formula=_f1, higher_is_better=True, uses_threshold=True),
    "weighted_f1": Metric(title="weighted F1", formula=_weighted_f1, higher_is_better=True, uses_threshold=True),
    "accuracy": Metric(title="accuracy", formula=_accuracy, higher_is_better=True, uses_threshold=True),
    "log_loss": Metric(title="log loss", formula=_log_loss, higher_is_better=False, uses_threshold=False),
    "brier": Metric(title="Brier score", formula=_brier, higher_is_better=False, uses_threshold=False),
    "calibration_error": Metric(title="calibration error", formula=_calibration_error, higher_is_better=False, uses_threshold=False),
}
"""The metrics by their names in params.yaml."""
