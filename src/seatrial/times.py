"""Moments as people write them on a command line: ISO 8601, or hours ago."""

from __future__ import annotations

import datetime as dt

from seatrial.errors import UsageError


def parse_since(text: str, *, now: dt.datetime, name: str = "--since") -> dt.datetime:
    """A moment in ISO 8601 (UTC where it names no zone), or hours before `now`; UsageError for others and for the future."""
    hint = f"like {name} 24 (hours) or {name} 2026-11-01T12:00Z"
    moment = _moment(text, now)
    if moment is None:
        raise UsageError(f"{name} {text!r} is neither a number of hours nor a moment", hint=hint)
    if moment >= now:
        raise UsageError(f"{name} {text!r} lies in the future", hint=hint)
    return moment


def parse_window(text: str, *, now: dt.datetime, name: str = "--reference") -> tuple[dt.datetime, dt.datetime]:
    """`START..END`, each as `parse_since` takes it; UsageError where it is none, or ends before it begins."""
    hint = f"like {name} 48..24 (hours ago) or {name} 2026-11-01..2026-11-08"
    start, dots, end = text.partition("..")
    first, last = _moment(start, now), _moment(end, now)
    if not dots or first is None or last is None:
        raise UsageError(f"{name} {text!r} is no window", hint=hint)
    if first >= last:
        raise UsageError(f"{name} {text!r} ends before it begins", hint=hint)
    return first, last


def _moment(text: str, now: dt.datetime) -> dt.datetime | None:
    try:
        return now - dt.timedelta(hours=float(text))
    except (ValueError, OverflowError):
        pass
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
