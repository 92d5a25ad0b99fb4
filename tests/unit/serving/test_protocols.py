import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.errors import RequestError
from seatrial.serving.protocols import describe, read_inference, read_invocation, read_json, write_error, write_inference, write_predictions
from seatrial.serving.rows import Decoder
from tests.bundles import INPUTS, make_bundle, make_rows


@pytest.fixture(scope="module")
def decoder(tmp_path_factory):
    return Decoder(make_bundle(tmp_path_factory.mktemp("bundle") / "model").manifest)


def invocation(decoder, document, *, max_rows=100):
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return read_invocation(body, decoder, max_rows=max_rows)


def inference(decoder, document, *, max_rows=100):
    return read_inference(json.dumps(document).encode(), decoder, max_rows=max_rows)


def tensors(rows):
    types = {"number": "FP64", "integer": "INT64", "boolean": "BOOL", "category": "BYTES"}
    return [
        {"name": column.name, "shape": [len(rows), 1], "datatype": types[column.type], "data": [row[column.name] for row in rows]}
        for column in INPUTS
    ]


def split(rows):
    return {"dataframe_split": {"columns": list(rows[0]), "data": [list(row.values()) for row in rows]}}


NO_OBJECTS = [b"", b" ", b"{", b"nonsense", b"{}x", b"\xff", b"\xef\xbb\xbf{}", b"[]", b"1", b'"x"', b"null"]
STRANGE = [b'{"a": NaN}', b'{"a": -Infinity}', b'{"a": 1e999}', b'{"a": "\\ud800"}', b'{"a": ' + b"9" * 5000 + b"}"]
DEEP = [b"[" * 100_000, b'{"a":' * 100_000, b"[" * 900 + b"]" * 900]


@pytest.mark.parametrize("body", [*NO_OBJECTS, *STRANGE, *DEEP])
def test_what_is_no_json_object_is_refused(body):
    with pytest.raises(RequestError) as caught:
        read_json(body)
    assert caught.value.status == 400


def test_the_refusal_of_nan_says_what_to_send():
    with pytest.raises(RequestError, match="a missing value is null"):
        read_json(b'{"dataframe_records": [{"amount": NaN}]}')


@pytest.mark.parametrize(
    "body",
    [b'{"a":1,"a":2}', b'{"r":[{"a":1,"a":2}]}', b'{"r":[{"x":{"a":1, "a" :2}}]}', b'{"r":{"a":"1:2","a":3}}', b'{"a":1,"\\u0061":2}'],
)
def test_a_key_that_stands_twice_is_refused_wherever_it_is(body):
    with pytest.raises(RequestError, match="stands twice") as caught:
        read_json(body)
    assert caught.value.column == "a"


def test_colons_in_values_are_no_keys():
    assert read_json(b'{"r":[{"a":"1:2:3"}]}') == {"r": [{"a": "1:2:3"}]}


def test_records_and_split_give_the_same_rows(decoder):
    rows = make_rows(12)
    records, split_rows = invocation(decoder, {"dataframe_records": rows}), invocation(decoder, split(rows))
    assert records.ids == split_rows.ids
    assert [list(values) for values in records.values] == [list(values) for values in split_rows.values]


def test_a_split_may_have_an_index_and_no_rows(decoder):
    names = [column.name for column in INPUTS]
    assert invocation(decoder, {"dataframe_split": {"columns": names, "data": [], "index": []}}).count == 0


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({}, "exactly one"),
        ({"dataframe_records": [], "dataframe_split": {}}, "exactly one"),
        ({"instances": []}, "'instances' is not supported"),
        ({"dataframe_records": [], "params": {}}, "'params' is not supported"),
        ({"dataframe_records": {}}, "list of objects"),
        ({"dataframe_records": None}, "list of objects"),
        ({"dataframe_split": []}, "columns and data"),
        ({"dataframe_split": {"columns": ["a"]}}, "data: expected a list"),
        ({"dataframe_split": {"columns": "a", "data": []}}, "list of column names"),
        ({"dataframe_split": {"columns": [1], "data": []}}, "list of column names"),
        ({"dataframe_split": {"columns": ["a", "a"], "data": []}}, "'a' stands there twice"),
        ({"dataframe_split": {"columns": ["a"], "data": [[1], [1, 2]]}}, "row 1 has 2 values"),
        ({"dataframe_split": {"columns": ["a"], "data": [1]}}, "row 0 has no list"),
        ({"dataframe_split": {"columns": ["a"], "data": [[1]]}}, "'amount' is missing"),
        ({"dataframe_split": {"columns": ["a"], "data": [], "rows": []}}, "'rows' is not supported"),
    ],
)
def test_an_invocation_of_the_wrong_shape_is_refused_in_words(decoder, document, words):
    with pytest.raises(RequestError, match=words) as caught:
        invocation(decoder, document)
    assert caught.value.status == 400


