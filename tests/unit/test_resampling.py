import time

import numpy as np
import pytest
import scipy.stats

from seatrial import resampling
from seatrial.metrics import METRICS, Scores
from seatrial.resampling import (
    delong,
    delong_difference,
    estimate_differences,
    estimate_metrics,
    stratified_weights,
)

BOOTSTRAPPED = [name for name in METRICS if name not in ("roc_auc", "accuracy")]


def scores(values, threshold=0.35):
    return Scores(probabilities=np.asarray(values, dtype=float), threshold=threshold)


def two_models(seed, rows=400, noise=(0.3, 0.3)):
    rng = np.random.default_rng(seed)
    labels = (rng.random(rows) < 0.3).astype(np.int64)
    shared = rng.normal(size=rows) + 1.5 * labels - 1
    return labels, *(scores(1 / (1 + np.exp(-(shared + rng.normal(size=rows) * one)))) for one in noise)


def test_each_class_keeps_its_size_in_each_resample():
    labels = np.array([0] * 30 + [1] * 12 + [0] * 8)
    weights = np.concatenate(list(stratified_weights(labels, 100, seed=0)))
    assert weights.shape == (100, 50)
    assert (weights[:, labels == 1].sum(axis=1) == 12).all()
    assert (weights[:, labels == 0].sum(axis=1) == 38).all()
    assert len(np.unique(weights, axis=0)) == 100


def test_rows_are_drawn_evenly():
    labels = np.array([0, 1] * 10)
    mean = np.concatenate(list(stratified_weights(labels, 20_000, seed=1))).mean(axis=0)
    assert np.abs(mean - 1).max() < 0.04


def test_chunks_bound_the_memory(monkeypatch):
    monkeypatch.setattr(resampling, "CHUNK_CELLS", 1000)
    sizes = [chunk.shape for chunk in stratified_weights(np.array([0, 1] * 50), 25, seed=0)]
    assert sizes == [(10, 100), (10, 100), (5, 100)]


def test_the_same_seed_gives_the_same_answer_and_another_seed_another():
    labels, one, other = two_models(0)
    bounds = [estimate_differences(["f1"], labels, one, other, resamples=300, seed=seed)["f1"].lower(0.05) for seed in (0, 0, 1)]
    assert bounds[0] == bounds[1] != bounds[2]


def test_the_answer_does_not_depend_on_how_many_threads_share_the_work(monkeypatch):
    monkeypatch.setattr(resampling, "CHUNK_CELLS", 20_000)
    labels, one, other = two_models(0)
    found = []
    for threads in (1, 2, 5):
        monkeypatch.setattr(resampling, "THREADS", threads)
        found.append(estimate_differences(["f1", "log_loss"], labels, one, other, resamples=300, seed=0)["f1"].replicates)
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


@pytest.mark.parametrize("name", METRICS)
def test_the_value_is_the_metric_and_the_difference_that_of_both(name):
    labels, one, other = two_models(1)
    values = [METRICS[name](labels, model.probabilities, model.threshold) for model in (one, other)]
    assert estimate_metrics([name], labels, one, resamples=50, seed=0)[name].value == pytest.approx(values[0])
    difference = estimate_differences([name], labels, one, other, resamples=50, seed=0)[name]
    assert difference.value == pytest.approx(values[0] - values[1])


@pytest.mark.parametrize("name", METRICS)
def test_bounds_and_p_values_of_every_metric_agree(name):
    labels, one, other = two_models(2)
    estimate = estimate_differences([name], labels, one, other, resamples=2000, seed=0)[name]
    assert estimate.lower(0.05) < estimate.value < estimate.upper(0.05)
    assert estimate.p_above(estimate.lower(0.05)) == pytest.approx(0.05, abs=0.002)
    assert estimate.p_below(estimate.upper(0.05)) == pytest.approx(0.05, abs=0.002)


