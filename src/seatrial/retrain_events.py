"""What was asked, declined and done about trainings: `<home>/retrain.jsonl`, one line an event, never rewritten."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import asdict
from pathlib import Path

from seatrial.files import canonical_json
from seatrial.ledger_file import append_line, read_lines
from seatrial.retrain import Event, Reason

LEDGER = "retrain.jsonl"


def append_event(home: Path, event: Event) -> None:
    """Add a line, durably; a line that was torn before stays behind as it is."""
    line = asdict(event) | {"time": event.time.isoformat(), "reasons": [str(one) for one in event.reasons]}
    append_line(home / LEDGER, canonical_json(line))


def read_events(home: Path) -> tuple[Event, ...]:
    """Every whole line, oldest first; without a file, none. A torn line is left out."""
    return tuple(event for event in map(_parse, read_lines(home / LEDGER)) if event is not None)


def _parse(line: bytes) -> Event | None:
    try:
        found = json.loads(line)
        time = dt.datetime.fromisoformat(found.pop("time"))
        return Event(time=time, reasons=tuple(map(Reason, found.pop("reasons"))), **found)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
