from dataclasses import replace

import msgspec
import numpy as np
import pytest

from seatrial.checks.behaviour import Perturbation, Recorded
from seatrial.checks.noise import Noise
from seatrial.gate import Evidence, decide, suite_checks
from seatrial.metrics import Scores
from seatrial.params import Fairness, Gate, MetricPolicy, Slices
from seatrial.rivals import Rival
from seatrial.suite import SuiteResult
from seatrial.verdict import Outcome

RNG = np.random.default_rng(0)
LABELS = (RNG.random(1000) < 0.4).astype(np.int64)
SHARED = RNG.normal(size=1000) + 1.8 * LABELS - 1
METRICS = {"roc_auc": MetricPolicy(floor=0.7, margin=0.03), "accuracy": MetricPolicy(floor=0.6, margin=0.05)}
POLICY = Gate(metrics=METRICS)
TIMES = [1 + at / 2000 for at in range(2000)]
PASSED = SuiteResult(name="test_it", outcome="passed", sentence="It works", reason="")


def scores(noise=0.02, seed=1):
    raised = SHARED + noise * np.random.default_rng(seed).normal(size=1000)
    return Scores(probabilities=1 / (1 + np.exp(-raised)), threshold=0.5)


def evidence(**changes):
    base = Evidence(
        labels=LABELS,
        challenger=scores(),
        champion=Rival(scores=scores(seed=2)),
        groups={"team": ["a", "b"] * 500},
        perturbations=(Perturbation(kind="missing", column="x", before=np.full(5, 0.4), after=np.full(5, 0.3)),),
        digests=("sha256:1", "sha256:1"),
        golden=Recorded(promised=[0.5], given=[0.5]),
        onnx=Recorded(promised=[0.5], given=[0.5]),
        bundle_bytes=1_000_000,
        latency={"challenger": TIMES, "champion": TIMES},
        suite=(PASSED,),
    )
    return replace(base, **changes)


def judged(policy=POLICY, environment="local", **changes):
    return decide({"bundle": "sha256:new"}, policy, evidence(**changes), environment=environment)


def find(verdict, name):
    return next((check for check in verdict.checks if check.name == name), None)


def test_a_challenger_that_is_as_good_passes_and_every_kind_of_question_was_asked():
    verdict = judged()
    assert (verdict.kind, verdict.outcome, verdict.subject) == ("gate", Outcome.PASS, {"bundle": "sha256:new"})
    assert {check.name for check in verdict.checks} == {
        "test.size",
        "behaviour.probabilities",
        "anchor.better",
        "test.looks",
        "performance.roc_auc.floor",
        "performance.roc_auc.champion",
        "performance.accuracy.floor",
        "performance.accuracy.champion",
        "fairness.team.b.gap",
        "fairness.team.b.change",
        "behaviour.flips",
        "behaviour.determinism",
        "behaviour.golden",
        "behaviour.onnx",
        "behaviour.missing",
        "behaviour.size",
        "latency.p99",
        "latency.ratio",
        "suite.test_it",
    }


def test_the_same_evidence_gives_the_same_verdict():
    assert judged().digest == judged().digest


def test_a_worse_challenger_fails():
    verdict = judged(challenger=scores(noise=3))
    assert verdict.outcome is Outcome.FAIL
    assert find(verdict, "performance.roc_auc.champion").outcome is Outcome.FAIL


@pytest.mark.parametrize(
    ("environment", "committed", "outcome"),
    [
        ("local", False, Outcome.PASS),
        ("production", False, Outcome.INCONCLUSIVE),
        ("production", True, Outcome.PASS),
    ],
)
def test_a_first_release_needs_the_policys_word_outside_local(environment, committed, outcome):
    policy = msgspec.structs.replace(POLICY, first_release=committed)
    verdict = judged(policy, environment, champion=None, latency={"challenger": TIMES})
    assert (verdict.outcome, find(verdict, "champion.first_release").outcome) == (outcome, outcome)
    assert not [check for check in verdict.checks if check.name.endswith((".champion", ".change", ".flips", ".ratio"))]


def test_a_bundle_that_is_champion_already_has_nothing_to_deploy():
    verdict = judged(champion=Rival(same_bundle=True))
    assert [check.name for check in verdict.checks] == ["champion.same_bundle"]
    assert verdict.outcome is Outcome.PASS
    assert verdict.checks[0].message == "already champion, nothing to deploy"