def test_bca_is_what_scipy_says():
    rng = np.random.default_rng(3)
    labels = np.ones(80, dtype=np.int64)
    probabilities = np.clip(rng.beta(2, 1, size=80), 0.01, 0.99)
    ours = estimate_metrics(["log_loss"], labels, scores(probabilities), resamples=20_000, seed=0)["log_loss"]
    theirs = scipy.stats.bootstrap((-np.log(probabilities),), np.mean, n_resamples=20_000, method="BCa", confidence_level=0.9, rng=rng)
    spread = theirs.confidence_interval.high - theirs.confidence_interval.low
    assert ours.lower(0.05) == pytest.approx(theirs.confidence_interval.low, abs=0.03 * spread)
    assert ours.upper(0.05) == pytest.approx(theirs.confidence_interval.high, abs=0.03 * spread)
    assert ours.acceleration > 0.02


@pytest.mark.parametrize("name", ["log_loss", "f1"])
def test_bca_bounds_hold_about_as_often_as_they_say(name):
    truth = METRICS[name](*((one := two_models(99, rows=300_000))[0], one[1].probabilities, 0.35))
    low = high = 0
    for seed in range(300):
        labels, model, _ = two_models(seed, rows=250)
        estimate = estimate_metrics([name], labels, model, resamples=600, seed=seed)[name]
        low += estimate.lower(0.05) <= truth
        high += estimate.upper(0.05) >= truth
    assert 0.90 <= low / 300 <= 0.99
    assert 0.90 <= high / 300 <= 0.99


def test_delong_agrees_with_the_bootstrap():
    labels, one, other = two_models(4, rows=600)
    found = delong_difference(labels, one.probabilities, other.probabilities)
    statistics = [METRICS["roc_auc"].statistic(labels, model) for model in (one, other)]
    weights = np.concatenate(list(stratified_weights(labels, 3000, seed=0)))
    first, second = (statistic(weights) for statistic in statistics)
    assert found.error == pytest.approx((first - second).std(), rel=0.06)
    assert delong(labels, one.probabilities).error == pytest.approx(first.std(), rel=0.06)
    assert delong(labels, one.probabilities).value == pytest.approx(METRICS["roc_auc"](labels, one.probabilities))


def test_delong_is_its_definition_over_all_pairs():
    labels, one, _ = two_models(5, rows=60)
    probabilities = np.round(one.probabilities, 1)
    positive, negative = probabilities[labels == 1], probabilities[labels == 0]
    wins = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    variance = wins.mean(axis=1).var(ddof=1) / len(positive) + wins.mean(axis=0).var(ddof=1) / len(negative)
    found = delong(labels, probabilities)
    assert (found.value, found.error) == pytest.approx((wins.mean(), np.sqrt(variance)))


def test_a_roc_auc_without_a_class_is_no_number():
    assert np.isnan(delong(np.ones(5, dtype=int), np.linspace(0, 1, 5)).value)


def test_a_roc_auc_at_the_margin_passes_about_as_often_as_alpha():
    truth = [
        METRICS["roc_auc"](labels, model.probabilities) for labels, *models in [two_models(7, 300_000, (0.2, 0.9))] for model in models
    ]
    margin = truth[0] - truth[1]
    passed = 0
    for seed in range(400):
        labels, better, worse = two_models(seed, 500, (0.2, 0.9))
        passed += delong_difference(labels, worse.probabilities, better.probabilities).p_above(-margin) <= 0.05
    assert passed / 400 <= 0.06 + 0.022


@pytest.mark.parametrize("name", METRICS)
def test_a_model_compared_with_itself_differs_by_exactly_nothing(name):
    labels, one, _ = two_models(6)
    same = estimate_differences([name], labels, one, one, resamples=200, seed=0)[name]
    assert same.value == 0
    assert same.p_above(-0.02) <= 0.05
    assert same.p_below(0.02) <= 0.05


@pytest.mark.slow
def test_five_metrics_on_1760_rows_take_less_than_two_seconds():
    labels, one, other = two_models(8, rows=1760)
    names = ["roc_auc", "f1", "log_loss", "accuracy", "calibration_error"]
    start = time.process_time()
    estimate_differences(names, labels, one, other, resamples=2000, seed=0)
    assert time.process_time() - start < 2
