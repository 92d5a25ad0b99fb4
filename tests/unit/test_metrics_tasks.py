import numpy as np
import pytest
import sklearn.metrics as oracle
from hypothesis import given
from hypothesis import strategies as st

from seatrial import params
from seatrial.metrics import METRICS
from seatrial.metrics_tasks import Classes, Values, metrics_of

MULTICLASS, REGRESSION = metrics_of("multiclass"), metrics_of("regression")
CLASSES = [0, 1, 2, 3]


def f1(average):
    return lambda y, p, w: oracle.f1_score(y, p.argmax(axis=1), labels=CLASSES, average=average, zero_division=0, sample_weight=w)


CLASS_ORACLES = {
    "accuracy": lambda y, p, w: oracle.accuracy_score(y, p.argmax(axis=1), sample_weight=w),
    "macro_f1": f1("macro"),
    "weighted_f1": f1("weighted"),
    "log_loss": lambda y, p, w: oracle.log_loss(y, p, labels=CLASSES, sample_weight=w),
    "brier": lambda y, p, w: oracle.brier_score_loss(y, p, labels=CLASSES, sample_weight=w, scale_by_half=False),
}
VALUE_ORACLES = {
    "mae": lambda y, p, w: oracle.mean_absolute_error(y, p, sample_weight=w),
    "rmse": lambda y, p, w: oracle.root_mean_squared_error(y, p, sample_weight=w),
    "r2": lambda y, p, w: oracle.r2_score(y, p, sample_weight=w),
}


def classes(seed, rows=120, sharp=1.0):
    rng = np.random.default_rng(seed)
    labels = rng.choice(4, p=[0.4, 0.3, 0.2, 0.1], size=rows)
    raised = sharp * (np.eye(4)[labels] + rng.normal(size=(rows, 4)))
    return labels, Classes(probabilities=np.exp(raised) / np.exp(raised).sum(axis=1, keepdims=True))


def values(seed, rows=120, offset=0.0):
    rng = np.random.default_rng(seed)
    targets = rng.normal(size=rows) + offset
    return targets, Values(values=targets + rng.normal(size=rows) / 2)


def made(task, seed, rows=120):
    return classes(seed, rows) if task == "multiclass" else values(seed, rows)


ALL = [("multiclass", name) for name in MULTICLASS] + [("regression", name) for name in REGRESSION]


def test_the_names_are_those_of_the_parameters():
    assert {task: tuple(metrics_of(task)) for task in params.METRICS} == params.METRICS
    assert metrics_of("binary") is METRICS


@pytest.mark.parametrize("name", CLASS_ORACLES)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_metric_of_classes_is_what_scikit_learn_says(name, seed):
    labels, answers = classes(seed)
    assert MULTICLASS[name].value(labels, answers) == pytest.approx(CLASS_ORACLES[name](labels, answers.probabilities, None), abs=1e-12)


@pytest.mark.parametrize("name", [*VALUE_ORACLES, "median_absolute_error"])
@pytest.mark.parametrize("rows", [119, 120])
def test_a_metric_of_values_is_what_scikit_learn_says(name, rows):
    oracles = VALUE_ORACLES | {"median_absolute_error": lambda y, p, w: oracle.median_absolute_error(y, p)}
    targets, answers = values(2, rows)
    assert REGRESSION[name].value(targets, answers) == pytest.approx(oracles[name](targets, answers.values, None), abs=1e-12)


@pytest.mark.parametrize("name", CLASS_ORACLES)
def test_weights_on_classes_are_scikit_learns_sample_weights(name):
    labels, answers = classes(3)
    weights = np.random.default_rng(0).multinomial(120, np.full(120, 1 / 120), size=3).astype(float)
    found = MULTICLASS[name].statistic(labels, answers)(weights)
    assert found == pytest.approx([CLASS_ORACLES[name](labels, answers.probabilities, line) for line in weights], abs=1e-12)


@pytest.mark.parametrize("name", VALUE_ORACLES)
def test_weights_on_values_are_scikit_learns_sample_weights(name):
    targets, answers = values(4)
    weights = np.random.default_rng(0).multinomial(120, np.full(120, 1 / 120), size=3).astype(float)
    found = REGRESSION[name].statistic(targets, answers)(weights)
    assert found == pytest.approx([VALUE_ORACLES[name](targets, answers.values, line) for line in weights], abs=1e-12)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), min_size=1, max_size=12).filter(lambda rows: sum(n for _, n in rows) > 0))
def test_the_median_error_with_whole_weights_is_that_of_the_rows_so_many_times(rows):
    errors, counts = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    statistic = REGRESSION["median_absolute_error"].statistic(np.zeros(len(rows)), Values(values=-errors))
    assert statistic(counts[None, :])[0] == np.median(np.repeat(errors, counts.astype(int)))


