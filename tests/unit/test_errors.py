"""Errors say what is wrong and what to do, and know their exit code."""

import inspect

import pytest

from seatrial import errors
from seatrial.errors import ParamsError, RefusedError, RequestError, SeatrialError

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, SeatrialError)]


def test_a_hint_stands_under_the_message():
    assert str(SeatrialError("no table", hint="put one there")) == "no table\n  → put one there"
    assert str(SeatrialError("no table")) == "no table"


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_exits_2_and_only_a_refusal_1(kind):
    assert kind.exit_code == (1 if kind is RefusedError else 2)


@pytest.mark.parametrize("kind", KINDS)
def test_the_tree_in_the_docstring_names_every_error(kind):
    assert kind.__name__ in errors.__doc__


@pytest.mark.parametrize(("count", "lines"), [(9, 9), (10, 10), (11, 11)])
def test_ten_problems_are_shown_and_the_rest_is_counted(count, lines):
    error = ParamsError(tuple(f"problem {number}" for number in range(count)))
    assert len(str(error).splitlines()) == lines
    assert error.problems[-1] == f"problem {count - 1}"
    assert ("… and 1 more" in str(error)) is (count == 11)


def test_a_request_s_error_names_its_place():
    error = RequestError("is no number", column="amount", row=3, status=422)
    assert (error.column, error.row, error.status) == ("amount", 3, 422)
    assert RequestError("empty").status == 400
