"""A table that somebody names on a command line, written as the project's own data are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from seatrial.errors import UsageError

if TYPE_CHECKING:
    from seatrial.params import Data

GLOB = "*?["


def table_at(data: Data, place: str) -> Data:
    """`data` for the file or folder at `place`; UsageError for a glob, which the shell has left alone where nothing matches it."""
    if any(sign in place for sign in GLOB):
        raise UsageError(f"{place!r} is no file and no folder", hint="name one file, or the folder of them")
    return replace(data, raw=place, pattern=None)
