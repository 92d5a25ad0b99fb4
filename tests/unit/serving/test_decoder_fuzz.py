"""Whatever bytes arrive, the readers of requests give rows or RequestError."""

import gzip
import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from seatrial.errors import RequestError
from seatrial.serving.content import content_of, unpack
from seatrial.serving.inference import read_inference
from seatrial.serving.rows import Decoder
from seatrial.serving.scoring import read_csv, read_invocation
from tests.bundles import INPUTS, make_bundle, make_rows, tensors_of

NAMES = [column.name for column in INPUTS]
ROW = make_rows(1)[0]
SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8) | st.sampled_from(["red", "1", "NaN"])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3), max_leaves=6
)
CELLS = st.one_of(st.just(None), VALUES)
RECORDS = st.dictionaries(st.sampled_from([*NAMES, "client", "other"]), VALUES, max_size=7) | st.fixed_dictionaries(
    {name: st.just(ROW[name]) | VALUES for name in NAMES}
)
FORMS = st.sampled_from(["dataframe_records", "dataframe_split", "instances", "inputs", "params", "else"])
DATATYPES = st.sampled_from(["FP32", "FP64", "INT64", "BOOL", "BYTES", "UINT8", "no", None, 3])
TENSORS = st.fixed_dictionaries(
    {
        "name": st.sampled_from([*NAMES, "other"]) | VALUES,
        "shape": st.lists(st.integers(-2, 4), max_size=3) | VALUES,
        "datatype": DATATYPES,
    },
    optional={"data": VALUES, "parameters": st.fixed_dictionaries({"binary_data_size": st.integers(-3, 40) | VALUES}) | VALUES},
)
LIMIT = 50


@pytest.fixture(scope="module")
def decoder(tmp_path_factory):
    return Decoder(make_bundle(tmp_path_factory.mktemp("bundle") / "model").manifest)


def read(reader, body, decoder, **options):
    """The rows, all of them looked at, or None where the request is refused."""
    found = refused_or(lambda: reader(body, decoder, max_rows=LIMIT, **options), 400, 413)
    if found is None:
        return None
    rows = found if reader is not read_inference else found.rows
    assert rows.count <= LIMIT
    assert all(tensor.shape == (rows.count,) for tensor in tensors_of(rows).values())
    assert len(list(rows.values)) in (rows.count, 0)
    assert len(rows.ids) == rows.count
    assert rows.unknown >= 0
    return rows


def refused_or(action, *statuses):
    """What the action gives; None where it is refused with one of these statuses."""
    try:
        return action()
    except RequestError as error:
        refused = error
    assert refused.status in statuses
    assert str(refused)
    return None


def written(document):
    return json.dumps(document).encode("utf-8", "surrogatepass")


@settings(max_examples=400, deadline=None)
@given(body=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
@example(body=b"[" * 5000)
@example(body=b'{"dataframe_records": [' + b"9" * 5000 + b"]}")
def test_any_bytes_are_rows_or_refused(decoder, body):
    read(read_invocation, body, decoder)
    read(read_csv, body, decoder)
    read(read_inference, body, decoder)
    read(read_inference, body, decoder, header=len(body) // 2)


@settings(max_examples=400, deadline=None)
@given(document=st.dictionaries(FORMS, st.lists(RECORDS, max_size=3) | VALUES, max_size=2))
def test_any_records_are_rows_or_refused(decoder, document):
    read(read_invocation, written(document), decoder)


@settings(max_examples=300, deadline=None)
@given(
    columns=st.lists(st.sampled_from([*NAMES, "client", "other"]), max_size=7) | VALUES,
    data=st.lists(st.lists(VALUES, max_size=7), max_size=3),
)
def test_any_split_is_rows_or_refused(decoder, columns, data):
    read(read_invocation, written({"dataframe_split": {"columns": columns, "data": data}}), decoder)


@settings(max_examples=300, deadline=None)
@given(columns=st.dictionaries(st.sampled_from([*NAMES, "other"]), st.lists(VALUES, max_size=3) | VALUES, max_size=6))
def test_any_columns_are_rows_or_refused(decoder, columns):
    read(read_invocation, written({"inputs": columns}), decoder)


@settings(max_examples=400, deadline=None)
@given(tensors=st.lists(TENSORS, max_size=6) | VALUES, outputs=VALUES, tail=st.binary(max_size=60))
def test_any_tensors_are_rows_or_refused(decoder, tensors, outputs, tail):
    head = written({"inputs": tensors, "outputs": outputs})
    read(read_inference, head, decoder)
    read(read_inference, head + tail, decoder, header=len(head))


@settings(max_examples=300, deadline=None)
@given(cells=st.lists(st.lists(st.text(max_size=6), max_size=6), max_size=4), header=st.permutations(NAMES))
def test_any_csv_is_rows_or_refused(decoder, cells, header):
    lines = [",".join(header), *(",".join(line) for line in cells)]
    read(read_csv, "\n".join(lines).encode("utf-8", "surrogatepass"), decoder)


@settings(max_examples=200, deadline=None)
@given(body=st.binary(max_size=200), packed=st.booleans(), cut=st.integers(0, 30))
def test_any_packed_body_is_unpacked_or_refused(body, packed, cut):
    sent = gzip.compress(body)[: -cut or None] if packed else body
    assert len(refused_or(lambda: unpack(sent, 100), 400, 413) or b"") <= 100


@settings(max_examples=200, deadline=None)
@given(
    headers=st.dictionaries(
        st.sampled_from([b"content-type", b"content-encoding", b"inference-header-content-length"]), st.binary(max_size=30), max_size=3
    ),
    tensors=st.booleans(),
)
def test_any_headers_are_understood_or_refused(headers, tensors):
    found = refused_or(lambda: content_of(headers, tensors=tensors), 400, 415)
    assert found is None or not (found.csv and tensors)


def test_a_sound_request_is_read(decoder):
    assert read(read_invocation, written({"instances": [ROW, {**ROW, "other": 1}]}), decoder).unknown == 1
