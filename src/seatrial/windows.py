"""Windows of time: as long as params.yaml says, one after the other, the same for everybody who counts them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

MONDAY = dt.datetime(1970, 1, 5, tzinfo=dt.UTC)
"""Where windows are counted from, so that a week begins on a Monday and a day at midnight, UTC."""

SETTLED = dt.timedelta(minutes=1)
"""So long after its end a window is whole: servers write their last rows into the log."""


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Window:
    """The time from `since` on, up to but without `until`; both aware."""

    since: dt.datetime
    until: dt.datetime

    @property
    def name(self) -> str:
        """An ISO 8601 interval, to the minute where that says it all."""
        return f"{_moment(self.since)}/{_moment(self.until)}"

    def whole(self, now: dt.datetime) -> bool:
        """Whether it is over, and everything about it written."""
        return now >= self.until + SETTLED


def _moment(time: dt.datetime) -> str:
    exact = time.astimezone(dt.UTC)
    return exact.strftime("%Y-%m-%dT%H:%MZ" if not (exact.second or exact.microsecond) else "%Y-%m-%dT%H:%M:%S.%fZ")


def window_at(moment: dt.datetime, hours: int) -> Window:
    """The window that a moment lies in."""
    length = dt.timedelta(hours=hours)
    since = MONDAY + (moment - MONDAY) // length * length
    return Window(since=since, until=since + length)


def whole_windows(first: dt.datetime, now: dt.datetime, hours: int, *, most: int) -> list[Window]:
    """The whole windows from the one of `first` on, oldest first; of more than `most` the newest."""
    length = dt.timedelta(hours=hours)
    last = window_at(now - SETTLED, hours).since
    begin = max(window_at(first, hours).since, last - most * length)
    count = max((last - begin) // length, 0)
    return [Window(since=begin + number * length, until=begin + (number + 1) * length) for number in range(count)]
