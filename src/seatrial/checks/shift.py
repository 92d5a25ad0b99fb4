"""Statistics: how far the data moved from the reference profile, column by column.

A change counts when it is large (an effect size) and significant (Benjamini-Hochberg over all questions of one
validation): the size alone fails small tables by chance, significance alone fails large ones for nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from seatrial.checks.wording import counted, listed, percent
from seatrial.contract import Contract, Statistics
from seatrial.profile import ColumnProfile, Profile
from seatrial.statistics import benjamini_hochberg
from seatrial.verdict import Check, Outcome

MIN_EXPECTED = 5.0
NEW_SHARE = 0.001
"""From this share of the rows on, categories that the reference does not know count, if significant."""
VANISHED_SHARE = 0.005
"""From this share of the reference's rows on, categories that are gone entirely count, if significant."""
CATEGORICAL = ("string", "boolean")
TILTS = tuple(10 ** (step / 8) for step in range(-32, 17))
"""Where Chernoff's bound is taken: 49 points from 0.0001 to 100, evenly spaced on a log scale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """One question about one column: the effect, from which size on it matters, and how likely it is by chance."""

    name: str
    column: str
    effect: float
    limit: float
    p: float
    words: str


def statistics_checks(contract: Contract, present: Profile, reference: Profile, *, identity: str | None = None) -> tuple[Check, ...]:
    """Compare two profiles made by the same contract; the column `identity` (the id) and unique ones only in what is missing."""
    policy = contract.checks.statistics
    shared = {name: (present.columns[name], reference.columns[name]) for name in present.columns if name in reference.columns}
    comparable = {name: pair for name, pair in shared.items() if pair[0].type == pair[1].type}
    skipped = {identity} | {name for name, column in contract.columns.items() if column.unique}
    shifts = [shift for name, pair in comparable.items() for shift in _shifts(name, *pair, policy, only_missing=name in skipped)]
    shifts += [shift for name, pair in comparable.items() if name not in skipped for shift in _members(contract, name, *pair)]
    adjusted = benjamini_hochberg([shift.p for shift in shifts])
    return (
        _rows(policy, present, reference),
        *(_unknown(policy, name) for name in present.columns if name not in comparable),
        *(_check(policy, shift, p) for shift, p in zip(shifts, adjusted, strict=True)),
    )


def _rows(policy: Statistics, present: Profile, reference: Profile) -> Check:
    """The size of the table against the reference's: neither far fewer rows, nor far more."""
    smaller, larger = sorted((present.rows, reference.rows))
    ratio = smaller / larger if larger else 0.0
    same = " (the reference was made from this very table)" if present.data is not None and present.data == reference.data else ""
    message = f"{present.rows} rows, the reference has {reference.rows}{same}; the smaller may be {policy.rows:.0%} of the larger or more"
    outcome = Outcome.PASS if ratio >= policy.rows else Outcome.FAIL
    return Check(
        name="statistics.rows",
        outcome=outcome,
        message=message,
        observed=round(ratio, 6),
        limit=float(policy.rows),
        advisory=policy.advisory,
    )


def _unknown(policy: Statistics, name: str) -> Check:
    message = f"column {name!r}: the reference knows no such column of this type; look at the data, then: seatrial validate --accept"
    return Check(name="statistics.reference", outcome=Outcome.INCONCLUSIVE, message=message, advisory=policy.advisory, column=name)


def _shifts(name: str, now: ColumnProfile, then: ColumnProfile, policy: Statistics, *, only_missing: bool) -> Iterator[Shift]:
    yield _missing(name, now, then, policy)
    if only_missing or not now.count or not then.count:
        return
    if now.numeric and then.numeric:
        yield _numeric(name, now, then, policy)
    elif now.values is not None and then.values is not None:
        yield _categories(name, now, then, policy)


