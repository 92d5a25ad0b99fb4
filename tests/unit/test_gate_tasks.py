from dataclasses import replace

import msgspec
import numpy as np
import pytest

from seatrial.checks.behaviour import Perturbation, Recorded
from seatrial.gate import Evidence, decide
from seatrial.metrics import Scores
from seatrial.metrics_tasks import Classes, Values, metrics_of
from seatrial.params import Gate, MetricPolicy
from seatrial.rivals import Rival
from seatrial.suite import SuiteResult
from seatrial.verdict import Outcome

ROWS = 400
RNG = np.random.default_rng(0)
KINDS = RNG.choice(3, p=[0.5, 0.3, 0.2], size=ROWS)
PULLS = 2 * np.eye(3)[KINDS] + RNG.normal(size=(ROWS, 3))
AMOUNTS = RNG.normal(size=ROWS) * 10
TIMES = [1 + at / 2000 for at in range(2000)]
METRICS = {
    "multiclass": {"accuracy": MetricPolicy(floor=0.6, margin=0.05), "macro_f1": MetricPolicy(margin=0.05)},
    "regression": {"mae": MetricPolicy(ceiling=2, margin=0.2), "r2": MetricPolicy(floor=0.8)},
}
TASKS = tuple(METRICS)


def answers(task, noise=0.05, seed=1):
    rng = np.random.default_rng(seed)
    if task == "regression":
        return Values(values=AMOUNTS + 1.5 * np.sin(np.arange(ROWS)) + noise * rng.normal(size=ROWS))
    raised = np.exp(PULLS + noise * rng.normal(size=(ROWS, 3)))
    return Classes(probabilities=raised / raised.sum(axis=1, keepdims=True))


def labels(task):
    return AMOUNTS if task == "regression" else KINDS


def judged(task, policy=None, environment="local", **changes):
    disturbed = answers(task).raw[:5]
    base = Evidence(
        labels=labels(task),
        challenger=answers(task),
        champion=Rival(scores=answers(task, seed=2)),
        groups={},
        perturbations=(Perturbation(kind="missing", column="x", before=disturbed, after=disturbed[::-1]),),
        digests=("sha256:1", "sha256:1"),
        golden=Recorded(promised=disturbed.tolist(), given=disturbed.tolist()),
        bundle_bytes=1_000_000,
        latency={"challenger": TIMES, "champion": TIMES},
        suite=(SuiteResult(name="test_it", outcome="passed", sentence="It works", reason=""),),
    )
    return decide({"bundle": "sha256:new"}, policy or Gate(metrics=METRICS[task]), replace(base, **changes), environment=environment)


def find(verdict, name):
    return next((check for check in verdict.checks if check.name == name), None)


ASKED = {
    "multiclass": {"performance.accuracy.floor", "performance.accuracy.champion", "performance.macro_f1.champion"},
    "regression": {"performance.mae.ceiling", "performance.r2.floor", "performance.mae.champion"},
}
EVERY = {
    "anchor.better",
    "test.looks",
    "test.size",
    "behaviour.probabilities",
    "behaviour.determinism",
    "behaviour.golden",
    "behaviour.missing",
    "behaviour.size",
}
TIMED = {"latency.p99", "latency.ratio", "suite.test_it"}


@pytest.mark.parametrize("task", TASKS)
def test_a_challenger_that_is_as_good_passes_and_what_its_task_has_was_asked(task):
    verdict = judged(task)
    assert verdict.outcome is Outcome.PASS
    assert {check.name for check in verdict.checks} == ASKED[task] | EVERY | TIMED


@pytest.mark.parametrize("task", TASKS)
def test_a_worse_challenger_fails_and_the_same_evidence_gives_the_same_verdict(task):
    verdict = judged(task, challenger=answers(task, noise=6))
    assert verdict.outcome is Outcome.FAIL
    assert find(verdict, min(ASKED[task])).outcome is Outcome.FAIL
    assert verdict.digest == judged(task, challenger=answers(task, noise=6)).digest


