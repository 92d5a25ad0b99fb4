"""The gate: evidence and policy in, one verdict out; nothing is loaded, timed or registered here.

`decide` asks every check and names each special case: a first release, a champion that cannot be read or that is this very
bundle, too few rows, one class. Nothing passes for want of a question.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

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
from seatrial.checks.performance import Level, comparison_checks, floor_checks
from seatrial.metrics import Labels, Scores
from seatrial.params import Gate
from seatrial.verdict import Check, Outcome, Verdict

if TYPE_CHECKING:
    from seatrial.suite import SuiteResult

MIN_PER_CLASS = 10
"""Rows of either class under which no interval is worth its name."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Champion:
    """What is known about the champion: its scores on the same rows, or why there are none.

    `problem` says in words why it cannot be scored. `learned` tells of each held-out row whether the champion was trained on it
    (None where its bundle does not say). `only_challenger` and `only_champion` are inputs that one of the two reads
    and the other does not. `same_bundle` is true where the challenger's digest is the champion's.
    """

    scores: Scores | None = None
    problem: str | None = None
    same_bundle: bool = False
    learned: NDArray[np.bool_] | None = None
    only_challenger: tuple[str, ...] = ()
    only_champion: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """All that was measured about a challenger.

    `labels` (0/1), `challenger` and the values of `groups` are about the same held-out rows in the same order. `champion` is
    None where the registry has none. `digests` are those of the scores of two processes. `golden` and `onnx` are recorded answers
    (`onnx` None where the bundle keeps none). `latency` maps "challenger", and "champion" where there is one, to milliseconds.
    """

    labels: Labels
    challenger: Scores
    champion: Champion | None
    groups: Mapping[str, Sequence[Any]]
    perturbations: tuple[Perturbation, ...]
    digests: tuple[str, str]
    golden: Recorded
    onnx: Recorded | None = None
    bundle_bytes: int
    latency: Mapping[str, Sequence[float]]
    suite: Sequence[SuiteResult]


def decide(subject: Mapping[str, Any], policy: Gate, evidence: Evidence, *, environment: str) -> Verdict:
    """The verdict on a challenger; `environment` tells whether a first release needs the policy's word."""
    if evidence.champion is not None and evidence.champion.same_bundle:
        return Verdict(kind="gate", subject=subject, checks=(_same_bundle(),))
    checks = (
        *_test_rows(policy, evidence),
        probabilities_check(evidence.challenger),
        *_champion(policy, evidence, environment),
        *_quality(policy, evidence),
        *_behaviour(policy, evidence),
        *_latency(policy, evidence),
        *suite_checks(evidence.suite),
    )
    return Verdict(kind="gate", subject=subject, checks=checks)


def _same_bundle() -> Check:
    return Check(name="champion.same_bundle", outcome=Outcome.PASS, message="already champion, nothing to deploy")


def _test_rows(policy: Gate, evidence: Evidence) -> Iterator[Check]:
    """Whether there are enough held-out rows, of both classes, and one answer for each."""
    rows, positives = len(evidence.labels), int((evidence.labels == 1).sum())
    fewest = min(positives, rows - positives)
    answers = len(evidence.challenger.probabilities)
    if answers != rows or any(len(values) != rows for values in evidence.groups.values()):
        message = f"{answers:,} answers or a group column of another length for {rows:,} held-out rows"
        yield Check(name="test.rows", outcome=Outcome.ERROR, message=message, observed=answers, limit=rows)
    if rows and fewest == 0:
        message = f"all {rows:,} held-out rows are of one class, so no model can be judged on them; more rows, or another preprocess.seed"
        yield Check(name="test.one_class", outcome=Outcome.ERROR, message=message, observed=1, limit=2)
    enough = rows >= policy.min_test_rows and fewest >= MIN_PER_CLASS
    message = f"{rows:,} held-out rows, {positives:,} of them positive"
    if not enough:
        message = f"{message}: too few to judge a model ({policy.min_test_rows:,} rows and {MIN_PER_CLASS} of each class are needed)"
    outcome = Outcome.PASS if enough else Outcome.INCONCLUSIVE
    yield Check(name="test.size", outcome=outcome, message=message, observed=rows, limit=policy.min_test_rows)


def _champion(policy: Gate, evidence: Evidence, environment: str) -> Iterator[Check]:
    """Which champion there is to compare with: each case has its own name and sentence."""
    champion = evidence.champion
    if champion is None:
        yield _first_release(policy, environment)
        return
    if champion.scores is None or champion.problem is not None:
        message = f"the champion cannot be scored, so nothing can be compared: {champion.problem or 'it gave no answers'}"
        yield Check(name="champion.unreadable", outcome=Outcome.ERROR, message=message)
    elif champion.scores.strange or len(champion.scores.probabilities) != len(evidence.labels):
        message = (
            f"the champion cannot be compared with: {champion.scores.strange:,} of its {len(champion.scores.probabilities):,} answers "
            f"to {len(evidence.labels):,} rows are no probabilities"
        )
        yield Check(name="champion.unreadable", outcome=Outcome.ERROR, message=message, observed=champion.scores.strange, limit=0)
    if champion.only_challenger or champion.only_champion:
        yield _other_inputs(champion)


def _first_release(policy: Gate, environment: str) -> Check:
    name = "champion.first_release"
    if environment == "local" or policy.first_release:
        return Check(name=name, outcome=Outcome.PASS, message="first release: floors only, there is no champion to compare with")
    message = (
        f"the registry of {environment!r} has no champion; if this is its first release, commit gate.first_release: true for it, "
        "otherwise look at MLFLOW_TRACKING_URI"
    )
    return Check(name=name, outcome=Outcome.INCONCLUSIVE, message=message)


