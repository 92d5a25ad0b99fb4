"""What was asked, declined and done about trainings: `<home>/retrain.jsonl`, one line an event, never rewritten."""

from __future__ import annotations

import datetime as dt
import json
import os
from dataclasses import asdict
from pathlib import Path

from seatrial.files import canonical_json, locked
from seatrial.retrain import Event, Reason

LEDGER = "retrain.jsonl"


def append_event(home: Path, event: Event) -> None:
    """Add a line, durably; a line that was torn before stays behind as it is."""
    home.mkdir(parents=True, exist_ok=True)
    line = canonical_json(asdict(event) | {"time": event.time.isoformat(), "reasons": [str(one) for one in event.reasons]})
    with locked(home / f"{LEDGER}.lock"), (home / LEDGER).open("ab+") as stream:
        stream.seek(0, os.SEEK_END)
        if stream.tell():
            stream.seek(-1, os.SEEK_END)
            stream.write(b"" if stream.read(1) == b"\n" else b"\n")
        stream.write(line + b"\n")
        stream.flush()
        os.fsync(stream.fileno())


def read_events(home: Path) -> tuple[Event, ...]:
    """Every whole line, oldest first; without a file, none. A torn line is left out."""
    try:
        lines = (home / LEDGER).read_bytes().splitlines()
    except FileNotFoundError:
        return ()
    return tuple(event for event in map(_parse, lines) if event is not None)


def _parse(line: bytes) -> Event | None:
    try:
        found = json.loads(line)
        time = dt.datetime.fromisoformat(found.pop("time"))
        return Event(time=time, reasons=tuple(map(Reason, found.pop("reasons"))), **found)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