@pytest.mark.parametrize("task", TASKS)
def test_a_challenger_that_cannot_be_told_from_its_margin_is_inconclusive(task):
    metric = {"multiclass": "log_loss", "regression": "rmse"}[task]
    models = [answers(task, noise=0.3, seed=seed) for seed in (3, 4)]
    distance = abs(np.subtract(*[metrics_of(task)[metric].value(labels(task), model) for model in models]))
    policy = Gate(metrics={metric: MetricPolicy(margin=float(distance) * 1.01)})
    verdict = judged(task, policy, challenger=models[0], champion=Rival(scores=models[1]))
    assert (verdict.outcome, find(verdict, f"performance.{metric}.champion").outcome) == (Outcome.INCONCLUSIVE,) * 2


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("strange", [np.nan, np.inf])
def test_answers_that_are_no_numbers_are_an_error_and_never_a_pass(task, strange):
    raw = answers(task).raw.copy()
    raw[3, ...] = strange
    verdict = judged(task, challenger=answers(task).of(raw))
    assert verdict.outcome is Outcome.ERROR
    assert find(verdict, "behaviour.probabilities").message.startswith("1 of 400 answers are no ")
    assert not [check for check in verdict.checks if check.name.startswith("performance.")]


def test_probabilities_that_do_not_add_up_to_one_are_an_error():
    verdict = judged("multiclass", challenger=Classes(probabilities=answers("multiclass").raw * 0.9))
    assert verdict.outcome is Outcome.ERROR
    assert find(verdict, "behaviour.probabilities").message == "400 of 400 answers are no probabilities that add up to 1"


@pytest.mark.parametrize("task", TASKS)
def test_a_first_release_is_judged_by_its_floors(task):
    verdict = judged(task, champion=None, latency={"challenger": TIMES})
    assert verdict.outcome is Outcome.PASS
    assert not [check for check in verdict.checks if check.name.endswith(".champion")]
    policy = Gate(metrics={name: MetricPolicy(margin=1.0) for name in METRICS[task]})
    assert find(judged(task, policy, champion=None), "performance.policy").outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize("task", TASKS)
def test_a_champion_whose_answers_are_others_in_kind_or_shape_is_an_error(task):
    raw = answers(task).raw.copy()
    raw[0, ...] = np.nan
    others = [answers(task).of(raw), answers(task).only(np.arange(ROWS) > 0), Scores(probabilities=np.full(ROWS, 0.5), threshold=0.5)]
    if task == "multiclass":
        others.append(Classes(probabilities=np.full((ROWS, 4), 0.25)))
    for other in others:
        verdict = judged(task, champion=Rival(scores=other))
        assert (verdict.outcome, find(verdict, "champion.unreadable").outcome) == (Outcome.ERROR, Outcome.ERROR)
        assert not [check for check in verdict.checks if check.name.endswith("_f1.champion")]


@pytest.mark.parametrize(("rows", "outcome"), [(399, Outcome.PASS), (400, Outcome.PASS), (401, Outcome.INCONCLUSIVE)])
@pytest.mark.parametrize("task", TASKS)
def test_fewer_rows_than_the_policy_asks_for_are_inconclusive(task, rows, outcome):
    verdict = judged(task, msgspec.structs.replace(Gate(metrics=METRICS[task]), min_test_rows=rows))
    assert (verdict.outcome, find(verdict, "test.size").outcome) == (outcome, outcome)


@pytest.mark.parametrize(
    ("rarest", "outcome"), [(0, Outcome.INCONCLUSIVE), (9, Outcome.INCONCLUSIVE), (10, Outcome.PASS), (11, Outcome.PASS)]
)
def test_every_class_needs_its_rows(rarest, outcome):
    kinds = np.arange(ROWS) % 2
    kinds[:rarest] = 2
    check = find(judged("multiclass", labels=kinds), "test.size")
    assert check.outcome is outcome
    assert f"400 held-out rows of 3 classes, {rarest} of the rarest" in check.message


