"""Hashes of training rows: by value, the same on any machine, and kept with the bundle."""

import hashlib
import math
import struct
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.bundle import TRAINED_ON, Input, Manifest, Target, Training, load_bundle, row_hashes, trained_on, write_bundle
from seatrial.errors import BundleError, DataError
from seatrial.row_hashes import read_row_hashes, write_row_hashes
from tests.bundles import TARGET, make_bundle, make_full_bundle, make_rows, make_targets


def manifest(*inputs, target="left"):
    return Manifest(
        inputs=inputs or (Input(name="size", type="number", nullable=True), Input(name="colour", type="category", nullable=True)),
        target=Target(name=target, classes=("no", "yes"), positive="yes"),
        threshold=0.5,
        training=Training(data="md5:0", rows=1, estimator="none", params={}),
        libraries={},
        files={},
    )


def table(size=1.5, colour="red", left="yes", **more):
    return pl.DataFrame({"size": [size], "colour": [colour], "left": [left], **{name: [value] for name, value in more.items()}})


def one(frame, given=None):
    return int(row_hashes(frame, given or manifest())[0])


def test_a_row_has_this_hash_on_every_machine():
    def text(value):
        return hashlib.blake2b(value.encode(), digest_size=8, person=b"seatrial text 1").digest()

    def row(*cells):  # in order of the columns' names: colour, left, size
        return int.from_bytes(hashlib.blake2b(b"".join(cells), digest_size=8, person=b"seatrial row 1").digest(), "little")

    assert one(table()) == row(text("red"), text("yes"), struct.pack("<d", 1.5)) == 38441504696190389
    missing = pl.DataFrame({"size": [None], "colour": [None], "left": ["yes"]})
    assert one(missing) == row(text(""), text("yes"), bytes.fromhex("000000000000f87f"))


@pytest.mark.parametrize(
    "same",
    [
        table().select("left", "colour", "size"),
        table(id="c1", other=3),
        table().with_columns(pl.col("size").cast(pl.Float32)),
        table().with_columns(pl.col("colour").cast(pl.Categorical)),
        table().with_columns(pl.col("left").cast(pl.Enum(["no", "yes", "maybe"]))),
    ],
)
def test_it_is_the_same_however_a_table_stores_the_row(same):
    assert one(same) == one(table())


@pytest.mark.parametrize("kind", [pl.Int8, pl.UInt64, pl.Int64, pl.Float32, pl.Float64])
def test_a_number_is_the_same_in_any_column_of_numbers(kind):
    assert one(table().with_columns(pl.lit(3).cast(kind).alias("size"))) == one(table(3.0))


def test_true_is_one():
    given = manifest(Input(name="size", type="boolean", nullable=True))
    assert one(table(True), given) == one(table(1), given) == one(table(1.0), given) != one(table(False), given)


@pytest.mark.parametrize(("cell", "same"), [(-0.0, 0.0), (None, math.nan), (-math.nan, math.nan)])
def test_zeros_are_one_and_missing_numbers_are_one(cell, same):
    assert one(pl.DataFrame(table(cell), schema_overrides={"size": pl.Float64})) == one(table(same))


def test_nothing_and_the_empty_text_are_one_missing_cell():
    assert one(table(colour="")) == one(pl.DataFrame(table(colour=None), schema_overrides={"colour": pl.String}))


@pytest.mark.parametrize(
    "other", [table(size=1.5000001), table(colour="blue"), table(colour="Red"), table(left="no"), table(None), table(colour="")]
)
def test_another_cell_is_another_hash(other):
    assert one(other.cast({"size": pl.Float64})) != one(table())


def test_cells_do_not_run_into_each_other():
    given = manifest(Input(name="size", type="category", nullable=True), Input(name="colour", type="category", nullable=True))
    hashes = {one(table(*pair), given) for pair in (("a", "bc"), ("ab", "c"), ("", "abc"), ("abc", ""), ("bc", "a"))}
    assert len(hashes) == 5


def test_a_column_that_the_model_does_not_read_has_no_say_and_the_target_has():
    given = manifest(Input(name="size", type="number", nullable=True))
    assert one(table(colour="red"), given) == one(table(colour="blue"), given)
    assert one(table(left="no"), given) != one(table(left="yes"), given)


