import pytest

from seatrial.checks.noise import Noise, noise_checks
from seatrial.params import MetricPolicy
from seatrial.verdict import Outcome

NOISE = Noise(seeds=10, floors={"roc_auc": 0.02, "f1": 0.03})


@pytest.mark.parametrize(("margin", "outcome"), [(0.019, Outcome.INCONCLUSIVE), (0.02, Outcome.PASS), (0.021, Outcome.PASS)])
def test_a_margin_is_held_against_the_noise(margin, outcome):
    (check,) = noise_checks({"roc_auc": MetricPolicy(margin=margin)}, NOISE)
    assert (check.name, check.outcome, check.observed, check.limit, check.advisory) == ("noise.roc_auc", outcome, margin, 0.02, True)
    assert ("smallest sensible" in check.message) is (outcome is not Outcome.PASS)


def test_what_has_no_margin_or_no_noise_is_not_asked_about():
    policies = {"roc_auc": MetricPolicy(floor=0.5), "f1": MetricPolicy(must_improve=True, margin=0.01), "brier": MetricPolicy(margin=0.01)}
    assert list(noise_checks(policies, NOISE)) == []
    assert list(noise_checks({"roc_auc": MetricPolicy(margin=0.01)}, None)) == []


def test_noise_of_other_rows_says_nothing():
    (check,) = noise_checks({"roc_auc": MetricPolicy(margin=0.5)}, Noise(seeds=10, floors={"roc_auc": 0.02}, stale=True))
    assert (check.outcome, check.advisory) == (Outcome.INCONCLUSIVE, True)
    assert "nox -s noise" in check.message
