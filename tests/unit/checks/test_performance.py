import numpy as np
import pytest

from seatrial.checks import performance
from seatrial.checks.performance import Level, floor_checks
from seatrial.metrics import Scores
from seatrial.params import MetricPolicy
from seatrial.statistics import NormalEstimate
from seatrial.verdict import Outcome

LEVEL = Level(confidence=0.95, resamples=2000, seed=0)
RNG = np.random.default_rng(0)
LABELS = (RNG.random(1760) < 0.3).astype(np.int64)
SHARED = RNG.normal(size=1760) + 1.5 * LABELS - 1.2


def model(noise=0.0, *, seed=1, rows=1760, shift=0.0):
    raised = SHARED[:rows] + shift + noise * np.random.default_rng(seed).normal(size=rows)
    return Scores(probabilities=1 / (1 + np.exp(-raised)), threshold=0.4)


def floors(limits, scores=None, rows=1760):
    return floor_checks({name: MetricPolicy(**one) for name, one in limits.items()}, LABELS[:rows], scores or model(rows=rows), LEVEL)


def estimated(monkeypatch, value, error):
    estimate = NormalEstimate(value=value, error=error, method="by hand")
    monkeypatch.setattr(performance, "estimate_metrics", lambda names, *_, **__: dict.fromkeys(names, estimate))


def test_a_metric_far_above_its_floor_passes_and_one_far_below_fails():
    check, other = (floors({"roc_auc": {"floor": floor}})[0] for floor in (0.7, 0.95))
    assert (check.name, check.outcome, check.limit) == ("performance.roc_auc.floor", Outcome.PASS, 0.7)
    assert check.message.startswith("ROC AUC 0.8")
    assert "95 % CI" in check.message
    assert "is at least 0.7" in check.message
    assert other.outcome is Outcome.FAIL
    assert "is below 0.95" in other.message


def test_a_metric_near_its_floor_is_inconclusive_and_says_how_many_more_rows_would_decide():
    value = floors({"roc_auc": {"floor": 0.5}})[0].observed
    check = floors({"roc_auc": {"floor": round(value - 0.005, 3)}})[0]
    assert check.outcome is Outcome.INCONCLUSIVE
    assert "may be below" in check.message
    assert "more labelled rows would decide" in check.message


# The bound of 0.8 ± 0.1 at 95 % is 0.8 - 1.644854 * 0.1 = 0.635515.
@pytest.mark.parametrize(
    ("floor", "outcome"),
    [(0.635514, Outcome.PASS), (0.635516, Outcome.INCONCLUSIVE), (0.964485, Outcome.INCONCLUSIVE), (0.964486, Outcome.FAIL)],
)
def test_the_one_sided_bounds_decide_about_a_floor(monkeypatch, floor, outcome):
    estimated(monkeypatch, 0.8, 0.1)
    assert floors({"f1": {"floor": floor}})[0].outcome is outcome


@pytest.mark.parametrize(
    ("ceiling", "outcome"),
    [(0.964486, Outcome.PASS), (0.964485, Outcome.INCONCLUSIVE), (0.635516, Outcome.INCONCLUSIVE), (0.635514, Outcome.FAIL)],
)
def test_the_one_sided_bounds_decide_about_a_ceiling(monkeypatch, ceiling, outcome):
    estimated(monkeypatch, 0.8, 0.1)
    check = floors({"log_loss": {"ceiling": ceiling}})[0]
    assert (check.name, check.outcome) == ("performance.log_loss.ceiling", outcome)


@pytest.mark.parametrize(("floor", "outcome"), [(0.79, Outcome.PASS), (0.8, Outcome.PASS), (0.81, Outcome.FAIL)])
def test_an_exact_value_at_its_floor_passes(monkeypatch, floor, outcome):
    estimated(monkeypatch, 0.8, 0.0)
    assert floors({"f1": {"floor": floor}})[0].outcome is outcome


def test_an_advisory_metric_cannot_block():
    check = floors({"roc_auc": {"floor": 0.99, "tier": "advisory"}})[0]
    assert check.outcome is Outcome.FAIL
    assert not check.blocks


def test_what_is_no_number_is_an_error():
    labels = np.ones(50, dtype=np.int64)
    scores = Scores(probabilities=np.linspace(0, 1, 50), threshold=0.5)
    assert floor_checks({"roc_auc": MetricPolicy(floor=0.5)}, labels, scores, LEVEL)[0].outcome is Outcome.ERROR


def test_a_metric_without_a_limit_is_not_asked_about():
    assert floors({"f1": {"margin": 0.1}}) == ()
