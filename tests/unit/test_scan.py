"""One pass over the table: what is counted where, that parts add up to the whole, and that nothing is read twice."""

import datetime as dt
import math
import tempfile
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.contract import Column, Contract
from seatrial.scan import summarise
from seatrial.summary import Broken, Example, merged
from tests.summaries import DATA, scanned, summary_of, written

CONTRACT = Contract(
    columns={
        "id": Column(type="string", unique=True),
        "size": Column(type="number", range=(0, 10)),
        "colour": Column(type="string", allowed=("red", "blue")),
        "day": Column(type="date"),
    }
)
DAY = dt.date(2026, 11, 1)
FRAME = pl.DataFrame(
    {
        "id": ["a", "b", "c", "d"],
        "size": ["1", "11", "", "many"],
        "colour": ["red", "green", "green", None],
        "day": ["2026-11-01", "2026-11-03", "", "2026-02-30"],
    }
)

TABLES = st.lists(
    st.tuples(
        st.text("abcdef", min_size=1, max_size=3),
        st.none() | st.floats(-20, 20, allow_nan=False),
        st.sampled_from([None, "red", "blue", "green", "Red"]),
        st.none() | st.dates(dt.date(2026, 1, 1), DAY),
    ),
    max_size=40,
)


def frame_of(rows):
    kinds = {"id": pl.String, "size": pl.Float64, "colour": pl.String, "day": pl.Date}
    return pl.DataFrame(rows, schema=kinds, orient="row")


def test_cells_are_counted_once_as_good_missing_or_of_another_type(tmp_path):
    columns = scanned(FRAME, CONTRACT, tmp_path).columns
    assert {name: (one.count, one.nulls, one.unread.count) for name, one in columns.items()} == {
        "id": (4, 0, 0),
        "size": (2, 1, 1),
        "colour": (3, 1, 0),
        "day": (2, 1, 1),
    }
    assert columns["size"].unread.examples == (Example(part="t.parquet", row=4, value="'many'"),)
    assert (columns["day"].low, columns["day"].high) == ("2026-11-01", "2026-11-03")


def test_texts_without_a_rule_are_counted_too(tmp_path):
    column = scanned(pl.DataFrame({"id": ["a", None, ""]}), Contract(columns={"id": Column(type="string")}), tmp_path).columns["id"]
    assert (column.count, column.nulls) == (1, 2)


@pytest.mark.parametrize("batch", [1, 3, 4])
def test_examples_name_part_and_row_whatever_the_batches(tmp_path, batch):
    broken = scanned(FRAME, CONTRACT, tmp_path, batch=batch).broken
    assert broken["quality.range:size"] == Broken(count=1, examples=(Example(part="t.parquet", row=2, value="11.0"),))
    assert broken["quality.allowed:colour"] == Broken(count=2, examples=(Example(part="t.parquet", row=2, value="'green'"),))


def test_missing_cells_are_shown_by_the_id_of_their_row(tmp_path):
    data = type(DATA)(raw="table", target="target", id="id")
    assert scanned(FRAME, CONTRACT, tmp_path, data=data).columns["size"].missing.examples == (
        Example(part="t.parquet", row=3, value="'c'"),
    )


def test_at_most_five_examples_of_different_values_are_kept(tmp_path):
    frame = pl.DataFrame({"size": [11.0, 11.0] + [float(at) for at in range(12, 30)]})
    broken = scanned(frame, CONTRACT, tmp_path, batch=2).broken["quality.range:size"]
    assert (broken.count, [example.row for example in broken.examples]) == (20, [1, 3, 4, 5, 6])


