"""reports/review.html: the same review as a page of its own, whole, with drawings in place of what only a forge draws."""

from __future__ import annotations

import re
from collections.abc import Sequence

from seatrial.html import escape, page
from seatrial.review import Section
from seatrial.review_charts import STYLE as CHARTS

TONES = {"🟢": "pass", "🟡": "inconclusive", "🟠": "error", "🔴": "fail", "⚪": "soft"}
SIGN = re.compile("|".join(TONES))

STYLE = """
header h2 { margin: 0 0 .4rem; font-size: 1.4rem } sub { vertical-align: baseline; color: var(--soft); font-size: .85rem }
td code { white-space: pre-wrap } td:has(> code:only-child) code { white-space: pre } .soft.tag { color: var(--soft) }
section ul, header ul { padding-left: 1.2rem } footer { margin-top: 1.5rem }
blockquote { margin: .6rem 0; padding: .1rem 1rem; border-left: 4px solid var(--error) }
"""


def review_page(head: str, sections: Sequence[Section], foot: str, *, title: str) -> str:
    """The page; texts are the Markdown of the comment, in which no HTML counts."""
    parts = [f'<header class="card">{html_of(head)}</header>']
    parts += [_section(section) for section in sections]
    return page(title, *parts, f'<footer class="soft small">{html_of(foot)}</footer>' if foot else "", style=CHARTS + STYLE)


def _section(section: Section) -> str:
    body, name = section.page or html_of(section.body), escape(section.title)
    if section.quiet:
        return f"<section><details><summary>{name}</summary>{body}</details></section>"
    return f"<section><h2>{name}</h2>{body}</section>"


def html_of(markdown: str) -> str:
    """Markdown as HTML: tables, lists, code; HTML in it is text, but for small print."""
    from markdown_it import MarkdownIt

    shown: str = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)
    shown = re.sub(r"&lt;(/?sub|br)&gt;", r"<\1>", shown)
    shown = SIGN.sub(lambda found: f'<span class="tag {TONES[found.group()]}">●</span>', shown)
    return re.sub(r"<table>(.*?)</table>", r'<div class="card scroll"><table>\1</table></div>', shown, flags=re.DOTALL)
