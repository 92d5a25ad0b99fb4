"""One row has a record, several have not: the log must not show which way a row took."""

import datetime as dt

import msgspec
import polars as pl
import pyarrow.parquet as pq
import pytest
from polars.testing import assert_frame_equal

from seatrial.bundle import Input
from seatrial.serving.log_parts import LogWriter, Part
from seatrial.serving.log_records import Records
from seatrial.serving.predictions import LogSettings, PredictionLog, parts, read_log
from tests.bundles import make_bundle, make_rows
from tests.entries import make_entry

NOON = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
MICROSECOND = dt.timedelta(microseconds=1)
USUAL = {"client": "c", "amount": 1.5, "visits": 3, "member": True, "colour": "red", "plan": "plus"}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("bundle") / "model").manifest


def entry(manifest, rows, *, at=NOON, **given):
    return make_entry(manifest, rows, at=at, **given)


def logged(folder, manifest, *batches, **settings):
    """What the log says of requests that were answered together, batch after batch."""
    log = PredictionLog(LogSettings(folder=folder, **settings), manifest, version="3", digest="sha256:1")
    for batch in batches:
        log.append(*batch)
    log.flush()
    assert log.lost == 0
    return read_log(folder)


def has_record(manifest, row):
    return Records(manifest).write(entry(manifest, [row])) is not None


@pytest.mark.parametrize("drop", [(), ("visits", "colour", "id")])
def test_rows_one_by_one_are_logged_as_rows_together(tmp_path, manifest, drop):
    rows = make_rows(50)
    probabilities = [number / 49 for number in range(50)]
    together = logged(tmp_path / "together", manifest, [entry(manifest, rows, probabilities=probabilities)], drop=drop)
    single = [entry(manifest, [row], probabilities=[one]) for row, one in zip(rows, probabilities, strict=True)]
    assert all(has_record(manifest, row) for row in rows)
    assert_frame_equal(logged(tmp_path / "single", manifest, single, drop=drop), together)
    assert together["amount"].null_count() == 5


def test_values_in_other_clothes_are_logged_by_the_inputs_type(tmp_path, manifest):
    row = USUAL | {"amount": 2, "visits": 3.0, "member": 1}
    frame = logged(tmp_path, manifest, [entry(manifest, [row])], [entry(manifest, [row, row], at=NOON + MICROSECOND)])
    assert frame.select("amount", "visits", "member").rows() == [(2.0, 3, True)] * 3


@pytest.mark.parametrize(
    ("column", "value"), [("colour", "mauve"), ("colour", ""), ("visits", 21), ("visits", 2**53 + 1), ("amount", 1e30)]
)
def test_what_training_never_saw_has_no_record_and_is_logged_exactly(tmp_path, manifest, column, value):
    assert not has_record(manifest, USUAL | {column: value})
    frame = logged(tmp_path, manifest, [entry(manifest, [USUAL | {column: value}]), entry(manifest, [USUAL], at=NOON + MICROSECOND)])
    assert frame[column].to_list() == [value, USUAL[column]]


@pytest.mark.parametrize(
    ("changed", "fits"),
    [
        (Input(name="visits", type="integer", nullable=True, minimum=0, maximum=2**53), True),
        (Input(name="visits", type="integer", nullable=False, minimum=0, maximum=2**53 + 2), False),
        (Input(name="visits", type="integer", nullable=False), False),
        (Input(name="visits", type="number", nullable=True), True),
        (Input(name="visits", type="boolean", nullable=True), True),
        (Input(name="visits", type="category", nullable=True), False),
        (Input(name="visits", type="category", nullable=True, categories=("", "a")), False),
        (Input(name="visits", type="category", nullable=True, categories=("a",)), True),
    ],
)
@pytest.mark.parametrize("null", [False, True])
def test_an_input_whose_values_fit_no_record_goes_the_other_way(tmp_path, manifest, changed, fits, null):
    own = msgspec.structs.replace(manifest, inputs=(changed,))
    value = None if null and changed.nullable else "a" if changed.type == "category" else 1
    assert has_record(own, {"visits": value}) == fits
    frame = logged(tmp_path, own, [entry(own, [{"visits": value}])])
    types = {"integer": pl.Int64, "number": pl.Float64, "boolean": pl.Boolean, "category": pl.String}
    assert frame.schema["visits"] == types[changed.type]
    assert frame["visits"].to_list() == [value]