def _members(contract: Contract, name: str, now: ColumnProfile, then: ColumnProfile) -> Iterator[Shift]:
    """Categories that came or went; new ones are `quality.allowed`'s where the contract lists the values."""
    if now.type not in CATEGORICAL or not now.count or not then.count:
        return
    if then.complete and (name not in contract.columns or contract.columns[name].allowed is None):
        yield _new_categories(name, now, then)
    if now.complete and then.values is not None:
        yield _vanished(name, now, then)


def _new_categories(name: str, now: ColumnProfile, then: ColumnProfile) -> Shift:
    known = dict(then.values or ())
    counts = {value: (count, known.get(value, 0)) for value, count in now.values or ()}
    new = {value: count for value, (count, old) in counts.items() if not old}
    unlisted, most = _new_among_others(now, known)
    pairs = [*counts.values(), *((0, count) for value, count in known.items() if value not in counts), *[(most, 0)] * unlisted]
    rows = sum(new.values()) + round(unlisted * most)
    words = f"no category that the reference does not know, among {now.distinct}"
    if rows:
        named = listed([f"{value!r} ({counted(count, 'row')})" for value, count in new.items()] + ["others"] * bool(unlisted))
        share = f"{rows} of {counted(now.count, 'row')} ({percent(rows / now.count)})"
        words = f"{_categories_are(len(new) + unlisted)} unknown to the reference, {share}: {named}"
    p = exclusive_p(pairs, now.count, then.count)
    return Shift(name="statistics.new_categories", column=name, effect=rows / now.count, limit=NEW_SHARE, p=p, words=words)


def _new_among_others(now: ColumnProfile, known: dict[str, int]) -> tuple[int, float]:
    """At least how many new categories are among those that the present profile does not list, and how many rows each has."""
    listed_now = dict(now.values or ())
    others, rows = now.distinct - len(listed_now), now.count - sum(listed_now.values())
    hidden = sum(value not in listed_now for value in known)
    if others <= hidden or rows <= 0:
        return 0, 0.0
    left = rows - hidden * min(listed_now.values(), default=0)
    return (others - hidden, left / (others - hidden)) if left > 0 else (0, 0.0)


def _categories_are(count: int) -> str:
    return "1 category is" if count == 1 else f"{count} categories are"


def _vanished(name: str, now: ColumnProfile, then: ColumnProfile) -> Shift:
    present = dict(now.values or ())
    counts = {value: (count, present.get(value, 0)) for value, count in then.values or ()}
    gone = {value: count for value, (count, here) in counts.items() if not here}
    rows = sum(gone.values())
    words = "every category of the reference is there"
    if gone:
        named = listed(f"{value!r} ({count / then.count:.2%} of the reference)" for value, count in gone.items())
        words = f"{_categories_are(len(gone))} gone: {named}; {percent(rows / then.count)} in all"
    pairs = [*counts.values(), *((0, count) for value, count in present.items() if value not in counts)]
    p = exclusive_p(pairs, then.count, now.count)
    return Shift(name="statistics.vanished", column=name, effect=rows / then.count, limit=VANISHED_SHARE, p=p, words=words)


def _check(policy: Statistics, shift: Shift, p: float) -> Check:
    moved = shift.effect >= shift.limit and p < policy.alpha
    chance = "p < 0.0001" if p < 0.0001 else f"p = {p:.2g}"
    message = (
        f"column {shift.column!r}: {shift.words}; from {shift.limit:g} on it counts, if significant ({chance} after Benjamini-Hochberg)"
    )
    return Check(
        name=shift.name,
        outcome=Outcome.FAIL if moved else Outcome.PASS,
        message=message,
        observed=round(shift.effect, 6),
        limit=float(shift.limit),
        advisory=policy.advisory,
        column=shift.column,
    )


def _missing(name: str, now: ColumnProfile, then: ColumnProfile, policy: Statistics) -> Shift:
    change = abs(now.missing - then.missing)
    words = f"{now.missing:.2%} of the cells are missing, {then.missing:.2%} in the reference"
    p = two_proportions_p(now.nulls, now.nulls + now.count, then.nulls, then.nulls + then.count)
    return Shift(name="statistics.missing", column=name, effect=change, limit=policy.missing, p=p, words=words)


