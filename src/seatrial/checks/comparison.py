"""Comparison: a challenger against another model on the same rows, metric by metric and slice by slice.

Non-inferiority is claimed at the whole level each, since all claims are needed (Berger 1982). One claim "worse" is enough to
fail, so those share the level: Holm over all metrics and slices that can block, and over the advisory ones apart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from seatrial.checks.performance import Level, interval, is_advisory, needed, rounded
from seatrial.metrics import Answers, Metric, Targets
from seatrial.metrics_tasks import metrics_of
from seatrial.params import MetricPolicy, MetricTier
from seatrial.resampling import estimate_differences
from seatrial.statistics import Estimate, PairedEstimate, equal_power, holm, look_level, null_variance, rows_for_power, settle
from seatrial.verdict import Check, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One paired difference, challenger minus rival, and how it is asked about.

    `what` names the figure in a sentence, `rival` the other model, `values` are challenger's and rival's, `rows` the pairs.
    """

    name: str
    what: str
    metric: Metric
    rival: str
    difference: Estimate
    values: tuple[float, float]
    rows: int
    margin: float
    tier: MetricTier
    must_improve: bool = False
    column: str | None = None

    @property
    def limit(self) -> float:
        """The difference that may just not be passed: minus the margin where higher is better, the margin where lower is."""
        return 0.0 - self.margin if self.metric.higher_is_better else self.margin

    @property
    def p_good(self) -> float:
        """P-value of "good enough"; a difference that is exactly nothing is no improvement."""
        if self._same and self.must_improve:
            return 1.0
        return self.difference.p_above(self.limit) if self.metric.higher_is_better else self.difference.p_below(self.limit)

    @property
    def p_worse(self) -> float:
        """P-value of "not good enough"; ties go to the champion."""
        if self._same and self.must_improve:
            return 0.0
        return self.difference.p_below(self.limit) if self.metric.higher_is_better else self.difference.p_above(self.limit)

    @property
    def p_better(self) -> float:
        """P-value of "better than the rival"."""
        if self._same:
            return 1.0
        return self.difference.p_above(0.0) if self.metric.higher_is_better else self.difference.p_below(0.0)

    @property
    def _same(self) -> bool:
        return self.difference.error == 0 and self.difference.value == 0


def metric_questions(
    policy: Mapping[str, MetricPolicy], labels: Targets, challenger: Answers, rival: Answers, level: Level, *, name: str = "champion"
) -> list[Question]:
    """One question for each metric with `margin` or `must_improve`; against another rival than the champion, each with `margin`."""
    champion, metrics = name == "champion", metrics_of(challenger.task)
    wanted = {key: one for key, one in policy.items() if one.margin is not None or (one.must_improve and champion)}
    found = estimate_differences(wanted, labels, challenger, rival, resamples=level.resamples, seed=level.seed)
    return [
        Question(
            name=f"performance.{key}.{name}",
            what=metrics[key].title,
            metric=metrics[key],
            rival=f"the {name}",
            difference=found[key],
            values=both(metrics[key], labels, challenger, rival),
            rows=len(labels),
            margin=0.0 if one.must_improve and champion else float(one.margin or 0),
            tier=one.tier,
            must_improve=one.must_improve and champion,
        )
        for key, one in wanted.items()
    ]


def both(metric: Metric, labels: Targets, challenger: Answers, rival: Answers) -> tuple[float, float]:
    """A metric's value for the challenger and for the other model."""
    return metric.value(labels, challenger), metric.value(labels, rival)


def comparison_checks(
    policy: Mapping[str, MetricPolicy], labels: Targets, challenger: Answers, champion: Answers, level: Level
) -> tuple[Check, ...]:
    """Compare with the champion on the same rows: no worse than the margin, or better where a metric must improve."""
    return answer(metric_questions(policy, labels, challenger, champion, level), level)


def answer(questions: Sequence[Question], level: Level) -> tuple[Check, ...]:
    """One check for each question; which of them are worse is decided over all of them together."""
    return tuple(_check(question, p_worse, level) for question, p_worse in zip(questions, _shared(questions), strict=True))


