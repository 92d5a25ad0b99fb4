import numpy as np
import pytest
import sklearn.metrics as oracle
from hypothesis import given
from hypothesis import strategies as st

from seatrial import params
from seatrial.metrics import BINS, METRICS, Scores

ORACLES = {
    "roc_auc": lambda y, p, t: oracle.roc_auc_score(y, p),
    "pr_auc": lambda y, p, t: oracle.average_precision_score(y, p),
    "f1": lambda y, p, t: oracle.f1_score(y, p >= t, zero_division=0),
    "weighted_f1": lambda y, p, t: oracle.f1_score(y, p >= t, average="weighted", zero_division=0),
    "accuracy": lambda y, p, t: oracle.accuracy_score(y, p >= t),
    "log_loss": lambda y, p, t: oracle.log_loss(y, p),
    "brier": lambda y, p, t: oracle.brier_score_loss(y, p),
}


def table(seed, rows=200, decimals=8):
    rng = np.random.default_rng(seed)
    labels = (rng.random(rows) < 0.3).astype(np.int64)
    labels[:2] = 0, 1
    return labels, np.round(1 / (1 + np.exp(-(rng.normal(size=rows) + 1.5 * labels - 1))), decimals)


rows_of_both_classes = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 20)), min_size=2, max_size=60).filter(
    lambda rows: len({label for label, _ in rows}) == 2
)


def test_the_names_are_those_of_the_parameters():
    assert tuple(METRICS) == params.METRICS["binary"]


@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize(("seed", "decimals"), [(0, 8), (1, 1), (2, 2)])
def test_a_metric_is_what_scikit_learn_says(name, seed, decimals):
    labels, probabilities = table(seed, decimals=decimals)
    assert METRICS[name](labels, probabilities, 0.35) == pytest.approx(ORACLES[name](labels, probabilities, 0.35), abs=1e-12)


@pytest.mark.parametrize("name", ORACLES)
@given(rows=rows_of_both_classes, threshold=st.integers(0, 20))
def test_ties_and_small_tables_are_what_scikit_learn_says(name, rows, threshold):
    labels, probabilities = np.array([row[0] for row in rows]), np.array([row[1] for row in rows]) / 20
    expected = ORACLES[name](labels, probabilities, threshold / 20)
    assert METRICS[name](labels, probabilities, threshold / 20) == pytest.approx(expected, abs=1e-9)


def test_calibration_error_is_the_mean_distance_over_ten_bins_of_equal_count():
    labels, probabilities = table(3, rows=200, decimals=12)
    order = np.argsort(probabilities)
    bins = np.split(order, BINS)
    by_hand = sum(abs(labels[one].mean() - probabilities[one].mean()) for one in bins) / BINS
    assert METRICS["calibration_error"](labels, probabilities) == pytest.approx(by_hand, abs=1e-12)


def test_the_base_rate_for_every_row_is_calibrated():
    labels = np.repeat([0, 1], [75, 25])
    assert METRICS["calibration_error"](labels, np.full(100, 0.25)) == pytest.approx(0, abs=1e-12)
    assert METRICS["calibration_error"](labels, np.full(100, 0.35)) == pytest.approx(0.1)


@pytest.mark.parametrize("name", METRICS)
def test_the_order_of_rows_does_not_matter(name):
    labels, probabilities = table(4, decimals=1)
    order = np.random.default_rng(0).permutation(len(labels))
    assert METRICS[name](labels, probabilities, 0.4) == pytest.approx(METRICS[name](labels[order], probabilities[order], 0.4))


@pytest.mark.parametrize("name", METRICS)
def test_a_weight_of_two_is_the_row_twice(name):
    labels, probabilities = table(5, rows=50, decimals=1)
    counts = np.random.default_rng(1).multinomial(50, np.full(50, 1 / 50))
    weighted = METRICS[name].statistic(labels, Scores(probabilities=probabilities, threshold=0.4))(counts[None, :].astype(float))[0]
    assert weighted == pytest.approx(METRICS[name](np.repeat(labels, counts), np.repeat(probabilities, counts), 0.4))


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("strange", [np.nan, np.inf, -0.1, 1.1])
def test_what_is_no_probability_has_no_metric(name, strange):
    labels, probabilities = table(6)
    probabilities[7] = strange
    assert np.isnan(METRICS[name](labels, probabilities, 0.5))


@pytest.mark.parametrize("name", METRICS)
def test_without_rows_there_is_no_metric(name):
    assert np.isnan(METRICS[name](np.array([], dtype=int), np.array([])))


def test_one_class_has_no_ranking():
    assert np.isnan(METRICS["roc_auc"](np.ones(5, dtype=int), np.linspace(0, 1, 5)))
    assert np.isnan(METRICS["pr_auc"](np.zeros(5, dtype=int), np.linspace(0, 1, 5)))


@pytest.mark.parametrize(("probability", "positive"), [(0.49, False), (0.5, True), (0.51, True)])
def test_a_probability_at_the_threshold_is_positive(probability, positive):
    assert Scores(probabilities=np.array([probability]), threshold=0.5).positive[0] == positive


@pytest.mark.parametrize("name", ["f1", "weighted_f1", "accuracy", "log_loss", "brier"])
@pytest.mark.parametrize("by_class", [True, False])
def test_leaving_a_row_out_is_its_stratum_without_it_at_the_same_weight(name, by_class):
    labels, probabilities = table(7, rows=30)
    scores = Scores(probabilities=probabilities, threshold=0.4)
    strata = labels if by_class else np.zeros_like(labels)
    fast = METRICS[name].leave_one_out(labels, scores, strata)
    for row in range(30):
        mates = strata == strata[row]
        weights = np.where(mates, mates.sum() / (mates.sum() - 1), 1.0)
        weights[row] = 0
        assert fast[row] == pytest.approx(METRICS[name].statistic(labels, scores)(weights[None, :])[0])


def test_the_directions_are_those_of_the_metrics():
    assert {name for name, metric in METRICS.items() if not metric.higher_is_better} == {"log_loss", "brier", "calibration_error"}
    assert {name for name, metric in METRICS.items() if metric.uses_threshold} == {"f1", "weighted_f1", "accuracy"}