@pytest.mark.parametrize("value", [2**53 + 1, 2**90])
def test_an_integer_that_no_float_holds_is_logged_as_the_nearest_number(tmp_path, manifest, value):
    row = USUAL | {"amount": value}
    frame = logged(tmp_path, manifest, [entry(manifest, [row])], [entry(manifest, [row, USUAL | {"amount": None}])])
    assert frame["amount"].to_list() == [float(value), float(value), None]


def test_a_label_that_the_manifest_does_not_know_is_logged_all_the_same(tmp_path, manifest):
    strange = entry(manifest, [USUAL])
    strange.labels = ["Maybe"]
    assert logged(tmp_path, manifest, [strange])["label"].to_list() == ["Maybe"]


def test_each_row_keeps_its_own_ids_and_variant(tmp_path, manifest):
    asked = [("a", "c1", "champion"), ("b", "c2", "mirror"), ("c", "c3", "challenger"), ("d", "c4", "mirror")]
    batch = [
        entry(
            manifest,
            [USUAL | {"client": client}],
            at=NOON + number * MICROSECOND,
            request_id=name,
            variant=variant,
            simulated=variant == "mirror",
            latency_ms=0.123456789,
        )
        for number, (name, client, variant) in enumerate(asked)
    ]
    frame = logged(tmp_path, manifest, batch[:3], batch[3:])
    assert frame.select("request_id", "id", "variant").rows() == asked
    assert frame["simulated"].to_list() == [False, True, False, True]
    assert frame["latency_ms"].unique().to_list() == [0.123456789]
    assert (frame["time"].to_list()[0], frame["time"].to_list()[3]) == (NOON, NOON + 3 * MICROSECOND)


def test_requests_that_are_answered_together_at_midnight_lie_on_two_days(tmp_path, manifest):
    midnight = dt.datetime(2026, 11, 24, tzinfo=dt.UTC)
    batch = [entry(manifest, [USUAL], at=at) for at in (midnight - MICROSECOND, midnight)]
    assert logged(tmp_path, manifest, batch).height == 2
    assert [part.parent.name for part in parts(tmp_path)] == ["date=2026-11-23", "date=2026-11-24"]
    assert read_log(tmp_path, since=midnight)["time"].to_list() == [midnight]


def test_a_part_of_both_kinds_holds_plain_texts(tmp_path, manifest):
    logged(tmp_path, manifest, [entry(manifest, [USUAL]), entry(manifest, [USUAL | {"colour": "mauve"}]), entry(manifest, make_rows(3))])
    (part,) = parts(tmp_path)
    table = pq.read_table(part, partitioning=None)
    assert table.num_rows == 5
    assert {str(table.schema.field(name).type) for name in ("colour", "variant", "version", "digest", "label")} == {"string"}


def test_what_waits_is_a_record_of_one_row_and_no_object(manifest):
    writer = LogWriter(LogSettings(folder=None), manifest, version="3", digest="sha256:1")
    chunk = writer.chunk([entry(manifest, [USUAL])] * 3, day=1, rows=3, size=300)
    assert (len(chunk.records) % 3, chunk.request_ids, chunk.ids, chunk.entries) == (0, ["r1"] * 3, ["c"] * 3, [])
    assert 0 < len(chunk.records) / 3 < 100


def test_a_part_counts_rows_and_the_requests_that_they_came_with(manifest):
    writer, part = LogWriter(LogSettings(folder=None), manifest, version="3", digest="sha256:1"), Part(day=1)
    usual, alone, many = [entry(manifest, [USUAL])] * 3, [entry(manifest, [USUAL])], [entry(manifest, make_rows(4))]
    writer.add(part, [writer.chunk(one, day=1, rows=len(one), size=1) for one in (usual, alone, many)])
    assert (part.rows, part.entries, sum(piece.num_rows for piece in part.pieces)) == (8, 5, 8)