@pytest.mark.parametrize(("count", "answered"), [(4, True), (5, True), (6, False)])
def test_rows_are_limited(decoder, count, answered):
    rows = make_rows(count)
    readers = [(invocation, {"dataframe_records": rows}), (invocation, split(rows)), (inference, {"inputs": tensors(rows)})]
    for read, document in readers:
        if answered:
            read(decoder, document, max_rows=5)
        else:
            with pytest.raises(RequestError) as caught:
                read(decoder, document, max_rows=5)
            assert caught.value.status == 413


def test_tensors_give_the_rows_of_records(decoder):
    rows = make_rows(12)
    expected = invocation(decoder, {"dataframe_records": rows})
    found = inference(decoder, {"id": "q1", "inputs": tensors(rows)})
    assert [list(values) for values in found.rows.values] == [list(values) for values in expected.values]
    assert (found.id, found.outputs) == ("q1", ("label", "probability"))


@pytest.mark.parametrize("nested", [False, True])
def test_a_tensor_may_be_flat_or_nested_and_of_one_or_two_dimensions(decoder, nested):
    changed = tensors(make_rows(3))
    for tensor in changed:
        tensor["shape"] = [3, 1] if nested else [3]
        tensor["data"] = [[value] for value in tensor["data"]] if nested else tensor["data"]
    assert inference(decoder, {"inputs": changed}).rows.count == 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": None}, "no name"),
        ({"datatype": "FP8"}, "no known datatype"),
        ({"datatype": ["FP64"]}, "no known datatype"),
        ({"datatype": "BYTES"}, "reads a number"),
        ({"shape": [2, 2]}, "shape"),
        ({"shape": [2, 1, 1]}, "shape"),
        ({"shape": []}, "shape"),
        ({"shape": [-1]}, "shape"),
        ({"shape": [True]}, "shape"),
        ({"shape": [3]}, "its shape says 3"),
        ({"shape": [1], "data": [1]}, "has 2 rows, those before it have 1"),
        ({"data": "12"}, "as a list"),
        ({"data": [1, "2"]}, "row 1"),
        ({"data": [[1], [2, 3]]}, "row 1"),
        ({"name": "visits"}, "stands there twice"),
        ({"name": "other"}, "'amount' is missing"),
        ({"parameters": {"binary_data_size": 8}}, "binary"),
        ({"parameters": 5}, "parameters"),
    ],
)
def test_a_wrong_tensor_is_refused_in_words(decoder, change, words):
    changed = tensors(make_rows(2))
    changed[0] |= change
    with pytest.raises(RequestError, match=words):
        inference(decoder, {"inputs": changed})


@pytest.mark.parametrize("outputs", [5, "label", [5], [{"name": "logits"}], [{}], {"name": "label"}])
def test_an_output_that_is_not_there_is_refused(decoder, outputs):
    with pytest.raises(RequestError, match="outputs"):
        inference(decoder, {"inputs": tensors(make_rows(1)), "outputs": outputs})


def test_only_the_outputs_that_were_asked_for_are_answered(decoder):
    asked = inference(decoder, {"inputs": tensors(make_rows(2)), "outputs": [{"name": "probability"}]})
    answer = json.loads(write_inference(asked, ["No", "Yes"], [0.25, 0.75], name="m", version="3"))
    probability = {"name": "probability", "datatype": "FP64", "shape": [2, 1], "data": [0.25, 0.75]}
    assert answer == {"model_name": "m", "model_version": "3", "outputs": [probability]}


def test_predictions_are_written_as_mlflow_writes_them():
    assert json.loads(write_predictions(["Yes"], [0.6587])) == {"predictions": [{"label": "Yes", "probability": 0.6587}]}
    assert json.loads(write_predictions([], [])) == {"predictions": []}


def test_an_error_names_its_place():
    answer = json.loads(write_error(RequestError("no", column="amount", row=3)))
    assert answer == {"error": {"message": "no", "column": "amount", "row": 3}}


def test_the_metadata_carries_digest_and_types(tmp_path):
    bundle = make_bundle(tmp_path / "model")
    metadata = describe(bundle.manifest, name="m", version="3", digest=bundle.digest)
    assert metadata["digest"] == bundle.digest
    assert [tensor["datatype"] for tensor in metadata["inputs"]] == ["FP64", "INT64", "BOOL", "BYTES", "BYTES"]


KEYS = st.sampled_from(
    ["dataframe_records", "dataframe_split", "columns", "data", "inputs", "outputs", "name", "shape", "datatype", "parameters", "id"]
    + [column.name for column in INPUTS]
)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["FP64", "BYTES", "amount", "red"]) | st.text(max_size=5)
)
DOCUMENTS = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=25)
BODIES = DOCUMENTS.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=60)


def refusal(read, decoder, body):
    try:
        read(body, decoder, max_rows=2)
    except RequestError as error:
        return error
    return None


@given(BODIES)
def test_any_body_is_read_or_refused(decoder, body):
    errors = [error for read in (read_invocation, read_inference) if (error := refusal(read, decoder, body))]
    assert {error.status for error in errors} <= {400, 413}
    assert all(json.loads(write_error(error))["error"]["message"] for error in errors)