def _other_inputs(champion: Champion) -> Check:
    news = [f"it reads {_some(champion.only_challenger)}, which the champion does not"] if champion.only_challenger else []
    news += [f"the champion reads {_some(champion.only_champion)}, which it does not"] if champion.only_champion else []
    message = f"other inputs than the champion's: {'; '.join(news)}; both were scored on the same rows"
    count = len(champion.only_challenger) + len(champion.only_champion)
    return Check(name="champion.other_inputs", outcome=Outcome.PASS, message=message, observed=count, advisory=True)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _rival(evidence: Evidence) -> Scores | None:
    """The champion's scores, where they can be compared with."""
    scores = evidence.champion.scores if evidence.champion else None
    if scores is None or evidence.champion is None or evidence.champion.problem is not None:
        return None
    return scores if not scores.strange and len(scores.probabilities) == len(evidence.labels) else None


def _quality(policy: Gate, evidence: Evidence) -> Iterator[Check]:
    """Performance and fairness; left out where the rows or the answers allow no figure, which is an error already."""
    labels, challenger, rival = evidence.labels, evidence.challenger, _rival(evidence)
    aligned = len(challenger.probabilities) == len(labels) and all(len(values) == len(labels) for values in evidence.groups.values())
    if not aligned or challenger.strange or len(np.unique(labels)) < 2:
        return
    level = Level(confidence=float(policy.confidence), resamples=policy.resamples, seed=policy.seed)
    floors = floor_checks(policy.metrics, labels, challenger, level)
    compared = tuple(_compared(policy, evidence, rival, level)) if rival else ()
    yield from (*floors, *compared)
    if all(check.advisory for check in (*floors, *compared)):
        message = "no metric of gate.metrics has a floor or ceiling that blocks, and none was compared with a champion: nothing was asked"
        yield Check(name="performance.policy", outcome=Outcome.INCONCLUSIVE, message=message)
    yield from fairness_checks(policy.fairness, labels, evidence.groups, challenger, rival, confidence=level.confidence)


def _compared(policy: Gate, evidence: Evidence, rival: Scores, level: Level) -> Iterator[Check]:
    """The comparison on the rows that the champion was not trained on: on the others it knows the answers."""
    labels, challenger = evidence.labels, evidence.challenger
    learned = evidence.champion.learned if evidence.champion else None
    if learned is not None and learned.any():
        new = ~learned
        labels, challenger, rival = labels[new], challenger.only(new), rival.only(new)
        check = _trained_on(policy, labels, int(learned.sum()))
        yield check
        if check.outcome is not Outcome.PASS:
            return
    yield from comparison_checks(policy.metrics, labels, challenger, rival, level)


def _trained_on(policy: Gate, labels: Labels, learned: int) -> Check:
    """Whether enough rows are left to compare on."""
    rows, positives = len(labels), int((labels == 1).sum())
    enough = rows >= policy.min_test_rows and min(positives, rows - positives) >= MIN_PER_CLASS
    message = f"{learned:,} held-out rows were trained on by the champion and are left out of the comparison; {rows:,} are left"
    if not enough:
        message = f"{message}: too few ({policy.min_test_rows:,} rows and {MIN_PER_CLASS} of each class are needed)"
    outcome = Outcome.PASS if enough else Outcome.INCONCLUSIVE
    return Check(name="champion.trained_on", outcome=outcome, message=message, observed=rows, limit=policy.min_test_rows)


def _behaviour(policy: Gate, evidence: Evidence) -> Iterator[Check]:
    rival = _rival(evidence)
    if rival is not None and len(evidence.challenger.probabilities) == len(rival.probabilities):
        yield flips_check(evidence.challenger, rival, policy.max_flips)
    yield determinism_check(*evidence.digests)
    yield golden_check(evidence.golden)
    if evidence.onnx is not None:
        yield onnx_check(evidence.onnx)
    yield from robustness_checks(evidence.perturbations, evidence.challenger.threshold)
    yield size_check(evidence.bundle_bytes, float(policy.max_bundle_mb))


def _latency(policy: Gate, evidence: Evidence) -> tuple[Check, ...]:
    """Latency of both; a champion that is there and was not timed is asked about all the same, and so inconclusive."""
    champion = None if evidence.champion is None else evidence.latency.get("champion", ())
    return latency_checks(policy.latency, evidence.latency.get("challenger", ()), champion, confidence=float(policy.confidence))


def suite_checks(results: Sequence[SuiteResult]) -> tuple[Check, ...]:
    """The model test suite as checks `suite.<test name>`; a skipped test is shown, an empty suite asks nothing."""
    if all(result.outcome == "skipped" for result in results):
        said = f"skipped all of its {len(results)} tests" if results else "holds no test"
        message = f"the model test suite {said}, so it asks nothing (gate.suite)"
        asked = Check(name="suite", outcome=Outcome.INCONCLUSIVE, message=message, observed=0, limit=1)
        return (asked, *(_test(result) for result in results))
    return tuple(_test(result) for result in results)


_OUTCOMES = {"passed": Outcome.PASS, "failed": Outcome.FAIL, "skipped": Outcome.INCONCLUSIVE}


def _test(result: SuiteResult) -> Check:
    outcome = _OUTCOMES.get(result.outcome, Outcome.ERROR)
    first = next(iter(result.reason.strip().splitlines()), "")
    message = result.sentence if outcome is Outcome.PASS else f"{result.sentence}: {first or result.outcome}"
    return Check(name=f"suite.{result.name}", outcome=outcome, message=message, advisory=outcome is Outcome.INCONCLUSIVE)
