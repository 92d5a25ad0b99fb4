"""`seatrial.flips`: which rows get another class, from both sides' confusion.csv."""

import pytest

from seatrial.flips import flips_between

HEAD = b"actual,predicted\n"
BASE = HEAD + b"Yes,Yes\nNo,No\nNo,Yes\nYes,No\n"


def test_flips_are_counted_by_kind_with_how_many_are_right_now():
    found = flips_between(BASE, HEAD + b"Yes,No\nNo,No\nNo,No\nYes,Yes\n")
    assert (found.rows, found.count, found.right) == (4, 3, 2)
    assert found.kinds == {("No", "Yes"): (1, 1), ("Yes", "No"): (2, 1)}


def test_the_same_answers_are_no_flip():
    assert flips_between(BASE, BASE).count == 0


@pytest.mark.parametrize(
    "now",
    [b"", HEAD, b"x,y\nYes,Yes\n", HEAD + b"Yes,Yes\n", HEAD + b"No,Yes\nNo,No\nNo,Yes\nYes,No\n", HEAD + b"Yes,Yes,1\n" * 4, b"\xff"],
)
def test_other_rows_and_other_files_are_not_compared(now):
    assert flips_between(BASE, now) is None
