"""The review of a change as one Markdown text: the answer first, then sections, the most important first, within a forge's limit.

A section that finds no room is left out whole and named, so that no table ends in the middle and nothing is missing in silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from seatrial.markdown import folded, plain

MARKER = "<!-- seatrial review -->"
"""The first line of the text, by which a forge adapter finds the comment that it wrote before."""

MAX_CHARACTERS = 58_000
"""A forge takes 60,000; what is made harmless on the way there gets longer."""

RESERVE = 600
"""For the sentence that names what was left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading in plain words and its body as Markdown; a `quiet` one opens by a click.

    `page` stands in for the body on the HTML page, which draws what only a forge can draw of Markdown.
    """

    title: str
    body: str
    quiet: bool = False
    page: str = ""

    @property
    def markdown(self) -> str:
        """The section as it stands in the text."""
        return folded(self.title, self.body) if self.quiet else f"### {plain(self.title)}\n\n{self.body}"


def to_markdown(head: str, sections: Sequence[Section], foot: str = "", *, limit: int = MAX_CHARACTERS) -> str:
    """Marker, `head`, as many of the sections as fit, in their order, what was left out, and `foot`."""
    room = limit - len(MARKER) - len(head) - len(foot) - RESERVE
    kept: list[Section] = []
    for section in sections:
        if len(section.markdown) + 2 <= room:
            kept.append(section)
            room -= len(section.markdown) + 2
    left = [section.title for section in sections if section not in kept]
    parts = [f"{MARKER}\n{head}", *(section.markdown for section in kept), _left_out(left), foot]
    return "\n\n".join(part for part in parts if part) + "\n"


def _left_out(titles: Sequence[str]) -> str:
    if not titles:
        return ""
    named = ", ".join(plain(title, 40) for title in titles[:8]) + (" and more" if len(titles) > 8 else "")
    return f"_Left out, because the text would be too long for a comment: {named}. `reports/review.html` has all of it._"