@pytest.mark.parametrize(("task", "name"), ALL)
def test_the_order_of_rows_does_not_matter(task, name):
    labels, answers = made(task, 5)
    order = np.random.default_rng(0).permutation(len(labels))
    metric = metrics_of(task)[name]
    assert metric.value(labels, answers) == pytest.approx(metric.value(labels[order], answers.of(answers.raw[order])))


@pytest.mark.parametrize(("task", "name"), [pair for pair in ALL if pair[1] != "median_absolute_error"])
@pytest.mark.parametrize("by_class", [True, False])
def test_leaving_a_row_out_is_its_stratum_without_it_at_the_same_weight(task, name, by_class):
    labels, answers = made(task, 6, rows=40)
    strata = labels if by_class and task == "multiclass" else np.zeros(40, dtype=np.int64)
    metric = metrics_of(task)[name]
    fast = metric.leave_one_out(labels, answers, strata)
    for row in range(40):
        mates = strata == strata[row]
        weights = np.where(mates, mates.sum() / (mates.sum() - 1), 1.0)
        weights[row] = 0
        assert fast[row] == pytest.approx(metric.statistic(labels, answers)(weights[None, :])[0], abs=1e-12)


def test_a_median_has_no_quick_way_to_leave_a_row_out():
    targets, answers = values(7)
    assert REGRESSION["median_absolute_error"].leave_one_out(targets, answers, np.zeros(120, dtype=np.int64)) is None


@pytest.mark.parametrize(("task", "name"), ALL)
@pytest.mark.parametrize("strange", [np.nan, np.inf, -np.inf])
def test_an_answer_that_is_no_number_leaves_no_metric(task, name, strange):
    labels, answers = made(task, 8)
    raw = answers.raw.copy()
    raw[7, ...] = strange
    assert answers.of(raw).strange == 1
    assert np.isnan(metrics_of(task)[name].value(labels, answers.of(raw)))


@pytest.mark.parametrize(("task", "name"), ALL)
def test_without_rows_there_is_no_metric(task, name):
    labels, answers = made(task, 9)
    nothing = np.zeros(len(labels), dtype=bool)
    assert np.isnan(metrics_of(task)[name].value(labels[nothing], answers.only(nothing)))


@pytest.mark.parametrize(
    ("line", "strange"),
    [
        ([0.2, 0.3, 0.5], 0),
        ([0.2, 0.3, 0.50009], 0),
        ([0.2, 0.3, 0.4999], 0),
        ([0.2, 0.3, 0.5002], 1),
        ([0.2, 0.3, 0.4998], 1),
        ([-1e-6, 0.4, 0.6], 0),
        ([-0.1, 0.5, 0.6], 1),
        ([0.0, 0.0, 1.00001], 0),
        ([0.0, 0.0, 1.1], 1),
    ],
)
def test_probabilities_of_a_row_add_up_to_one(line, strange):
    assert Classes(probabilities=np.array([line, [1, 0, 0]])).strange == strange


def test_a_class_that_nobody_has_and_nobody_is_given_counts_nothing_in_macro_f1():
    answers = Classes(probabilities=np.eye(3)[[0, 1, 0, 1]])
    assert MULTICLASS["macro_f1"].value(np.array([0, 1, 0, 1]), answers) == pytest.approx(2 / 3)
    assert MULTICLASS["weighted_f1"].value(np.array([0, 1, 0, 1]), answers) == 1


def test_a_certain_mistake_costs_much_and_not_without_end():
    answers = Classes(probabilities=np.eye(3)[[0, 1]])
    assert MULTICLASS["log_loss"].value(np.array([2, 1]), answers) == pytest.approx(-np.log(np.finfo(float).eps) / 2)
    assert MULTICLASS["brier"].value(np.array([2, 1]), answers) == 1


def test_r2_is_exact_far_from_zero_and_undefined_where_all_targets_are_the_same():
    targets, answers = values(10, offset=1e6)
    assert REGRESSION["r2"].value(targets, answers) == pytest.approx(oracle.r2_score(targets, answers.values), abs=1e-9)
    assert np.isnan(REGRESSION["r2"].value(np.full(10, 3.0), Values(values=np.arange(10.0))))


def test_of_equally_likely_classes_the_first_is_given():
    assert Classes(probabilities=np.array([[0.4, 0.4, 0.2]])).given.tolist() == [0]
    assert Values(values=np.array([0.4])).given is None


def test_the_directions_are_those_of_the_metrics():
    lower = {(task, name) for task, name in ALL if not metrics_of(task)[name].higher_is_better}
    assert lower == {("multiclass", "log_loss"), ("multiclass", "brier")} | {
        ("regression", name) for name in ("mae", "rmse", "median_absolute_error")
    }
