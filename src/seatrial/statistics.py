"""The arithmetic of evidence: what one may conclude from counts, and how many more rows would settle a question.

Plain Python, so that a tick of a rollout pays for no array library. An estimate answers with one-sided bounds and with
p-values; three answers (pass, fail, inconclusive) are made of those in one place, `settle`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Protocol

from seatrial.verdict import Outcome

EXACT_BELOW = 25
"""Discordant rows under which the normal approximation of a paired difference gives way to exact binomial bounds."""
RATIO_GRID = tuple(1.25 * (30 / 1.25) ** (step / 19) for step in range(20))
"""The failure ratios that the e-process bets on: twenty from 1.25 to 30, evenly spaced on a log scale."""

_NORMAL = NormalDist()


def normal_cdf(z: float) -> float:
    """Probability that a standard normal variable is at most `z`."""
    return _NORMAL.cdf(z)


def normal_quantile(p: float) -> float:
    """The `z` with `normal_cdf(z) == p`; minus and plus infinity at 0 and 1."""
    if p <= 0 or p >= 1:
        return -math.inf if p <= 0 else math.inf
    return _NORMAL.inv_cdf(p)


class Estimate(Protocol):
    """A measured value with its uncertainty.

    `lower(alpha)` and `upper(alpha)` are one-sided bounds that miss the truth with probability `alpha`. `p_above(limit)` is
    the smallest alpha at which the lower bound reaches `limit`, so a small one shows that the truth is at least `limit`;
    `p_below` likewise for the upper bound. `error` is the standard error; where it is 0, the value counts as exact.
    """

    @property
    def value(self) -> float:
        """The measured value."""

    @property
    def error(self) -> float:
        """Its standard error."""

    @property
    def method(self) -> str:
        """How the uncertainty was found."""

    def lower(self, alpha: float) -> float:
        """One-sided lower bound."""

    def upper(self, alpha: float) -> float:
        """One-sided upper bound."""

    def p_above(self, limit: float) -> float:
        """P-value against a truth below `limit`."""

    def p_below(self, limit: float) -> float:
        """P-value against a truth above `limit`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NormalEstimate:
    """A value that is normally distributed around the truth."""

    value: float
    error: float
    method: str

    def lower(self, alpha: float) -> float:
        """One-sided lower bound."""
        return self.value + normal_quantile(alpha) * self.error if self.error else self.value

    def upper(self, alpha: float) -> float:
        """One-sided upper bound."""
        return self.value - normal_quantile(alpha) * self.error if self.error else self.value

    def p_above(self, limit: float) -> float:
        """P-value against a truth below `limit`."""
        return normal_cdf((limit - self.value) / self.error) if self.error else float(self.value < limit)

    def p_below(self, limit: float) -> float:
        """P-value against a truth above `limit`."""
        return normal_cdf((self.value - limit) / self.error) if self.error else float(self.value > limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProportionEstimate:
    """A share of independent rows, by the score test (Wilson 1927)."""

    successes: int
    rows: int

    @property
    def value(self) -> float:
        """The observed share; NaN without rows."""
        return self.successes / self.rows if self.rows else math.nan

    @property
    def error(self) -> float:
        """Standard error with one success and one failure added, so that it is never 0."""
        share = (self.successes + 1) / (self.rows + 2)
        return math.sqrt(share * (1 - share) / (self.rows + 2))

    @property
    def method(self) -> str:
        """The name of the interval."""
        return "Wilson score"

    def lower(self, alpha: float) -> float:
        """One-sided lower bound."""
        return wilson_interval(self.successes, self.rows, 1 - 2 * alpha)[0]

    def upper(self, alpha: float) -> float:
        """One-sided upper bound."""
        return wilson_interval(self.successes, self.rows, 1 - 2 * alpha)[1]

    def p_above(self, limit: float) -> float:
        """P-value against a truth below `limit`."""
        return normal_cdf(-self._score(limit)) if 0 < limit < 1 else float(self.value < limit)

    def p_below(self, limit: float) -> float:
        """P-value against a truth above `limit`."""
        return normal_cdf(self._score(limit)) if 0 < limit < 1 else float(self.value > limit)

    def _score(self, limit: float) -> float:
        return (self.value - limit) / math.sqrt(limit * (1 - limit) / self.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedEstimate:
    """Difference of two paired proportions by the score test (Tango 1998): wins minus losses, over the rows.

    The share of losses is estimated under the limit that is tested, so bounds keep their level also where hardly any rows are
    discordant and the normal interval of d is too short. Against 0, and under 25 discordant rows, McNemar's exact test (1947)
    answers; elsewhere exact binomial bounds would find one good model in three where the score test finds three in four.
    """

    wins: int
    losses: int
    rows: int

    @property
    def value(self) -> float:
        """The observed difference d."""
        return (self.wins - self.losses) / self.rows

    @property
    def error(self) -> float:
        """Standard error √((q - d²)/n), with q the share of discordant rows, as if at least one row were discordant."""
        share = max(self.wins + self.losses, 1) / self.rows
        return math.sqrt(max(share - self.value**2, 0.0) / self.rows)

    @property
    def discordant(self) -> float:
        """The share q of discordant rows."""
        return (self.wins + self.losses) / self.rows

    @property
    def method(self) -> str:
        """The name of the test."""
        exact = ", against 0 McNemar's exact test" if self._few else ""
        return f"Tango's score interval{exact}, {self.wins + self.losses} discordant rows"

    def lower(self, alpha: float) -> float:
        """One-sided lower bound."""
        return 2 * _root(lambda at: normal_quantile(1 - alpha) - self._score(2 * at - 1)) - 1

    def upper(self, alpha: float) -> float:
        """One-sided upper bound."""
        return 2 * _root(lambda at: normal_quantile(alpha) - self._score(2 * at - 1)) - 1

    def p_above(self, limit: float) -> float:
        """P-value against a truth below `limit`."""
        if limit == 0 and self._few:
            return mcnemar_exact(self.wins, self.losses)
        return normal_cdf(-self._score(limit))

    def p_below(self, limit: float) -> float:
        """P-value against a truth above `limit`."""
        if limit == 0 and self._few:
            return mcnemar_exact(self.losses, self.wins)
        return normal_cdf(self._score(limit))

    @property
    def _few(self) -> bool:
        return self.wins + self.losses < EXACT_BELOW

    def _score(self, limit: float) -> float:
        """The test's statistic at a difference; it falls as the difference rises."""
        rows, wins, losses = self.rows, self.wins, self.losses
        linear = (2 * rows - wins + losses) * limit - wins - losses
        constant = -losses * limit * (1 - limit)
        share = (math.sqrt(max(linear**2 - 8 * rows * constant, 0.0)) - linear) / (4 * rows)
        variance = rows * (2 * share + limit * (1 - limit))
        distance = wins - losses - rows * limit
        if variance <= 0:
            return math.copysign(math.inf, distance) if distance else 0.0
        return distance / math.sqrt(variance)


def mcnemar_exact(wins: int, losses: int) -> float:
    """One-sided p-value of McNemar's exact test (1947): P(X ≥ wins) for X binomial over the discordant rows at one half."""
    return binomial_cdf(losses, wins + losses, 0.5)


def settle(p_pass: float, p_fail: float, alpha: float) -> Outcome:
    """Three answers from two p-values: shown to be acceptable, shown not to be, or neither. NaN settles nothing."""
    if p_pass <= alpha:
        return Outcome.PASS
    return Outcome.FAIL if p_fail <= alpha else Outcome.INCONCLUSIVE


def more_rows(estimate: Estimate, limit: float, rows: int, alpha: float) -> int | None:
    """About how many rows beyond `rows` would settle on which side of `limit` the value lies, if it stays what it is.

    The standard error falls with the root of the rows. None where value and limit are the same: no number of rows would.
    """
    distance = abs(estimate.value - limit)
    if distance <= 1e-12 * max(1.0, abs(limit)) or not math.isfinite(distance):
        return None
    needed = rows * (normal_quantile(1 - alpha) * estimate.error / distance) ** 2
    return max(math.ceil(needed) - rows, 1)


def rows_for_power(variance: float, margin: float, *, alpha: float = 0.05, power: float = 0.8, null: float | None = None) -> int | None:
    """Rows that show non-inferiority within `margin` with this power, when both models are equally good.

    n = (z₁₋α·√null + z_power·√variance)²/margin². `variance` is that of one row's paired difference: for proportions the
    share q of discordant rows. `null` is the variance under a difference of just the margin, and the same where it is not
    given; then n is 6.18·q/margin² at 5 % and 80 %. None where the margin is 0, or the variance no number.
    """
    if margin <= 0 or not math.isfinite(variance):
        return None
    spread = normal_quantile(1 - alpha) * math.sqrt(variance if null is None else null) + normal_quantile(power) * math.sqrt(variance)
    return math.ceil((spread / margin) ** 2)


def equal_power(error: float, margin: float, alpha: float, *, null: float | None = None) -> float:
    """How often a challenger that is exactly as good is shown to be within `margin`: Φ((margin - z₁₋α·null)/error).

    `null` is the standard error under a difference of just the margin, and `error` itself where it is not given.
    """
    if error <= 0:
        return 1.0
    return normal_cdf((margin - normal_quantile(1 - alpha) * (error if null is None else null)) / error)


def null_variance(discordant: float, margin: float) -> float:
    """Variance of one row's paired difference by Tango's estimate under a difference of -margin, when as many rows are won as lost."""
    linear = -discordant - 2 * margin
    constant = discordant / 2 * margin * (1 + margin)
    share = (math.sqrt(max(linear**2 - 8 * constant, 0.0)) - linear) / 4
    return max(2 * share - margin * (1 + margin), 0.0)


def look_level(alpha: float, look: int) -> float:
    """The level of look k at one test set, 6α/(π²k²): over any number of looks they add up to α."""
    if look < 1:
        raise ValueError(f"looks are counted from 1, not {look}")
    return 6 * alpha / (math.pi * look) ** 2


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted by Holm (1979): whichever are at most alpha, the chance of a single false one among them is at most alpha."""
    adjusted, largest = [1.0] * len(p_values), 0.0
    for rank, at in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[at]))
        adjusted[at] = largest
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted by Benjamini and Hochberg (1995): of those at most alpha, a share of alpha is expected to be false."""
    adjusted, smallest = [1.0] * len(p_values), 1.0
    ordered = sorted(range(len(p_values)), key=p_values.__getitem__)
    for rank in range(len(ordered), 0, -1):
        at = ordered[rank - 1]
        smallest = min(smallest, len(p_values) * p_values[at] / rank)
        adjusted[at] = smallest
    return adjusted


def binomial_cdf(count: int, trials: int, p: float) -> float:
    """P(X ≤ count) for X binomial, summed in log space."""
    if count < 0:
        return 0.0
    if count >= trials or p <= 0:
        return 1.0
    if p >= 1:
        return 0.0
    return min(1.0, math.fsum(_binomial(k, trials, p) for k in range(count + 1)))


def _binomial(count: int, trials: int, p: float) -> float:
    ways = math.lgamma(trials + 1) - math.lgamma(count + 1) - math.lgamma(trials - count + 1)
    return math.exp(ways + count * math.log(p) + (trials - count) * math.log1p(-p))


def proportion_upper(successes: int, trials: int, alpha: float) -> float:
    """Exact one-sided upper bound of a proportion (Clopper and Pearson 1934); 1 where there were no trials."""
    if successes >= trials:
        return 1.0
    return _root(lambda p: alpha - binomial_cdf(successes, trials, p))


def proportion_lower(successes: int, trials: int, alpha: float) -> float:
    """Exact one-sided lower bound of a proportion (Clopper and Pearson 1934); 0 where there were no trials."""
    if successes == 0:
        return 0.0
    return _root(lambda p: 1 - binomial_cdf(successes - 1, trials, p) - alpha)


def _root(rising: Callable[[float], float]) -> float:
    """Where a function that rises from below 0 to above 0 between 0 and 1 crosses zero; 1 where it never does."""
    low, high = 0.0, 1.0
    for _ in range(45):
        middle = (low + high) / 2
        low, high = (low, middle) if rising(middle) >= 0 else (middle, high)
    return high


def wilson_interval(successes: int, trials: int, confidence: float) -> tuple[float, float]:
    """Two-sided score interval of a proportion (Wilson 1927); (0, 1) where there were no trials."""
    if trials == 0:
        return 0.0, 1.0
    z = normal_quantile((1 + confidence) / 2)
    share, weight = successes / trials, z * z / trials
    centre = (share + weight / 2) / (1 + weight)
    half = math.sqrt(share * (1 - share) * weight + weight * weight / 4) / (1 + weight)
    return max(0.0, centre - half), min(1.0, centre + half)


def quantile_upper_rank(n: int, p: float, confidence: float) -> int | None:
    """Which of `n` ordered values (from 1) is at or above the `p` quantile with this confidence, whatever the distribution.

    The smallest r with P(X < r) ≥ confidence for X binomial(n, p) (David and Nagaraja 2003, 7.1); None where n is too small.
    """
    total = 0.0
    for rank in range(1, n + 1):
        total += _binomial(rank - 1, n, p)
        if total >= confidence:
            return rank
    return None


def quantile_lower_rank(n: int, p: float, confidence: float) -> int | None:
    """Which of `n` ordered values (from 1) is at or below the `p` quantile with this confidence; None where n is too small."""
    mirrored = quantile_upper_rank(n, 1 - p, confidence)
    return None if mirrored is None else n + 1 - mirrored


def log_e_value(steps: Sequence[tuple[float, int, int]]) -> float:
    """Logarithm of the e-value against "the challenger fails no more often than the champion", from how failures split.

    Each step is (challenger's share of the requests, champion's failures, challenger's failures). Given a failure, under
    equal rates it is the challenger's with probability w; were its rate r times higher, with wr/(wr + 1 - w). The e-value is
    the mean over r in RATIO_GRID of the product over steps of the likelihood ratio, computed in log space. It may be looked
    at at any time: P(it ever reaches 1/alpha) ≤ alpha (Ville 1939; Lindon and Malek, NeurIPS 2022).
    """
    for share, champion, challenger in steps:
        if not 0 < share < 1 or champion < 0 or challenger < 0:
            raise ValueError(f"a step is a share between 0 and 1 and two counts, not {(share, champion, challenger)}")
    bets = [
        math.fsum(
            challenger * math.log(ratio) - (champion + challenger) * math.log1p(share * (ratio - 1))
            for share, champion, challenger in steps
        )
        for ratio in RATIO_GRID
    ]
    largest = max(bets)
    return largest + math.log(math.fsum(math.exp(bet - largest) for bet in bets) / len(bets))


def increase_upper_bound(failures1: int, n1: int, failures0: int, n0: int, confidence: float) -> float:
    """One-sided upper bound of p1 - p0, with one failure and one success added to each arm (Agresti and Caffo 2000)."""
    if not (0 <= failures1 <= n1 and 0 <= failures0 <= n0):
        raise ValueError(f"{failures1} of {n1} and {failures0} of {n0} are no counts of failures among requests")
    rate1, rate0 = (failures1 + 1) / (n1 + 2), (failures0 + 1) / (n0 + 2)
    error = math.sqrt(rate1 * (1 - rate1) / (n1 + 2) + rate0 * (1 - rate0) / (n0 + 2))
    return rate1 - rate0 + normal_quantile(confidence) * error