@pytest.mark.parametrize(
    "champion",
    [
        Rival(problem="its bytes are gone"),
        Rival(),
        Rival(scores=scores(seed=2), problem="its digest differs"),
        Rival(scores=Scores(probabilities=np.full(1000, np.nan), threshold=0.5)),
        Rival(scores=Scores(probabilities=np.full(999, 0.5), threshold=0.5)),
    ],
)
def test_a_champion_that_cannot_be_compared_with_is_an_error(champion):
    verdict = judged(champion=champion)
    assert (verdict.outcome, find(verdict, "champion.unreadable").outcome) == (Outcome.ERROR, Outcome.ERROR)
    assert find(verdict, "performance.roc_auc.champion") is None


def test_other_inputs_than_the_champions_are_shown_and_do_not_block():
    champion = Rival(scores=scores(seed=2), only_challenger=("colour",), only_champion=tuple("abcdefg"))
    verdict = judged(champion=champion)
    check = find(verdict, "champion.other_inputs")
    assert verdict.outcome is Outcome.PASS
    assert check.advisory
    assert "it reads colour" in check.message
    assert "a, b, c, d, e and 2 more" in check.message


@pytest.mark.parametrize(("rows", "outcome"), [(999, Outcome.PASS), (1000, Outcome.PASS), (1001, Outcome.INCONCLUSIVE)])
def test_fewer_rows_than_the_policy_asks_for_are_inconclusive(rows, outcome):
    verdict = judged(msgspec.structs.replace(POLICY, min_test_rows=rows))
    assert (verdict.outcome, find(verdict, "test.size").outcome) == (outcome, outcome)


@pytest.mark.parametrize(("positives", "outcome"), [(9, Outcome.INCONCLUSIVE), (10, Outcome.PASS), (11, Outcome.PASS)])
def test_a_class_with_a_handful_of_rows_is_too_few(positives, outcome):
    labels = np.zeros(1000, dtype=int)
    labels[:positives] = 1
    assert find(judged(labels=labels), "test.size").outcome is outcome


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_is_an_error(label):
    verdict = judged(labels=np.full(1000, label))
    assert verdict.outcome is Outcome.ERROR
    assert find(verdict, "test.one_class").outcome is Outcome.ERROR


def test_no_rows_at_all_never_pass():
    empty = Scores(probabilities=np.empty(0), threshold=0.5)
    verdict = judged(labels=np.empty(0, dtype=int), challenger=empty, champion=Rival(scores=empty), groups={"team": []})
    assert verdict.outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize("strange", [np.nan, np.inf, -0.5])
def test_answers_that_are_no_probabilities_are_an_error_and_never_a_pass(strange):
    probabilities = scores().probabilities.copy()
    probabilities[3] = strange
    verdict = judged(challenger=Scores(probabilities=probabilities, threshold=0.5))
    assert verdict.outcome is Outcome.ERROR
    assert find(verdict, "performance.roc_auc.floor") is None


def test_answers_for_other_rows_are_an_error():
    assert judged(challenger=Scores(probabilities=np.full(999, 0.5), threshold=0.5)).outcome is Outcome.ERROR
    assert judged(groups={"team": ["a"] * 999}).outcome is Outcome.ERROR


@pytest.mark.parametrize("metrics", [{}, {"f1": MetricPolicy(floor=0.1, tier="advisory")}, {"f1": MetricPolicy(margin=0.1)}])
def test_a_first_release_without_a_floor_that_blocks_is_inconclusive(metrics):
    verdict = judged(Gate(metrics=metrics), champion=None, latency={"challenger": TIMES})
    assert (verdict.outcome, find(verdict, "performance.policy").outcome) == (Outcome.INCONCLUSIVE, Outcome.INCONCLUSIVE)


def test_a_comparison_alone_is_policy_enough():
    verdict = judged(Gate(metrics={"roc_auc": MetricPolicy(margin=0.05)}))
    assert verdict.outcome is Outcome.PASS
    assert find(verdict, "performance.policy") is None


def test_a_gap_that_opened_blocks_by_default_and_an_absolute_one_does_not():
    team = np.array(["a", "b"] * 500)
    blind = scores().probabilities.copy()
    blind[(team == "b") & (np.arange(1000) % 4 < 3)] = 0.01
    unfair = Scores(probabilities=blind, threshold=0.5)
    policy = Gate(metrics={"roc_auc": MetricPolicy(floor=0.5)}, max_flips=0.9, fairness=Fairness(margin=0.15))
    opened = judged(policy, challenger=unfair)
    there = judged(policy, challenger=unfair, champion=Rival(scores=unfair))
    assert opened.outcome is Outcome.FAIL
    assert find(opened, "fairness.team.b.change").outcome is Outcome.FAIL
    assert there.outcome is Outcome.PASS
    assert find(there, "fairness.team.b.gap").outcome is Outcome.FAIL


