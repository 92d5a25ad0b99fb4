import numpy as np
import pytest

from seatrial.checks.fairness import fairness_checks, word
from seatrial.metrics import Scores
from seatrial.params import Fairness
from seatrial.verdict import Outcome

POLICY = Fairness(margin=0.15, min_positives=100)


def table(rates, size=400):
    """`size` positive rows of each group, found at the group's rate, and one negative row each."""
    values = [value for value in rates for _ in range(size)]
    hits = [at < round(size * rate) for rate in rates.values() for at in range(size)]
    labels = np.append(np.ones(len(values), dtype=int), 0)
    return labels, [*values, values[0]], Scores(probabilities=np.append(hits, False).astype(float), threshold=0.5)


def checks(rates, before=None, policy=POLICY, size=400):
    labels, values, challenger = table(rates, size)
    champion = None if before is None else table(before, size)[2]
    return fairness_checks(policy, labels, {"team": values}, challenger, champion, confidence=0.95)


def test_groups_that_are_found_alike_pass():
    (check,) = checks({"a": 0.6, "b": 0.6})
    assert (check.name, check.outcome, check.column) == ("fairness.team.b.gap", Outcome.PASS, "team")
    assert check.advisory


@pytest.mark.parametrize(
    ("rate", "outcome"), [(0.55, Outcome.PASS), (0.65, Outcome.INCONCLUSIVE), (0.8, Outcome.FAIL), (0.2, Outcome.FAIL)]
)
def test_a_gap_of_either_sign_is_judged_by_its_size(rate, outcome):
    assert checks({"a": 0.5, "b": rate})[0].outcome is outcome


def test_an_inconclusive_gap_says_how_many_positives_would_decide():
    assert "more positive rows would decide" in checks({"a": 0.5, "b": 0.63})[0].message


def test_two_values_give_one_comparison_and_three_give_three():
    assert [check.name for check in checks({"a": 0.5, "b": 0.5})] == ["fairness.team.b.gap"]
    assert [check.name for check in checks({"a": 0.5, "b": 0.5, "c": 0.5})] == [f"fairness.team.{value}.gap" for value in "abc"]


def test_the_tiers_say_what_blocks():
    policy = Fairness(margin=0.15, absolute="blocking", change="advisory")
    gap, change = checks({"a": 0.5, "b": 0.9}, {"a": 0.5, "b": 0.5}, policy)
    assert (gap.outcome, gap.blocks) == (Outcome.FAIL, True)
    assert (change.outcome, change.blocks) == (Outcome.FAIL, False)


def test_a_gap_that_opened_fails_and_one_that_was_there_before_does_not():
    opened = checks({"a": 0.5, "b": 0.8}, {"a": 0.5, "b": 0.5})[1]
    kept = checks({"a": 0.5, "b": 0.8}, {"a": 0.5, "b": 0.8})[1]
    closed = checks({"a": 0.5, "b": 0.5}, {"a": 0.5, "b": 0.8})[1]
    assert (opened.name, opened.outcome, opened.blocks) == ("fairness.team.b.change", Outcome.FAIL, True)
    assert (kept.outcome, kept.observed) == (Outcome.PASS, 0)
    assert (closed.outcome, closed.observed) == (Outcome.PASS, -0.3)


def test_a_gap_that_turned_round_grew_by_what_it_is_larger_now():
    assert checks({"a": 0.5, "b": 0.7}, {"a": 0.5, "b": 0.4})[1].observed == pytest.approx(0.1)


@pytest.mark.parametrize(("size", "judged"), [(99, False), (100, True), (101, True)])
def test_a_group_with_too_few_positives_is_named_and_not_judged(size, judged):
    (check,) = checks({"a": 0.5, "b": 0.5}, size=size)
    assert check.name.endswith("gap") is judged
    if not judged:
        assert (check.outcome, check.advisory, check.observed, check.limit) == (Outcome.INCONCLUSIVE, True, 99, 100)
        assert check.message.startswith("team = b: 99 positives")


def test_a_group_whose_rest_is_too_small_is_not_judged():
    labels = np.ones(350, dtype=int)
    values = ["a"] * 50 + ["b"] * 300
    scores = Scores(probabilities=np.ones(350), threshold=0.5)
    (check,) = fairness_checks(POLICY, labels, {"team": values}, scores, scores, confidence=0.95)
    assert check.outcome is Outcome.INCONCLUSIVE
    assert "50 elsewhere" in check.message


def test_many_small_groups_are_named_boundedly():
    labels = np.ones(1000, dtype=int)
    scores = Scores(probabilities=np.ones(1000), threshold=0.5)
    found = fairness_checks(POLICY, labels, {"team": [f"t{at % 50:02}" for at in range(1000)]}, scores, None, confidence=0.95)
    assert len(found) == 11
    assert "40 more values of team" in found[-1].message


@pytest.mark.parametrize("value", ["a", None, 1, float("nan")])
def test_a_column_with_one_value_has_no_groups(value):
    labels = np.array([0, 1] * 200)
    scores = Scores(probabilities=labels.astype(float), threshold=0.5)
    (check,) = fairness_checks(POLICY, labels, {"team": [value] * 400}, scores, scores, confidence=0.95)
    assert (check.name, check.outcome, check.advisory) == ("fairness.team", Outcome.INCONCLUSIVE, True)


def test_what_is_missing_is_a_group_of_its_own():
    found = checks({"a": 0.5, None: 0.5, "b": 0.5})
    assert [check.name for check in found] == ["fairness.team.(missing).gap", "fairness.team.a.gap", "fairness.team.b.gap"]
    assert word(float("nan")) == word(None) == "(missing)"
    assert word(True) == word(np.bool_(True)) == "true"


def test_groups_that_no_positive_row_belongs_to_do_not_crash():
    labels = np.array([1] * 300 + [0] * 300)
    scores = Scores(probabilities=np.full(600, 0.9), threshold=0.5)
    (check,) = fairness_checks(POLICY, labels, {"team": ["a"] * 300 + ["b"] * 300}, scores, scores, confidence=0.95)
    assert check.outcome is Outcome.INCONCLUSIVE
    assert "0 positives" in check.message


def test_no_group_columns_ask_nothing():
    labels, _, scores = table({"a": 0.5, "b": 0.5})
    assert fairness_checks(POLICY, labels, {}, scores, scores, confidence=0.95) == ()


def test_a_model_that_opens_a_gap_of_the_margin_passes_in_about_six_percent_at_most():
    rng = np.random.default_rng(0)
    labels, values = np.ones(470, dtype=int), ["a"] * 120 + ["b"] * 350
    rates = np.repeat([0.65, 0.5], [120, 350])
    passed = 0
    for _ in range(1000):
        shared = rng.random(470)
        before = Scores(probabilities=(shared < 0.5).astype(float), threshold=0.5)
        now = Scores(probabilities=(np.where(rng.random(470) < 0.9, shared, rng.random(470)) < rates).astype(float), threshold=0.5)
        passed += fairness_checks(POLICY, labels, {"team": values}, now, before, confidence=0.95)[1].outcome is Outcome.PASS
    assert passed / 1000 <= 0.06 + 0.015
