import contextlib
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.bundle import Input, Manifest, Training
from seatrial.errors import RequestError
from seatrial.serving.rows import Decoder
from tests.bundles import ID, INPUTS, TARGET, make_rows, tensors_of


def manifest(*inputs, id=ID):
    return Manifest(
        inputs=inputs or INPUTS,
        target=TARGET,
        threshold=0.5,
        id=id,
        training=Training(data="md5:0", rows=1, estimator="none", params={}),
        libraries={},
        files={"model.onnx": ""},
    )


DECODER = Decoder(manifest())
GOOD = {"client": "c1", "amount": 12.5, "visits": 3, "member": True, "colour": "red", "plan": "basic"}


def refused(*rows):
    with pytest.raises(RequestError) as caught:
        DECODER.records(list(rows))
    return caught.value


def test_one_row_becomes_tensors_of_shape_1_1():
    rows = DECODER.records([GOOD])
    assert {name: tensor.tolist() for name, tensor in tensors_of(rows).items()} == {
        "amount": [12.5],
        "visits": [3.0],
        "member": [1.0],
        "colour": ["red"],
        "plan": ["basic"],
    }
    assert {tensors_of(rows)[name].dtype for name in ("amount", "visits", "member")} == {np.dtype(np.float32)}
    assert (rows.count, rows.ids, rows.unusual) == (1, ("c1",), [])


@pytest.mark.parametrize("count", [2, 3, 50])
def test_many_rows_give_the_same_tensors_as_each_row_alone(count):
    records = make_rows(count, seed=count)
    together = DECODER.records(records)
    alone = [DECODER.records([record]) for record in records]
    for name, tensor in tensors_of(together).items():
        assert tensor.shape == (count,)
        assert tensor.flags["C_CONTIGUOUS"]
        np.testing.assert_array_equal(tensor, np.concatenate([tensors_of(rows)[name] for rows in alone]))
    assert [list(values) for values in together.values] == [list(values) for rows in alone for values in rows.values]
    assert list(together.ids) == [record["client"] for record in records]


@pytest.mark.parametrize("together", [1, 50])
def test_known_categories_are_held_once_whatever_the_rows(together):
    own = {id(value) for column in DECODER.inputs for value in column.categories or ()}
    records = [json.loads(json.dumps(GOOD)) for _ in range(50)]
    assert not {id(record["colour"]) for record in records} & own
    parts = [records[at : at + together] for at in range(0, 50, together)]
    held = [value for part in parts for row in DECODER.records(part).values for value in row if type(value) is str]
    assert len(held) == 100
    assert {id(value) for value in held} <= own


@pytest.mark.parametrize("odd", ["pink", None, ["red"]])
def test_a_column_with_a_category_that_is_not_known_is_looked_at_value_by_value(odd):
    records = [GOOD, {**GOOD, "colour": odd}]
    if odd == ["red"]:
        assert refused(*records).row == 1
        return
    rows = DECODER.records(records)
    assert [row[3] for row in rows.values] == ["red", odd]
    assert tensors_of(rows)["colour"].tolist() == ["red", odd or ""]
    assert len(rows.unusual) == (odd == "pink")


def test_no_rows_are_answered_with_no_rows():
    rows = DECODER.records([])
    assert rows.count == 0
    assert all(tensor.shape == (0,) for tensor in tensors_of(rows).values())


def test_a_missing_column_is_named_with_its_row():
    without = {name: value for name, value in GOOD.items() if name != "visits"}
    alone, second = refused(without), refused(GOOD, without)
    assert (alone.column, alone.row, alone.status) == ("visits", 0, 400)
    assert (second.column, second.row) == ("visits", 1)
    assert "visits" in alone.message


