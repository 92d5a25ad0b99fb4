"""Performance: each metric against its floor or ceiling, and against the champion's on the same rows.

Three answers each, from one-sided bounds at `gate.confidence`; inconclusive says how many more rows would decide. A gate
passes only where every check does, so each claim "good enough" may use the whole level (Berger 1982: the union of nulls is
rejected only where each is). One failing check closes it, so the claims "worse" of the comparison share the level (Holm).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from seatrial.metrics import METRICS, Labels, Metric, Scores
from seatrial.params import MetricPolicy
from seatrial.resampling import estimate_differences, estimate_metrics
from seatrial.statistics import Estimate, holm, more_rows, rows_for_power, settle
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


def floor_checks(policy: Mapping[str, MetricPolicy], labels: Labels, challenger: Scores, level: Level) -> tuple[Check, ...]:
    """Hold each metric to its floor or ceiling: the bound on its far side must keep the limit as well."""
    wanted = {name: one for name, one in policy.items() if one.floor is not None or one.ceiling is not None}
    found = estimate_metrics(wanted, labels, challenger, resamples=level.resamples, seed=level.seed)
    checks = []
    for name, one in wanted.items():
        if one.floor is not None:
            checks.append(_floor(METRICS[name], found[name], float(one.floor), one.advisory, len(labels), level))
        if one.ceiling is not None:
            checks.append(_ceiling(METRICS[name], found[name], float(one.ceiling), one.advisory, len(labels), level))
    return tuple(checks)


def _floor(metric: Metric, estimate: Estimate, limit: float, advisory: bool, rows: int, level: Level) -> Check:
    outcome = settle(estimate.p_above(limit), estimate.p_below(limit), level.alpha)
    words = {Outcome.PASS: "is at least", Outcome.FAIL: "is below"}.get(outcome, "may be below")
    message = f"{_seen(metric, estimate, level)} {words} {limit:g}{_why(outcome, estimate, limit, rows, level, above=True)}"
    return _limit_check(f"performance.{metric.name}.floor", outcome, message, estimate, limit, advisory)


def _ceiling(metric: Metric, estimate: Estimate, limit: float, advisory: bool, rows: int, level: Level) -> Check:
    outcome = settle(estimate.p_below(limit), estimate.p_above(limit), level.alpha)
    words = {Outcome.PASS: "is at most", Outcome.FAIL: "is above"}.get(outcome, "may be above")
    message = f"{_seen(metric, estimate, level)} {words} {limit:g}{_why(outcome, estimate, limit, rows, level, above=False)}"
    return _limit_check(f"performance.{metric.name}.ceiling", outcome, message, estimate, limit, advisory)


def _limit_check(name: str, outcome: Outcome, message: str, estimate: Estimate, limit: float, advisory: bool) -> Check:
    return Check(name=name, outcome=outcome, message=message, observed=_rounded(estimate.value), limit=limit, advisory=advisory)


def _rounded(value: float) -> float:
    return round(value, 6) if math.isfinite(value) else value


def _seen(metric: Metric, estimate: Estimate, level: Level) -> str:
    return f"{metric.title} {estimate.value:.3f} ({interval(estimate, level.confidence)})"


def interval(estimate: Estimate, confidence: float) -> str:
    """The two-sided interval in words: `95 % CI 0.821–0.862`."""
    alpha = (1 - confidence) / 2
    low, high = estimate.lower(alpha), estimate.upper(alpha)
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
        return "no number of rows like these would decide"
    if more > HOPELESS * rows:
        return f"it lies so near the limit that {HOPELESS} times as many rows would not decide"
    return f"about {max(more, 1):,} more rows like these would decide"


def comparison_checks(
    policy: Mapping[str, MetricPolicy], labels: Labels, challenger: Scores, champion: Scores, level: Level
) -> tuple[Check, ...]:
    """Compare with the champion on the same rows: no worse than the margin, or better where a metric must improve.

    One check for each metric with `margin` or `must_improve`. Non-inferiority at the whole level each; a metric counts as
    worse by Holm over the metrics of its tier (blocking, advisory).
    """
    wanted = {name: one for name, one in policy.items() if one.margin is not None or one.must_improve}
    found = estimate_differences(wanted, labels, challenger, champion, resamples=level.resamples, seed=level.seed)
    questions = [_Question.of(METRICS[name], one, found[name]) for name, one in wanted.items()]
    checks = []
    for question, p_worse in zip(questions, _shared(questions), strict=True):
        values = [METRICS[question.metric.name](labels, one.probabilities, one.threshold) for one in (challenger, champion)]
        checks.append(_comparison(question, p_worse, values, len(labels), level))
    return tuple(checks)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """One metric's difference, challenger minus champion, and the limit that it must keep."""

    metric: Metric
    policy: MetricPolicy
    difference: Estimate
    limit: float

    @classmethod
    def of(cls, metric: Metric, policy: MetricPolicy, difference: Estimate) -> _Question:
        margin = 0.0 if policy.must_improve else float(policy.margin or 0)
        return cls(metric=metric, policy=policy, difference=difference, limit=0.0 - margin if metric.higher_is_better else margin)

    @property
    def p_good(self) -> float:
        """P-value of "good enough"; a difference that is exactly nothing is no improvement."""
        if self.policy.must_improve and self.difference.error == 0 and self.difference.value == 0:
            return 1.0
        return self.difference.p_above(self.limit) if self.metric.higher_is_better else self.difference.p_below(self.limit)

    @property
    def p_worse(self) -> float:
        """P-value of "not good enough"; ties go to the champion."""
        if self.policy.must_improve and self.difference.error == 0 and self.difference.value == 0:
            return 0.0
        return self.difference.p_below(self.limit) if self.metric.higher_is_better else self.difference.p_above(self.limit)


