import datetime as dt

import pytest

from seatrial.errors import UsageError
from seatrial.times import parse_since, parse_window

NOON = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("24", NOON - dt.timedelta(hours=24)),
        ("0.5", NOON - dt.timedelta(minutes=30)),
        ("2026-11-01T12:00Z", dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)),
        ("2026-11-01", dt.datetime(2026, 11, 1, tzinfo=dt.UTC)),
        ("2026-11-01T12:00+02:00", dt.datetime(2026, 11, 1, 10, tzinfo=dt.UTC)),
    ],
)
def test_since_is_hours_or_a_moment(text, moment):
    assert parse_since(text, now=NOON) == moment


@pytest.mark.parametrize("text", ["yesterday", "-1", "0", "nan", "inf", "2027-01-01", "", "1e400"])
def test_since_refuses_what_is_no_moment_before_now(text):
    with pytest.raises(UsageError):
        parse_since(text, now=NOON)


@pytest.mark.parametrize(("text", "hours"), [("48..24", (48, 24)), ("2026-11-22..2026-11-22T12:00", (36, 24)), ("3..0", (3, 0))])
def test_a_window_is_two_moments_the_earlier_first(text, hours):
    assert parse_window(text, now=NOON) == tuple(NOON - dt.timedelta(hours=number) for number in hours)


@pytest.mark.parametrize("text", ["", "24", "24..48", "24..24", "a..b", "2026-11-02..2026-11-01"])
def test_what_is_no_window_is_refused(text):
    with pytest.raises(UsageError):
        parse_window(text, now=NOON)
