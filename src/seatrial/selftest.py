"""The gate's self-test: how often it passes models that are known to be good, bad, or worse by an exact distance.

The held-out rows are the population here, so that each model's true values are known. Every draw is a test set of as many rows,
drawn with replacement and not within classes: the next test set would have another share of positives, too, and F1, accuracy
and log loss move with it. On each draw the gate's own code decides.
"""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from seatrial.checks.behaviour import Recorded
from seatrial.checks.comparison import comparison_checks
from seatrial.checks.performance import Level
from seatrial.gate import Evidence, decide
from seatrial.metrics import METRICS, Floats, Labels, Scores
from seatrial.params import Gate
from seatrial.resampling import estimate_differences
from seatrial.rivals import Rival
from seatrial.statistics import normal_cdf, normal_quantile, wilson_interval
from seatrial.suite import SuiteResult
from seatrial.verdict import Check, Outcome

Expected = Literal["pass", "caught", "open"]

CURVE_METRICS = ("roc_auc", "accuracy")
"""Metrics whose difference has a formula for its error: fast enough for thousands of draws, and with a curve to be held to."""
STEPS = (
    *(0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9),
    *(0.95, 1, 1.05, 1.1, 1.15, 1.2, 1.3, 1.4, 1.5, 1.75, 2, 3),
)
"""The known distances, in margins: dense where the gate's answer turns."""
HALVINGS = 60
STRONGEST = 1e6
CONFIDENCE = 0.95
MAX_FALSE_PASS = 0.06
MAX_PASSED = 0.05
MAX_FAILED = 0.05


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidate:
    """A model that asks to be let through: its answers to all rows of the population, shape (n,), and its threshold.

    `expected` is what the gate ought to do: "pass", "caught" (not pass), or "open", where no promise is made. "caught" counts as
    "open" where the candidate breaks no limit on the whole population: policy accepts such a model. A candidate with a `metric` is
    asked about that one alone, and is worse than the champion in it by exactly `distance`.
    """

    name: str
    words: str
    probabilities: Floats
    threshold: float
    expected: Expected
    metric: str | None = None
    distance: float | None = None

    @property
    def scores(self) -> Scores:
        """The answers as the gate reads them."""
        return Scores(probabilities=self.probabilities, threshold=self.threshold)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Population:
    """The rows that test sets are drawn from: labels (0/1), the champion's answers, group columns, and the policy to judge by."""

    labels: Labels
    champion: Scores
    groups: Mapping[str, Sequence[Any]]
    policy: Gate

    def drawn(self, rows: NDArray[np.int64]) -> Population:
        """The rows at these places, in this order, as a test set of its own."""
        groups = {name: np.asarray(values, dtype=object)[rows].tolist() for name, values in self.groups.items()}
        return Population(labels=self.labels[rows], champion=_at(self.champion, rows), groups=groups, policy=self.policy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """What the gate said to one candidate over all draws.

    `failed` counts errors, too. `beyond` are the checks whose limit the candidate truly breaks, by its values on the whole
    population. `predicted` is the share that a formula says would pass, None where there is none. `point_rule` counts the draws in
    which every value, taken as exact, keeps its limit. `caught_by` is the check that most often decided against it.
    """

    name: str
    words: str
    expected: Expected
    metric: str | None
    distance: float | None
    draws: int
    passed: int
    inconclusive: int
    failed: int
    point_rule: int
    predicted: float | None = None
    beyond: tuple[str, ...] = ()
    caught_by: str = ""

    @property
    def share(self) -> float:
        """The share of draws that passed."""
        return self.passed / self.draws

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of that share (Wilson 1927)."""
        return wilson_interval(self.passed, self.draws, CONFIDENCE)

    @property
    def caught(self) -> float:
        """The share of draws that did not pass."""
        return 1 - self.share

    @property
    def caught_interval(self) -> tuple[float, float]:
        """The 95 % interval of the share that did not pass."""
        low, high = self.interval
        return 1 - high, 1 - low


def run_selftest(
    labels: Labels,
    champion: Scores,
    candidates: Iterable[Candidate],
    groups: Mapping[str, Sequence[Any]],
    policy: Gate,
    *,
    draws: int,
    seed: int,
) -> list[Rate]:
    """The rate of each candidate, each judged on `draws` test sets of its own."""
    population = Population(labels=labels, champion=champion, groups=groups, policy=policy)
    return [measure(population, candidate, draws=draws, seed=seed) for candidate in candidates]


def measure(population: Population, candidate: Candidate, *, draws: int, seed: int) -> Rate:
    """The rate of one candidate; the draws depend on `seed` and its name, so that candidates may be measured in any order."""
    generator = np.random.default_rng([seed, zlib.crc32(candidate.name.encode())])
    rows = len(population.labels)
    counts: Counter[Outcome] = Counter()
    decided: Counter[str] = Counter()
    exact = 0
    for _ in range(draws):
        at = generator.integers(0, rows, rows)
        outcome, blocking = _asked(population.drawn(at), candidate, _at(candidate.scores, at))
        counts[outcome] += 1
        exact += not any(is_beyond(check) for check in blocking)
        decided.update(check.name for check in blocking if check.outcome is outcome and outcome is not Outcome.PASS)
    beyond = truly_beyond(population, candidate)
    return Rate(
        name=candidate.name,
        words=candidate.words,
        expected="open" if candidate.expected == "caught" and not beyond else candidate.expected,
        metric=candidate.metric,
        distance=candidate.distance,
        draws=draws,
        passed=counts[Outcome.PASS],
        inconclusive=counts[Outcome.INCONCLUSIVE],
        failed=counts[Outcome.FAIL] + counts[Outcome.ERROR],
        point_rule=exact,
        predicted=_predicted(population, candidate),
        beyond=beyond,
        caught_by=decided.most_common(1)[0][0] if decided else "",
    )


def truly_beyond(population: Population, candidate: Candidate) -> tuple[str, ...]:
    """The checks whose limit the candidate's values on the whole population break."""
    return tuple(check.name for check in _asked(population, candidate, candidate.scores)[1] if is_beyond(check))


def is_beyond(check: Check) -> bool:
    """Whether a check's observed value, taken as exact, breaks its limit; only those about quality, fairness and flips are asked."""
    kind, _, rest = check.name.partition(".")
    if not isinstance(check.observed, int | float) or not isinstance(check.limit, int | float):
        return False
    observed, limit = float(check.observed), float(check.limit)
    if kind == "performance":
        name, _, question = rest.partition(".")
        at_least = question != "ceiling" and (question == "floor" or (name in METRICS and METRICS[name].higher_is_better))
        return observed < limit if at_least else observed > limit
    if kind == "fairness":
        return rest.endswith((".gap", ".change")) and (abs(observed) if rest.endswith(".gap") else observed) > limit
    return check.name == "behaviour.flips" and observed > limit


def _asked(test: Population, candidate: Candidate, answers: Scores) -> tuple[Outcome, tuple[Check, ...]]:
    """What the gate says of these answers to a test set, and the checks that it may be blocked by."""
    if candidate.metric is None:
        verdict = decide({}, test.policy, _evidence(test, answers), environment="local")
        return verdict.outcome, tuple(check for check in verdict.checks if not check.advisory)
    policy, level = test.policy, _level(test.policy)
    checks = comparison_checks({candidate.metric: policy.metrics[candidate.metric]}, test.labels, answers, test.champion, level)
    return checks[0].outcome, checks


def _level(policy: Gate) -> Level:
    return Level(confidence=float(policy.confidence), resamples=policy.resamples, seed=policy.seed)


def _evidence(test: Population, answers: Scores) -> Evidence:
    """Evidence in which all but the answers is as it ought to be: bytes, speed and the suite are not what is tested here."""
    promised = Recorded(promised=[0.5], given=[0.5])
    times = [float(test.policy.latency.p99_ms) / 2] * test.policy.latency.requests
    return Evidence(
        labels=test.labels,
        challenger=answers,
        champion=Rival(scores=test.champion),
        groups=test.groups,
        perturbations=(),
        digests=("sha256:", "sha256:"),
        golden=promised,
        onnx=promised,
        bundle_bytes=1,
        latency={"challenger": times, "champion": times},
        suite=(SuiteResult(name="suite", outcome="passed", sentence="Passed", reason=""),),
    )


def _at(scores: Scores, rows: NDArray[np.int64]) -> Scores:
    return Scores(probabilities=scores.probabilities[rows], threshold=scores.threshold)


def predicted_pass(margin: float, distance: float, error: float, confidence: float = CONFIDENCE) -> float:
    """P(the lower bound of a normal estimate is above -margin) = Φ((margin - distance)/error - z), z for the one-sided confidence."""
    if error == 0:
        return float(distance <= margin)
    return normal_cdf((margin - distance) / error - normal_quantile(confidence))


def _predicted(population: Population, candidate: Candidate) -> float | None:
    """The predicted share, with the error that the candidate's difference has for this many rows of the population."""
    if candidate.metric is None or candidate.distance is None:
        return None
    policy = population.policy
    estimates = estimate_differences(
        [candidate.metric], population.labels, candidate.scores, population.champion, resamples=policy.resamples, seed=policy.seed
    )
    margin = float(policy.metrics[candidate.metric].margin or 0)
    return predicted_pass(margin, candidate.distance, estimates[candidate.metric].error, float(policy.confidence))


def curve_metrics(policy: Gate) -> tuple[str, ...]:
    """The metrics of a policy with a curve: those with a margin, and with a formula for the error of a difference."""
    return tuple(name for name in CURVE_METRICS if name in policy.metrics and policy.metrics[name].margin)


def degraded(population: Population, metric: str, base: Scores, distances: Sequence[float], *, seed: int) -> Iterator[Candidate]:
    """Candidates worse than the champion by known distances: `base` with noise on its log-odds, as strong as it takes.

    A distance that no strength reaches is left out, and so is one that `base` itself exceeds. A metric moves in steps (of one
    row, for accuracy): the distance reached is the next one at or above what was asked for, and is the one that is named.
    """
    noise = np.random.default_rng(seed).normal(size=len(population.labels))
    judged = METRICS[metric]
    champion = judged(population.labels, population.champion.probabilities, population.champion.threshold)
    sign = 1 if judged.higher_is_better else -1

    def distance(strength: float) -> float:
        return sign * (champion - judged(population.labels, noisy(base, noise, strength), base.threshold))

    for wanted in distances:
        strength = strength_for(distance, wanted)
        if strength is None:
            continue
        reached = distance(strength)
        yield Candidate(
            name=f"{metric} {wanted:+.4f}",
            words=f"{judged.title} worse by {reached:.4f}",
            probabilities=noisy(base, noise, strength),
            threshold=base.threshold,
            expected="open",
            metric=metric,
            distance=reached,
        )


def noisy(base: Scores, noise: Floats, strength: float) -> Floats:
    """Probabilities with `strength` times `noise` added to their log-odds, shape (n,)."""
    return from_log_odds(log_odds(base.probabilities) + strength * noise)


def log_odds(probabilities: Floats) -> Floats:
    """log(p/(1-p)), finite at 0 and 1, too."""
    inside = np.clip(probabilities, 1e-12, 1 - 1e-12)
    odds: Floats = np.log(inside) - np.log1p(-inside)
    return odds


def from_log_odds(odds: Floats) -> Floats:
    """Probabilities of log-odds."""
    probabilities: Floats = 1 / (1 + np.exp(-np.clip(odds, -700, 700)))
    return probabilities


def strength_for(distance: Any, wanted: float) -> float | None:
    """By bisection, the smallest strength found at which `distance(strength)` is at least `wanted`; None where none is strong enough."""
    low, high = 0.0, 1 / 64
    if distance(low) > wanted:
        return None
    while distance(high) < wanted:
        low, high = high, 2 * high
        if high > STRONGEST:
            return None
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if distance(middle) >= wanted else (middle, high)
    return high


def as_good(rate: Rate, margin: float) -> bool:
    """Whether this is a known distance of nothing: another model, no worse than the champion."""
    return rate.distance is not None and abs(rate.distance) < margin * STEPS[0] / 2


def margin_rate(rates: Iterable[Rate], metric: str, margin: float) -> Rate | None:
    """The rate of the candidate that is worse by the margin, or by as little more as the metric's steps allow."""
    beyond = [rate for rate in rates if rate.metric == metric and rate.distance is not None and rate.distance >= margin * (1 - 1e-12)]
    return min(beyond, key=lambda rate: rate.distance or math.inf, default=None)


def broken_promises(rates: Sequence[Rate], policy: Gate) -> list[str]:
    """A sentence for each promise that the rates do not keep; where they hold no rate that could, that is a sentence, too."""
    broken = [
        sentence for metric in curve_metrics(policy) for sentence in _at_margin(rates, metric, float(policy.metrics[metric].margin or 0))
    ]
    for rate in rates:
        if rate.metric is None and rate.expected == "caught" and rate.share > MAX_PASSED:
            broken.append(f"{rate.words}: passed in {rate.passed} of {rate.draws} draws, at most {MAX_PASSED:.0%} may")
        if rate.metric is None and rate.expected == "pass" and rate.failed / rate.draws > MAX_FAILED:
            broken.append(f"{rate.words}: failed in {rate.failed} of {rate.draws} draws, at most {MAX_FAILED:.0%} may")
    return broken


def _at_margin(rates: Sequence[Rate], metric: str, margin: float) -> Iterator[str]:
    rate, title = margin_rate(rates, metric, margin), METRICS[metric].title
    if rate is None:
        yield f"{title}: no candidate is worse by the margin of {margin:g}, so nothing is known of false passes"
    elif rate.interval[0] > MAX_FALSE_PASS:
        yield f"{title}: a model worse by the margin passed in {rate.passed} of {rate.draws} draws, at most {MAX_FALSE_PASS:.0%} may"


def against_prediction(rates: Iterable[Rate], metric: str) -> list[float]:
    """At each known distance, how far the measured share of passes lies from the predicted one."""
    return [abs(rate.share - rate.predicted) for rate in rates if rate.metric == metric and rate.predicted is not None]
