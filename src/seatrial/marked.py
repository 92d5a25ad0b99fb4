"""Pages with a part that a command writes: everything between two marks is replaced, the rest is a person's."""

from __future__ import annotations

from seatrial.errors import DataError


def replaced(page: str, start: str, end: str, text: str, *, place: str) -> str:
    """The page with everything between its two marks replaced; DataError where it lacks them, naming it by `place`."""
    before, opened, rest = page.partition(start)
    _, closed, after = rest.partition(end)
    if not opened or not closed:
        raise DataError(f"{place} has no place for the table: it lacks {end if opened else start!r}", hint="put both marks back")
    return f"{before}{start}\n\n{text}\n{end}{after}"
