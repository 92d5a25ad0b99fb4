"""What the challenger is asked: golden answers to a tolerance, mirrored answers by request."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.probes import TOLERANCE, chance_distance, compare_answered, compare_answers, compare_mirrored, distance, smoke_test
from seatrial.rollout_state import Pairs, Pin
from tests.bundles import make_bundle


@pytest.mark.parametrize(("difference", "passes"), [(TOLERANCE / 2, True), (TOLERANCE, True), (TOLERANCE * 2, False)])
def test_a_golden_answer_may_differ_by_the_tolerance(difference, passes):
    smoke = compare_answers([0.5, difference], [0.5, 0.0])
    assert (smoke.problem is None) is passes
    assert smoke.worst == difference


@pytest.mark.parametrize("found", [[], [0.5], [0.5, math.nan], [0.5, math.inf], [0.7, 0.5]])
def test_a_missing_swapped_or_strange_golden_answer_is_a_problem(found):
    assert compare_answers(found, [0.5, 0.7]).problem is not None


def test_no_golden_rows_prove_nothing():
    assert compare_answers([], []).problem is not None


def test_a_challenger_that_is_not_there_is_a_problem(tmp_path):
    bundle = make_bundle(tmp_path / "bundle")
    smoke = smoke_test(tmp_path, Pin(version=4, digest=bundle.digest), tmp_path / "bundle")
    assert "no server of version 4" in smoke.problem


def part(log, name, rows):
    folder = log / "date=2026-11-01"
    folder.mkdir(parents=True, exist_ok=True)
    timed = [(*row, *([0] if len(row) == 3 else []), {"Yes": 0.75, "No": 0.25}[row[2]]) for row in rows]
    frame = pl.DataFrame(timed, schema=["request_id", "variant", "label", "time", "probability"], orient="row")
    frame.with_columns(pl.col("time").cast(pl.Datetime("us", "UTC"))).write_parquet(folder / f"{name}.parquet")


def test_answers_are_compared_by_request(tmp_path):
    part(tmp_path, "1-10-0", [("a", "champion", "Yes"), ("b", "champion", "No"), ("c", "champion", "No")])
    part(tmp_path, "2-11-0", [("a", "mirror", "Yes"), ("b", "mirror", "Yes"), ("d", "mirror", "No"), ("c", "challenger", "Yes")])
    part(tmp_path, "12-11-0", [("c", "mirror", "Yes")])
    assert compare_mirrored(tmp_path, 1, 2, since=0) == Pairs(asked=2, differing=1, shift=0.5)


def test_a_request_id_that_a_client_used_twice_is_left_out(tmp_path):
    part(tmp_path, "1-10-0", [("a", "champion", "Yes", 1), ("a", "champion", "No", 2)])
    part(tmp_path, "2-11-0", [("a", "mirror", "Yes")])
    assert compare_mirrored(tmp_path, 1, 2, since=0) == Pairs(asked=0, differing=0)


def test_the_rows_of_one_request_are_compared_one_by_one(tmp_path):
    part(tmp_path, "1-10-0", [("a", "champion", "Yes"), ("a", "champion", "No")])
    part(tmp_path, "2-11-0", [("a", "mirror", "Yes"), ("a", "mirror", "Yes")])
    assert compare_mirrored(tmp_path, 1, 2, since=0) == Pairs(asked=2, differing=1, shift=0.5)


def test_parts_from_before_the_step_do_not_count(tmp_path):
    part(tmp_path, "1-10-0", [("a", "champion", "Yes")])
    part(tmp_path, "2-11-0", [("a", "mirror", "Yes")])
    assert compare_mirrored(tmp_path, 1, 2, since=4e9) == Pairs(asked=0, differing=0)


def test_rows_from_before_the_step_do_not_count_in_a_part_of_now(tmp_path):
    part(tmp_path, "1-merged-10-0", [("a", "champion", "Yes", 5_000_000), ("b", "champion", "No", 9_000_000)])
    part(tmp_path, "2-merged-11-0", [("a", "mirror", "No", 5_000_001), ("b", "mirror", "No", 9_000_001)])
    assert compare_mirrored(tmp_path, 1, 2, since=5) == Pairs(asked=2, differing=1, shift=0.5)
    assert compare_mirrored(tmp_path, 1, 2, since=6) == Pairs(asked=1, differing=0, shift=0.0)


def test_a_log_that_cannot_be_read_is_a_missing_signal(tmp_path):
    part(tmp_path, "1-10-0", [("a", "champion", "Yes")])
    part(tmp_path, "2-11-0", [("a", "mirror", "Yes")])
    (tmp_path / "date=2026-11-01/2-11-1.parquet").write_bytes(b"torn")
    assert compare_mirrored(tmp_path, 1, 2, since=0) is None


def test_live_answers_are_compared_as_distributions_the_champion_s_since_the_rollout_began(tmp_path):
    part(tmp_path, "1-10-0", [("a", "champion", "Yes", 3_000_000), ("b", "champion", "No", 9_000_000), ("m", "mirror", "Yes", 9_000_000)])
    part(tmp_path, "2-11-0", [("c", "challenger", "Yes", 5_000_000), ("d", "challenger", "Yes", 9_000_000)])
    found = compare_answered(tmp_path, 1, 2, since=4, begun=2)
    assert (found.asked, found.differing, found.shift) == (2, 0, 0.5)
    assert found.slack == chance_distance(2, 2)


@pytest.mark.parametrize("variant", ["champion", "challenger"])
def test_one_side_without_answers_is_a_missing_signal(tmp_path, variant):
    part(tmp_path, f"{1 if variant == 'champion' else 2}-10-0", [("a", variant, "Yes", 3_000_000)])
    assert compare_answered(tmp_path, 1, 2, since=2, begun=2) == Pairs(asked=0, differing=0)


def within(one, other, e):
    """The definition, asked where the distribution functions jump, and just beside."""

    def share(sample, x):
        return np.mean(np.asarray(sample) <= x)

    jumps = [x + d + s for x in (*one, *other) for d in (-e, 0.0, e) for s in (-1e-9, 0.0, 1e-9)]
    return all(share(one, x - e) - e <= share(other, x) + 1e-12 and share(other, x) <= share(one, x + e) + e + 1e-12 for x in jumps)


@settings(deadline=None)
@given(
    one=st.lists(st.integers(0, 20).map(lambda n: n / 20), min_size=1, max_size=6),
    other=st.lists(st.integers(0, 20).map(lambda n: n / 20), min_size=1, max_size=6),
)
def test_the_distance_is_the_least_that_keeps_the_definition(one, other):
    from scipy.stats import ks_2samp

    found = distance(np.array(one), np.array(other))
    assert found <= ks_2samp(one, other).statistic + 2e-6
    assert within(one, other, found + 2e-6)
    assert found == 0 or not within(one, other, found - 1e-3)
    assert distance(np.array(other), np.array(one)) == pytest.approx(found, abs=2e-6)


def test_one_row_asked_again_and_again_is_no_shift_where_its_answer_hardly_moves():
    draw = np.random.default_rng(3)
    others = draw.beta(2, 5, 500)
    before, after = (np.concatenate([others, np.full(500, answer)]) for answer in (0.61, 0.612))
    assert distance(before, after) == pytest.approx(0.002, abs=1e-3)
    assert distance(before, np.concatenate([others, np.full(500, 0.95)])) > 0.2


def test_without_numbers_there_is_no_distance():
    one = np.random.default_rng(3).random(7)
    assert distance(one, one) == 0.0
    assert distance(one, np.array([])) is None
    assert distance(one, np.array([0.5, math.nan])) is None


def test_equal_distributions_exceed_the_chance_distance_hardly_ever():
    draw = np.random.default_rng(5)
    exceeded = sum(distance(draw.random(300), draw.random(200)) > chance_distance(300, 200) for _ in range(2000))
    assert exceeded <= 8