def _shared(questions: Sequence[Question]) -> list[float]:
    """The p-values of "not good enough", adjusted by Holm: those that can block among themselves, and the advisory ones."""
    adjusted = [1.0] * len(questions)
    for advisory in (False, True):
        family = [at for at, question in enumerate(questions) if (question.tier == "advisory") is advisory]
        for at, p_value in zip(family, holm([questions[at].p_worse for at in family]), strict=True):
            adjusted[at] = p_value
    return adjusted


def _check(question: Question, p_worse: float, level: Level) -> Check:
    estimate = question.difference
    outcome = settle(question.p_good, p_worse, level.alpha)
    message = (
        f"{question.what} {question.values[0]:.3f}, {question.rival}'s {question.values[1]:.3f}: difference {estimate.value:+.3f} "
        f"({interval(estimate, level.confidence)}, {estimate.method}); {_asked(question, outcome)}; {_power(question, level)}"
    )
    if outcome is Outcome.INCONCLUSIVE:
        message = f"{message}; {needed(estimate, question.limit, question.rows, level.alpha)}"
    return Check(
        name=question.name,
        outcome=outcome,
        message=message,
        observed=rounded(estimate.value),
        limit=question.limit,
        advisory=is_advisory(question.tier, outcome),
        column=question.column,
    )


def _asked(question: Question, outcome: Outcome) -> str:
    worse = "lower" if question.metric.higher_is_better else "higher"
    if question.must_improve:
        return {Outcome.PASS: "it is better, as it must be", Outcome.FAIL: "it is not better, and must be"}.get(
            outcome, "it must be better, which is not shown"
        )
    margin = f"{question.margin:g}"
    return {
        Outcome.PASS: f"not more than {margin} {worse}",
        Outcome.FAIL: f"more than {margin} {worse}, the margin",
    }.get(outcome, f"it may be more than {margin} {worse}, the margin")


def _power(question: Question, level: Level) -> str:
    """How often these rows would show an equally good challenger to be within the margin, and how many do it in 80 %."""
    estimate, margin, rows = question.difference, question.margin, question.rows
    if not margin or not estimate.error > 0:
        return f"{rows:,} rows in pairs"
    variance = estimate.error**2 * rows
    null = variance
    if isinstance(estimate, PairedEstimate) and estimate.discordant:
        variance, null = estimate.discordant, null_variance(estimate.discordant, margin)
    power = equal_power(math.sqrt(variance / rows), margin, level.alpha, null=math.sqrt(null / rows))
    count = rows_for_power(variance, margin, alpha=level.alpha, null=null)
    return f"with {rows:,} rows in pairs an equally good challenger passes {power:.0%} of the time (80 % at {count:,})"


def anchor_check(question: Question | None, level: Level, *, standing: str) -> Check:
    """Whether the challenger is shown to be better than the best model so far; `observed` is "moves" or "stays".

    It moves only where that is shown, so a series of releases that are each a margin worse cannot take it along. `standing`
    says which model stands for the anchor, and answers alone where there is no question to ask of it.
    """
    name = "anchor.better"
    if question is None:
        return Check(name=name, outcome=Outcome.PASS, message=standing, observed="stays", advisory=True)
    better = question.p_better <= level.alpha
    said = "is shown to be better, and becomes the anchor once it is promoted" if better else "is not shown to be better; the anchor stays"
    seen = f"{question.what} differs by {question.difference.value:+.3f} ({interval(question.difference, level.confidence)})"
    message = f"{standing}: {seen}; the challenger {said}"
    return Check(name=name, outcome=Outcome.PASS, message=message, observed="moves" if better else "stays", advisory=True)


def look_check(question: Question, look: int, level: Level) -> Check:
    """The first comparison at the level of this look at the same held-out rows, 6α/(π²k²), which all looks together share.

    A test set wears out: of twenty equally bad challengers one passes at 5 %. Advisory, since one team's looks are not all.
    """
    alpha = look_level(level.alpha, look)
    outcome = settle(question.p_good, question.p_worse, alpha)
    said = {Outcome.PASS: "still shown to be good enough", Outcome.FAIL: "shown to be worse"}.get(outcome, "not decided")
    message = (
        f"look {look:,} at these held-out rows: at its share of the level, {alpha:.2g}, {question.what} is {said} against {question.rival}"
    )
    if outcome is not Outcome.PASS and look > 1:
        message = f"{message}; new held-out rows would begin a new count"
    return Check(name="test.looks", outcome=outcome, message=message, observed=look, advisory=True)
