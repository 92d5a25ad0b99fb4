import numpy as np
import polars as pl
import pytest

from seatrial.checks.comparison import answer
from seatrial.checks.performance import Level
from seatrial.checks.slices import MOST, slice_questions, slices_of, small_slices
from seatrial.metrics import Scores
from seatrial.params import Slices
from seatrial.verdict import Outcome

LEVEL = Level(confidence=0.95, resamples=2000, seed=0)
RNG = np.random.default_rng(0)
ROWS = 2000
LABELS = (RNG.random(ROWS) < 0.4).astype(np.int64)
SHARED = RNG.normal(size=ROWS) + 1.8 * LABELS - 1
PLAN = ["yearly" if at % 2 else "monthly" for at in range(ROWS)]


def model(noise=0.05, *, where=None, seed=1):
    drawn = np.random.default_rng(seed).normal(size=ROWS)
    strength = np.full(ROWS, 0.05) if where is not None else np.full(ROWS, noise)
    if where is not None:
        strength[where] = noise
    return Scores(probabilities=1 / (1 + np.exp(-SHARED - strength * drawn)), threshold=0.5)


def checks(challenger, slices=None, **policy):
    slices = {"plan": PLAN} if slices is None else slices
    questions = slice_questions(Slices(**policy), "roc_auc", LABELS, slices, challenger, model(seed=2), LEVEL)
    return {check.name: check for check in answer(questions, LEVEL)}


def test_an_equally_good_model_passes_in_every_slice():
    found = checks(model())
    assert {name: check.outcome for name, check in found.items()} == {
        "slices.plan.monthly": Outcome.PASS,
        "slices.plan.yearly": Outcome.PASS,
    }
    assert "ROC AUC where plan is monthly: 0." in found["slices.plan.monthly"].message


def test_a_model_that_is_worse_for_some_rows_fails_there_and_only_there():
    found = checks(model(3.0, where=np.array(PLAN) == "monthly"))
    assert found["slices.plan.monthly"].outcome is Outcome.FAIL
    assert found["slices.plan.monthly"].blocks
    assert found["slices.plan.yearly"].outcome is Outcome.PASS


def test_another_metric_can_be_asked_of_slices():
    found = checks(model(), metric="log_loss", margin=0.1)
    assert "log loss where plan is yearly" in found["slices.plan.yearly"].message


@pytest.mark.parametrize(("positives", "judged"), [(29, False), (30, True), (31, True)])
def test_a_slice_with_too_few_rows_of_a_class_is_named_and_not_judged(positives, judged):
    rare = np.zeros(ROWS, dtype=bool)
    rare[np.flatnonzero(LABELS == 1)[:positives]] = True
    rare[np.flatnonzero(LABELS == 0)[:200]] = True
    slices = {"plan": ["rare" if one else "usual" for one in rare]}
    assert ("slices.plan.rare" in checks(model(), slices)) is judged
    said = list(small_slices(Slices(), LABELS, slices, model()))
    assert [(check.name, check.outcome, check.advisory) for check in said] == (
        [] if judged else [("slices.plan", Outcome.INCONCLUSIVE, True)]
    )
    assert all(f"rare ({positives})" in check.message for check in said)


def test_a_column_of_many_values_is_judged_by_its_most_frequent_and_says_so():
    values = [str(at % (MOST + 10)) for at in range(ROWS)]
    (check,) = (one for one in small_slices(Slices(min_per_class=1), LABELS, {"code": values}, model()) if "more values" in one.message)
    assert "10 more values" in check.message


def test_a_number_is_cut_into_quarters_that_keep_equal_numbers_together():
    rows = pl.DataFrame({"age": [*range(20), None], "flag": [0, 1] * 10 + [0], "town": ["a"] * 20 + [None]})
    found = slices_of(("age", "flag", "town"), rows)
    assert found["age"] == ["0 to 4"] * 5 + ["above 4 to 9"] * 5 + ["above 9 to 14"] * 5 + ["above 14 to 19"] * 5 + ["(missing)"]
    assert set(found["flag"]) == {"0", "1"}
    assert found["town"][-1] == "(missing)"


def test_a_number_that_is_mostly_one_value_has_fewer_quarters():
    found = slices_of(("paid",), pl.DataFrame({"paid": [0.0] * 50 + [float(at) for at in range(1, 21)]}))["paid"]
    assert found[:50] == ["0 to 0"] * 50
    assert len(set(found)) <= 3


def test_a_column_of_nothing_is_one_slice():
    rows = pl.DataFrame({"x": pl.Series([None, None], dtype=pl.Float64)})
    assert slices_of(("x",), rows) == {"x": ["(missing)", "(missing)"]}
