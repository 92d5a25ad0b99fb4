"""The split: by a hash of the id, stable when data is added."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.preprocess import is_held_out, split_keys


def test_a_row_never_changes_sides_when_rows_are_added():
    few = [f"C{number}" for number in range(500)]
    more = few + [f"D{number}" for number in range(500)]
    assert is_held_out(more, 0.25, 0)[:500] == is_held_out(few, 0.25, 0)


def test_about_the_asked_share_is_held_out():
    held_out = is_held_out([str(number) for number in range(20_000)], 0.25, 0)
    assert sum(held_out) == pytest.approx(5_000, abs=250)  # four standard deviations


def test_another_seed_gives_another_split():
    keys = [str(number) for number in range(1_000)]
    assert is_held_out(keys, 0.25, 0) != is_held_out(keys, 0.25, 1)


@given(st.lists(st.text(), max_size=20), st.integers(0, 2**32 - 1))
def test_equal_keys_stay_together(keys, seed):
    assert is_held_out(keys, 0.5, seed) == is_held_out(keys * 2, 0.5, seed)[len(keys) :]


@given(st.text(), st.floats(0.01, 0.98))
def test_a_larger_share_only_adds_rows(key, share):
    assert is_held_out([key], share + 0.01, 0) >= is_held_out([key], share, 0)


def test_without_an_id_the_row_without_its_target_decides():
    frame = pl.DataFrame({"a": [1, 1, 2], "b": ["x", "x", None], "label": ["Yes", "No", "No"]})
    first, second, third = split_keys(frame, None, "label")
    assert first == second != third


def test_with_an_id_only_the_id_decides():
    frame = pl.DataFrame({"id": ["r1", "r2"], "a": [1, 1], "label": ["Yes", "No"]})
    assert split_keys(frame, "id", "label") == ["r1", "r2"]