def test_a_regression_counts_rows_only():
    check = find(judged("regression", msgspec.structs.replace(Gate(metrics=METRICS["regression"]), min_test_rows=500)), "test.size")
    assert check.message == "400 held-out rows: too few to judge a model (500 rows are needed)"


@pytest.mark.parametrize(("task", "label"), [("multiclass", 3), ("multiclass", -1), ("regression", np.nan), ("regression", np.inf)])
def test_labels_that_mean_nothing_are_an_error(task, label):
    strange = labels(task).copy()
    strange[5] = label
    verdict = judged(task, labels=strange)
    assert (verdict.outcome, find(verdict, "test.labels").outcome) == (Outcome.ERROR, Outcome.ERROR)


def test_targets_that_are_all_the_same_have_no_r2_and_never_pass():
    policy = Gate(metrics={"r2": MetricPolicy(floor=0.1, margin=0.1)})
    verdict = judged("regression", policy, labels=np.full(ROWS, 2.0), challenger=Values(values=np.full(ROWS, 2.0)))
    assert {find(verdict, f"performance.r2.{name}").outcome for name in ("floor", "champion")} == {Outcome.ERROR}


@pytest.mark.parametrize("task", TASKS)
def test_no_rows_at_all_never_pass(task):
    nothing = np.zeros(ROWS, dtype=bool)
    empty = answers(task).only(nothing)
    verdict = judged(task, labels=labels(task)[nothing], challenger=empty, champion=Rival(scores=empty))
    assert verdict.outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize("task", TASKS)
def test_that_groups_are_not_compared_is_said_and_does_not_block(task):
    verdict = judged(task, groups={"team": ["a", "b"] * 200})
    check = find(verdict, "fairness.team")
    assert (verdict.outcome, check.outcome, check.advisory) == (Outcome.PASS, Outcome.INCONCLUSIVE, True)
    assert f"which a {task} task has not" in check.message


@pytest.mark.parametrize("task", TASKS)
def test_rows_that_the_champion_was_trained_on_are_left_out_of_the_comparison(task):
    learned = np.arange(ROWS) < 100
    known = np.where(learned, labels(task), answers(task, seed=2).raw) if task == "regression" else None
    champion = answers(task, seed=2) if known is None else Values(values=known)
    verdict = judged(task, champion=Rival(scores=champion, learned=learned))
    assert find(verdict, "champion.trained_on").message.endswith("300 are left")
    assert (
        "300 rows in pairs"
        in find(verdict, max(ASKED[task] - {"performance.r2.floor"}, key=lambda name: name.endswith("champion"))).message
    )
    few = judged(task, champion=Rival(scores=champion, learned=np.arange(ROWS) < 250))
    assert find(few, "champion.trained_on").outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("task", "words"),
    [("multiclass", "all 5 answers are probabilities; most labels change with x"), ("regression", "all 5 answers are finite numbers")],
)
def test_disturbed_rows_must_be_answered(task, words):
    assert words in find(judged(task), "behaviour.missing").message
    before = answers(task).raw[:5]
    lost = Perturbation(kind="missing", column="x", before=before, after=np.full(before.shape, np.nan))
    verdict = judged(task, perturbations=(lost,))
    assert (verdict.outcome, find(verdict, "behaviour.missing").outcome) == (Outcome.FAIL, Outcome.FAIL)


@pytest.mark.parametrize(("away", "outcome"), [(0.9e-5, Outcome.PASS), (1.1e-5, Outcome.FAIL)])
@pytest.mark.parametrize(("task", "promised"), [("multiclass", [[0.5, 0.25, 0.25]]), ("regression", [5e4]), ("regression", [-0.5])])
def test_golden_rows_are_met_within_a_share_of_large_answers(task, promised, away, outcome):
    scale = max(1, np.abs(promised).max())
    given = np.array(promised)
    given.flat[0] += away * scale
    check = find(judged(task, golden=Recorded(promised=promised, given=given.tolist())), "behaviour.golden")
    assert check.outcome is outcome
    assert check.message.startswith(f"{int(outcome is Outcome.PASS)} of 1 golden rows are met")
