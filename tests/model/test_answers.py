"""What the model must answer, whatever the table: probabilities, for every row, the same each time."""

import numpy as np
import polars as pl

from seatrial.claims import (
    assert_answers,
    assert_at_least,
    assert_batch_of_one,
    assert_deterministic,
    assert_invariant,
    assert_matches_sklearn,
    assert_same_answers,
)


def test_every_held_out_row_gets_a_probability(model, test_data):
    """Every held-out row gets a probability between 0 and 1."""
    assert_answers(model, test_data)


def test_the_model_tells_rows_apart(model, test_data):
    """The answers are not constant."""
    assert_at_least("the number of different answers", len(np.unique(np.round(model.score(test_data), 6))), 10)


def test_both_classes_are_predicted(model, test_data):
    """Both classes are predicted at the bundle's threshold."""
    assert_at_least("the number of classes that are predicted", len(set(model.predict(test_data))), 2)


def test_one_row_at_a_time_gives_the_same_answers(model, test_data):
    """A batch of one gives the same answer as a batch of many."""
    assert_batch_of_one(model, test_data.head(50))


def test_the_order_of_rows_does_not_matter(model, test_data):
    """Rows are answered independently of their order."""
    assert_same_answers(model.score(test_data), model.score(test_data.reverse())[::-1])


def test_columns_that_the_model_does_not_read_do_not_matter(model, test_data):
    """An id or any other column that the model does not read changes nothing."""
    read = {column.name for column in model.manifest.inputs}
    others = [name for name in test_data.columns if name not in read]
    assert_invariant(model, test_data, lambda rows: rows.with_columns(pl.col(others).reverse(), __extra__=pl.lit("x")), within=0)


def test_another_process_gives_the_same_answers(model, test_data):
    """Two processes answer the same rows alike, to the last bit."""
    assert_deterministic(model, test_data)


def test_the_served_model_is_the_one_that_was_trained(model, test_data):
    """ONNX answers as the scikit-learn pipeline does."""
    assert_matches_sklearn(model, test_data)
