"""Profiles: what they keep of a table, and that one table gives one sequence of bytes."""

import datetime as dt

import polars as pl
import pytest

from seatrial.contract import Column, Contract
from seatrial.errors import ContractError
from seatrial.profile import ColumnProfile, load_profile
from tests.summaries import summary_of

CONTRACT = Contract(
    columns={
        "id": Column(type="string", unique=True),
        "size": Column(type="number"),
        "flag": Column(type="integer"),
        "colour": Column(type="string"),
        "day": Column(type="date"),
        "empty": Column(type="number"),
    }
)
FRAME = pl.DataFrame(
    {
        "id": [f"k{at}" for at in range(201)],
        "size": [float(at) for at in range(200)] + [None],
        "flag": [at % 2 for at in range(200)] + [1],
        "colour": ["red"] * 120 + ["blue"] * 80 + [None],
        "day": [dt.date(2026, 1, 1)] * 200 + [dt.date(2026, 3, 1)],
        "empty": pl.Series([None] * 201, dtype=pl.Float64),
    }
)


def profile(frame, contract, *, data=None):
    return summary_of(frame, contract).profile(data=data)


def test_a_profile_keeps_counts_moments_and_quantiles_of_numbers():
    size = profile(FRAME, CONTRACT).columns["size"]
    assert (size.count, size.nulls, size.distinct) == (200, 1, 200)
    assert (size.mean, size.low, size.high) == (99.5, 0.0, 199.0)
    assert len(size.quantiles) == 101
    assert size.quantiles[0] == 0.0
    assert size.quantiles[100] == 199.0
    assert size.median == pytest.approx(99.5, abs=1)
    assert size.missing == pytest.approx(1 / 201)


def test_columns_of_few_values_keep_their_counts_most_frequent_first():
    columns = profile(FRAME, CONTRACT).columns
    assert columns["colour"].values == (("red", 120), ("blue", 80))
    assert columns["flag"].values == (("1", 101), ("0", 100))
    assert columns["flag"].complete
    assert columns["flag"].quantiles is None
    assert columns["flag"].median == 1.0


def test_ids_stay_out_of_the_profile():
    assert profile(FRAME, CONTRACT).columns["id"].values is None


def test_a_column_without_a_value_has_counts_only():
    empty = profile(FRAME, CONTRACT).columns["empty"]
    assert empty == ColumnProfile(type="number", count=0, nulls=201, distinct=0)
    assert empty.median is None


def test_the_fifty_first_value_is_other():
    frame = pl.DataFrame({"colour": [f"c{at % 60:02}" for at in range(600)]})
    column = profile(frame, CONTRACT).columns["colour"]
    assert len(column.values) == 50
    assert column.other == 100
    assert not column.complete


@pytest.mark.parametrize(
    ("x", "through", "share"), [(0, False, 0.0), (0, True, 100 / 201), (0.5, True, 100 / 201), (1, False, 100 / 201), (1, True, 1.0)]
)
def test_the_distribution_of_few_values_has_steps(x, through, share):
    assert profile(FRAME, CONTRACT).columns["flag"].distribution.share(x, through=through) == pytest.approx(share)


@pytest.mark.parametrize(("x", "share"), [(-1, 0.0), (0, 0.0), (99.5, 0.5), (199, 1.0), (300, 1.0)])
def test_the_distribution_of_many_values_runs_along_the_quantiles(x, share):
    assert profile(FRAME, CONTRACT).columns["size"].distribution.share(x, through=True) == pytest.approx(share, abs=0.01)


def test_json_both_ways_and_the_order_of_rows_does_not_matter(tmp_path):
    made = profile(FRAME, CONTRACT, data="md5:abc")
    made.save(tmp_path / "reference.json")
    assert load_profile(tmp_path / "reference.json") == made
    assert profile(FRAME.sample(fraction=1, shuffle=True, seed=1), CONTRACT, data="md5:abc").to_bytes() == made.to_bytes()


def test_the_file_has_one_line_for_each_column(tmp_path):
    lines = profile(FRAME, CONTRACT).to_bytes().decode().splitlines()
    assert [line.split('"')[1] for line in lines if line.startswith("    ")] == sorted(CONTRACT.columns)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"format": 2, "columns": {}, "rows": 1, "data": null}',
        '{"format": 1, "columns": {"a": {"kind": 1}}, "rows": 1, "data": null}',
    ],
)
def test_a_torn_or_strange_reference_is_refused(tmp_path, text):
    (tmp_path / "reference.json").write_text(text)
    with pytest.raises(ContractError, match=r"reference\.json is no reference profile"):
        load_profile(tmp_path / "reference.json")


def test_a_missing_reference_says_how_to_make_one(tmp_path):
    with pytest.raises(ContractError, match="contract infer"):
        load_profile(tmp_path / "reference.json")
