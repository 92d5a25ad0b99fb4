"""The gate's ledger, `<home>/gates.jsonl`: one line for each time that a bundle was judged, passed or not.

It says who asked, when, and what the answer was, and it counts how often one set of held-out rows was looked at: rows that
many challengers were tried on prove less and less.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from seatrial.files import canonical_json
from seatrial.ledger_file import append_line, read_lines

LEDGER = "gates.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One gate: digests of bundle, held-out rows, champion and verdict, the outcome, and who asked when, in which environment."""

    when: str
    who: str
    environment: str
    model: str
    bundle: str
    test_data: str
    champion: str | None
    verdict: str
    outcome: str


def append_look(home: Path, look: Look) -> None:
    """Add a line, durably; a line that was torn before stays behind as it is."""
    append_line(home / LEDGER, canonical_json(asdict(look)))


def read_looks(home: Path) -> tuple[Look, ...]:
    """Every whole line, oldest first; without a file, none."""
    return tuple(look for look in map(_parse, read_lines(home / LEDGER)) if look is not None)


def _parse(line: bytes) -> Look | None:
    try:
        return Look(**json.loads(line))
    except (ValueError, TypeError):
        return None


def look_number(looks: Iterable[Look], registered: Iterable[str], *, bundle: str, test_data: str) -> int:
    """Which look at these held-out rows it is when `bundle` is judged now, from 1: other bundles count once each.

    `registered` are digests that the registry knows to have passed on these rows: another machine's looks, as far as they show.
    """
    judged = {look.bundle for look in looks if look.test_data == test_data} | set(registered)
    return len(judged - {bundle}) + 1
