"""`seatrial.tolerances`: how far a metric moved to the side that is held against it."""

import math

import pytest

from seatrial.diff import Change
from seatrial.metrics_tasks import metrics_of
from seatrial.params import METRICS
from seatrial.params_diff import LOWER_IS_BETTER, Tolerance
from seatrial.tolerances import tolerance_checks
from seatrial.verdict import Outcome


def judged(old, new, *, name="roc_auc", **tolerance):
    (check,) = tolerance_checks({name: Tolerance(**tolerance)}, [Change(path="m.json", name=name, old=old, new=new)])
    return check


@pytest.mark.parametrize(("new", "outcome"), [(0.91, "pass"), (0.9, "pass"), (0.89, "fail")])
def test_a_fall_beyond_the_absolute_tolerance_fails(new, outcome):
    assert judged(1.0, new, absolute=0.1).outcome == outcome


@pytest.mark.parametrize(("new", "outcome"), [(0.46, "pass"), (0.45, "pass"), (0.44, "fail")])
def test_a_relative_tolerance_is_a_share_of_the_base_s_value(new, outcome):
    check = judged(0.5, new, relative=0.1)
    assert (check.outcome, check.limit) == (outcome, 0.05)


def test_of_two_limits_the_smaller_counts():
    assert judged(0.5, 0.46, absolute=0.1, relative=0.01).outcome is Outcome.FAIL
    assert judged(0.5, 0.46, absolute=0.01, relative=0.5).outcome is Outcome.FAIL


@pytest.mark.parametrize(
    ("name", "new", "direction", "outcome"),
    [
        ("roc_auc", 0.9, None, "pass"),
        ("log_loss", 0.9, None, "fail"),
        ("log_loss", 0.1, None, "pass"),
        ("roc_auc", 0.9, "lower", "fail"),
        ("log_loss", 0.1, "higher", "fail"),
        ("roc_auc", 0.9, "either", "fail"),
        ("roc_auc", 0.1, "either", "fail"),
    ],
)
def test_only_a_move_to_the_worse_side_counts(name, new, direction, outcome):
    assert judged(0.5, new, name=name, absolute=0.1, direction=direction).outcome == outcome


def test_a_tolerance_of_nothing_forbids_any_loss_and_allows_rounding():
    assert judged(0.5, 0.5, absolute=0).outcome is Outcome.PASS
    assert judged(0.3, 0.1 + 0.2 - 1e-16, absolute=0).outcome is Outcome.PASS
    assert judged(0.5, 0.499999, absolute=0).outcome is Outcome.FAIL


@pytest.mark.parametrize(
    ("old", "new", "outcome", "words"),
    [
        (None, 0.5, "inconclusive", "no value at the base: name a commit that has one (--base REV)"),
        (0.5, None, "error", "no value in the workspace: run nox -s train"),
        (math.nan, 0.5, "error", "is nan at the base, no finite number"),
        (0.5, math.nan, "error", "is nan in the workspace, no finite number"),
        (0.5, math.inf, "error", "is inf in the workspace"),
        (0.5, "0.5", "error", "no finite number"),
        (0.5, True, "error", "no finite number"),
    ],
)
def test_what_cannot_be_compared_never_passes_and_says_what_to_do(old, new, outcome, words):
    check = judged(old, new, absolute=10)
    assert check.outcome == outcome
    assert words in check.message


def test_a_metric_that_neither_side_has_is_an_error():
    (check,) = tolerance_checks({"f1": Tolerance(absolute=0.1)}, [])
    assert check.outcome is Outcome.ERROR


def test_a_metric_in_two_files_is_judged_in_both():
    changes = [Change(path=path, name="f1", old=0.5, new=new) for path, new in (("a.json", 0.5), ("b.json", 0.1))]
    assert [check.outcome for check in tolerance_checks({"f1": Tolerance(absolute=0.1)}, changes)] == ["pass", "fail"]


def test_the_directions_are_those_of_the_metrics_themselves():
    lower = {name for task in METRICS for name, metric in metrics_of(task).items() if not metric.higher_is_better}
    assert lower == LOWER_IS_BETTER
