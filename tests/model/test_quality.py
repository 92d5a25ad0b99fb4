"""What the model must have learnt: on all held-out rows, in parts of them, and beside the champion."""

import numpy as np
import pytest

from seatrial.claims import (
    assert_at_most,
    assert_calibrated,
    assert_few_flips,
    assert_metric,
    assert_no_regression,
    assert_slices,
)
from seatrial.metrics import METRICS

SLICE_MARGIN = 0.1
"""How far below the floor of ROC AUC a part of the rows may lie."""


def limits(policy, name):
    if name not in policy.metrics:
        pytest.skip(f"gate.metrics says nothing of {name}")
    return policy.metrics[name]


@pytest.mark.parametrize("metric", ["accuracy", "f1"])
def test_the_floor_is_kept(model, test_data, labels, policy, metric):
    """The metric's lower bound keeps the floor of params.yaml."""
    asked = limits(policy, metric)
    if asked.floor is None:
        pytest.skip(f"gate.metrics.{metric} has no floor")
    assert_metric(model, test_data, labels, metric, floor=asked.floor, confidence=policy.confidence, advisory=asked.tier == "advisory")


def test_the_model_is_not_worse_than_the_champion(model, champion, test_data, labels, policy):
    """No metric is worse than the champion's by its margin or more."""
    asked = {name: one for name, one in policy.metrics.items() if one.margin is not None}
    if not asked:
        pytest.skip("gate.metrics has no margin")
    for name, one in asked.items():
        assert_no_regression(
            model, champion, test_data, labels, name, one.margin, confidence=policy.confidence, advisory=one.tier == "advisory"
        )


def test_few_labels_change(model, champion, test_data, policy):
    """Few rows get another label than from the champion."""
    assert_few_flips(model, champion, test_data, policy.max_flips)


def test_probabilities_mean_what_they_say(model, test_data, labels, policy):
    """Of the rows that get a probability, about that share is positive."""
    asked = limits(policy, "calibration_error")
    if asked.ceiling is None:
        pytest.skip("gate.metrics.calibration_error has no ceiling")
    assert_calibrated(model, test_data, labels, asked.ceiling, confidence=policy.confidence, advisory=asked.tier == "advisory")


def test_every_part_of_the_rows_is_served_well(model, test_data, labels, policy, project):
    """ROC AUC is near its floor or above it in each group, and for each value of the two shortest categories."""
    asked = limits(policy, "roc_auc")
    if asked.floor is None:
        pytest.skip("gate.metrics.roc_auc has no floor")
    categories = sorted((column for column in model.manifest.inputs if column.categories), key=lambda column: len(column.categories))
    columns = [*project.settings.data.groups, *(column.name for column in categories[:2])]
    if not columns:
        pytest.skip("the table has neither groups nor categories")
    for column in dict.fromkeys(columns):
        assert_slices(model, test_data, labels, column, "roc_auc", asked.floor - SLICE_MARGIN, advisory=asked.tier == "advisory")


def test_the_model_beats_a_constant(model, test_data, labels):
    """Log loss is better than that of always answering the base rate."""
    constant = METRICS["log_loss"](labels, np.full(len(labels), labels.mean()), model.manifest.threshold)
    assert_metric(model, test_data, labels, "log_loss", ceiling=constant)


def test_training_and_held_out_rows_are_different_rows(model, train_data, test_data):
    """No id of a held-out row stands among the training rows."""
    if model.manifest.id is None:
        pytest.skip("the table has no id column")
    shared = set(train_data[model.manifest.id]) & set(test_data[model.manifest.id])
    assert_at_most("the number of ids that stand in both", len(shared), 0)


def test_the_model_is_not_much_better_on_the_rows_it_was_fitted_on(model, train_data, test_data, labels):
    """ROC AUC on the training rows is at most 0.1 above that on the held-out rows."""
    target, threshold = model.manifest.target, model.manifest.threshold
    fitted = np.asarray(train_data[target.name].cast(str) == target.positive, dtype=np.int64)
    gap = METRICS["roc_auc"](fitted, model.score(train_data), threshold) - METRICS["roc_auc"](labels, model.score(test_data), threshold)
    assert_at_most("ROC AUC on the training rows minus that on the held-out rows", gap, 0.1)
