"""What the model must have learnt, and on whom."""

import numpy as np
import pytest

from seatrial.metrics import METRICS


def test_the_model_beats_a_constant(model, test_data, labels):
    """Log loss is better than that of always answering the base rate."""
    scores = model.score(test_data)
    own = METRICS["log_loss"](labels, scores, model.manifest.threshold)
    constant = METRICS["log_loss"](labels, np.full(len(labels), labels.mean()), model.manifest.threshold)
    assert own < constant, f"log loss {own:.3f}, a constant's is {constant:.3f}"


def test_training_and_held_out_rows_are_different_rows(model, train_data, test_data):
    """No id of a held-out row stands among the training rows."""
    if model.manifest.id is None:
        pytest.skip("the table has no id column")
    shared = set(train_data[model.manifest.id]) & set(test_data[model.manifest.id])
    assert not shared, f"{len(shared)} ids stand in both, such as {sorted(shared)[:3]}"


def test_the_model_is_not_much_better_on_the_rows_it_was_fitted_on(model, train_data, test_data, labels):
    """ROC AUC on the training rows is at most 0.1 above that on the held-out rows."""
    target = model.manifest.target
    fitted = np.asarray(train_data[target.name].cast(str) == target.positive, dtype=np.int64)
    threshold = model.manifest.threshold
    gap = METRICS["roc_auc"](fitted, model.score(train_data), threshold) - METRICS["roc_auc"](labels, model.score(test_data), threshold)
    assert gap <= 0.1, f"the model is better by {gap:.3f} on the rows it was fitted on"
