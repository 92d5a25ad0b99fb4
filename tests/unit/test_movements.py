"""`seatrial.movements`: when a metric counts as better or worse, and the strip that shows it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.movements import WIDTH, Interval, Movement, Reading, strip

numbers = st.floats(-10, 10, allow_nan=False)


def movement(delta, *, half=None, floor=None, higher=True):
    interval = None if half is None else Interval(value=delta, low=delta - half, high=delta + half)
    return Movement(name="m", old=0.5, new=0.5 + delta, interval=interval, floor=floor, higher_is_better=higher)


@pytest.mark.parametrize(
    ("found", "reading"),
    [
        (movement(0.1, half=0.05), Reading.BETTER),
        (movement(-0.1, half=0.05), Reading.WORSE),
        (movement(0.1, half=0.05, higher=False), Reading.WORSE),
        (movement(-0.1, half=0.05, higher=False), Reading.BETTER),
        (movement(0.1, half=0.1), Reading.UNCLEAR),
        (movement(0.1, half=0.2), Reading.UNCLEAR),
        (movement(0.1), Reading.UNCLEAR),
        (movement(0.1, half=0.05, floor=0.09), Reading.BETTER),
        (movement(0.1, half=0.05, floor=0.1), Reading.NOISE),
        (movement(0.1, half=0.05, floor=0.11), Reading.NOISE),
        (movement(0.0, half=0.0, floor=0.1), Reading.SAME),
        (Movement(name="m", old=None, new=0.5), Reading.UNKNOWN),
        (Movement(name="m", old=0.5, new=None), Reading.UNKNOWN),
        (Movement(name="m", old=0.5, new=math.nan), Reading.UNKNOWN),
    ],
)
def test_only_what_chance_and_luck_do_not_explain_is_better_or_worse(found, reading):
    assert found.reading is reading


def test_the_paired_difference_goes_before_that_of_the_two_values():
    found = Movement(name="m", old=0.5, new=0.9, interval=Interval(value=0.1, low=0.05, high=0.15))
    assert found.delta == 0.1


def test_a_strip_shows_noise_interval_value_and_nothing():
    assert strip(0.5, 0.0, 1.0, 0.25) == "········░░┿━━━━╋━━━━━"
    assert strip(1.0, 1.0, 1.0) == "··········│·········╋"


def test_better_is_to_the_right_whatever_is_better():
    assert movement(0.1, half=0.05).strip == movement(-0.1, half=0.05, higher=False).strip
    assert movement(0.1, half=0.05).strip[::-1] == movement(-0.1, half=0.05).strip


def test_what_is_no_number_has_no_strip():
    assert Movement(name="m", old=0.5, new=math.nan).strip == ""
    assert Movement(name="m", old=None, new=1.0).strip == ""


@given(value=numbers, width=st.floats(0, 5), floor=st.floats(0, 5))
def test_a_strip_has_one_length_and_one_value(value, width, floor):
    line = strip(value, value - width, value + width, floor)
    assert len(line) == WIDTH
    assert line.count("╋") == 1
