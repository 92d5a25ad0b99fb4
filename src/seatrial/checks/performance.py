"""Performance: each metric of one model against its floor or ceiling.

Three answers each, from one-sided bounds at `gate.confidence`; inconclusive says how many more rows would decide. A gate
passes only where every check does, so each claim "good enough" may use the whole level (Berger 1982: the union of nulls is
rejected only where each is).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from seatrial.metrics import Answers, Metric, Targets
from seatrial.metrics_tasks import metrics_of
from seatrial.params import MetricPolicy, MetricTier
from seatrial.resampling import estimate_metrics
from seatrial.statistics import Estimate, more_rows, settle
from seatrial.verdict import Check, Outcome

HOPELESS = 100
"""How many times the rows at hand a sentence still speaks of: more is no advice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """How sure a claim must be, and how the resamples are drawn."""

    confidence: float
    resamples: int
    seed: int

    @property
    def alpha(self) -> float:
        """The chance of a wrong claim that is accepted."""
        return 1 - self.confidence


def floor_checks(policy: Mapping[str, MetricPolicy], labels: Targets, challenger: Answers, level: Level) -> tuple[Check, ...]:
    """Hold each metric to its floor or ceiling: the bound on its far side must keep the limit as well."""
    wanted = {name: one for name, one in policy.items() if one.floor is not None or one.ceiling is not None}
    found = estimate_metrics(wanted, labels, challenger, resamples=level.resamples, seed=level.seed)
    metrics = metrics_of(challenger.task)
    checks = []
    for name, one in wanted.items():
        if one.floor is not None:
            checks.append(_floor(metrics[name], found[name], float(one.floor), one.tier, len(labels), level))
        if one.ceiling is not None:
            checks.append(_ceiling(metrics[name], found[name], float(one.ceiling), one.tier, len(labels), level))
    return tuple(checks)


def _floor(metric: Metric, estimate: Estimate, limit: float, tier: MetricTier, rows: int, level: Level) -> Check:
    outcome = settle(estimate.p_above(limit), estimate.p_below(limit), level.alpha)
    words = {Outcome.PASS: "is at least", Outcome.FAIL: "is below"}.get(outcome, "may be below")
    message = f"{_seen(metric, estimate, level)} {words} {limit:g}{_why(outcome, estimate, limit, rows, level, above=True)}"
    return _limit_check(f"performance.{metric.name}.floor", outcome, message, estimate, limit, tier)


def _ceiling(metric: Metric, estimate: Estimate, limit: float, tier: MetricTier, rows: int, level: Level) -> Check:
    outcome = settle(estimate.p_below(limit), estimate.p_above(limit), level.alpha)
    words = {Outcome.PASS: "is at most", Outcome.FAIL: "is above"}.get(outcome, "may be above")
    message = f"{_seen(metric, estimate, level)} {words} {limit:g}{_why(outcome, estimate, limit, rows, level, above=False)}"
    return _limit_check(f"performance.{metric.name}.ceiling", outcome, message, estimate, limit, tier)


def _limit_check(name: str, outcome: Outcome, message: str, estimate: Estimate, limit: float, tier: MetricTier) -> Check:
    advisory = is_advisory(tier, outcome)
    return Check(name=name, outcome=outcome, message=message, observed=rounded(estimate.value), limit=limit, advisory=advisory)


def is_advisory(tier: MetricTier, outcome: Outcome) -> bool:
    """Whether this answer cannot block: of an advisory metric none can, of a supporting one only "not decided" cannot."""
    return tier == "advisory" or (tier == "supporting" and outcome is Outcome.INCONCLUSIVE)


def rounded(value: float) -> float:
    """Six digits, or what is no number as it is."""
    return round(value, 6) if math.isfinite(value) else value


def _seen(metric: Metric, estimate: Estimate, level: Level) -> str:
    return f"{metric.title} {estimate.value:.3f} ({interval(estimate, level.confidence)})"


def bounds(estimate: Estimate, confidence: float) -> tuple[float, float]:
    """The two-sided interval."""
    alpha = (1 - confidence) / 2
    return estimate.lower(alpha), estimate.upper(alpha)


def interval(estimate: Estimate, confidence: float) -> str:
    """The two-sided interval in words: `95 % CI 0.821–0.862`."""
    low, high = bounds(estimate, confidence)
    between = "–" if low >= 0 else " to "
    return f"{100 * confidence:g} % CI {low:.3f}{between}{high:.3f}"


def _why(outcome: Outcome, estimate: Estimate, limit: float, rows: int, level: Level, *, above: bool) -> str:
    """The bound that decided, or how many more rows would decide."""
    lower = above is (outcome is not Outcome.FAIL)
    bound = estimate.lower(level.alpha) if lower else estimate.upper(level.alpha)
    sentence = f" (one-sided {'lower' if lower else 'upper'} bound {bound:.3f})"
    return sentence if outcome is not Outcome.INCONCLUSIVE else f"{sentence}; {needed(estimate, limit, rows, level.alpha)}"


def needed(estimate: Estimate, limit: float, rows: int, alpha: float) -> str:
    """How many more rows would settle a question, in words."""
    more = more_rows(estimate, limit, rows, alpha)
    if more is None:
        return "it lies on the limit, where no number of rows decides"
    if more > HOPELESS * rows:
        return f"it lies so near the limit that {HOPELESS} times as many rows would not decide"
    return f"if it stays there, about {max(more, 1):,} more labelled rows would decide"
