"""How far each input of a window moved from the reference: distances between two profiles, and how likely they are by chance.

A column has drifted where its distance is large *and* significant, Benjamini-Hochberg over all questions of one window: the size
alone fails small windows by chance, significance alone fails large ones for nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from seatrial.checks.drift import Kind, Score
from seatrial.checks.shift import cells_of, kolmogorov_p, ks_distance, stability_index, two_proportions_p, two_samples_p
from seatrial.params import Drift
from seatrial.profile import ColumnProfile
from seatrial.statistics import benjamini_hochberg

Pair = tuple[ColumnProfile, ColumnProfile]
"""A column now, and in the reference."""

BINS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """What a window's columns gave: their distances, and for each the adjusted p of the change of what is missing."""

    columns: Mapping[str, Score]
    missing: Mapping[str, float]


def scores_of(policy: Drift, pairs: Mapping[str, Pair]) -> Scores:
    """Score every column of a window together; one that holds no value on a side, or no listed categories, has none."""
    found = {name: measured for name, pair in pairs.items() if (measured := _distance(policy, *pair)) is not None}
    missing = {name: _missing_p(*pair) for name, pair in pairs.items()}
    adjusted = benjamini_hochberg([*(p for _, p in found.values()), *missing.values()])
    scores = {
        name: _score(policy, kind_of(pairs[name][0]), value, p) for (name, (value, _)), p in zip(found.items(), adjusted, strict=False)
    }
    return Scores(columns=scores, missing=dict(zip(missing, adjusted[len(found) :], strict=True)))


def kind_of(column: ColumnProfile) -> Kind:
    """Whether a column is compared as numbers or as categories."""
    return "numeric" if column.type in ("number", "integer") else "category"


def _score(policy: Drift, kind: Kind, value: float, p: float) -> Score:
    chosen = policy.numeric if kind == "numeric" else policy.category
    limit = float(chosen.limit)
    return Score(method=chosen.method, value=value, limit=limit, p=p, drifted=value >= limit and p < policy.alpha)


def _distance(policy: Drift, now: ColumnProfile, then: ColumnProfile) -> tuple[float, float] | None:
    """The distance that the policy asks of such columns, and its p by chance alone."""
    if not now.count or not then.count:
        return None
    if now.numeric and then.numeric:
        ks = ks_distance(now, then)
        value = ks if policy.numeric.method == "ks_stat" else stability_index(_binned(now, then))
        return value, kolmogorov_p(ks, now.count, then.count)
    if now.values is None or then.values is None:
        return None
    cells = cells_of(now, then)
    value = stability_index(cells) if policy.category.method == "psi" else jensen_shannon(cells)
    return value, two_samples_p(list(cells.values()))


def _missing_p(now: ColumnProfile, then: ColumnProfile) -> float:
    return two_proportions_p(now.nulls, now.nulls + now.count, then.nulls, then.nulls + then.count)


def _binned(now: ColumnProfile, then: ColumnProfile) -> dict[str, tuple[int, int]]:
    """Counts (present, reference) in ten bins of equal share of the reference; fewer where values repeat."""
    new, old = now.distribution, then.distribution
    edges = sorted({_quantile(old.points, old.shares, at / BINS) for at in range(1, BINS)})
    shares = [(new.share(edge, through=True), old.share(edge, through=True)) for edge in edges]
    steps = zip([(0.0, 0.0), *shares], [*shares, (1.0, 1.0)], strict=True)
    return {str(at): (round((b[0] - a[0]) * now.count), round((b[1] - a[1]) * then.count)) for at, (a, b) in enumerate(steps)}


def _quantile(points: tuple[float, ...], shares: tuple[float, ...], share: float) -> float:
    return next((point for point, reached in zip(points, shares, strict=True) if reached >= share), points[-1])


def jensen_shannon(cells: Mapping[str, tuple[int, int]]) -> float:
    """The square root of the Jensen-Shannon divergence of two shares, natural logarithm: 0 for equal ones, √ln 2 = 0.83 for disjoint."""
    n, m = (sum(pair[at] for pair in cells.values()) for at in (0, 1))
    total = 0.0
    for new, old in cells.values():
        p, q = new / n, old / m
        middle = (p + q) / 2
        total += sum(share * math.log(share / middle) for share in (p, q) if share > 0) / 2
    return math.sqrt(max(0.0, total))