@settings(max_examples=40, deadline=None)
@given(TABLES, st.integers(0, 40), st.integers(1, 40))
def test_parts_add_up_to_the_whole(rows, cut, batch):
    frame = frame_of(rows)
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two, tempfile.TemporaryDirectory() as three:
        whole = scanned(frame, CONTRACT, Path(one), batch=batch)
        both = merged([scanned(frame[:cut], CONTRACT, Path(two)), scanned(frame[cut:], CONTRACT, Path(three))])
    assert both.rows == whole.rows
    assert {key: broken.count for key, broken in both.broken.items()} == {key: broken.count for key, broken in whole.broken.items()}
    for name, column in whole.columns.items():
        other = both.columns[name]
        assert (other.count, other.nulls, other.low, other.high, other.values) == (
            column.count,
            column.nulls,
            column.low,
            column.high,
            column.values,
        )
        assert other.mean == pytest.approx(column.mean)
        assert other.deviations == pytest.approx(column.deviations, abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(TABLES.filter(bool), st.integers(1, 4))
def test_what_repeats_is_found_across_parts(rows, parts):
    frame = frame_of(rows)
    summary = summary_of(frame, CONTRACT, parts=parts)
    assert summary.repeats["unique:id"].count == frame.height - frame["id"].n_unique()
    assert summary.profile().columns["id"].distinct == frame["id"].n_unique()


def test_a_repeat_is_shown_where_it_stands_the_second_time():
    frame = frame_of([(name, 1.0, "red", DAY) for name in "abcbad"])
    assert summary_of(frame, CONTRACT, parts=2).repeats["unique:id"] == Broken(
        count=2, examples=(Example(part="part-1.parquet", row=1, value="'b'"), Example(part="part-1.parquet", row=2, value="'a'"))
    )


def test_cells_without_a_value_are_no_repeats_of_each_other():
    frame = pl.DataFrame({"id": [None, None, "a"]}, schema={"id": pl.String})
    assert summary_of(frame, CONTRACT).repeats["unique:id"] == Broken()


def test_a_key_is_all_its_columns_together():
    contract = CONTRACT.model_copy(update={"table": CONTRACT.table.model_copy(update={"key": ("colour", "day")})})
    frame = frame_of([("a", 1.0, "red", DAY), ("b", 1.0, "red", dt.date(2026, 1, 1)), ("c", 2.0, "red", DAY)])
    assert summary_of(frame, contract).repeats["key"].count == 1


def test_whole_rows_are_asked_where_nothing_names_them():
    plain = Contract(columns={"size": Column(type="number"), "colour": Column(type="string")})
    frame = pl.DataFrame({"size": [1.0, 1.0, 2.0, 1.0], "colour": ["red", "red", "red", "blue"]})
    assert summary_of(frame, plain).repeats == {
        "rows": Broken(count=1, examples=(Example(part="part-0.parquet", row=2, value="1.0, 'red'"),))
    }


def test_the_sample_is_the_same_whatever_the_parts():
    frame = frame_of([(f"k{at}", float(at), "red", DAY) for at in range(50)])
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        samples = [
            summarise(written(frame.iter_slices(size), folder / f"in{size}"), CONTRACT, DATA, home=folder / f"home{size}").sample(rows=7)
            for size in (50, 11)
        ]
    assert samples[0].height == 7
    assert samples[0].equals(samples[1])


def asked(parts, home, contract=CONTRACT):
    """The summary, and the rows that were read for it."""
    read = []
    return summarise(parts, contract, DATA, home=home, progress=lambda size, rows: read.append(rows)), sum(read)


def test_only_a_changed_part_is_read_again(tmp_path):
    frames = [frame_of([(f"{part}{at}", float(at), "red", DAY) for at in range(5)]) for part in "abcdef"]
    first, read = asked(written(frames, tmp_path / "table"), tmp_path / "home")
    assert read == 30
    assert asked(written(frames, tmp_path / "table"), tmp_path / "home") == (first, 0)
    frames[2] = frame_of([("new", 99.0, "red", DAY), ("a1", 1.0, "red", DAY)])
    changed, read = asked(written(frames, tmp_path / "table"), tmp_path / "home")
    assert (read, changed.rows) == (2, 27)
    assert changed.broken["quality.range:size"].count == 1
    assert changed.repeats["unique:id"].count == 1


def test_another_contract_reads_everything_again(tmp_path):
    parts = written([frame_of([("a", 5.0, "red", DAY)])], tmp_path / "table")
    asked(parts, tmp_path / "home")
    tighter = CONTRACT.model_copy(update={"columns": {**CONTRACT.columns, "size": named(Column(type="number", range=(0, 1)), "size")}})
    summary, read = asked(parts, tmp_path / "home", tighter)
    assert read == 1
    assert summary.broken["quality.range:size"].count == 1


def named(column, name):
    column._name = name
    return column


def test_a_torn_summary_is_made_anew(tmp_path):
    parts = written([frame_of([("a", 5.0, "red", DAY)])], tmp_path / "table")
    first, _ = asked(parts, tmp_path / "home")
    (path,) = (tmp_path / "home").rglob("summary.json")
    path.write_bytes(path.read_bytes()[:50])
    assert asked(parts, tmp_path / "home") == (first, 1)


def test_what_cannot_be_read_leaves_nothing_behind(tmp_path):
    (part,) = written([frame_of([("a", 5.0, "red", DAY)])], tmp_path / "table")
    Path(part.location).write_bytes(b"PAR1")
    with pytest.raises(Exception, match=r"part-0\.parquet"):
        summarise([replace(part, size=4)], CONTRACT, DATA, home=tmp_path / "home")
    assert [path.name for path in (tmp_path / "home/summaries").iterdir()] == [".lock"]


def test_numbers_at_the_end_of_the_scale_are_summarised_and_read_back(tmp_path):
    contract = Contract(columns={"size": Column(type="number")})
    frame = pl.DataFrame({"size": [1.7e308, -1.7e308, 1.7e308, 0.0]})
    for parts in (1, 2):
        column = summary_of(frame, contract, parts=parts).profile().columns["size"]
        assert (column.count, column.low, column.high) == (4, -1.7e308, 1.7e308)
        assert math.isfinite(column.mean)
        assert math.isfinite(column.std)


def test_five_thousand_columns_are_summarised(tmp_path):
    names = [f"c{at}" for at in range(5000)]
    contract = Contract(columns={name: Column(type="number", range=(0, 9)) for name in names})
    frame = pl.DataFrame({name: [1.0, 2.0, 10.0] for name in names})
    summary = scanned(frame, contract, tmp_path)
    assert len(summary.columns) == 5000
    assert all(broken.count == 1 for broken in summary.broken.values())


def test_a_table_of_one_column_is_counted_though_its_rows_are_asked_whether_they_repeat():
    contract = Contract(columns={"target": Column(type="string")})
    summary = summary_of(pl.DataFrame({"target": ["yes", "no", "no"]}), contract)
    assert summary.profile().columns["target"].values == (("no", 2), ("yes", 1))
    assert summary.repeats["rows"].count == 1
