"""The gate's self-test: bad models are caught, equal ones never failed, and the shares are those that a formula predicts."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from seatrial.metrics import METRICS, Scores
from seatrial.params import Gate, MetricPolicy
from seatrial.selftest import (
    Candidate,
    Population,
    Rate,
    against_prediction,
    broken_promises,
    curve_metrics,
    degraded,
    is_beyond,
    margin_rate,
    measure,
    predicted_pass,
    run_selftest,
    strength_for,
    truly_beyond,
)
from seatrial.statistics import wilson_interval
from seatrial.verdict import Check, Outcome

RNG = np.random.default_rng(3)
ROWS = 800
LABELS = (RNG.random(ROWS) < 0.4).astype(np.int64)
ODDS = RNG.normal(size=ROWS) + 1.8 * LABELS - 0.9
CHAMPION = Scores(probabilities=1 / (1 + np.exp(-ODDS)), threshold=0.5)
GROUPS = {"team": ["a", "b"] * (ROWS // 2)}
POLICY = Gate(metrics={"roc_auc": MetricPolicy(floor=0.7, margin=0.03), "accuracy": MetricPolicy(floor=0.6, margin=0.05)})
POPULATION = Population(labels=LABELS, champion=CHAMPION, groups=GROUPS, policy=POLICY)


def candidate(probabilities=CHAMPION.probabilities, name="model", **more):
    return Candidate(**{"name": name, "words": name, "probabilities": probabilities, "threshold": 0.5, "expected": "caught", **more})


def rate(**changes):
    base = Rate(
        name="model",
        words="a model",
        expected="caught",
        metric=None,
        distance=None,
        draws=100,
        passed=0,
        inconclusive=0,
        failed=100,
        point_rule=0,
    )
    return replace(base, **changes)


def asked(*candidates, draws=8, seed=0, policy=POLICY):
    return run_selftest(LABELS, CHAMPION, candidates, GROUPS, policy, draws=draws, seed=seed)


def test_a_constant_model_is_caught_in_every_draw():
    (found,) = asked(candidate(np.full(ROWS, LABELS.mean())))
    assert (found.passed, found.expected, found.caught) == (0, "caught", 1.0)
    assert "performance.roc_auc.champion" in found.beyond
    assert found.caught_by


def test_identical_answers_are_never_failed_and_break_no_limit():
    (found,) = asked(candidate(expected="pass"))
    assert (found.passed, found.failed, found.beyond, found.point_rule, found.caught_by) == (8, 0, (), 8, "")


def test_answers_that_are_no_probabilities_count_as_failed():
    above_one = np.where(CHAMPION.probabilities > 0.9, 1.5, CHAMPION.probabilities)
    (found,) = asked(candidate(above_one), draws=2)
    assert (found.passed, found.failed, found.caught_by) == (0, 2, "behaviour.probabilities")


def test_a_model_within_the_limits_is_nothing_that_must_be_caught():
    (found,) = asked(candidate(expected="caught"), draws=1)
    assert found.expected == "open"


def test_each_candidate_has_draws_of_its_own_whatever_the_order():
    near = next(degraded(POPULATION, "roc_auc", CHAMPION, [0.02], seed=1))
    other = replace(near, name="other")
    forward, back = asked(near, other, draws=60), asked(other, near, draws=60)
    assert forward == back[::-1]
    assert forward[0].passed != forward[1].passed
    assert asked(near, draws=60, seed=1) != forward[:1]


def test_a_draw_keeps_labels_answers_and_groups_in_step():
    at = np.array([5, 0, 5])
    drawn = POPULATION.drawn(at)
    assert drawn.labels.tolist() == LABELS[at].tolist()
    assert drawn.champion.probabilities.tolist() == CHAMPION.probabilities[at].tolist()
    assert drawn.groups == {"team": ["b", "a", "b"]}


@pytest.mark.parametrize(("passed", "draws"), [(0, 40), (2, 40), (40, 40)])
def test_rates_come_with_their_wilson_interval(passed, draws):
    found = rate(passed=passed, draws=draws)
    low, high = wilson_interval(passed, draws, 0.95)
    assert found.interval == (low, high)
    assert found.share == passed / draws
    assert found.caught_interval == (1 - high, 1 - low)
    assert low <= found.share <= high + 1e-12


@pytest.mark.parametrize(("metric", "step"), [("roc_auc", 1e-5), ("accuracy", 2.5 / ROWS)])
@pytest.mark.parametrize("wanted", [0.002, 0.02, 0.1])
def test_noise_makes_a_model_worse_by_the_distance_asked_for(metric, step, wanted):
    (found,) = degraded(POPULATION, metric, CHAMPION, [wanted], seed=1)
    own, champion = (METRICS[metric](LABELS, one, 0.5) for one in (found.probabilities, CHAMPION.probabilities))
    assert found.distance == champion - own
    assert wanted <= found.distance <= wanted + step


def test_noise_makes_a_better_model_as_good_as_the_champion():
    better = Scores(probabilities=1 / (1 + np.exp(-ODDS - LABELS + 0.5)), threshold=0.5)
    (found,) = degraded(POPULATION, "roc_auc", better, [0.0], seed=1)
    assert found.distance == pytest.approx(0, abs=1e-5)
    assert not np.allclose(found.probabilities, CHAMPION.probabilities)


def test_a_metric_that_is_better_when_low_is_worse_when_it_rises():
    (found,) = degraded(POPULATION, "log_loss", CHAMPION, [0.01], seed=1)
    own, champion = (METRICS["log_loss"](LABELS, one, 0.5) for one in (found.probabilities, CHAMPION.probabilities))
    assert own - champion == pytest.approx(0.01, abs=1e-9)


def test_a_distance_out_of_reach_is_left_out():
    worse = Scores(probabilities=np.full(ROWS, 0.5), threshold=0.5)
    assert list(degraded(POPULATION, "roc_auc", worse, [0.01], seed=1)) == []
    assert list(degraded(POPULATION, "roc_auc", CHAMPION, [0.9], seed=1)) == []


def test_bisection_finds_the_smallest_strength_that_reaches_the_distance():
    assert strength_for(lambda strength: strength**2, 0.25) == pytest.approx(0.5)
    assert strength_for(lambda strength: 1 + strength, 0.5) is None
    assert strength_for(lambda strength: 0.1, 0.5) is None


def test_the_prediction_is_what_a_normal_estimate_does():
    draws = np.random.default_rng(0).normal(-0.015, 0.004, 200_000)
    passed = (draws - 1.6448536 * 0.004 > -0.02).mean()
    assert predicted_pass(0.02, 0.015, 0.004) == pytest.approx(passed, abs=0.004)
    assert predicted_pass(0.02, 0.02, 0.004) == pytest.approx(0.05)


@pytest.mark.parametrize(("distance", "share"), [(0.019, 1.0), (0.02, 1.0), (0.021, 0.0)])
def test_without_chance_the_margin_decides_alone(distance, share):
    assert predicted_pass(0.02, distance, 0.0) == share


@pytest.mark.parametrize("metric", ["roc_auc", "accuracy"])
def test_the_gate_passes_as_often_as_predicted(metric):
    margin = POLICY.metrics[metric].margin
    models = degraded(POPULATION, metric, CHAMPION, [0.4 * margin, margin], seed=1)
    near, at_margin = (measure(POPULATION, one, draws=400, seed=0) for one in models)
    assert near.share == pytest.approx(near.predicted, abs=0.08)
    assert at_margin.share == pytest.approx(at_margin.predicted, abs=0.035)
    assert near.share > 0.2 > at_margin.share
    assert 0.4 < at_margin.point_rule / at_margin.draws < 0.6


def test_only_metrics_with_a_margin_and_a_formula_have_a_curve():
    metrics = {"f1": MetricPolicy(margin=0.1), "accuracy": MetricPolicy(floor=0.5), "roc_auc": MetricPolicy(margin=0.01)}
    assert curve_metrics(Gate(metrics=metrics)) == ("roc_auc",)


@pytest.mark.parametrize(
    ("name", "limit", "good", "bad"),
    [
        ("performance.roc_auc.floor", 0.8, 0.8, 0.79),
        ("performance.log_loss.ceiling", 0.5, 0.5, 0.51),
        ("performance.roc_auc.champion", -0.02, -0.02, -0.021),
        ("performance.log_loss.champion", 0.02, 0.02, 0.021),
        ("fairness.team.a.gap", 0.15, -0.15, -0.16),
        ("fairness.team.a.change", 0.15, -0.3, 0.16),
        ("behaviour.flips", 0.2, 0.2, 0.21),
    ],
)
def test_a_value_taken_as_exact_keeps_its_limit_or_breaks_it(name, limit, good, bad):
    checks = [Check(name=name, outcome=Outcome.PASS, message="", observed=value, limit=limit) for value in (good, bad)]
    assert [is_beyond(check) for check in checks] == [False, True]


@pytest.mark.parametrize(("name", "observed"), [("latency.p99", 99.0), ("behaviour.determinism", "a"), ("performance.policy", None)])
def test_checks_about_other_things_than_answers_break_nothing(name, observed):
    assert not is_beyond(Check(name=name, outcome=Outcome.FAIL, message="", observed=observed, limit=1.0))


def test_what_is_truly_beyond_is_judged_on_the_whole_population():
    turned = candidate(1 - CHAMPION.probabilities)
    assert set(truly_beyond(POPULATION, turned)) >= {"performance.roc_auc.floor", "performance.accuracy.champion", "behaviour.flips"}


def at_margin(passed, draws=1000, metric="roc_auc", distance=0.03):
    return rate(metric=metric, distance=distance, draws=draws, passed=passed, predicted=0.05, expected="open")


BOTH = (at_margin(50), at_margin(50, metric="accuracy", distance=0.05))


@pytest.mark.parametrize(("passed", "kept"), [(60, True), (74, True), (75, False)])
def test_false_passes_at_the_margin_break_the_promise_only_beyond_chance(passed, kept):
    broken = broken_promises([at_margin(passed), BOTH[1]], POLICY)
    assert (broken == []) is kept


@pytest.mark.parametrize(("passed", "kept"), [(4, True), (5, True), (6, False)])
def test_a_bad_model_may_pass_in_five_of_a_hundred_draws(passed, kept):
    assert (broken_promises([*BOTH, rate(passed=passed)], POLICY) == []) is kept


@pytest.mark.parametrize(("failed", "kept"), [(4, True), (5, True), (6, False)])
def test_a_good_model_may_fail_in_five_of_a_hundred_draws(failed, kept):
    assert (broken_promises([*BOTH, rate(expected="pass", failed=failed, inconclusive=50)], POLICY) == []) is kept


def test_no_promise_is_made_of_a_model_within_the_limits():
    assert broken_promises([*BOTH, rate(expected="open", passed=100)], POLICY) == []


def test_a_margin_that_no_model_was_measured_at_is_no_kept_promise():
    assert len(broken_promises([BOTH[0]], POLICY)) == 1
    assert len(broken_promises([], POLICY)) == 2


def test_the_rate_at_the_margin_is_never_one_below_it():
    rates = [at_margin(1, distance=one) for one in (0.029, 0.0301, 0.04)]
    assert margin_rate(rates, "roc_auc", 0.03) is rates[1]
    assert margin_rate(rates[:1], "roc_auc", 0.03) is None


def test_measured_shares_are_held_to_the_predicted_ones():
    assert against_prediction([at_margin(80), rate()], "roc_auc") == pytest.approx([0.03])


def test_the_gate_is_asked_with_the_policy_as_it_stands():
    strict = msgspec.structs.replace(POLICY, min_test_rows=ROWS + 1)
    (found,) = asked(candidate(), draws=2, policy=strict)
    assert (found.inconclusive, found.caught_by) == (2, "test.size")