@pytest.mark.parametrize("name", ["size", "colour", "left"])
def test_a_column_that_is_missing_is_named(name):
    with pytest.raises(DataError, match=f"no column '{name}'"):
        row_hashes(table().drop(name), manifest())


def test_a_column_of_another_type_is_named():
    with pytest.raises(DataError, match="column 'size' is String, the manifest says number"):
        row_hashes(table("big"), manifest())


def test_a_target_of_numbers_is_hashed_by_value():
    numbers = [one(table(left=value)) for value in (1, 1.0, True)]
    assert len(set(numbers)) == 1
    assert numbers[0] != one(table(left=2))


def test_no_rows_have_no_hashes():
    assert row_hashes(table().clear(), manifest()).tolist() == []
    assert read_row_hashes(write_row_hashes(np.empty(0, np.uint64)), "file").tolist() == []


cells = st.tuples(st.floats(width=32) | st.none(), st.text(max_size=5) | st.none(), st.sampled_from(["no", "yes"]))


@given(st.lists(cells, min_size=1, max_size=20), st.randoms())
def test_a_rows_hash_does_not_depend_on_the_rows_around_it(rows, draw):
    frame = pl.DataFrame(rows, schema={"size": pl.Float64, "colour": pl.String, "left": pl.String}, orient="row")
    hashes = row_hashes(frame, manifest())
    order = draw.sample(range(len(rows)), len(rows))
    assert row_hashes(frame[order], manifest()).tolist() == hashes[order].tolist()
    assert [one(frame[at : at + 1]) for at in range(len(rows))] == hashes.tolist()


def test_another_process_finds_the_same_hashes(tmp_path):
    made = make_bundle(tmp_path / "model")
    rows = make_rows(50)
    frame = pl.DataFrame(rows).with_columns(pl.Series(TARGET.name, make_targets(rows)))
    frame.write_parquet(tmp_path / "rows.parquet")
    code = (
        "import sys, polars as pl; from pathlib import Path; from seatrial.bundle import load_bundle, row_hashes;"
        "print(row_hashes(pl.read_parquet(sys.argv[1]), load_bundle(Path(sys.argv[2])).manifest).tolist())"
    )
    arguments = [sys.executable, "-c", code, str(tmp_path / "rows.parquet"), str(tmp_path / "model")]
    said = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == str(row_hashes(frame, made.manifest).tolist())


def test_the_file_holds_each_hash_once_in_rising_order():
    data = write_row_hashes(np.array([2**64 - 1, 1, 2**63, 1], dtype=np.uint64))
    assert data == b"\x01" + bytes(7) + bytes(7) + b"\x80" + b"\xff" * 8
    assert read_row_hashes(data, "file").tolist() == [1, 2**63, 2**64 - 1]


@pytest.mark.parametrize("data", [bytes(7), bytes(16), b"\x02" + bytes(7) + b"\x01" + bytes(7)])
def test_a_file_that_training_did_not_write_is_refused(data):
    with pytest.raises(BundleError, match="file"):
        read_row_hashes(data, "file")


def test_a_bundle_knows_the_rows_it_was_trained_on(tmp_path):
    bundle = make_full_bundle(tmp_path / "model")
    seen, unseen = make_rows(100), make_rows(100, seed=7)
    frame = pl.DataFrame(seen + unseen).with_columns(pl.Series(TARGET.name, make_targets(seen) + make_targets(unseen)))
    known = np.isin(row_hashes(frame, bundle.manifest), trained_on(bundle))
    assert known.tolist() == [True] * 100 + [False] * 100


def test_a_bundle_of_old_has_no_hashes_and_loads(tmp_path):
    bundle = make_bundle(tmp_path / "model")
    assert TRAINED_ON not in bundle.files
    assert trained_on(bundle) is None


def test_the_hashes_are_part_of_the_digest(tmp_path):
    bundle = make_full_bundle(tmp_path / "model")
    without = {name: data for name, data in bundle.files.items() if name != TRAINED_ON}
    assert write_bundle(tmp_path / "other", bundle.manifest, without) != bundle.digest
    other = bundle.files | {TRAINED_ON: write_row_hashes(trained_on(bundle)[1:])}
    assert write_bundle(tmp_path / "other", bundle.manifest, other) != bundle.digest
    assert load_bundle(tmp_path / "other").digest != bundle.digest
