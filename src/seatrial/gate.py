"""The gate: evidence and policy in, one verdict out; nothing is loaded, timed or registered here.

`decide` asks every check and names each special case: a first release, a champion that cannot be read or that is this very
bundle, too few rows, one class. Nothing passes for want of a question.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from seatrial.checks.behaviour import (
    Perturbation,
    Recorded,
    determinism_check,
    flips_check,
    golden_check,
    onnx_check,
    probabilities_check,
    robustness_checks,
    size_check,
)
from seatrial.checks.fairness import fairness_checks
from seatrial.checks.latency import latency_checks
from seatrial.checks.noise import Noise, noise_checks
from seatrial.checks.performance import Level, floor_checks
from seatrial.gate_tasks import can_be_judged, count_rows, label_problems, no_fairness
from seatrial.metrics import Answers, Scores, Targets
from seatrial.metrics_tasks import metrics_of
from seatrial.params import Gate
from seatrial.rivals import Field, Rival, comparable, compared, rival_checks
from seatrial.verdict import Check, Outcome, Verdict

if TYPE_CHECKING:
    from seatrial.suite import SuiteResult


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """All that was measured about a challenger.

    `labels` (0/1, the number of a class, or a regression's values), `challenger` and the values of `groups` and `slices` are
    about the same held-out rows in the same order.
    `champion` is None where the registry has none, `anchor` where there is none or it is the champion. `look` counts the
    bundles that were judged on these rows, this one included; `noise` is by how much metrics move by luck. `digests` are
    those of the scores of two processes. `golden` and `onnx` are recorded answers (`onnx` None where the bundle keeps none).
    `latency` maps "challenger", and "champion" where there is one, to milliseconds.
    """

    labels: Targets
    challenger: Answers
    champion: Rival | None
    anchor: Rival | None = None
    slices: Mapping[str, Sequence[str]] = field(default_factory=dict)
    look: int = 1
    noise: Noise | None = None
    groups: Mapping[str, Sequence[Any]]
    perturbations: tuple[Perturbation, ...]
    digests: tuple[str, str]
    golden: Recorded
    onnx: Recorded | None = None
    bundle_bytes: int
    latency: Mapping[str, Sequence[float]]
    suite: Sequence[SuiteResult]


def decide(subject: Mapping[str, Any], policy: Gate, evidence: Evidence, *, environment: str, primary: str | None = None) -> Verdict:
    """The verdict on a challenger.

    `environment` tells whether a first release needs the policy's word, `primary` by which metric a model is best (by default
    the task's first).
    """
    if evidence.champion is not None and evidence.champion.same_bundle:
        return Verdict(kind="gate", subject=subject, checks=(_same_bundle(),))
    checks = (
        *_test_rows(policy, evidence),
        probabilities_check(evidence.challenger),
        *rival_checks(policy, _field(evidence), environment),
        *_quality(policy, evidence, primary or next(iter(metrics_of(evidence.challenger.task)))),
        *_behaviour(policy, evidence),
        *_latency(policy, evidence),
        *suite_checks(evidence.suite),
    )
    return Verdict(kind="gate", subject=subject, checks=checks)


def _same_bundle() -> Check:
    return Check(name="champion.same_bundle", outcome=Outcome.PASS, message="already champion, nothing to deploy")


def _test_rows(policy: Gate, evidence: Evidence) -> Iterator[Check]:
    """Whether there are enough held-out rows, of every class, and one answer for each."""
    rows, answers = len(evidence.labels), len(evidence.challenger.raw)
    if not _aligned(evidence):
        message = f"{answers:,} answers, or a group or slice column of another length, for {rows:,} held-out rows"
        yield Check(name="test.rows", outcome=Outcome.ERROR, message=message, observed=answers, limit=rows)
    yield from label_problems(evidence.labels, evidence.challenger)
    counted = count_rows(evidence.labels, evidence.challenger)
    enough, message = counted.enough(policy), counted.words
    if not enough:
        message = f"{message}: too few to judge a model ({counted.needed(policy)})"
    outcome = Outcome.PASS if enough else Outcome.INCONCLUSIVE
    yield Check(name="test.size", outcome=outcome, message=message, observed=rows, limit=policy.min_test_rows)


def _quality(policy: Gate, evidence: Evidence, primary: str) -> Iterator[Check]:
    """Performance and fairness; left out where the rows or the answers allow no figure, which is an error already."""
    labels, challenger = evidence.labels, evidence.challenger
    if not _aligned(evidence) or not can_be_judged(labels, challenger):
        return
    level = Level(confidence=float(policy.confidence), resamples=policy.resamples, seed=policy.seed)
    floors = floor_checks(policy.metrics, labels, challenger, level)
    comparisons = compared(policy, primary, _field(evidence), level)
    yield from (*floors, *comparisons)
    if all(check.advisory or not check.name.startswith("performance.") for check in (*floors, *comparisons)):
        message = "no metric of gate.metrics has a floor or ceiling that blocks, and none was compared with a champion: nothing was asked"
        yield Check(name="performance.policy", outcome=Outcome.INCONCLUSIVE, message=message)
    yield from noise_checks(policy.metrics, evidence.noise)
    yield from _fairness(policy, evidence)


def _fairness(policy: Gate, evidence: Evidence) -> Iterator[Check]:
    """Groups are compared by true-positive rates, so only a binary task is asked."""
    challenger, rival = evidence.challenger, _rival(evidence)
    if not isinstance(challenger, Scores):
        yield from no_fairness(evidence.groups, challenger)
        return
    before = rival if isinstance(rival, Scores) else None
    labels = np.asarray(evidence.labels, dtype=np.int64)
    yield from fairness_checks(policy.fairness, labels, evidence.groups, challenger, before, confidence=float(policy.confidence))


def _rival(evidence: Evidence) -> Answers | None:
    return comparable(evidence.champion, evidence.labels, evidence.challenger)


def _aligned(evidence: Evidence) -> bool:
    """Whether there is one answer, one group and one slice for each held-out row."""
    columns = (*evidence.groups.values(), *evidence.slices.values())
    return all(len(values) == len(evidence.labels) for values in (evidence.challenger.raw, *columns))


def _field(evidence: Evidence) -> Field:
    return Field(
        labels=evidence.labels,
        challenger=evidence.challenger,
        champion=evidence.champion,
        anchor=evidence.anchor,
        slices=evidence.slices,
        look=evidence.look,
    )


def _behaviour(policy: Gate, evidence: Evidence) -> Iterator[Check]:
    challenger, rival = evidence.challenger, _rival(evidence)
    if isinstance(challenger, Scores) and isinstance(rival, Scores) and len(challenger.probabilities) == len(rival.probabilities):
        yield flips_check(challenger, rival, policy.max_flips)
    yield determinism_check(*evidence.digests)
    yield golden_check(evidence.golden)
    if evidence.onnx is not None:
        yield onnx_check(evidence.onnx)
    yield from robustness_checks(evidence.perturbations, challenger)
    yield size_check(evidence.bundle_bytes, float(policy.max_bundle_mb))


def _latency(policy: Gate, evidence: Evidence) -> tuple[Check, ...]:
    """Latency of both; a champion that is there and was not timed is asked about all the same, and so inconclusive."""
    champion = None if evidence.champion is None else evidence.latency.get("champion", ())
    return latency_checks(policy.latency, evidence.latency.get("challenger", ()), champion, confidence=float(policy.confidence))


def suite_checks(results: Sequence[SuiteResult]) -> tuple[Check, ...]:
    """The model test suite as checks `suite.<test name>`; a skipped test is shown, a suite that can block nothing asks nothing."""
    if all(result.outcome == "skipped" or result.advisory for result in results):
        said = f"skipped all of its {len(results)} tests, or they are advisory" if results else "holds no test"
        message = f"the model test suite {said}, so it asks nothing (gate.suite)"
        asked = Check(name="suite", outcome=Outcome.INCONCLUSIVE, message=message, observed=0, limit=1)
        return (asked, *(_test(result) for result in results))
    return tuple(_test(result) for result in results)


_OUTCOMES = {"passed": Outcome.PASS, "failed": Outcome.FAIL, "skipped": Outcome.INCONCLUSIVE, "inconclusive": Outcome.INCONCLUSIVE}


def _test(result: SuiteResult) -> Check:
    outcome = _OUTCOMES.get(result.outcome, Outcome.ERROR)
    words = result.evidence or next(iter(result.reason.strip().splitlines()), "") or ("" if outcome is Outcome.PASS else result.outcome)
    return Check(
        name=f"suite.{result.name}",
        outcome=outcome,
        message=f"{result.sentence}: {words}" if words else result.sentence,
        observed=result.observed,
        limit=result.limit,
        advisory=result.advisory or result.outcome == "skipped",
        volatile=result.volatile,
    )
