"""What the model must answer, whatever the table: probabilities, for every row, the same each time."""

import numpy as np
import polars as pl


def test_every_held_out_row_gets_a_probability(model, test_data):
    """Every held-out row gets a probability between 0 and 1."""
    scores = model.score(test_data)
    assert scores.shape == (test_data.height,)
    outside = int((~((scores >= 0) & (scores <= 1))).sum())
    assert outside == 0, f"{outside} of {len(scores)} answers are no probability"


def test_the_model_tells_rows_apart(model, test_data):
    """The answers are not constant."""
    distinct = len(np.unique(np.round(model.score(test_data), 6)))
    assert distinct >= 10, f"only {distinct} different answers for {test_data.height} rows"


def test_both_classes_are_predicted(model, test_data):
    """Both classes are predicted at the bundle's threshold."""
    predicted = set(model.predict(test_data))
    assert predicted == set(model.manifest.target.classes), f"only {sorted(predicted)} is ever predicted"


def test_one_row_at_a_time_gives_the_same_answers(model, test_data):
    """A batch of one gives the same answer as a batch of many."""
    rows = test_data.head(50)
    together = model.score(rows)
    alone = np.array([model.score(rows[at])[0] for at in range(rows.height)])
    worst = float(np.abs(together - alone).max())
    assert worst <= 1e-6, f"answers differ by up to {worst:.2g}"


def test_the_order_of_rows_does_not_matter(model, test_data):
    """Rows are answered independently of their order."""
    worst = float(np.abs(model.score(test_data) - model.score(test_data.reverse())[::-1]).max())
    assert worst <= 1e-6, f"answers differ by up to {worst:.2g}"


def test_columns_that_the_model_does_not_read_do_not_matter(model, test_data):
    """An id or any other extra column changes nothing."""
    names = [column.name for column in model.manifest.inputs]
    extra = test_data.select(names).with_columns(pl.lit("x").alias("__extra__"))
    assert np.array_equal(model.score(extra), model.score(test_data))
