"""Drawings of columns: few values by name, many numbers as a histogram, an outlier hides nobody."""

import re
from itertools import pairwise

import pytest

from seatrial.drawings import HEIGHT, drawing, number
from seatrial.profile import ColumnProfile


def numbers(low=0.0, high=100.0, *, kind="number", quantiles=None):
    points = quantiles or tuple(low + (high - low) * step / 100 for step in range(101))
    return ColumnProfile(
        type=kind, count=1000, nulls=0, distinct=900, mean=1.5, std=2, low=points[0], high=points[-1], quantiles=tuple(points)
    )


def words(*values, distinct=None):
    count = sum(number for _, number in values)
    return ColumnProfile(type="string", count=count, nulls=0, distinct=distinct or len(values), values=values)


def heights(svg, kind="now"):
    """The heights of one table's bars by their place from the left."""
    (path,) = re.findall(f'<path class="{kind}" d="([^"]*)"', svg)
    bars = re.findall(r"M([\d.]+) [\d.]+h[\d.]+v([\d.]+)", path)
    return [float(height) for _, height in bars]


def test_a_flat_column_has_24_equal_bars():
    assert heights(drawing("a", numbers(), None)) == [HEIGHT] * 24


def test_one_value_far_out_does_not_hide_the_shape_of_all_others():
    points = [*range(100), 1e9]
    bars = heights(drawing("a", numbers(quantiles=points), None))
    assert sum(height > HEIGHT / 2 for height in bars) > 10


def test_the_reference_is_drawn_behind():
    svg = drawing("a", numbers(), numbers(0, 50))
    assert svg.index('class="then"') < svg.index('class="now"')
    assert len(heights(svg, "then")) == 12
    assert len(heights(svg, "now")) == 24


@pytest.mark.parametrize("reference", [None, words(("yes", 3)), ColumnProfile(type="number", count=0, nulls=9, distinct=0)])
def test_a_reference_of_another_type_or_without_values_is_left_out(reference):
    svg = drawing("a", numbers(), reference)
    assert 'class="now"' in svg
    assert 'class="then"' not in svg


@pytest.mark.parametrize(
    "points",
    [[5.0] * 101, [0.0] * 100 + [5e-324], [-1.7e308] * 50 + [1.7e308] * 51, [1e300 + step for step in range(101)]],
)
def test_strange_numbers_are_drawn_all_the_same(points):
    svg = drawing("a", numbers(quantiles=points), None)
    assert "nan" not in svg
    assert "inf" not in svg
    assert heights(svg)


def test_few_whole_numbers_get_a_bar_each():
    column = ColumnProfile(
        type="integer", count=60, nulls=0, distinct=6, mean=2, std=1, low=0.0, high=5.0, values=tuple((str(at), 10) for at in range(6))
    )
    assert heights(drawing("a", column, None)) == [HEIGHT] * 6


def test_categories_are_named_with_their_shares_most_frequent_first():
    html = drawing("a", words(("yes", 60), ("no", 40)), words(("yes", 50), ("no", 50)))
    assert re.findall(r"<bdi>(.*?)</bdi>.*?</svg>(.*?)</li>", html) == [("yes", "60%"), ("no", "40%")]
    assert 'title="yes: 60.0%, was 50.0%"' in html


def test_a_category_that_vanished_is_still_there():
    html = drawing("a", words(("yes", 100)), words(("yes", 50), ("no", 50)))
    assert 'title="no: 0.0%, was 50.0%"' in html


def test_more_than_four_categories_are_summed_up():
    html = drawing("a", words(*((f"v{at}", 10) for at in range(10)), distinct=30), None)
    assert html.count("<li") == 5
    assert ">26 others</bdi>" in html
    assert ">60%</li>" in html


def test_numbers_with_few_values_are_named_too():
    column = ColumnProfile(type="integer", count=10, nulls=0, distinct=2, mean=0.3, std=1, low=0.0, high=1.0, values=(("0", 7), ("1", 3)))
    assert re.findall(r"<bdi>(.*?)</bdi>", drawing("a", column, None)) == ["0", "1"]


@pytest.mark.parametrize(("count", "shown"), [(1, "&lt;1%"), (10, "1%"), (990, "99%"), (999, "&gt;99%"), (1000, "100%")])
def test_little_is_not_nothing_and_most_is_not_all(count, shown):
    values = (("a", count), ("b", 1000 - count)) if count < 1000 else (("a", 1000),)
    assert f"</svg>{shown}</li>" in drawing("x", words(*values), None)


def test_spaces_at_the_ends_of_a_value_can_be_seen():
    assert "<bdi>&#x27;yes &#x27;</bdi>" in drawing("a", words(("yes", 5), ("yes ", 5)), None)


@pytest.mark.parametrize(
    "column",
    [
        ColumnProfile(type="string", count=0, nulls=5, distinct=0),
        ColumnProfile(type="string", count=9, nulls=0, distinct=9),
        ColumnProfile(type="date", count=9, nulls=0, distinct=9, low="2026-01-01", high="2026-02-01"),
    ],
)
def test_a_column_with_nothing_to_show_has_no_drawing(column):
    assert drawing("a", column, None) == ""


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, ""), (0.0, "0"), (10_000_000.0, "10,000,000"), (123456.78, "123,457"), (70.35, "70.35"), (1e300, "1e+300"), (-0.5, "-0.5")],
)
def test_numbers_read_well(value, shown):
    assert number(value) == shown


def test_bars_stand_in_order():
    (path,) = re.findall('<path class="now" d="([^"]*)"', drawing("a", numbers(), None))
    places = [float(place) for place in re.findall(r"M([\d.]+)", path)]
    assert all(left < right for left, right in pairwise(places))