@pytest.mark.parametrize(
    ("changes", "name", "outcome"),
    [
        ({"digests": ("sha256:1", "sha256:2")}, "behaviour.determinism", Outcome.FAIL),
        ({"golden": Recorded(promised=[0.5], given=[0.6])}, "behaviour.golden", Outcome.FAIL),
        ({"golden": Recorded(promised=[], given=[])}, "behaviour.golden", Outcome.INCONCLUSIVE),
        ({"onnx": Recorded(promised=[0.5], given=[float("nan")])}, "behaviour.onnx", Outcome.ERROR),
        ({"bundle_bytes": 10**9}, "behaviour.size", Outcome.FAIL),
        ({"latency": {"challenger": TIMES}}, "latency.ratio", Outcome.INCONCLUSIVE),
        ({"latency": {"challenger": [9 * one for one in TIMES], "champion": TIMES}}, "latency.ratio", Outcome.FAIL),
        ({"suite": ()}, "suite", Outcome.INCONCLUSIVE),
    ],
)
def test_one_check_that_does_not_pass_decides(changes, name, outcome):
    verdict = judged(**changes)
    assert (verdict.outcome, find(verdict, name).outcome) == (outcome, outcome)


@pytest.mark.parametrize(
    ("said", "outcome", "advisory"),
    [
        ("passed", Outcome.PASS, False),
        ("failed", Outcome.FAIL, False),
        ("skipped", Outcome.INCONCLUSIVE, True),
        ("inconclusive", Outcome.INCONCLUSIVE, False),
        ("error", Outcome.ERROR, False),
        ("rerun", Outcome.ERROR, False),
    ],
)
def test_what_pytest_said_becomes_an_outcome(said, outcome, advisory):
    beside = SuiteResult(name="test_b", outcome="passed", sentence="b", reason="")
    result = SuiteResult(name="test_a[x]", outcome=said, sentence="Rows are answered", reason="first line\nsecond line")
    check, _ = suite_checks([result, beside])
    assert (check.name, check.outcome, check.advisory) == ("suite.test_a[x]", outcome, advisory)
    assert check.message == "Rows are answered: first line"


def test_what_a_tests_claims_found_stands_in_its_check():
    result = replace(PASSED, observed=0.4, limit=0.5, evidence="recall 0.4 is below 0.5")
    failed, passed, shown = suite_checks(
        [replace(result, outcome="failed", reason="it raised"), PASSED, replace(result, outcome="failed", advisory=True, volatile=True)]
    )
    assert (failed.observed, failed.limit, failed.message) == (0.4, 0.5, "It works: recall 0.4 is below 0.5")
    assert (passed.observed, passed.limit, passed.message) == (None, None, "It works")
    assert (shown.outcome, shown.blocks, shown.volatile) == (Outcome.FAIL, False, True)


@pytest.mark.parametrize("only", [{"outcome": "skipped", "reason": "no id"}, {"advisory": True}])
def test_a_suite_in_which_no_test_can_block_asks_nothing(only):
    checks = suite_checks([replace(PASSED, **only)])
    assert checks[0].outcome is Outcome.INCONCLUSIVE
    assert checks[0].blocks


def learned(rows):
    return np.arange(1000) < rows


def test_rows_that_the_champion_was_trained_on_are_left_out_of_the_comparison_only():
    worse = scores(seed=2)
    known = replace(worse, probabilities=np.where(learned(300), LABELS, worse.probabilities))
    everything = judged(challenger=worse, champion=Rival(scores=known))
    assert find(everything, "performance.roc_auc.champion").outcome is Outcome.FAIL
    fair = judged(challenger=worse, champion=Rival(scores=known, learned=learned(300)))
    assert find(fair, "performance.roc_auc.champion").outcome is Outcome.PASS
    assert find(fair, "champion.trained_on").message.startswith("300 held-out rows were trained on by the champion")
    assert find(fair, "performance.roc_auc.floor") == find(everything, "performance.roc_auc.floor")


@pytest.mark.parametrize("known", [None, learned(0)])
def test_a_champion_that_learned_none_of_the_rows_is_compared_on_all(known):
    assert judged(champion=Rival(scores=scores(seed=2), learned=known)) == judged()


