"""How often a comparison passes, by simulation: at the margin, and where both models are equally good."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from seatrial.resampling import delong_difference
from seatrial.statistics import PairedEstimate, normal_cdf, normal_quantile, null_variance, rows_for_power, wilson_interval

ALPHA = 0.05
POWER = 0.8
PROPORTIONS = ((0.03, 0.02), (0.05, 0.02), (0.10, 0.02), (0.10, 0.03), (0.20, 0.03), (0.30, 0.05))
"""Shares of discordant rows with margins; the first has about 14 discordant rows at the formula's number of rows."""
ROWS = (200, 500, 1_760)
AREAS = ((0.84, 0.02, 0.9), (0.84, 0.02, 0.97), (0.70, 0.03, 0.8))
"""The champion's ROC AUC, the margin, and how alike the two models' scores are (correlation within a class)."""
POSITIVES = 0.27
ENOUGH = 100
"""Positive rows from which the formula of ROC AUC is held to its word."""
LARGE = 400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How many of `draws` tables passed, about what, and whether both models were equally good (`power`) or at the margin.

    `planned` is false where the formula is not meant to hold: DeLong's error is one of many rows.
    """

    what: str
    passed: int
    draws: int
    power: bool
    planned: bool = True

    @property
    def value(self) -> float:
        """The share that passed."""
        return self.passed / self.draws

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95 % interval."""
        return wilson_interval(self.passed, self.draws, 0.95)

    @property
    def kept(self) -> bool:
        """At the margin at most 6 %; with equal models within three points of the formula's 80 %."""
        return abs(self.value - POWER) <= 0.03 if self.power else self.value <= 0.06


def proportion_rates(draws: int, seed: int = 0) -> Iterator[Rate]:
    """Paired proportions at the margin, at several numbers of rows, and with equal models at the formula's."""
    generator = np.random.default_rng(seed)
    for share, margin in PROPORTIONS:
        planned = rows_for_power(share, margin, alpha=ALPHA, power=POWER, null=null_variance(share, margin)) or 0
        for rows in (*ROWS, planned):
            passed = _proportions(generator, share, margin, -margin, rows, draws)
            yield Rate(what=_named(share, margin, rows), passed=passed, draws=draws, power=False)
        passed = _proportions(generator, share, margin, 0.0, planned, draws)
        yield Rate(what=_named(share, margin, planned), passed=passed, draws=draws, power=True)


def _named(share: float, margin: float, rows: int) -> str:
    return f"q {share:g}, margin {margin:g}, {rows:,} rows (about {share * rows:.0f} discordant)"


def _proportions(generator: np.random.Generator, share: float, margin: float, truth: float, rows: int, draws: int) -> int:
    """How many of the drawn tables show a difference above -margin, the true one being `truth`."""
    wins, losses = (share + truth) / 2, (share - truth) / 2
    tables, counts = np.unique(generator.multinomial(rows, [wins, losses, 1 - share], size=draws)[:, :2], axis=0, return_counts=True)
    return sum(int(count) for table, count in zip(tables, counts, strict=True) if _passes(int(table[0]), int(table[1]), rows, margin))


@cache
def _passes(wins: int, losses: int, rows: int, margin: float) -> bool:
    return PairedEstimate(wins=wins, losses=losses, rows=rows).p_above(-margin) <= ALPHA


def area_rates(draws: int, seed: int = 0) -> Iterator[Rate]:
    """ROC AUC of binormal scores, by DeLong: at the margin on as many rows as the sample holds out, and the power by its variance."""
    generator = np.random.default_rng(seed)
    for area, margin, alike in AREAS:
        variance = delong_difference(*_scores(generator, area, area, alike, LARGE)).error ** 2 * LARGE
        planned = rows_for_power(variance, margin, alpha=ALPHA, power=POWER) or 0
        for rows in (ROWS[-1], planned):
            yield _area(generator, area, margin, alike, rows, draws, power=False)
        yield _area(generator, area, margin, alike, planned, draws, power=True)


def _area(generator: np.random.Generator, area: float, margin: float, alike: float, rows: int, draws: int, *, power: bool) -> Rate:
    challenger = area if power else area - margin
    found = (delong_difference(*_scores(generator, challenger, area, alike, rows)) for _ in range(draws))
    passed = sum(estimate.p_above(-margin) <= ALPHA for estimate in found)
    positives = round(POSITIVES * rows)
    what = f"ROC AUC {area:g}, margin {margin:g}, likeness {alike:g}, {rows:,} rows ({positives:,} positive)"
    return Rate(what=what, passed=passed, draws=draws, power=power, planned=not power or positives >= ENOUGH)


def _scores(
    generator: np.random.Generator, challenger: float, champion: float, alike: float, rows: int
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Labels and two models' scores, normal in each class: a ROC AUC of Φ(d/√2), d the distance of the classes."""
    positives = round(POSITIVES * rows)
    labels = np.repeat(np.array([1, 0]), [positives, rows - positives])
    shared = generator.normal(size=rows)
    own = generator.normal(size=(2, rows))
    first, second = (math.sqrt(alike) * shared + math.sqrt(1 - alike) * one for one in own)
    return labels, first + _distance(challenger) * labels, second + _distance(champion) * labels


def _distance(area: float) -> float:
    distance = math.sqrt(2) * normal_quantile(area)
    assert abs(normal_cdf(distance / math.sqrt(2)) - area) < 1e-9
    return distance