def _numeric(name: str, now: ColumnProfile, then: ColumnProfile, policy: Statistics) -> Shift:
    distance = ks_distance(now, then)
    words = f"KS distance {distance:.3f} to the reference (median {now.median:g}, was {then.median:g})"
    return Shift(
        name="statistics.shift", column=name, effect=distance, limit=policy.ks, p=kolmogorov_p(distance, now.count, then.count), words=words
    )


def _categories(name: str, now: ColumnProfile, then: ColumnProfile, policy: Statistics) -> Shift:
    cells = cells_of(now, then)
    index = stability_index(cells)
    words = f"PSI {index:.3f} to the reference{_largest(cells)}"
    return Shift(
        name="statistics.categories", column=name, effect=index, limit=policy.psi, p=two_samples_p(list(cells.values())), words=words
    )


def _largest(cells: dict[str, tuple[int, int]]) -> str:
    """The category whose share changed most, in words."""
    n, m = (sum(pair[at] for pair in cells.values()) for at in (0, 1))
    value = max(cells, key=lambda name: (abs(cells[name][0] / n - cells[name][1] / m), name))
    new, old = cells[value][0] / n, cells[value][1] / m
    return "" if new == old else f" (most in {value!r}: {new:.1%}, was {old:.1%})"


def cells_of(now: ColumnProfile, then: ColumnProfile) -> dict[str, tuple[int, int]]:
    """Counts of each category (present, reference); what one side did not list is in `(other)`, unless its list is complete."""
    new, old = dict(now.values or ()), dict(then.values or ())
    names = [name for name in new | old if (name in new or now.complete) and (name in old or then.complete)]
    cells = {name: (new.get(name, 0), old.get(name, 0)) for name in names}
    rest = (now.count - sum(pair[0] for pair in cells.values()), then.count - sum(pair[1] for pair in cells.values()))
    return cells | {"(other)": rest} if any(rest) else cells


def ks_distance(now: ColumnProfile, then: ColumnProfile) -> float:
    """The largest vertical distance between two distribution functions, on both sides of every step.

    Exact where both profiles list all values; 101 quantiles add at most 0.01 for each profile that has only those.
    """
    new, old = now.distribution, then.distribution
    points = {*new.points, *old.points}
    return max(abs(new.share(x, through=side) - old.share(x, through=side)) for x in points for side in (True, False))


def stability_index(cells: dict[str, tuple[int, int]]) -> float:
    """Population stability index, half a row added to each cell, less its bias (B−1)(1/n+1/m); never below 0.

    The bias is the expectation of the index when nothing changed (Yurdakul and Naranjo 2020).
    """
    size = len(cells)
    n, m = (sum(pair[at] for pair in cells.values()) for at in (0, 1))
    raw = 0.0
    for new, old in cells.values():
        share, was = (new + 0.5) / (n + 0.5 * size), (old + 0.5) / (m + 0.5 * size)
        raw += (share - was) * math.log(share / was)
    return max(0.0, raw - (size - 1) * (1 / n + 1 / m))


def kolmogorov_p(distance: float, n: int, m: int) -> float:
    """How likely two samples of n and m values are this far apart by chance: Kolmogorov's series.

    The effective size is corrected as Stephens (1970) does, so that it holds from a handful of values on.
    """
    root = math.sqrt(n * m / (n + m))
    x = (root + 0.12 + 0.11 / root) * distance
    if x < 0.2:
        return 1.0  # the series converges too slowly there, and differs from 1 by less than 1e-12
    total = sum((1 if k % 2 else -1) * math.exp(-2 * k * k * x * x) for k in range(1, 101))
    return min(1.0, max(0.0, 2 * total))


def two_proportions_p(hits: int, n: int, other: int, m: int) -> float:
    """Two-sided p of two shares being equal: the normal approximation with the pooled share."""
    if not n or not m:
        return 1.0
    pooled = (hits + other) / (n + m)
    error = math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    return math.erfc(abs(hits / n - other / m) / error / math.sqrt(2)) if error else 1.0


