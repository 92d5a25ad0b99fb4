import datetime as dt

import numpy as np
import polars as pl
import pytest

from seatrial.live_performance import MOST_ROWS, estimated, performance
from seatrial.live_profile import Calibration
from tests.bundles import make_bundle

NOON = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
TRUE = Calibration(answered=(0.0, 1.0), came=(0.0, 1.0))
METRICS = ("roc_auc", "f1", "log_loss", "accuracy")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("made") / "bundle")


def rows(count=4000, *, labelled=1.0, seed=0, flipped=0.0, delay=60.0):
    """Answers that mean what they say, outcomes of some of them, of which a share is turned round."""
    draw = np.random.default_rng(seed)
    answers = draw.beta(1, 2, count)
    came = (draw.random(count) < answers) ^ (draw.random(count) < flipped)
    words = [word if draw.random() < labelled else None for word in np.where(came, "Yes", "No").tolist()]
    time = pl.Series([NOON] * count, dtype=pl.Datetime("us", "UTC"))
    return pl.DataFrame({"key": [f"k{at}" for at in range(count)], "time": time, "probability": answers, "outcome": words}).with_columns(
        pl.when(pl.col("outcome").is_not_null()).then(pl.col("time") + dt.timedelta(seconds=delay)).alias("known"),
        pl.when(pl.col("outcome").is_not_null()).then(False).alias("changed"),
    )


def measured(bundle, table, *, calibration=TRUE, min_labels=100):
    return performance(bundle, table, metrics=METRICS, calibration=calibration, confidence=0.95, min_labels=min_labels)


def test_where_probabilities_mean_what_they_say_the_estimate_is_the_truth(bundle):
    found = measured(bundle, rows())
    for name in METRICS:
        truth, guess = found.found[name], found.estimated[name]
        assert guess.value == pytest.approx(truth.value, abs=0.03)
        assert max(truth.low, guess.low) <= min(truth.high, guess.high)


def test_the_calibration_corrects_a_model_that_is_too_sure(bundle):
    draw = np.random.default_rng(3)
    table = rows().with_columns(outcome=pl.Series(np.where(draw.random(4000) < rows()["probability"].to_numpy() / 2, "Yes", "No")))
    right = measured(bundle, table, calibration=Calibration(answered=(0.0, 1.0), came=(0.0, 0.5)))
    assert right.estimated["f1"].value == pytest.approx(right.found["f1"].value, abs=0.04)
    assert abs(measured(bundle, table).estimated["f1"].value - right.found["f1"].value) > 0.05


def test_where_the_relation_itself_changed_only_outcomes_show_it(bundle):
    found = measured(bundle, rows(flipped=0.3))
    assert found.found["roc_auc"].high < found.estimated["roc_auc"].low - 0.1


def test_the_estimate_covers_the_truth_about_as_often_as_it_says(bundle):
    inside = 0
    for seed in range(60):
        table = rows(400, seed=seed)
        found = measured(bundle, table)
        guess, truth = found.estimated["roc_auc"], found.found["roc_auc"].value
        inside += guess.low <= truth <= guess.high
    assert inside >= 51  # of 60 at 95 %: fewer happens once in some ten thousand runs


def test_the_estimate_needs_no_outcome_and_outcomes_no_calibration(bundle):
    early, plain = measured(bundle, rows(labelled=0.0)), measured(bundle, rows(), calibration=None)
    assert (early.labelled, early.found, set(early.estimated)) == (0, {}, set(METRICS))
    assert (set(plain.found), plain.estimated) == (set(METRICS), {})


@pytest.mark.parametrize(("count", "known"), [(99, False), (100, True), (101, True)])
def test_few_outcomes_are_no_metric(bundle, count, known):
    assert bool(measured(bundle, rows(count)).found) is known


def test_outcomes_of_one_class_only_are_no_metric(bundle):
    assert measured(bundle, rows().with_columns(outcome=pl.lit("No"))).found == {}


def test_coverage_delays_corrections_and_clocks_that_jump_are_counted(bundle):
    table = rows(1000, labelled=0.5, delay=3600.0)
    found = measured(bundle, table)
    assert found.coverage == pytest.approx(table["outcome"].is_not_null().mean())
    assert found.delays_s == (3600.0, 3600.0)
    assert (found.early, found.changed) == (0, 0)
    jumped = measured(bundle, rows(1000, delay=-5.0).with_columns(changed=pl.lit(True)))
    assert (jumped.early, jumped.delays_s, jumped.changed) == (1000, None, 1000)


def test_no_row_at_all_is_no_error(bundle):
    found = measured(bundle, rows(5).head(0))
    assert (found.answered, found.coverage, found.found, found.estimated) == (0, 0.0, {}, {})


def test_an_answer_that_is_no_probability_leaves_nothing_to_estimate(bundle):
    assert estimated(bundle, np.array([0.5, np.nan]), METRICS, TRUE, 0.95) == {}


def test_many_answers_are_estimated_from_a_sample(bundle):
    answers = np.random.default_rng(0).beta(1, 2, MOST_ROWS + 5)
    assert estimated(bundle, answers, METRICS, TRUE, 0.95) == estimated(bundle, answers.copy(), METRICS, TRUE, 0.95)