@pytest.mark.parametrize(
    ("column", "value", "shown"),
    [
        ("amount", "12.5", '"12.5"'),
        ("amount", True, "true"),
        ("amount", [1], "a list"),
        ("amount", {}, "an object"),
        ("amount", 1e39, "1e+39"),
        ("amount", 10**80, "an integer of more than 60 digits"),
        ("visits", 1.5, "1.5"),
        ("visits", None, "null"),
        ("visits", 2**63, str(2**63)),
        ("member", "Yes", '"Yes"'),
        ("member", 2, "2"),
        ("member", None, "null"),
        ("colour", 3, "3"),
        ("colour", False, "false"),
        ("plan", None, "null"),
        ("plan", ["basic"], "a list"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_column_row_and_value(column, value, shown):
    for rows, row in (([GOOD | {column: value}], 0), ([GOOD, GOOD | {column: value}], 1)):
        error = refused(*rows)
        assert (error.status, error.column, error.row) == (400, column, row)
        assert shown in error.message
        assert column in error.message


def test_a_long_value_is_cut_in_the_message():
    assert len(refused(GOOD | {"amount": "x" * 10_000}).message) < 200


@pytest.mark.parametrize("value", [True, False, 1, 0, 1.0, 0.0])
def test_a_boolean_may_be_written_as_a_number(value):
    assert tensors_of(DECODER.records([GOOD | {"member": value}]))["member"].tolist() == [float(value)]


def test_an_integer_may_be_written_with_a_point():
    assert tensors_of(DECODER.records([GOOD | {"visits": 4.0}]))["visits"].tolist() == [4.0]


def test_null_is_nan_for_a_number_and_empty_for_a_category_where_it_is_allowed():
    rows = DECODER.records([GOOD | {"amount": None, "colour": None}])
    assert math.isnan(tensors_of(rows)["amount"][0])
    assert tensors_of(rows)["colour"][0] == ""
    assert rows.unusual == []
    assert next(iter(rows.values))[0] is None


@pytest.mark.parametrize(("amount", "unusual"), [(-0.01, [0]), (0, []), (100, []), (100.01, [0])])
def test_a_number_outside_the_range_of_training_is_answered_and_counted(amount, unusual):
    rows = DECODER.records([GOOD | {"amount": amount}])
    assert rows.unusual == unusual
    assert tensors_of(rows)["amount"][0] == np.float32(amount)


def test_an_unknown_category_is_answered_and_counted():
    rows = DECODER.records([GOOD, GOOD | {"colour": "violet"}])
    assert rows.unusual == [3]
    assert tensors_of(rows)["colour"].tolist() == ["red", "violet"]


def test_other_columns_are_left_alone():
    assert DECODER.records([GOOD | {"left": "No", "more": {"deep": [1]}}]).count == 1


@pytest.mark.parametrize(
    ("given", "kept"), [("c9", "c9"), (17, "17"), (None, None), (1.5, None), (True, None), ({}, None), ("x" * 999, "x" * 256)]
)
def test_the_id_is_kept_as_a_bounded_string_and_never_refused(given, kept):
    assert DECODER.records([GOOD | {"client": given}]).ids == (kept,)
    assert list(DECODER.records([GOOD | {"client": given}, GOOD]).ids) == [kept, "c1"]


def test_without_an_id_column_there_are_no_ids():
    decoder = Decoder(manifest(id=None))
    assert decoder.records([GOOD]).ids == (None,)
    assert list(decoder.records([GOOD, GOOD]).ids) == [None, None]


@pytest.mark.parametrize("row", [1, "x", None, True, [1]])
def test_a_row_that_is_no_object_is_named(row):
    assert refused(row).row == 0
    assert refused(GOOD, row).row == 1


def test_a_model_of_only_numbers_and_one_of_only_categories_are_read():
    numbers = Decoder(manifest(INPUTS[0], id=None)).records([{"amount": 1}])
    categories = Decoder(manifest(Input(name="plan", type="category", nullable=False), id=None)).records([{"plan": "anything"}])
    assert numbers.flat == (1, [1], [])
    assert categories.flat == (1, [], ["anything"])
    assert categories.unusual == []


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=5)
ALMOST_ROWS = st.lists(st.dictionaries(st.sampled_from(list(GOOD)), VALUES).map(lambda changes: GOOD | changes) | VALUES, max_size=3)


@given(ALMOST_ROWS)
def test_any_rows_give_tensors_or_a_refusal(records):
    try:
        rows = DECODER.records(records)
    except RequestError:
        return
    assert rows.count == len(records)
    assert not any(np.isinf(tensors_of(rows)[name]).any() for name in ("amount", "visits", "member"))


ODD = st.sampled_from([None, True, False, 0, 1, 2, -1, 1.0, 2.5, 1e30, 10**30, "red", "pink", "", [], {}])


@given(st.lists(st.tuples(st.sampled_from(sorted(GOOD)[:-1]), ODD), max_size=4))
def test_each_row_of_many_is_read_as_it_is_alone(changes):
    records = [GOOD, *({**GOOD, name: value} for name, value in changes), GOOD]
    alone = None
    with contextlib.suppress(RequestError):
        alone = [DECODER.records([record]) for record in records]
    if alone is None:
        assert refused(*records).column in {name for name, _ in changes}
        return
    together = DECODER.records(records)
    assert sorted(together.unusual) == sorted(position for rows in alone for position in rows.unusual)
    for name, tensor in tensors_of(together).items():
        expected = np.concatenate([tensors_of(rows)[name] for rows in alone])
        assert np.array_equal(tensor, expected, equal_nan=tensor.dtype != object)
