"""How checks say counts, shares and examples, so that each message reads as one sentence."""

from __future__ import annotations

import math
from collections.abc import Iterable

from seatrial.summary import EXAMPLES, Broken, Example


def counted(count: int, noun: str) -> str:
    """`1 row`, `8 rows`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def percent(share: float) -> str:
    """A share in percent: two decimals, and more where fewer would show a small share as none."""
    decimals = 2 if share == 0 else max(2, -math.floor(math.log10(100 * share)))
    return f"{100 * share:.{decimals}f}%"


def listed(words: Iterable[str], *, most: int = EXAMPLES) -> str:
    """Up to `most` of the words, with an ellipsis for the others."""
    every = list(words)
    return ", ".join(every[:most]) + (", …" if len(every) > most else "")


def examples_of(broken: Broken, *, parts: int) -> str:
    """Each example with its row, and with its part where there are several: `: 12 (row 3), 13 (row 9), …`; empty without any."""
    shown = [f"{one.value} ({place(one, parts=parts)})" if one.value else place(one, parts=parts) for one in broken.examples]
    more = ", …" if broken.count > len(shown) else ""
    return f": {', '.join(shown)}{more}" if shown else ""


def rows_of(broken: Broken, *, parts: int) -> str:
    """Where cells without a value stand: `; first in row 3 ('C00003'), row 9 ('C00009')`; empty without any."""
    shown = [place(one, parts=parts) + (f" ({one.value})" if one.value else "") for one in broken.examples]
    return f"; first in {', '.join(shown)}" if shown else ""


def place(example: Example, *, parts: int) -> str:
    """`row 3`, and with several parts `a.csv, row 3`."""
    return f"row {example.row}" if parts < 2 else f"{example.part}, row {example.row}"
