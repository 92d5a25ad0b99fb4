import csv
import io
import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.errors import RequestError
from seatrial.serving.inference import describe, read_inference, write_inference
from seatrial.serving.protocols import read_json, write_error
from seatrial.serving.rows import Decoder
from seatrial.serving.scoring import read_csv, read_invocation, write_predictions
from tests.bundles import INPUTS, make_bundle, make_rows, tensors_of


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
        ({"rows": []}, "'rows' is not supported"),
        ({"dataframe_records": [], "params": {"top": 3}}, "'params' is not supported"),
        ({"instances": {}}, "instances: expected a list of objects"),
        ({"instances": [[1, 2]]}, "row 0 is a list"),
        ({"inputs": {"amount": [1], "visits": [1, 2]}}, "column 'visits' has 2 values, the first one has 1"),
        ({"inputs": {"amount": [1], "visits": 3}}, "column 'visits' has no list"),
        ({"inputs": 3}, "inputs: expected a list of objects"),
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
    body, header = write_inference(asked, ["No", "Yes"], [0.25, 0.75], name="m", version="3")
    answer = json.loads(body)
    assert header is None
    probability = {"name": "probability", "datatype": "FP64", "shape": [2, 1], "data": [0.25, 0.75]}
    assert answer == {"model_name": "m", "model_version": "3", "outputs": [probability]}


ROWS = make_rows(30, seed=4)


def by_column(rows):
    return {name: [row[name] for row in rows] for name in rows[0]}


@pytest.mark.parametrize(
    "document",
    [
        {"instances": ROWS},
        {"inputs": ROWS},
        {"inputs": by_column(ROWS)},
        {"inputs": {name: [[value] for value in values] for name, values in by_column(ROWS).items()}},
        {"dataframe_records": ROWS, "params": {}},
    ],
)
def test_every_form_of_mlflows_protocol_gives_the_same_rows(decoder, document):
    expected, found = invocation(decoder, {"dataframe_records": ROWS}), invocation(decoder, document)
    assert found.count == 30
    assert found.ids == expected.ids
    for name, values in tensors_of(expected).items():
        np.testing.assert_array_equal(tensors_of(found)[name], values)


def test_an_object_of_single_values_is_one_row(decoder):
    assert invocation(decoder, {"inputs": ROWS[0]}).count == 1


def as_csv(rows):
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def test_csv_gives_the_same_rows_as_json(decoder):
    expected, found = invocation(decoder, {"dataframe_records": ROWS}), read_csv(as_csv(ROWS), decoder, max_rows=100)
    assert found.ids == expected.ids
    for name, values in tensors_of(expected).items():
        np.testing.assert_array_equal(tensors_of(found)[name], values)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "the body is empty"),
        (b"\xff", "not valid CSV in UTF-8"),
        (b'amount\n"open', "not valid CSV"),
        (b"amount,amount\n1,2", "'amount' twice"),
        (b"amount,visits\n1", "row 0 has 1 cells, the header 2"),
        (b"amount\n1", "column 'visits' is missing"),
        (b"amount,visits,member,colour,plan\n1,many,true,red,plus", "column 'visits', row 0: expected an integer, found \"many\""),
        (b"amount,visits,member,colour,plan\nnan,1,true,red,plus", "column 'amount', row 0"),
        (b"amount,visits,member,colour,plan\n1,1,maybe,red,plus", "column 'member', row 0"),
        (
            b"amount,visits,member,colour,plan\n1,1,true,red,plus\n1,,true,red,plus",
            "column 'visits', row 1: expected an integer, found null",
        ),
    ],
)
def test_csv_that_cannot_be_answered_is_refused_with_its_place(decoder, body, words):
    with pytest.raises(RequestError) as caught:
        read_csv(body, decoder, max_rows=100)
    assert words in caught.value.message


@pytest.mark.parametrize(("rows", "fits"), [(29, False), (30, True), (31, True)])
def test_csv_has_no_more_rows_than_any_request(decoder, rows, fits):
    if fits:
        assert read_csv(as_csv(ROWS), decoder, max_rows=rows).count == 30
        return
    with pytest.raises(RequestError) as caught:
        read_csv(as_csv(ROWS), decoder, max_rows=rows)
    assert caught.value.status == 413


