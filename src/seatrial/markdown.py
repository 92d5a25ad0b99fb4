"""Markdown that says what was meant, whatever the words in it are: GitHub's and GitLab's dialect, in comments too.

Text from data, params or a stranger goes through `plain` or `code` first. Both leave nothing in it that Markdown, HTML or a
forge acts on: no link, image, mention, reference, quick action or hidden character.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from seatrial.html import HIDDEN

LONGEST = 600
GAP = "\u200b"
"""A space of no width, after which a forge reads a word no longer as a mention, a reference or an address."""

_SIGNS = re.compile(r"([\\`*_|\[\]~$])")
_ACTS = re.compile(r"(?<=[@#!])(?=\w)|(?<=:)(?=//)|(?<=www)(?=\.)")


def one_line(text: object, most: int = LONGEST) -> str:
    """Text in one line of bounded length; characters that nobody would see are named, such as `\\u202e`."""
    words = HIDDEN.sub(lambda found: ascii(found.group())[1:-1], " ".join(str(text).split()))
    return words if len(words) <= most else f"{words[: most // 2]} … {words[-most // 2 :]}"


def plain(text: object, most: int = LONGEST) -> str:
    """Text as Markdown that shows it as it is, in one line."""
    words = one_line(text, most).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _ACTS.sub(GAP, _SIGNS.sub(r"\\\1", words))


def code(text: object, most: int = 120) -> str:
    """Text as a code span, also inside a table; backticks and pipes, which neither allows together, become look-alikes."""
    words = one_line(text, most).replace("`", "ˋ").replace("|", "ǀ")
    return f"`{_ACTS.sub(GAP, words)}`" if words else ""


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Iterable[str] = ()) -> str:
    """A table of cells that are Markdown already; the columns in `numbers` are set to the right."""
    right = set(numbers)
    lines = [_row(header), _row("---:" if name in right else "---" for name in header)]
    return "\n".join([*lines, *map(_row, rows)])


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def folded(summary: str, body: str) -> str:
    """A Markdown body that opens by a click on its summary, which is plain words."""
    words = one_line(summary).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"<details><summary>{_ACTS.sub(GAP, words)}</summary>\n\n{body}\n\n</details>"
