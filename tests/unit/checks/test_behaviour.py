import numpy as np
import pytest

from seatrial.checks.behaviour import (
    TOLERANCE,
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
from seatrial.metrics import Scores
from seatrial.verdict import Outcome


def scores(*values):
    return Scores(probabilities=np.array(values, dtype=float), threshold=0.5)


MODEL = scores()


@pytest.mark.parametrize("strange", [np.nan, np.inf, -np.inf, -1e-9, 1 + 1e-9])
def test_an_answer_that_is_no_probability_is_an_error(strange):
    check = probabilities_check(scores(0.1, strange, 0.3))
    assert (check.outcome, check.observed) == (Outcome.ERROR, 1)


def test_probabilities_from_0_to_1_pass_and_no_answers_are_inconclusive():
    assert probabilities_check(scores(0.0, 0.5, 1.0)).outcome is Outcome.PASS
    assert probabilities_check(scores()).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(("flips", "outcome"), [(19, Outcome.PASS), (20, Outcome.PASS), (21, Outcome.FAIL)])
def test_labels_may_flip_in_as_many_rows_as_the_policy_says(flips, outcome):
    before = np.zeros(100)
    after = np.where(np.arange(100) < flips, 0.9, 0.1)
    check = flips_check(scores(*after), scores(*before), 0.2)
    assert (check.outcome, check.observed, check.limit) == (outcome, flips / 100, 0.2)
    assert f"{flips} of 100 rows" in check.message


def test_each_model_labels_by_its_own_threshold():
    low = Scores(probabilities=np.full(10, 0.4), threshold=0.3)
    assert flips_check(low, scores(*[0.4] * 10), 0.2).observed == 1


@pytest.mark.parametrize(
    ("first", "second", "outcome"), [("sha256:a", "sha256:a", "pass"), ("sha256:a", "sha256:b", "fail"), ("", "", "fail")]
)
def test_two_processes_must_give_the_same_answers(first, second, outcome):
    assert determinism_check(first, second).outcome == outcome


@pytest.mark.parametrize("check", [golden_check, onnx_check])
def test_recorded_answers_must_be_met(check):
    promised = [0.25, 0.5]
    near, at, far = ([0.25, 0.5 + step * TOLERANCE] for step in (0.9, 0.999, 1.1))
    assert check(Recorded(promised=promised, given=near)).outcome is Outcome.PASS
    assert check(Recorded(promised=promised, given=at)).outcome is Outcome.PASS
    assert check(Recorded(promised=promised, given=far)).outcome is Outcome.FAIL
    assert "1 of 2" in check(Recorded(promised=promised, given=far)).message


@pytest.mark.parametrize("check", [golden_check, onnx_check])
@pytest.mark.parametrize(("given", "outcome"), [([0.5, np.nan], Outcome.ERROR), ([0.5], Outcome.ERROR), ([np.inf, np.inf], Outcome.ERROR)])
def test_answers_that_are_missing_or_no_numbers_are_errors(check, given, outcome):
    assert check(Recorded(promised=[0.5, 0.5], given=given)).outcome is outcome


def test_no_recorded_answers_are_inconclusive():
    assert golden_check(Recorded(promised=[], given=[])).outcome is Outcome.INCONCLUSIVE


def disturbed(kind="missing", column="x", before=(0.4, 0.6), after=(0.4, 0.6)):
    return Perturbation(kind=kind, column=column, before=np.array(before), after=np.array(after))


def test_each_kind_of_disturbance_is_one_check_that_shows_the_labels_that_change():
    found = robustness_checks([disturbed(), disturbed(column="y", after=(0.6, 0.6)), disturbed("range")], MODEL)
    assert [check.name for check in found] == ["behaviour.missing", "behaviour.range"]
    assert {check.outcome for check in found} == {Outcome.PASS}
    assert "in 2 columns" in found[0].message
    assert "y (50.0%)" in found[0].message


@pytest.mark.parametrize("after", [(np.nan, 0.5), (0.5, 1.5)])
def test_a_disturbed_row_without_a_probability_fails_and_names_its_column(after):
    (check,) = robustness_checks([disturbed("unseen"), disturbed("unseen", "colour", after=after)], MODEL)
    assert (check.outcome, check.observed) == (Outcome.FAIL, 1)
    assert "colour" in check.message


def test_rows_that_are_not_answered_are_an_error_and_none_at_all_inconclusive():
    assert robustness_checks([disturbed(after=(0.5,))], MODEL)[0].outcome is Outcome.ERROR
    assert robustness_checks([disturbed(before=(), after=())], MODEL)[0].outcome is Outcome.INCONCLUSIVE
    assert robustness_checks([], MODEL) == ()


@pytest.mark.parametrize(
    ("size", "outcome"), [(0, Outcome.ERROR), (1_999_999, Outcome.PASS), (2_000_000, Outcome.PASS), (2_000_001, Outcome.FAIL)]
)
def test_a_bundle_may_be_as_large_as_the_policy_says(size, outcome):
    assert size_check(size, 2).outcome is outcome
