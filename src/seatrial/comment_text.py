"""A stranger's text made fit to be posted under a name that others trust.

What a pull request's own code wrote is put under it by a job that has rights the code had not. So the text may look like
anything and do nothing: it pings nobody, refers to nothing, leads nowhere but to the forge itself, loads no image, gives no quick
action (`/merge` at the start of a line is an order to GitLab, whoever wrote the line), and bears no marker of a bot's.
"""

from __future__ import annotations

import re

from seatrial.html import HIDDEN
from seatrial.markdown import GAP

MAX_CHARACTERS = 60_000
"""GitHub takes 65,536."""

OWN_WORDS = "<sub>Computed by the pull request's own code, and posted by `seatrial`.</sub>"

_TAGS = re.compile(r"<(?!/?(?:details|summary|br|sub)>)", re.IGNORECASE)
_MENTIONS = re.compile(r"(?<=[@#!~%$])(?=[\w\[\"])|(?<=&)(?=\d)")
_ORDERS = re.compile(r"^([\s>*+|-]*)(?=/)", re.MULTILINE)
_ADDRESSES = re.compile(r"(\w*)(:)(?=//)([^\s)>\"']*)")
_TARGETS = re.compile(r"\](?=\((?!https://)|\s*:)")
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})", re.MULTILINE)


def comment_of(text: str, *, marker: str, server: str) -> str:
    """The comment: `marker` first, then the text made harmless, cut to what a forge takes.

    `server` is the forge's own address (`https://forge.example`), the only one that links may lead to.
    """
    body = harmless(text.removeprefix(marker).strip("\n"), server)
    room = MAX_CHARACTERS - len(marker) - len(OWN_WORDS) - 200
    whole = len(body) <= room
    kept = body if whole else body[:room].rpartition("\n")[0] or body[:room]
    said = "" if whole else "\n\n… cut here; the whole text is in the run's files."
    return f"{marker}\n{kept}{closing(kept)}{said}\n\n{OWN_WORDS}\n"


def harmless(text: str, server: str) -> str:
    """Text on which a forge does not act; done twice, it is the same as once."""
    lines = "\n".join(HIDDEN.sub(_named, line) for line in re.split(r"\r\n|\r|\n", text.replace(GAP, "")))
    shown = _TAGS.sub("&lt;", lines)
    shown = _TARGETS.sub(f"]{GAP}", _ADDRESSES.sub(lambda found: _address(found, server), shown))
    shown = re.sub(r"(?i)(?<=www)(?=\.)", GAP, _MENTIONS.sub(GAP, shown))
    return _ORDERS.sub(rf"\1{GAP}", shown)


def _named(found: re.Match[str]) -> str:
    return ascii(found.group())[1:-1]


def _address(found: re.Match[str], server: str) -> str:
    """An address as it is where it is the forge's own, else with a gap that keeps it from being one."""
    whole = found.group()
    own = whole == server or whole.startswith(f"{server.rstrip('/')}/")
    return whole if own else f"{found[1]}:{GAP}{found[3]}"


def closing(text: str) -> str:
    """What closes a code block and the folds that a text leaves open."""
    fences = _FENCE.findall(text)
    folds = max(text.lower().count("<details>") - text.lower().count("</details>"), 0)
    return (f"\n{fences[-1]}" if len(fences) % 2 else "") + "\n\n</details>" * folds
