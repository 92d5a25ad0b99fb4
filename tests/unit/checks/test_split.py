"""Split checks: held-out rows among the training rows, whole or but for the id, over files of any size."""

import numpy as np
import polars as pl
import pytest

from seatrial.checks import split
from seatrial.checks.split import shared_rows, split_checks
from seatrial.contract import Checks, Column, Contract, Split
from seatrial.errors import DataError
from seatrial.params import Data
from seatrial.verdict import Outcome

DATA = Data(raw="t.csv", target="bought", id="id")
NAMELESS = Data(raw="t.csv", target="bought")
COLUMNS = {"id": Column(type="string"), "size": Column(type="number"), "bought": Column(type="string")}


def contract_of(**rules):
    return Contract(columns=COLUMNS, checks=Checks(split=Split(**rules)))


def table(start, n=10, sizes=None):
    numbers = range(start, start + n)
    return pl.DataFrame(
        {
            "id": [f"C{at}" for at in numbers],
            "size": [float(size) for size in (sizes or numbers)],
            "bought": ["yes" if at % 2 else None for at in numbers],
        },
        schema={"id": pl.String, "size": pl.Float64, "bought": pl.String},
    )


def asked(train, test, folder, *, data=DATA, **rules):
    for name, frame in (("train", train), ("test", test)):
        frame.write_parquet(folder / f"{name}.parquet")
    return {check.name: check for check in split_checks(contract_of(**rules), folder / "train.parquet", folder / "test.parquet", data)}


def test_parts_without_a_common_row_pass(tmp_path):
    checks = asked(table(0, 30), table(100), tmp_path)
    assert {name: (check.outcome, check.observed) for name, check in checks.items()} == {
        "split.leak": ("pass", 0),
        "split.rows": ("pass", 0),
    }
    assert checks["split.leak"].message == "none of 10 held-out rows stands among the training rows"


@pytest.mark.parametrize(("common", "outcome"), [(0, "pass"), (1, "fail"), (2, "fail")])
def test_no_held_out_row_stands_among_the_training_rows(tmp_path, common, outcome):
    check = asked(table(0, 30), table(30 - common), tmp_path)["split.leak"]
    assert (check.outcome, check.observed, check.limit, check.advisory) == (outcome, common, 0, False)


def test_a_leaked_row_is_named_by_its_id(tmp_path):
    check = asked(table(0, 30), table(22), tmp_path, advisory=True)["split.leak"]
    assert check.message == ("8 of 10 held-out rows stand among the training rows too, none may: 'C22', 'C23', 'C24', 'C25', 'C26', …")
    assert not check.advisory


@pytest.mark.parametrize(("alike", "outcome"), [(0, "pass"), (1, "pass"), (2, "pass"), (3, "fail")])
def test_a_share_of_the_held_out_rows_may_equal_a_training_row_but_for_the_id(tmp_path, alike, outcome):
    sizes = [at if at < 100 + alike else at + 1000 for at in range(100, 110)]
    train = table(100, 10).with_columns(pl.format("T{}", "id").alias("id"))
    check = asked(train, table(100, 10, sizes), tmp_path, max_share=0.2)["split.rows"]
    assert (check.outcome, check.observed, check.limit) == (outcome, alike / 10, 0.2)


def test_rows_that_are_alike_are_named_with_their_twins(tmp_path):
    train = table(7, 1).with_columns(pl.format("T{}", "id").alias("id"))
    checks = asked(train, table(7, 2), tmp_path, advisory=True)
    assert checks["split.leak"].outcome is Outcome.PASS
    assert checks["split.rows"].message == (
        "1 of 2 held-out rows equals a training row in all cells but 'id' (50.00%), at most 1.00% may: 'C7' as 'TC7' in training"
    )
    assert checks["split.rows"].advisory


def test_without_an_id_whole_rows_are_compared_and_named_by_number(tmp_path):
    checks = asked(table(0, 30), table(28), tmp_path, data=NAMELESS)
    assert list(checks) == ["split.leak"]
    assert checks["split.leak"].message.endswith("none may: row 1 as row 29 in training, row 2 as row 30 in training")


def test_rows_that_stand_twice_count_each_time(tmp_path):
    checks = asked(pl.concat([table(0, 3), table(0, 3)]), pl.concat([table(2, 2), table(2, 2)]), tmp_path)
    assert checks["split.leak"].observed == 2


def test_missing_cells_are_equal_to_each_other(tmp_path):
    row = pl.DataFrame({"id": ["a"], "size": [None], "bought": [None]}, schema={"id": pl.String, "size": pl.Float64, "bought": pl.String})
    assert asked(row, row, tmp_path)["split.leak"].observed == 1
    nan = row.with_columns(size=pl.lit(float("nan")))
    assert asked(nan, nan, tmp_path)["split.leak"].observed == 1


def test_an_empty_part_shares_nothing(tmp_path):
    for train, test in ((table(0, 5), table(0, 0)), (table(0, 0), table(0, 5))):
        assert {check.outcome for check in asked(train, test, tmp_path).values()} == {"pass"}


def test_equal_hashes_of_different_rows_are_no_leak(tmp_path, monkeypatch):
    monkeypatch.setattr(pl.DataFrame, "hash_rows", lambda frame: pl.Series(np.zeros(frame.height, dtype=np.uint64)))
    assert asked(table(0, 30), table(100), tmp_path)["split.leak"].observed == 0
    assert asked(table(0, 30), table(29), tmp_path)["split.leak"].observed == 1


def test_more_common_rows_than_are_compared_are_all_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(split, "MOST_CONFIRMED", 20)
    check = asked(table(0, 300), table(150, 300), tmp_path)["split.leak"]
    assert check.observed == 150
    assert check.message.count("'C") == 5


def test_small_chunks_find_what_one_large_one_finds(tmp_path, monkeypatch):
    generator = np.random.default_rng(1)
    train, test = (table(0, 5000).sample(fraction=1.0, seed=seed)[: int(n)] for seed, n in ((1, 3000), (2, 900)))
    expected = len(set(train["id"]) & set(test["id"]))
    for chunk in (int(generator.integers(1, 50)), 1_000_000):
        monkeypatch.setattr(split, "CHUNK", chunk)
        monkeypatch.setattr(split, "BATCH", 700)
        monkeypatch.setattr(split, "MOST_CONFIRMED", 10_000)
        assert asked(train, test, tmp_path)["split.leak"].observed == expected


def test_files_of_different_columns_are_refused(tmp_path):
    with pytest.raises(
        DataError,
        match=r"train.parquet and test.parquet differ in column 'size': train.parquet has Float64, test.parquet has no such column",
    ):
        asked(table(0), table(0).drop("size"), tmp_path)
    with pytest.raises(DataError, match=r"test.parquet has Int64"):
        asked(table(0), table(0).with_columns(pl.col("size").cast(pl.Int64)), tmp_path)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    table(0).write_parquet(tmp_path / "test.parquet")
    (tmp_path / "train.parquet").write_bytes(b"PAR1 and nothing more")
    with pytest.raises(DataError, match=r"train.parquet cannot be read"):
        split_checks(contract_of(), tmp_path / "train.parquet", tmp_path / "test.parquet", DATA)
    with pytest.raises(DataError, match=r"gone.parquet cannot be read"):
        split_checks(contract_of(), tmp_path / "gone.parquet", tmp_path / "test.parquet", DATA)


def test_nothing_is_left_behind(tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    table(0).write_parquet(tmp_path / "one.parquet")
    assert shared_rows(tmp_path / "one.parquet", tmp_path / "one.parquet", ["id"], named="id").count == 10
    assert list(scratch.iterdir()) == []
