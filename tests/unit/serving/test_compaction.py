import json
import os

import polars as pl
import pyarrow.parquet as pq
import pytest

from seatrial.files import locked
from seatrial.serving import compaction
from seatrial.serving.compaction import FEWEST, HOLDS, claim, claim_of, compact
from seatrial.serving.predictions import parts, read_log

NOW = 2_000_000_000.0


def rows(first, count=3, **more):
    return {
        "request_id": [f"r{first + at}" for at in range(count)],
        "time": pl.Series([1_900_000_000_000_000 + first + at for at in range(count)], dtype=pl.Datetime("us", "UTC")),
        "amount": [float(at) for at in range(count)],
        **more,
    }


def write(day, name, *, age=3600.0, **columns):
    day.mkdir(parents=True, exist_ok=True)
    path = day / f"{name}.parquet"
    pl.DataFrame(columns).write_parquet(path)
    os.utime(path, (NOW - age, NOW - age))
    return path


@pytest.fixture
def day(tmp_path):
    folder = tmp_path / "date=2026-11-22"
    for number in range(FEWEST):
        write(folder, f"3-17-{number:06d}", **rows(3 * number))
    return folder


def ids(day):
    return sorted(read_log(day.parent)["request_id"].to_list(), key=lambda one: int(one[1:]))


def test_small_parts_become_one_with_the_same_rows(day):
    before = ids(day)
    assert compact(day, now=NOW) == FEWEST
    assert [path.name for path in day.glob("*.parquet")] == ["3-merged-17-000000.parquet"]
    assert ids(day) == before
    assert len(before) == 3 * FEWEST


@pytest.mark.parametrize(("count", "merged"), [(FEWEST - 1, 0), (FEWEST, FEWEST), (FEWEST + 1, FEWEST + 1)])
def test_a_few_parts_are_left_as_they_are(tmp_path, count, merged):
    day = tmp_path / "date=2026-11-22"
    for number in range(count):
        write(day, f"3-17-{number:06d}", **rows(number))
    assert compact(day, now=NOW) == merged


@pytest.mark.parametrize(("age", "merged"), [(59.0, 0), (60.0, FEWEST), (61.0, FEWEST)])
def test_young_parts_are_left_to_who_reads_them_now(tmp_path, age, merged):
    day = tmp_path / "date=2026-11-22"
    for number in range(FEWEST):
        write(day, f"3-17-{number:06d}", age=age, **rows(number))
    assert compact(day, now=NOW) == merged


def test_each_version_is_merged_for_itself_and_what_is_merged_is_not_merged_again(day):
    for number in range(FEWEST):
        write(day, f"4-18-{number:06d}", **rows(1000 + 3 * number))
    assert compact(day, now=NOW) == 2 * FEWEST
    assert sorted(path.name for path in day.glob("*.parquet")) == ["3-merged-17-000000.parquet", "4-merged-18-000000.parquet"]
    for path in day.glob("*.parquet"):
        os.utime(path, (NOW - 3600, NOW - 3600))
    assert compact(day, now=NOW) == 0


def test_columns_that_some_parts_lack_are_missing_there(day):
    write(day, "3-17-900000", **rows(900, colour=["red"] * 3))
    compact(day, now=NOW)
    log = read_log(day.parent)
    assert log.filter(pl.col("colour") == "red").height == 3
    assert log["colour"].null_count() == 3 * FEWEST


def test_many_parts_are_merged_in_bounded_portions(day, monkeypatch):
    monkeypatch.setattr(compaction, "MOST", 20)
    before = ids(day)
    compact(day, now=NOW, fewest=5)
    assert len(list(day.glob("*.parquet"))) == 3
    assert ids(day) == before


class Killed(BaseException):
    pass


@pytest.mark.parametrize("removed", [0, 1, FEWEST - 1])
def test_killed_while_it_removes_the_log_has_every_row_once_and_the_next_run_ends_it(day, monkeypatch, removed):
    before, left = ids(day), iter(range(FEWEST))
    real = type(day).unlink

    def unlink(path, missing_ok=False):
        if next(left) == removed:
            raise Killed
        real(path, missing_ok=missing_ok)

    monkeypatch.setattr(type(day), "unlink", unlink)
    with pytest.raises(Killed):
        compact(day, now=NOW)
    monkeypatch.undo()
    assert len(list(day.glob("*.parquet"))) == FEWEST - removed + 1
    assert ids(day) == before
    assert len(parts(day.parent)) == 1
    compact(day, now=NOW)
    assert [path.name for path in day.glob("*.parquet")] == ["3-merged-17-000000.parquet"]
    assert ids(day) == before


def test_killed_before_the_merged_part_is_whole_nothing_changed(day, monkeypatch):
    before = ids(day)

    def torn(path, data):
        path.with_name(f".{path.name}.tmp").write_bytes(data[:100])
        raise Killed

    monkeypatch.setattr(compaction, "write_atomic", torn)
    with pytest.raises(Killed):
        compact(day, now=NOW)
    assert ids(day) == before
    assert len(parts(day.parent)) == FEWEST


def test_while_another_server_is_at_it_nothing_is_done(day):
    with locked(day / ".compact.lock"):
        assert compact(day, now=NOW) == 0
    assert compact(day, now=NOW) == FEWEST


def test_a_reader_that_loses_parts_to_a_merge_lists_again(day, monkeypatch):
    before, read = ids(day), pl.read_parquet

    def read_late(path, **options):
        compact(day, now=NOW)
        return read(path, **options)

    monkeypatch.setattr(pl, "read_parquet", read_late)
    assert ids(day) == before


def test_a_merged_part_names_what_it_holds(day):
    names = [path.name for path in sorted(day.glob("*.parquet"))]
    compact(day, now=NOW)
    (merged,) = day.glob("*.parquet")
    assert json.loads(pq.read_schema(merged).metadata[HOLDS]) == names


def test_what_is_claimed_is_not_merged_and_what_is_young_is_not_claimed(day):
    young = write(day, "3-17-900000", age=10.0, **rows(900))
    claimed = claim(day, now=NOW)
    assert len(claimed) == FEWEST
    assert young not in claimed
    assert compact(day, now=NOW) == 0
    assert claim(day, now=NOW) == claimed
    claim_of(claimed[0]).unlink()
    claim_of(claimed[1]).unlink()
    assert compact(day, now=NOW, fewest=2) == 2
