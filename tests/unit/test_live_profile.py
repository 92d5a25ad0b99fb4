from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.bundle import PROFILE, load_bundle, write_bundle
from seatrial.checks.shift import ks_distance
from seatrial.errors import BundleError
from seatrial.live_profile import (
    MAX_SEGMENTS,
    Calibration,
    LiveTally,
    calibration_of,
    profile_of_bundle,
    read_live_profile,
    training_profile,
)
from seatrial.manifest import Input
from tests.bundles import INPUTS, make_bundle, make_rows

ROWS = pl.DataFrame(make_rows(900, seed=3))
ANSWERS = np.random.default_rng(0).beta(2, 5, 400)


def made(rows=ROWS, *, segments=("member", "plan")):
    return training_profile(rows, INPUTS, segments=segments, answers=ANSWERS, positive=np.random.default_rng(1).random(400) < ANSWERS)


def tallied(*parts, inputs=INPUTS, segments=()):
    tally = LiveTally(inputs, segments)
    for part in parts:
        tally.add(part)
    return tally.profile()


def test_it_counts_values_missing_cells_and_moments():
    amount = made().inputs.columns["amount"]
    there = ROWS["amount"].drop_nulls()
    assert (amount.count, amount.nulls, amount.low, amount.high) == (there.len(), ROWS["amount"].null_count(), there.min(), there.max())
    assert (amount.mean, amount.std) == pytest.approx((there.mean(), there.std(ddof=0)))
    assert dict(made().inputs.columns["plan"].values) == dict(ROWS["plan"].value_counts().iter_rows())


@given(st.lists(st.integers(1, 899), max_size=40, unique=True))
def test_parts_in_any_cut_give_the_profile_of_the_whole(cuts):
    ends = [0, *sorted(cuts), ROWS.height]
    parts = [ROWS[start:end] for start, end in pairwise(ends)]
    whole, found = tallied(ROWS, segments=("plan",)), tallied(*parts, segments=("plan",))
    assert (found.inputs.rows, found.segments.keys()) == (whole.inputs.rows, whole.segments.keys())
    for name, column in whole.inputs.columns.items():
        other = found.inputs.columns[name]
        assert (other.count, other.nulls, other.values, other.quantiles) == (column.count, column.nulls, column.values, column.quantiles)
        assert other.mean == pytest.approx(column.mean)


def test_many_different_numbers_are_sketched_within_a_hundredth():
    many = np.random.default_rng(5).normal(size=150_000)
    inputs = (Input(name="x", type="number", nullable=False),)
    found = tallied(*(pl.DataFrame({"x": part}) for part in np.array_split(many, 4)), inputs=inputs).inputs.columns["x"]
    exact = tallied(pl.DataFrame({"x": np.quantile(many, np.linspace(0, 1, 10_001))}), inputs=inputs).inputs.columns["x"]
    assert (found.count, found.values) == (150_000, None)
    assert ks_distance(found, exact) < 0.02


def test_segments_are_the_values_of_a_column_each_with_its_own_rows():
    found = made().segments
    assert set(found) == {("member", "true"), ("member", "false"), ("plan", "basic"), ("plan", "plus")}
    basic = ROWS.filter(plan="basic")
    assert (found["plan", "basic"].rows, found["plan", "basic"].columns["amount"].nulls) == (basic.height, basic["amount"].null_count())


def test_of_many_segments_the_most_frequent_are_kept():
    words = [f"w{at:03}" for at in range(50)] + [f"w{at:03}" for at in range(40, 50)]
    inputs = (Input(name="word", type="category", nullable=False),)
    found = tallied(pl.DataFrame({"word": words}), inputs=inputs, segments=("word",)).segments
    assert len(found) == MAX_SEGMENTS
    assert {("word", f"w{at:03}") for at in range(40, 50)} <= set(found)


def test_a_column_that_the_rows_lack_is_missing_in_all_of_them():
    found = tallied(ROWS.drop("colour")).inputs.columns["colour"]
    assert (found.count, found.nulls) == (0, ROWS.height)


def test_written_and_read_it_is_the_same():
    profile = made()
    assert read_live_profile(profile.to_bytes(), "here") == profile
    assert made().to_bytes() == profile.to_bytes()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{",
        b'{"format": 2}',
        b"[" * 100_000,
        made().to_bytes().replace(b'"quantiles":[', b'"quantiles":[1,', 1),
        made().to_bytes().replace(b'"calibration":[[', b'"calibration":[[1,', 1),
    ],
)
def test_what_is_no_profile_is_refused_by_name(data):
    with pytest.raises(BundleError, match="here is no profile of training rows"):
        read_live_profile(data, "here")


def test_a_bundle_keeps_it_and_refuses_a_damaged_one(tmp_path):
    bundle = make_bundle(tmp_path / "bundle")
    assert profile_of_bundle(bundle) is None
    write_bundle(tmp_path / "more", bundle.manifest, {**bundle.files, PROFILE: made().to_bytes()})
    assert profile_of_bundle(load_bundle(tmp_path / "more")) == made()
    write_bundle(tmp_path / "bad", bundle.manifest, {**bundle.files, PROFILE: b"{}"})
    with pytest.raises(BundleError, match=r"profile\.json is no profile"):
        load_bundle(tmp_path / "bad")


def test_a_calibration_is_monotone_between_zero_and_one_and_right_on_average():
    draw = np.random.default_rng(7)
    answered = draw.random(4000)
    found = calibration_of(answered, draw.random(4000) < answered / 2)  # the model is twice too sure
    assert list(found.came) == sorted(found.came)
    assert 0 < found.came[0] < found.came[-1] < 1
    assert found.of(0.8) == pytest.approx(0.4, abs=0.06)


def test_a_calibration_draws_straight_lines_and_keeps_its_ends():
    found = Calibration(answered=(0.2, 0.6), came=(0.1, 0.5))
    assert [found.of(x) for x in (0.0, 0.2, 0.4, 0.6, 0.9)] == pytest.approx([0.1, 0.1, 0.3, 0.5, 0.5])
