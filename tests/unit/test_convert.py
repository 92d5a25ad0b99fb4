"""From YAML values to frozen structs, with every problem at once."""

import datetime as dt
from typing import Annotated, Literal

import msgspec
import pytest
from msgspec import Meta

from seatrial.convert import convert
from seatrial.located import PlacedError


class Item(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    size: Annotated[int, Meta(gt=0, le=9)]
    kind: Literal["small", "large"] = "small"


class Root(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    items: dict[str, Item] = {}
    row: tuple[int | Literal["mirror"], ...] = ()
    first: Item | None = None
    share: Annotated[float, Meta(gt=0, lt=1)] = 0.5
    day: dt.date | None = None
    name: Annotated[str, Meta(pattern="^[a-z]+$")] = "a"
    flag: bool = False

    def __post_init__(self):
        if 0 in self.row:
            raise PlacedError("0 is no weight", "row", self.row.index(0))


def test_values_become_a_struct():
    found, problems = convert(
        Root, {"items": {"one": {"size": 3}}, "row": ["mirror", 5], "first": {"size": 1, "kind": "large"}, "share": 0.25}
    )
    assert problems == []
    assert found == Root(items={"one": Item(size=3)}, row=("mirror", 5), first=Item(size=1, kind="large"), share=0.25)


@pytest.mark.parametrize(
    ("values", "place", "words"),
    [
        ({"zzz": 1}, ("zzz",), "unknown key (value 1); known are items, row, first, share, day, name, flag"),
        ({"first": {"sise": 1, "size": 1}}, ("first", "sise"), "unknown key (value 1); did you mean 'size'?"),
        ({"items": {"one": {}}}, ("items", "one", "size"), "missing; add it"),
        ({"items": [1]}, ("items",), "expected a mapping, found [1]"),
        ({"first": 3}, ("first",), "expected a mapping, found 3"),
        ({"first": {"size": "big"}}, ("first", "size"), "expected a whole number above 0 and of at most 9, found 'big'"),
        ({"first": {"size": True}}, ("first", "size"), "expected a whole number above 0 and of at most 9, found True"),
        ({"first": {"size": 0}}, ("first", "size"), "expected a whole number above 0 and of at most 9, found 0"),
        ({"first": {"size": 10}}, ("first", "size"), "expected a whole number above 0 and of at most 9, found 10"),
        ({"first": {"size": 1, "kind": "huge"}}, ("first", "kind"), "expected 'large' or 'small', found 'huge'"),
        ({"row": 7}, ("row",), "expected a list of a whole number or 'mirror', found 7"),
        ({"row": [1, "many"]}, ("row", 1), "expected a whole number or 'mirror', found 'many'"),
        ({"row": [1, 0]}, ("row", 1), "0 is no weight"),
        ({"share": float("nan")}, ("share",), "expected a number above 0 and below 1, found nan"),
        ({"share": 1}, ("share",), "expected a number above 0 and below 1, found 1"),
        ({"day": "someday"}, ("day",), "expected a date such as \"2026-11-01\" or null, found 'someday'"),
        ({"name": "A"}, ("name",), "expected text of the form ^[a-z]+$, found 'A'"),
        ({"flag": "yes"}, ("flag",), "expected true or false, found 'yes'"),
    ],
)
def test_what_does_not_fit_is_named_with_place_and_value(values, place, words):
    found, problems = convert(Root, values)
    assert found is None
    assert (place, words) in problems


def test_every_problem_is_said_not_only_the_first():
    _, problems = convert(Root, {"row": 7, "zzz": 1, "first": {"size": "x"}, "share": 2})
    assert [place for place, _ in problems] == [("zzz",), ("row",), ("first", "size"), ("share",)]


def test_null_is_taken_where_it_is_allowed_and_only_there():
    assert convert(Root, {"first": None, "day": None})[1] == []
    assert convert(Root, {"share": None})[1] == [(("share",), "expected a number above 0 and below 1, found None")]
