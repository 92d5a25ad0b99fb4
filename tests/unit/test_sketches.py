"""Values: exact while they are few, within the stated error once they are many, the same however they were cut into parts."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.sketches import EXACT, Tally, Values, as_text, merged_values, reads_as_number

NUMBERS = st.lists(st.floats(-1e6, 1e6, allow_nan=False), max_size=60)
TEXTS = st.lists(st.text(max_size=4), max_size=60)


def counted(cells, *, distinct=True):
    tally = Tally(distinct=distinct)
    for cell in cells:
        tally.add([cell], [1])
    return tally.freeze()


def many(cells):
    tally = Tally()
    tally.add(cells, [1] * len(cells))
    return tally.freeze()


@given(NUMBERS, st.integers(0, 60))
def test_numbers_counted_in_two_parts_are_counted_as_in_one(cells, cut):
    assert merged_values([counted(cells[:cut]), counted(cells[cut:])]) == counted(cells)


@given(TEXTS, st.integers(0, 60))
def test_texts_counted_in_two_parts_are_counted_as_in_one(cells, cut):
    assert merged_values([counted(cells[:cut]), counted(cells[cut:])]) == counted(cells)


@given(NUMBERS.filter(bool))
def test_exact_quantiles_are_nearest_ranks(cells):
    ordered = sorted(cells)
    assert counted(cells).quantiles() == tuple(ordered[round(step * (len(cells) - 1) / 100)] for step in range(101))


@pytest.mark.parametrize(("different", "exact"), [(EXACT - 1, True), (EXACT, True), (EXACT + 1, False)])
def test_values_are_exact_up_to_the_limit(different, exact):
    values = many([float(at) for at in range(different)])
    assert (values.exact is not None) is exact
    assert values.distinct == pytest.approx(different, rel=0 if exact else 0.05)


def test_sketched_quantiles_are_within_half_a_percent_of_rank():
    chance = random.Random(0)
    cells = [chance.gauss(0, 1) for _ in range(60_000)]
    parts = [many(cells[start : start + 30_000]) for start in (0, 30_000)]
    ordered = sorted(cells)
    for values in (many(cells), merged_values(parts)):
        found = values.quantiles()
        assert (found[0], found[-1]) == (ordered[0], ordered[-1])
        for step in range(1, 100):
            rank = sum(1 for cell in ordered if cell <= found[step]) / len(ordered)
            assert rank == pytest.approx(step / 100, abs=0.01)


def test_a_part_of_few_values_joins_one_of_many():
    few, lots = counted([1.0, 2.0, 2.0]), many([float(at) for at in range(EXACT + 1)])
    for pair in ([few, lots], [lots, few]):
        both = merged_values(pair)
        assert both.exact is None
        assert both.distinct == pytest.approx(EXACT + 1, rel=0.05)


def test_the_most_frequent_text_is_found_among_many():
    tally = Tally()
    tally.add([f"name {at}" for at in range(EXACT + 1)], [1] * (EXACT + 1))
    tally.add(["common", "17"], [5000, 300])
    values = tally.freeze()
    assert values.most_frequent(1) == (("common", 5000),)
    assert values.numbers_among == 300
    assert merged_values([values, values]).most_frequent(1) == (("common", 10_000),)


def test_variants_differ_only_by_case_or_white_space():
    tally = Tally()
    tally.add(["Yes", "yes", " Yes ", "No", "Fiber  optic", "Fiber optic"], [5, 1, 1, 9, 1, 7])
    assert tally.freeze().variants() == (("Fiber optic", "Fiber  optic"), ("Yes", " Yes ", "yes"))


@pytest.mark.parametrize(
    ("text", "number"),
    [("12", True), (" -1.5e3 ", True), (".5", True), ("1e400", False), ("inf", False), ("nan", False), ("", False), ("1,5", False)],
)
def test_numbers_among_text_are_finite_decimals(text, number):
    assert reads_as_number(text) is number


def test_nothing_counted_gives_nothing():
    assert (Values().quantiles(), Values().most_frequent(5), Values().distinct) == ((), (), 0)


def test_values_are_written_as_profiles_write_them():
    assert [as_text(value) for value in (True, 3, 0.1, math.pi, "x")] == ["true", "3", "0.1", "3.14159265", "x"]
