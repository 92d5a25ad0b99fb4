"""Floors and paired comparison of multiclass and regression, on real bundles' answers to 300 rows."""

import numpy as np
import pytest

from seatrial.checks.comparison import comparison_checks
from seatrial.checks.performance import Level, floor_checks
from seatrial.evidence import answers_of, labels_of
from seatrial.metrics import Scores
from seatrial.metrics_tasks import Classes, Values, metrics_of
from seatrial.params import METRICS, MetricPolicy
from seatrial.resampling import estimate_differences, estimate_metrics, stratified_weights
from seatrial.serving.runtime import Runtime
from seatrial.statistics import ProportionEstimate
from seatrial.verdict import Outcome
from tests.task_bundles import make_table, make_task_bundle

LEVEL = Level(confidence=0.95, resamples=2000, seed=0)
ROWS = make_table(300)
TASKS = ("multiclass", "regression")
GENEROUS = {"multiclass": 0.15, "regression": 2.0}
NARROW = {"multiclass": 0.02, "regression": 0.1}
MODELS = {"good": {}, "again": {"seed": 101}, "worse": {"spoilt": 0.8}}


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    """Labels and each model's answers to the same rows, by task."""
    found = {}
    for task in TASKS:
        for name, options in MODELS.items():
            bundle = make_task_bundle(tmp_path_factory.mktemp("bundles") / name, task, **options)
            found[task, name] = answers_of(bundle.manifest, Runtime(bundle).score_frame(ROWS))
        found[task] = labels_of(bundle.manifest, ROWS)
    return found


def outcomes(checks):
    return {check.name.split(".")[1]: check.outcome for check in checks}


def floors(answered, task, name, limits):
    policy = {metric: MetricPolicy(**one) for metric, one in limits.items()}
    return floor_checks(policy, answered[task], answered[task, name], LEVEL)


def compared(answered, task, challenger, champion="good", **policy):
    wanted = {name: MetricPolicy(**policy) for name in METRICS[task]}
    return comparison_checks(wanted, answered[task], answered[task, challenger], answered[task, champion], LEVEL)


def value(answered, task, metric):
    return metrics_of(task)[metric].value(answered[task], answered[task, "good"])


@pytest.mark.parametrize(("task", "name"), [(task, name) for task in TASKS for name in METRICS[task]])
def test_a_metric_passes_far_from_its_limit_is_inconclusive_near_it_and_fails_beyond(answered, task, name):
    metric, at = metrics_of(task)[name], value(answered, task, name)
    limit, sign = ("floor", -1) if metric.higher_is_better else ("ceiling", 1)
    beyond = -0.05 if name == "r2" else -0.3
    limits = [at * (1 + sign * away) for away in (0.4, 0.0005, beyond)]
    found = [floors(answered, task, "good", {name: {limit: one}})[0].outcome for one in limits]
    assert found == [Outcome.PASS, Outcome.INCONCLUSIVE, Outcome.FAIL]


@pytest.mark.parametrize("task", TASKS)
def test_an_equal_model_passes_every_comparison_with_a_generous_margin(answered, task):
    checks = compared(answered, task, "again", margin=GENEROUS[task])
    assert outcomes(checks) == dict.fromkeys(METRICS[task], Outcome.PASS)
    assert "300 rows in pairs" in checks[0].message


@pytest.mark.parametrize("task", TASKS)
def test_a_worse_model_fails_every_comparison_and_a_better_one_passes(answered, task):
    assert outcomes(compared(answered, task, "worse", margin=NARROW[task])) == dict.fromkeys(METRICS[task], Outcome.FAIL)
    assert outcomes(compared(answered, task, "good", "worse", must_improve=True)) == dict.fromkeys(METRICS[task], Outcome.PASS)


@pytest.mark.parametrize("task", TASKS)
def test_a_difference_about_as_large_as_the_margin_is_inconclusive_and_says_how_many_rows_would_do(answered, task):
    for name in METRICS[task]:
        labels, models = answered[task], [answered[task, one] for one in ("worse", "good")]
        margin = abs(np.subtract(*[metrics_of(task)[name].value(labels, one) for one in models]))
        (check,) = comparison_checks({name: MetricPolicy(margin=margin * 1.02)}, labels, *models, LEVEL)
        assert check.outcome is Outcome.INCONCLUSIVE
        assert "more labelled rows would decide" in check.message or "would not decide" in check.message


