import numpy as np
import pytest

from seatrial.checks import performance
from seatrial.checks.performance import Level, comparison_checks, floor_checks
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


def compared(policies, challenger, champion, rows=1760):
    return comparison_checks({name: MetricPolicy(**one) for name, one in policies.items()}, LABELS[:rows], challenger, champion, LEVEL)


def estimated(monkeypatch, value, error):
    estimate = NormalEstimate(value=value, error=error, method="by hand")
    for name in ("estimate_metrics", "estimate_differences"):
        monkeypatch.setattr(performance, name, lambda names, *_, **__: dict.fromkeys(names, estimate))


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
    assert "more rows like these would decide" in check.message


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
    check = floors({"roc_auc": {"floor": 0.99, "advisory": True}})[0]
    assert check.outcome is Outcome.FAIL
    assert not check.blocks


def test_what_is_no_number_is_an_error():
    labels = np.ones(50, dtype=np.int64)
    scores = Scores(probabilities=np.linspace(0, 1, 50), threshold=0.5)
    assert floor_checks({"roc_auc": MetricPolicy(floor=0.5)}, labels, scores, LEVEL)[0].outcome is Outcome.ERROR


def test_a_metric_without_limit_or_margin_is_not_asked_about():
    assert floors({"f1": {"margin": 0.1}}) == ()
    assert compared({"f1": {"floor": 0.1}}, model(), model(0.1)) == ()


ALL = {name: {"margin": 0.03} for name in ("roc_auc", "f1", "log_loss", "accuracy", "pr_auc", "calibration_error")}


def test_a_model_that_is_as_good_passes_every_comparison():
    checks = compared(ALL, model(0.05, seed=1), model(0.05, seed=2))
    assert {check.name: check.outcome for check in checks} == {f"performance.{name}.champion": Outcome.PASS for name in ALL}
    assert "1,760 rows in pairs" in checks[0].message
    assert "80 % power needs" in checks[0].message


def test_a_model_that_is_much_worse_fails_in_either_direction_of_a_metric():
    checks = compared({name: ALL[name] for name in ("roc_auc", "f1", "log_loss", "accuracy")}, model(4.0), model())
    assert {check.outcome for check in checks} == {Outcome.FAIL}
    signs = {check.name.split(".")[1]: np.sign(check.observed) for check in checks}
    assert signs == {"roc_auc": -1, "f1": -1, "log_loss": 1, "accuracy": -1}


def test_a_log_loss_that_is_higher_is_worse_and_one_that_is_lower_is_not():
    worse = compared({"log_loss": {"margin": 0.01}}, model(shift=1.5), model())[0]
    better = compared({"log_loss": {"margin": 0.01}}, model(), model(shift=1.5))[0]
    assert (worse.outcome, worse.limit) == (Outcome.FAIL, 0.01)
    assert "more than 0.01 higher" in worse.message
    assert better.outcome is Outcome.PASS


def test_a_difference_that_cannot_be_told_is_inconclusive_and_says_how_many_rows_would():
    check = compared({"roc_auc": {"margin": 0.005}}, model(0.9, seed=3, rows=300), model(0.9, seed=4, rows=300), rows=300)[0]
    assert check.outcome is Outcome.INCONCLUSIVE
    assert "it may be more than 0.005 lower" in check.message
    assert "more rows like these would decide" in check.message


def test_the_same_model_again_is_no_worse_even_without_margin_but_no_improvement():
    for name in ("roc_auc", "f1", "log_loss"):
        assert compared({name: {"margin": 0}}, model(), model())[0].outcome is Outcome.PASS
        check = compared({name: {"must_improve": True}}, model(), model())[0]
        assert check.outcome is Outcome.FAIL
        assert "not better" in check.message


def test_a_metric_that_must_improve_passes_only_where_it_does():
    assert compared({"roc_auc": {"must_improve": True}}, model(), model(1.0))[0].outcome is Outcome.PASS
    assert compared({"roc_auc": {"must_improve": True}}, model(1.0), model())[0].outcome is Outcome.FAIL
    assert compared({"roc_auc": {"must_improve": True}}, model(0.05, seed=5), model(0.05, seed=6))[0].outcome is not Outcome.PASS


def test_a_metric_that_must_improve_has_no_use_for_its_margin(monkeypatch):
    estimated(monkeypatch, -0.01, 0.001)
    assert compared({"f1": {"margin": 0.05}}, model(), model())[0].outcome is Outcome.PASS
    check = compared({"f1": {"margin": 0.05, "must_improve": True}}, model(), model())[0]
    assert (check.outcome, str(check.limit)) == (Outcome.FAIL, "0.0")


def test_accuracy_with_few_discordant_rows_is_judged_by_the_exact_test():
    champion = model()
    flipped = champion.probabilities.copy()
    flipped[:20] = 1 - flipped[:20]
    check = compared({"accuracy": {"margin": 0.03}}, Scores(probabilities=flipped, threshold=0.4), champion)[0]
    assert "exact McNemar" in check.message
    assert check.outcome is Outcome.PASS


def test_metrics_share_the_level_at_which_they_are_called_worse(monkeypatch):
    # A p-value of about 0.02 is worse on its own; of three metrics, Holm asks for 0.0167.
    estimated(monkeypatch, -0.02 - 2.05 * 0.01, 0.01)
    alone = compared({"roc_auc": {"margin": 0.02}}, model(), model())
    shared = compared({name: {"margin": 0.02} for name in ("roc_auc", "f1", "accuracy")}, model(), model())
    apart = compared({"roc_auc": {"margin": 0.02}, "f1": {"margin": 0.02, "advisory": True}}, model(), model())
    assert alone[0].outcome is Outcome.FAIL
    assert {check.outcome for check in shared} == {Outcome.INCONCLUSIVE}
    assert {check.outcome for check in apart} == {Outcome.FAIL}
