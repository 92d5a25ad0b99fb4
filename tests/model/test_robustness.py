"""What the model does with input that it has hardly seen: it answers, and does not jump."""

import numpy as np
import polars as pl


def _assert_probabilities(scores, what):
    bad = int((~((scores >= 0) & (scores <= 1))).sum())
    assert bad == 0, f"{bad} answers are no probability with {what}"


def test_missing_values_are_answered(model, test_data):
    """A missing value in any nullable column is answered."""
    for column in (column for column in model.manifest.inputs if column.nullable):
        rows = test_data.head(200).with_columns(pl.lit(None).alias(column.name))
        _assert_probabilities(model.score(rows), f"{column.name} missing")


def test_unseen_categories_are_answered(model, test_data):
    """A category that training never saw is answered."""
    for column in (column for column in model.manifest.inputs if column.type == "category"):
        rows = test_data.head(200).with_columns(pl.lit("never seen before").alias(column.name))
        _assert_probabilities(model.score(rows), f"an unseen {column.name}")


def test_extreme_values_are_answered(model, test_data):
    """Numbers far outside the training range are answered."""
    for column in (column for column in model.manifest.inputs if column.type in ("number", "integer")):
        for value in (-1e9, 1e9):
            rows = test_data.head(50).with_columns(pl.lit(value).alias(column.name))
            _assert_probabilities(model.score(rows), f"{column.name} = {value:g}")


def test_a_rounding_error_does_not_change_the_answer(model, test_data):
    """Moving every number by a millionth changes hardly any label."""
    numbers = [column.name for column in model.manifest.inputs if column.type == "number"]
    moved = test_data.with_columns(pl.col(name).cast(pl.Float64) * (1 + 1e-6) for name in numbers)
    flipped = np.mean([one != other for one, other in zip(model.predict(test_data), model.predict(moved), strict=True)])
    assert flipped <= 0.01, f"{flipped:.1%} of the labels change"
