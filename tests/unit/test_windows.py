import datetime as dt
import itertools

import pytest

from seatrial.windows import Window, whole_windows, window_at

NOON = dt.datetime(2026, 11, 25, 12, tzinfo=dt.UTC)  # a Wednesday


@pytest.mark.parametrize(
    ("hours", "name"),
    [
        (1, "2026-11-25T12:00Z/2026-11-25T13:00Z"),
        (24, "2026-11-25T00:00Z/2026-11-26T00:00Z"),
        (168, "2026-11-23T00:00Z/2026-11-30T00:00Z"),
    ],
)
def test_days_begin_at_midnight_and_weeks_on_monday(hours, name):
    assert window_at(NOON, hours).name == name


def test_the_end_belongs_to_the_next_window():
    first = window_at(NOON, 12)
    assert (first.since, window_at(first.until, 12).since) == (NOON, first.until)


def test_a_window_is_whole_a_minute_after_its_end():
    window = Window(since=NOON, until=NOON + dt.timedelta(hours=1))
    assert not window.whole(window.until + dt.timedelta(seconds=59))
    assert window.whole(window.until + dt.timedelta(seconds=60))


def test_whole_windows_follow_each_other_and_the_newest_are_kept():
    found = whole_windows(NOON - dt.timedelta(days=3), NOON, 24, most=31)
    assert [one.since.day for one in found] == [22, 23, 24]
    assert all(left.until == right.since for left, right in itertools.pairwise(found))
    assert [one.since.day for one in whole_windows(NOON - dt.timedelta(days=300), NOON, 24, most=2)] == [23, 24]
    assert whole_windows(NOON, NOON, 24, most=31) == []
    assert whole_windows(NOON + dt.timedelta(days=5), NOON, 24, most=31) == []


def test_other_zones_are_told_in_utc():
    east = dt.timezone(dt.timedelta(hours=9))
    assert Window(since=NOON.astimezone(east), until=(NOON + dt.timedelta(seconds=90)).astimezone(east)).name == (
        "2026-11-25T12:00Z/2026-11-25T12:01:30.000000Z"
    )