def _shared(questions: Sequence[_Question]) -> list[float]:
    """The p-values of "not good enough", adjusted within each tier."""
    adjusted = [1.0] * len(questions)
    for advisory in (False, True):
        tier = [at for at, question in enumerate(questions) if question.policy.advisory is advisory]
        for at, p_value in zip(tier, holm([questions[at].p_worse for at in tier]), strict=True):
            adjusted[at] = p_value
    return adjusted


def _comparison(question: _Question, p_worse: float, values: Sequence[float], rows: int, level: Level) -> Check:
    estimate, metric = question.difference, question.metric
    outcome = settle(question.p_good, p_worse, level.alpha)
    message = (
        f"{metric.title} {values[0]:.3f}, the champion's {values[1]:.3f}: difference {estimate.value:+.3f} "
        f"({interval(estimate, level.confidence)}, {estimate.method}); {_asked(question, outcome)}; {rows:,} rows in pairs"
        f"{_power(question, rows, level)}"
    )
    if outcome is Outcome.INCONCLUSIVE:
        message = f"{message}; {needed(estimate, question.limit, rows, level.alpha)}"
    return Check(
        name=f"performance.{metric.name}.champion",
        outcome=outcome,
        message=message,
        observed=_rounded(estimate.value),
        limit=question.limit,
        advisory=question.policy.advisory,
    )


def _asked(question: _Question, outcome: Outcome) -> str:
    worse = "lower" if question.metric.higher_is_better else "higher"
    if question.policy.must_improve:
        return {Outcome.PASS: "it is better, as it must be", Outcome.FAIL: "it is not better, and must be"}.get(
            outcome, "it must be better, which is not shown"
        )
    margin = f"{abs(question.limit):g}"
    return {
        Outcome.PASS: f"not more than {margin} {worse}",
        Outcome.FAIL: f"more than {margin} {worse}, the margin",
    }.get(outcome, f"it may be more than {margin} {worse}, the margin")


def _power(question: _Question, rows: int, level: Level) -> str:
    """How many rows show an equal model to be no worse four times of five."""
    margin = abs(question.limit)
    count = rows_for_power(question.difference.error**2 * rows, margin, alpha=level.alpha) if margin else None
    return "" if count is None or question.difference.error == 0 else f", 80 % power needs {count:,}"