def binary_request(rows, *, outputs=None):
    types = {"number": ("FP64", "<f8"), "integer": ("INT64", "<i8"), "boolean": ("BOOL", "<u1"), "category": ("BYTES", None)}
    described, tail = [], b""
    for column in INPUTS:
        values = [row[column.name] for row in rows]
        datatype, dtype = types[column.type]
        if dtype is None:
            data = b"".join(struct.pack("<I", len((value or "").encode())) + (value or "").encode() for value in values)
        else:
            data = np.array([np.nan if value is None else value for value in values]).astype(dtype).tobytes()
        tail += data
        described.append({"name": column.name, "shape": [len(rows)], "datatype": datatype, "parameters": {"binary_data_size": len(data)}})
    return {"inputs": described, **({"outputs": outputs} if outputs else {})}, tail


def binary(decoder, document, tail):
    head = json.dumps(document).encode()
    return read_inference(head + tail, decoder, max_rows=100, header=len(head))


def test_binary_tensors_give_the_same_rows_as_json(decoder):
    expected, found = invocation(decoder, {"dataframe_records": ROWS}), binary(decoder, *binary_request(ROWS)).rows
    for name in ("amount", "visits", "member", "plan"):
        np.testing.assert_array_equal(tensors_of(found)[name], tensors_of(expected)[name])


def test_binary_answers_follow_the_json_whose_length_is_told(decoder):
    asked = binary(
        decoder, *binary_request(ROWS[:2], outputs=[{"name": "label", "parameters": {"binary_data": True}}, {"name": "probability"}])
    )
    assert asked.binary == {"label"}
    body, header = write_inference(asked, ["No", "Yes"], [0.25, 0.75], name="m", version="3")
    described = {one["name"]: one for one in json.loads(body[:header])["outputs"]}
    assert described["label"]["parameters"] == {"binary_data_size": len(body) - header}
    assert body[header:] == b"\x02\0\0\0No\x03\0\0\0Yes"
    assert described["probability"]["data"] == [0.25, 0.75]


def test_binary_outputs_are_asked_for_as_a_whole_or_one_by_one(decoder):
    document, tail = binary_request(ROWS[:1])
    assert binary(decoder, document | {"parameters": {"binary_data_output": True}}, tail).binary == {"label", "probability"}
    assert binary(decoder, document, tail).binary == frozenset()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda document, tail: (document, tail[:-1]), "bytes of binary data"),
        (lambda document, tail: (document, tail + b"x"), "1 bytes at the end of the body belong to no tensor"),
        (lambda document, tail: (with_size(document, 0, -1), tail), "says -1 bytes"),
        (lambda document, tail: (with_size(document, 0, True), tail), "says True bytes"),
        (lambda document, tail: (with_size(document, 0, 10**30), tail), "says 1000000000000000000"),
        (lambda document, tail: (with_size(document, 0, 8), tail[:8] + tail[16:]), "has 8 bytes, 2 values of FP64 have 16"),
        (lambda document, tail: (document, tail.replace(b"\x04\0\0\0plus", b"\xff\xff\xff\x7fplus")), "has a string of 2147483647 bytes"),
        (lambda document, tail: (document, tail.replace(b"plus", b"\xff\xfe\xfd\xfc")), "not UTF-8"),
    ],
)
def test_binary_data_that_does_not_fit_its_description_is_refused(decoder, spoil, words):
    rows = [dict(row, plan="plus", amount=1.0) for row in ROWS[:2]]
    with pytest.raises(RequestError) as caught:
        binary(decoder, *spoil(*binary_request(rows)))
    assert words in caught.value.message


def with_size(document, at, size):
    document["inputs"][at]["parameters"]["binary_data_size"] = size
    return document


@given(tail=st.binary(max_size=200), size=st.integers(-1, 250))
def test_no_bytes_break_the_reader_of_binary_tensors(decoder, tail, size):
    document, _ = binary_request(ROWS[:1])
    statuses = []
    try:
        statuses.append(200 if binary(decoder, with_size(document, 0, size), tail).rows.count == 1 else 0)
    except RequestError as error:
        statuses.append(error.status)
    assert statuses[0] in (200, 400, 413)


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


def test_the_open_inference_protocol_has_its_errors_as_a_sentence():
    assert json.loads(write_error(RequestError("no", column="a", row=2), short=True)) == {"error": "no", "column": "a", "row": 2}