@pytest.mark.parametrize(("left", "outcome"), [(199, Outcome.INCONCLUSIVE), (200, Outcome.PASS), (201, Outcome.PASS)])
def test_too_few_rows_left_decide_nothing(left, outcome):
    policy = Gate(metrics=METRICS, min_test_rows=200)
    verdict = judged(policy, champion=Rival(scores=scores(seed=2), learned=learned(1000 - left)))
    assert find(verdict, "champion.trained_on").outcome is outcome
    assert (find(verdict, "performance.roc_auc.champion") is not None) is (outcome is Outcome.PASS)


def test_a_challenger_that_is_within_the_margin_of_the_champion_and_not_of_the_anchor_does_not_pass():
    downhill = {"champion": Rival(scores=scores(noise=1.0)), "challenger": scores(noise=1.05)}
    assert judged(**downhill).outcome is Outcome.PASS
    verdict = judged(**downhill, anchor=Rival(scores=scores(noise=0.0)))
    assert find(verdict, "performance.roc_auc.champion").outcome is Outcome.PASS
    assert find(verdict, "performance.roc_auc.anchor").outcome is Outcome.FAIL
    assert verdict.outcome is Outcome.FAIL


@pytest.mark.parametrize(
    ("changes", "words", "observed"),
    [
        ({"champion": None}, "no anchor yet", "stays"),
        ({"anchor": Rival(same_bundle=True)}, "this bundle is the anchor", "stays"),
        ({}, "the champion is the anchor", "stays"),
        ({"champion": Rival(scores=scores(noise=2))}, "the champion is the anchor", "moves"),
        ({"anchor": Rival(scores=scores(noise=2))}, "the anchor is the best model so far", "moves"),
        ({"anchor": Rival(problem="torn", gone=True)}, "could not be compared with", "stays"),
    ],
)
def test_who_is_the_anchor_and_whether_it_moves(changes, words, observed):
    check = find(judged(**changes), "anchor.better")
    assert words in check.message
    assert (check.observed, check.advisory) == (observed, True)


@pytest.mark.parametrize("who", ["champion", "anchor"])
@pytest.mark.parametrize(
    ("rival", "name"), [(Rival(problem="no such file", gone=True), "bytes_gone"), (Rival(problem="torn"), "unreadable")]
)
def test_bytes_that_are_gone_and_bytes_that_cannot_be_read_have_names_of_their_own(who, rival, name):
    verdict = judged(**{who: rival})
    check = find(verdict, f"{who}.{name}")
    assert (verdict.outcome, check.outcome) == (Outcome.ERROR, Outcome.ERROR)
    assert rival.problem in check.message


def test_a_slice_that_got_worse_fails_the_gate_although_the_whole_passes():
    few = np.arange(1000) % 8 == 0
    mixed = scores(seed=2).probabilities.copy()
    mixed[few] = np.random.default_rng(5).permutation(mixed[few])
    slices = {"team": ["few" if one else "most" for one in few]}
    loose = {"roc_auc": MetricPolicy(floor=0.7, margin=0.1)}
    policy = Gate(metrics=loose, slices=Slices(columns=("team",)))
    verdict = judged(policy, challenger=Scores(probabilities=mixed, threshold=0.5), slices=slices)
    assert find(verdict, "performance.roc_auc.champion").outcome is Outcome.PASS
    assert find(verdict, "slices.team.few").outcome is Outcome.FAIL
    assert find(verdict, "slices.team.most").outcome is Outcome.PASS
    assert verdict.outcome is Outcome.FAIL


def test_rows_that_the_champion_was_trained_on_are_left_out_of_slices_too():
    slices = {"team": ["a", "b"] * 500}
    policy = Gate(metrics=METRICS, slices=Slices(columns=("team",)))
    verdict = judged(policy, champion=Rival(scores=scores(seed=2), learned=learned(300)), slices=slices)
    assert "350 rows in pairs" in find(verdict, "slices.team.a").message


def test_a_slice_column_of_another_length_is_an_error():
    assert judged(slices={"team": ["a"]}).outcome is Outcome.ERROR


def test_looks_are_counted_against_the_champion_only():
    assert find(judged(look=7), "test.looks").observed == 7
    assert find(judged(look=7, champion=None), "test.looks") is None


def test_a_margin_within_the_noise_is_shown():
    check = find(judged(noise=Noise(seeds=10, floors={"roc_auc": 0.5})), "noise.roc_auc")
    assert (check.outcome, check.advisory) == (Outcome.INCONCLUSIVE, True)