def two_samples_p(cells: Sequence[tuple[int, int]]) -> float:
    """Pearson's chi-square test of homogeneity for two samples; cells with fewer than 5 expected rows are put together."""
    n, m = (sum(pair[at] for pair in cells) for at in (0, 1))
    smallest = min(n, m) / (n + m)
    large = [pair for pair in cells if sum(pair) * smallest >= MIN_EXPECTED]
    small = [pair for pair in cells if 0 < sum(pair) * smallest < MIN_EXPECTED]
    if small:
        large.append((sum(pair[0] for pair in small), sum(pair[1] for pair in small)))
    if len(large) < 2:
        return 1.0
    statistic = sum(
        (count - (a + b) * size / (n + m)) ** 2 / ((a + b) * size / (n + m)) for a, b in large for count, size in ((a, n), (b, m))
    )
    return chi_square_survival(statistic, len(large) - 1)


def exclusive_p(pairs: Sequence[tuple[float, float]], n: int, m: int) -> float:
    """How likely so many of the first sample's n rows have a category that none of the second's m rows has, by chance.

    Given how often each category stands in both samples together, k times, it is missing in the second with probability
    q = C(n, k)/C(n+m, k) where the rows were dealt at random: so rare ones that the second happened to miss are expected.
    Two questions, each at half the level. The most surprising category alone, by Bonferroni over all; and the rows of all
    together: a sum over categories whose indicators are negatively associated, so that Chernoff's bound, the product of
    1 - q + q·exp(t·k) over exp(t·rows), holds for each t (Joag-Dev and Proschan 1983, Dubhashi and Ranjan 1998).
    """
    rows = sum(count for count, other in pairs if not other)
    if rows <= 0:
        return 1.0
    dealt = [(count + other, _missed(count + other, n, m)) for count, other in pairs]
    possible = [(k, q) for k, q in dealt if q > -math.inf]
    together = min(_chernoff(tilt, rows, possible) for tilt in TILTS)
    alone = math.log(len(pairs)) + min(q for (_, other), (_, q) in zip(pairs, dealt, strict=True) if not other)
    return math.exp(min(0.0, math.log(2) + min(together, alone)))


def _missed(k: float, n: int, m: int) -> float:
    """Logarithm of C(n, k)/C(n+m, k)."""
    if k > n:
        return -math.inf
    return math.lgamma(n + 1) - math.lgamma(n - k + 1) - math.lgamma(n + m + 1) + math.lgamma(n + m - k + 1)


def _chernoff(tilt: float, rows: float, dealt: Sequence[tuple[float, float]]) -> float:
    total = -tilt * rows
    for k, q in dealt:
        held, gone = math.log(-math.expm1(q)) if q < 0 else -math.inf, q + tilt * k
        high, low = max(held, gone), min(held, gone)
        total += high + math.log1p(math.exp(low - high))
    return total


def chi_square_survival(x: float, freedom: int) -> float:
    """P(chi-square with `freedom` degrees > x): the upper incomplete gamma function at (freedom/2, x/2).

    The power series below the mean, Lentz's continued fraction above it (Press et al., Numerical Recipes, 6.2).
    """
    a, y = freedom / 2, x / 2
    if y <= 0:
        return 1.0
    front = math.exp(-y + a * math.log(y) - math.lgamma(a))
    return 1 - front * _gamma_series(a, y) if y < a + 1 else front * _gamma_fraction(a, y)


def _gamma_series(a: float, y: float) -> float:
    term = total = 1 / a
    for k in range(1, 1000):
        term *= y / (a + k)
        total += term
        if term < total * 1e-15:
            break
    return total


def _gamma_fraction(a: float, y: float) -> float:
    tiny = 1e-300
    b = y + 1 - a
    c, d = 1 / tiny, 1 / b
    value = d
    for k in range(1, 1000):
        step = -k * (k - a)
        b += 2
        d = 1 / (step * d + b or tiny)
        c = b + step / c or tiny
        value *= d * c
        if abs(d * c - 1) < 1e-15:
            break
    return value