@pytest.mark.parametrize("task", TASKS)
def test_the_same_model_is_no_worse_and_no_better(answered, task):
    resampled = [name for name in METRICS[task] if name != "accuracy"]  # a share of rows is never known exactly
    no_worse, better = (outcomes(compared(answered, task, "good", **policy)) for policy in ({"margin": 0.0}, {"must_improve": True}))
    assert [no_worse[name] for name in resampled] == [Outcome.PASS] * len(resampled)
    assert [better[name] for name in resampled] == [Outcome.FAIL] * len(resampled)
    assert better.get("accuracy") in (None, Outcome.INCONCLUSIVE)


@pytest.mark.parametrize("task", TASKS)
def test_an_answer_that_is_no_number_is_an_error(answered, task):
    model = answered[task, "good"]
    raw = model.raw.copy()
    raw[3, ...] = np.nan
    policy = {name: MetricPolicy(floor=0.0, margin=1.0) for name in METRICS[task]}
    checks = floor_checks(policy, answered[task], model.of(raw), LEVEL)
    checks += comparison_checks(policy, answered[task], model.of(raw), model, LEVEL)
    assert {check.outcome for check in checks} == {Outcome.ERROR}


def test_accuracy_of_classes_is_judged_as_a_share_of_rows(answered):
    estimate = estimate_metrics(["accuracy"], answered["multiclass"], answered["multiclass", "good"], resamples=50, seed=0)["accuracy"]
    assert estimate == ProportionEstimate(successes=round(value(answered, "multiclass", "accuracy") * 300), rows=300)
    check = compared(answered, "multiclass", "worse", margin=0.1)[0]
    assert (check.name, "Tango's score interval, 62 discordant rows" in check.message) == ("performance.accuracy.champion", True)


@pytest.mark.parametrize(("task", "name"), [(task, name) for task in TASKS for name in METRICS[task] if name != "accuracy"])
def test_value_and_difference_are_those_of_the_metric_and_the_method_is_named(answered, task, name):
    labels, (new, old) = answered[task], (answered[task, one] for one in ("again", "good"))
    metric = metrics_of(task)[name]
    one = estimate_metrics([name], labels, new, resamples=200, seed=0)[name]
    both = estimate_differences([name], labels, new, old, resamples=200, seed=0)[name]
    assert one.value == pytest.approx(metric.value(labels, new))
    assert both.value == pytest.approx(metric.value(labels, new) - metric.value(labels, old))
    kind = "percentile" if name == "median_absolute_error" else "BCa"
    assert (one.method, both.method) == (f"bootstrap, {kind}", f"paired bootstrap, {kind}")


def test_each_of_several_classes_keeps_its_size_in_each_resample():
    labels = np.repeat([0, 1, 2], [30, 12, 8])
    weights = np.concatenate(list(stratified_weights(labels, 100, seed=0)))
    for one, size in enumerate((30, 12, 8)):
        assert (weights[:, labels == one].sum(axis=1) == size).all()
    assert len(np.unique(weights, axis=0)) == 100


def test_two_classes_are_drawn_alike_whether_the_task_calls_them_binary_or_not():
    rng = np.random.default_rng(0)
    labels = (rng.random(200) < 0.4).astype(np.int64)
    models = [np.clip(rng.random(200) / 2 + labels / 3, 0, 1) for _ in range(2)]
    binary = [Scores(probabilities=one, threshold=0.5) for one in models]
    classes = [Classes(probabilities=np.column_stack([1 - one, one])) for one in models]
    for name in ("log_loss", "weighted_f1", "accuracy"):
        one, other = (estimate_differences([name], labels, *pair, resamples=200, seed=0)[name] for pair in (binary, classes))
        assert [other.value, other.lower(0.05), other.upper(0.05)] == pytest.approx([one.value, one.lower(0.05), one.upper(0.05)])


def test_a_regression_is_drawn_from_all_rows():
    targets = np.linspace(0, 1, 50)
    estimate = estimate_differences(["mae"], targets, Values(values=targets), Values(values=targets + 0.1), resamples=100, seed=0)["mae"]
    assert estimate.value == pytest.approx(-0.1)
    assert estimate.error == 0
