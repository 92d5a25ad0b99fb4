"""Uncertainty of a metric, of one model or between two on the same rows: bootstrap, and DeLong for ROC AUC.

All resamples are shared by both models and by all metrics. A comparison draws within each class, of a regression from all
rows. One model's own value is drawn from all rows: the share of positives is a chance of the sample too, and F1 moves with it
(bounds that ought to hold 95 % of the time held 89 % when it was kept). Resamples are weights on the rows, made a chunk at a
time, so that memory stays bounded however many rows there are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seatrial.draws import Counts, draw_counts
from seatrial.metrics import Answers, Floats, Labels, Metric, Scores, Statistic, Targets
from seatrial.metrics_tasks import metrics_of
from seatrial.statistics import Estimate, NormalEstimate, PairedEstimate, ProportionEstimate, normal_cdf, normal_quantile

CHUNK_CELLS = 1_000_000
"""Weights that a thread holds at a time: a megabyte, and some ten times that while they are used."""

THREADS = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BootstrapEstimate:
    """A value with its sorted replicates: BCa bounds (Efron 1987), or percentile bounds where both corrections are 0.

    The percentile's lower bound of a calibration error is too high in small tables (of 250 rows it holds 66 % of the time, of
    1,760 rows 92 %), since noise only adds to it; the upper bound errs on the safe side.
    """

    value: float
    replicates: Floats
    method: str
    bias: float = 0.0
    acceleration: float = 0.0

    @property
    def error(self) -> float:
        """Standard deviation of the replicates; 0 where they differ by rounding only."""
        spread = float(self.replicates.std())
        return spread if spread > 1e-12 else 0.0

    def lower(self, alpha: float) -> float:
        """One-sided lower bound."""
        return self._quantile(normal_quantile(alpha))

    def upper(self, alpha: float) -> float:
        """One-sided upper bound."""
        return self._quantile(normal_quantile(1 - alpha))

    def p_above(self, limit: float) -> float:
        """P-value against a truth below `limit`, at least about 1 in the number of replicates."""
        return self._level(limit) if self.error else float(self.value < limit)

    def p_below(self, limit: float) -> float:
        """P-value against a truth above `limit`."""
        return 1 - self._level(limit) if self.error else float(self.value > limit)

    def _quantile(self, z: float) -> float:
        shifted = self.bias + z
        corrected = self.bias + shifted / max(1 - self.acceleration * shifted, 1e-6)
        return float(np.quantile(self.replicates, normal_cdf(corrected)))

    def _level(self, limit: float) -> float:
        """The alpha whose bound is `limit`: the BCa correction turned round; NaN where a replicate is."""
        if not math.isfinite(self.error):
            return math.nan
        count = len(self.replicates)
        below = np.searchsorted(self.replicates, limit, "left") + np.searchsorted(self.replicates, limit, "right")
        share = min(max(float(below) / (2 * count), 0.5 / count), 1 - 0.5 / count)
        shifted = normal_quantile(share) - self.bias
        return normal_cdf(shifted / max(1 + self.acceleration * shifted, 1e-6) - self.bias)


def estimate_metrics(names: Iterable[str], labels: Targets, scores: Answers, *, resamples: int, seed: int) -> dict[str, Estimate]:
    """Each metric of one model with its uncertainty; ROC AUC by DeLong, accuracy by Wilson, the others by bootstrap."""
    if scores.strange:
        return _undefined(names)
    strata = np.zeros(len(labels), dtype=np.int64)
    found: dict[str, Estimate] = {}
    samples: dict[str, _Sample] = {}
    for name in names:
        if name == "roc_auc" and isinstance(scores, Scores):
            found[name] = delong(labels, scores.probabilities)
        elif name == "accuracy":
            found[name] = ProportionEstimate(successes=int(_right(labels, scores).sum()), rows=len(labels))
        else:
            samples[name] = _sample(metrics_of(scores.task)[name], labels, scores, strata)
    return found | _bootstrap(samples, strata, "bootstrap", resamples=resamples, seed=seed)


def estimate_differences(
    names: Iterable[str], labels: Targets, challenger: Answers, champion: Answers, *, resamples: int, seed: int
) -> dict[str, Estimate]:
    """Challenger minus champion on the same rows, for each metric; accuracy by its discordant rows."""
    if challenger.strange or champion.strange:
        return _undefined(names)
    strata = np.zeros(len(labels), dtype=np.int64) if challenger.task == "regression" else np.asarray(labels, dtype=np.int64)
    found: dict[str, Estimate] = {}
    samples: dict[str, _Sample] = {}
    for name in names:
        if name == "roc_auc" and isinstance(challenger, Scores) and isinstance(champion, Scores):
            found[name] = delong_difference(labels, challenger.probabilities, champion.probabilities)
        elif name == "accuracy":
            found[name] = _accuracy_difference(labels, challenger, champion)
        else:
            samples[name] = _difference(metrics_of(challenger.task)[name], labels, challenger, champion, strata)
    return found | _bootstrap(samples, strata, "paired bootstrap", resamples=resamples, seed=seed)


def _undefined(names: Iterable[str]) -> dict[str, Estimate]:
    """No metric of answers that are none, some of which would hide among the others."""
    return {name: NormalEstimate(value=math.nan, error=math.nan, method="not measured") for name in names}


def _right(labels: Targets, answers: Answers) -> NDArray[np.bool_]:
    """Which rows are given their class, shape (n,)."""
    return np.asarray(answers.given == labels, dtype=np.bool_)


def _accuracy_difference(labels: Targets, challenger: Answers, champion: Answers) -> Estimate:
    right, was_right = _right(labels, challenger), _right(labels, champion)
    return PairedEstimate(wins=int((right & ~was_right).sum()), losses=int((~right & was_right).sum()), rows=len(labels))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Sample:
    """What is resampled: a function of the rows' weights, and its value without each row where that costs O(n)."""

    statistic: Statistic
    without: Floats | None


