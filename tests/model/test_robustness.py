"""What the model does with input that it has hardly seen: it answers, does not jump, and moves the way it must."""

import polars as pl
import pytest

from seatrial.claims import Finding, assert_answers, assert_direction, assert_invariant, conclude
from seatrial.verdict import Outcome

NUMBERS = ("number", "integer")
SLACK = 0.05
SHARE = 0.95


def test_missing_values_are_answered(model, test_data):
    """A missing value in any nullable column is answered."""
    nullable = [column.name for column in model.manifest.inputs if column.nullable]
    if not nullable:
        pytest.skip("no column may be missing")
    for name in nullable:
        assert_answers(model, test_data.head(200).with_columns(pl.lit(None).alias(name)), what=f"where {name} is missing")
    assert_answers(model, test_data.head(200).with_columns(pl.lit(None).alias(name) for name in nullable), what="where all of them are")


def test_unseen_categories_are_answered(model, test_data):
    """A category that training never saw is answered."""
    names = [column.name for column in model.manifest.inputs if column.type == "category"]
    if not names:
        pytest.skip("the model reads no category")
    for name in names:
        assert_answers(model, test_data.head(200).with_columns(pl.lit("never seen before").alias(name)), what=f"where {name} is new")


def test_extreme_values_are_answered(model, test_data):
    """Numbers far outside the training range are answered."""
    names = [column.name for column in model.manifest.inputs if column.type in NUMBERS]
    if not names:
        pytest.skip("the model reads no number")
    for name in names:
        for value in (-1e9, 1e9):
            assert_answers(model, test_data.head(50).with_columns(pl.lit(value).alias(name)), what=f"where {name} is {value:g}")


def test_a_rounding_error_does_not_change_the_answer(model, test_data):
    """Moving every number by a millionth moves few answers by more than five points."""
    names = [column.name for column in model.manifest.inputs if column.type == "number"]
    if not names:
        pytest.skip("the model reads no number")
    moved = pl.col(names).cast(pl.Float64) * (1 + 1e-6)
    assert_invariant(model, test_data, lambda rows: rows.with_columns(moved), within=SLACK, share=SHARE)


def test_answers_move_the_way_they_must(model, test_data, directions):
    """A tenth of the range more in a column of directions.yaml moves the answer the way written there."""
    inputs = {column.name: column for column in model.manifest.inputs if column.type == "boolean" or column.maximum is not None}
    known = {name: direction for name, direction in directions.items() if name in inputs}
    if not known:
        pytest.skip("directions.yaml names no number that the model reads")
    for name, direction in known.items():
        assert_direction(
            model, test_data, lambda rows, one=inputs[name]: rows.with_columns(raised(one)), direction, slack=SLACK, share=SHARE, what=name
        )
    strange = tuple(name for name in directions if name not in known)
    if strange:
        sentence = "directions.yaml names columns that are no numbers of the model"
        conclude(Finding(observed=len(strange), limit=0, sentence=sentence, examples=strange, outcome=Outcome.INCONCLUSIVE, advisory=True))


def raised(column):
    """A column a tenth of its training range higher, at least by one where it counts, and never above what training saw."""
    if column.type == "boolean":
        return pl.lit(True).alias(column.name)
    step = (column.maximum - column.minimum) / 10
    step = max(round(step), 1) if column.type == "integer" else step
    name, top = column.name, column.maximum
    return pl.when(pl.col(name) >= top).then(pl.col(name)).otherwise((pl.col(name) + step).clip(upper_bound=top)).alias(name)