def _sample(metric: Metric, labels: Targets, scores: Answers, strata: Labels) -> _Sample:
    return _Sample(statistic=metric.statistic(labels, scores), without=metric.leave_one_out(labels, scores, strata))


def _difference(metric: Metric, labels: Targets, challenger: Answers, champion: Answers, strata: Labels) -> _Sample:
    new, old = (_sample(metric, labels, scores, strata) for scores in (challenger, champion))
    without = None if new.without is None or old.without is None else new.without - old.without
    return _Sample(statistic=lambda weights: new.statistic(weights) - old.statistic(weights), without=without)


def _bootstrap(samples: dict[str, _Sample], strata: Labels, method: str, *, resamples: int, seed: int) -> dict[str, Estimate]:
    """Replicates of every sample on the same resamples, chunks shared by two threads: numpy works outside the interpreter's lock."""
    if not samples:
        return {}
    plan = _Plan.of(strata, resamples, seed)

    def replicate(chunk: int) -> list[Floats]:
        weights = plan.draw(chunk)
        return [np.asarray(sample.statistic(weights)) for sample in samples.values()]

    with ThreadPoolExecutor(THREADS) as pool:
        parts = list(pool.map(replicate, range(len(plan.sizes))))
    replicates = [np.concatenate(one) for one in zip(*parts, strict=True)]
    return {name: _estimate(sample, strata, found, method) for (name, sample), found in zip(samples.items(), replicates, strict=True)}


def _estimate(sample: _Sample, strata: Labels, replicates: Floats, method: str) -> Estimate:
    value = float(sample.statistic(np.ones((1, len(strata))))[0])
    ordered = np.sort(replicates)
    if sample.without is None:
        return BootstrapEstimate(value=value, replicates=ordered, method=f"{method}, percentile")
    below = float((replicates < value).mean() + (replicates == value).mean() / 2)
    bias = normal_quantile(min(max(below, 0.5 / len(replicates)), 1 - 0.5 / len(replicates)))
    acceleration = _acceleration(sample.without, strata)
    return BootstrapEstimate(value=value, replicates=ordered, bias=bias, acceleration=acceleration, method=f"{method}, BCa")


def _acceleration(without: Floats, strata: Labels) -> float:
    """Efron's acceleration for several samples: Σl³/n_s³ / 6(Σl²/n_s²)^{3/2}, l by jackknife (Davison and Hinkley 1997, 5.3)."""
    influence = np.zeros_like(without)
    for stratum in np.unique(strata):
        rows = strata == stratum
        count = int(rows.sum())
        if count > 1:
            influence[rows] = (without[rows].mean() - without[rows]) * (count - 1) / count
    spread = float(np.square(influence).sum())
    return float((influence**3).sum()) / (6 * spread**1.5) if spread > 1e-24 else 0.0


def stratified_weights(strata: Labels, resamples: int, seed: int) -> Iterator[Counts]:
    """How often each row was drawn in each resample, a chunk at a time, shape (b, n); each stratum keeps its size."""
    plan = _Plan.of(strata, resamples, seed)
    yield from map(plan.draw, range(len(plan.sizes)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Plan:
    """Which resamples are drawn together, each chunk from a stream of its own: the same ones, whoever draws them and in any order.

    `counts` are the strata's sizes; `place` says where, strata one behind the other, each row stands.
    """

    sizes: tuple[int, ...]
    streams: tuple[np.random.SeedSequence, ...]
    counts: tuple[int, ...]
    place: NDArray[np.int64]

    @classmethod
    def of(cls, strata: Labels, resamples: int, seed: int) -> _Plan:
        _, sizes = np.unique(strata, return_counts=True)
        together = max(1, CHUNK_CELLS // max(len(strata), 1))
        chunks = tuple(min(together, resamples - start) for start in range(0, resamples, together))
        streams = tuple(np.random.SeedSequence(seed).spawn(len(chunks)))
        place = np.argsort(np.argsort(strata, kind="stable"), kind="stable")
        return cls(sizes=chunks, streams=streams, counts=tuple(sizes.tolist()), place=place)

    def draw(self, chunk: int) -> Counts:
        """The weights of one chunk, shape (b, n)."""
        generator = np.random.Generator(np.random.SFC64(self.streams[chunk]))
        drawn = [draw_counts(generator, self.sizes[chunk], count) for count in self.counts]
        return drawn[0] if len(drawn) == 1 else np.concatenate(drawn, axis=1)[:, self.place]


def delong(labels: Targets, probabilities: Floats) -> NormalEstimate:
    """ROC AUC with its standard error (DeLong et al. 1988); NaN where a class is missing."""
    values, covariance = _delong(labels, probabilities[None, :])
    return NormalEstimate(value=float(values[0]), error=_root(covariance[0, 0]), method="DeLong")


def delong_difference(labels: Targets, challenger: Floats, champion: Floats) -> NormalEstimate:
    """Difference of two ROC AUCs on the same rows with its standard error (DeLong et al. 1988)."""
    values, covariance = _delong(labels, np.stack([challenger, champion]))
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    return NormalEstimate(value=float(values[0] - values[1]), error=_root(variance), method="DeLong, paired")


def _root(variance: float) -> float:
    """Square root; 0 for what is zero but for rounding."""
    return float(np.sqrt(variance)) if not variance < 1e-15 else 0.0


def _delong(labels: Targets, scores: Floats) -> tuple[Floats, Floats]:
    """ROC AUC of each line of `scores`, shape (k, n), and their covariance, by midranks in O(n log n) (Sun and Xu 2014)."""
    positive, negative = scores[:, labels == 1], scores[:, labels != 1]
    m, n = positive.shape[1], negative.shape[1]
    if m == 0 or n == 0:
        return np.full(len(scores), np.nan), np.full((len(scores), len(scores)), np.nan)
    ranks = np.stack([_midranks(line) for line in np.concatenate([positive, negative], axis=1)])
    above = (ranks[:, :m] - np.stack([_midranks(line) for line in positive])) / n
    below = 1 - (ranks[:, m:] - np.stack([_midranks(line) for line in negative])) / m
    return above.mean(axis=1), _covariance(above) / m + _covariance(below) / n


def _covariance(lines: Floats) -> Floats:
    """Covariance of lines, shape (k, k); of single values 1/4, the most that a value between 0 and 1 can vary."""
    if lines.shape[1] < 2:
        return np.eye(len(lines)) / 4
    return np.atleast_2d(np.cov(lines))


def _midranks(values: Floats) -> Floats:
    """Ranks from 1, ties sharing their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts - 1) / 2)[inverse]
