"""The shell of Seatrial's pages: one self-contained file, light and dark, readable on a phone and on paper.

Pages load nothing from elsewhere and run no script but one that is named by its digest. Text goes through `escape` before
it becomes part of a page.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from html import escape as _escape

STYLE = """
:root { color-scheme: light dark; --page: #f4f6f8; --card: #fff; --ink: #17202b; --soft: #566271; --line: #dfe4ea; --sunk: #eef1f5;
  --pass: #17774a; --fail: #bd2a37; --error: #a64a14; --inconclusive: #7c6000; --note: #5a4fb0; --link: #22609f;
  --now: #2f74b8; --then: #c2cbd6; }
@media screen and (prefers-color-scheme: dark) { :root { --page: #10151b; --card: #1a2129; --ink: #e5eaf0; --soft: #9eaab8;
  --line: #2f3945;
  --sunk: #232c36; --pass: #4cc38a; --fail: #ff8088; --error: #f0985f; --inconclusive: #dab543; --note: #aba2f2; --link: #7fb6ee;
  --now: #6aaced; --then: #4b5968; } }
* { box-sizing: border-box }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  overflow-wrap: break-word; -webkit-text-size-adjust: 100%; text-size-adjust: 100% }
main { max-width: 80rem; margin: 0 auto; padding: 1.5rem 1rem 3rem }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .25rem } h2 { font-size: 1.15rem; line-height: 1.3; margin: 2rem 0 .6rem }
p { margin: .3rem 0 } a { color: var(--link) } .soft { color: var(--soft) } .small { font-size: .85rem }
code { font: .9em ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace } td code { white-space: nowrap }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; border-radius: 3px }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 1rem 1.2rem }
.verdict { border-left: 6px solid var(--tone) } .verdict strong { color: var(--tone) }
.pass { --tone: var(--pass) } .fail { --tone: var(--fail) } .error { --tone: var(--error) } .inconclusive { --tone: var(--inconclusive) }
.tag { color: var(--tone); font-weight: 600; white-space: nowrap }
.scroll { overflow-x: auto; padding: 0 } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: .45rem .7rem; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: break-word }
th { color: var(--soft); font-weight: 600; font-size: .85rem; white-space: nowrap } tr:last-child td { border-bottom: 0 }
td.number, th.number { text-align: right; white-space: nowrap; overflow-wrap: normal }
details > summary { cursor: pointer; color: var(--soft); padding: .3rem 0 }
svg { display: block; max-width: 100% } svg .now { fill: var(--now) } svg .then { fill: var(--then) }
@media screen and (max-width: 44rem) { body { font-size: 14px } main { padding: 1rem .6rem 2rem } .card { padding: .8rem .9rem }
.scroll { padding: 0 }
  .stack thead { display: none } .stack tr { display: block; padding: .5rem .2rem; border-bottom: 1px solid var(--line) }
  .stack tr:last-child { border-bottom: 0 } .stack td code { white-space: normal; overflow-wrap: anywhere }
  .stack td { display: block; border: 0; padding: .1rem .6rem; text-align: left; white-space: normal; overflow-wrap: anywhere }
  .stack td.number { display: inline-block; text-align: left } .stack td:empty { display: none }
  .stack td[data-name]:not(:empty)::before { content: attr(data-name) " "; color: var(--soft); font-size: .85em } }
@media print { :root { color-scheme: light; --line: #ccc } body { background: #fff; font-size: 10pt } main { max-width: none; padding: 0 }
  .scroll { overflow: visible } tr { break-inside: avoid } thead { display: table-header-group }
  h1, h2, h3 { break-after: avoid } * { print-color-adjust: exact; -webkit-print-color-adjust: exact } }
@page { margin: 12mm }
"""

# No page shows these as they are: HTML forbids the controls and lone surrogates, and marks that turn the direction of text
# let a value look like another one.
HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\ufffe\uffff]")


def escape(text: object) -> str:
    """Text as it may stand in a page, in an attribute too; characters that nobody would see are named, such as `\\u202e`."""
    return _escape(HIDDEN.sub(_named, str(text)), quote=True)


def _named(found: re.Match[str]) -> str:
    code = ord(found.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def page(title: str, *sections: str, style: str = "", script: str = "", connect: str = "") -> str:
    """A whole page around sections that are HTML already; `title` is text, `style` is added to what all pages share.

    `script` runs at the end of the page, and is the only one that its policy allows; `connect` is whom it may ask, by default
    nobody.
    """
    body = "\n".join(section for section in sections if section)
    asked = f"connect-src {connect}; " if connect else ""
    policy = f"default-src 'none'; {_allowed(script)}{asked}style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f'<link rel="icon" href="data:,">\n<title>{escape(title)}</title>\n<style>{STYLE}{style}</style>\n</head>\n'
        f"<body>\n<main>\n{body}\n</main>\n{f'<script>{script}</script>{chr(10)}' if script else ''}</body>\n</html>\n"
    )


def _allowed(script: str) -> str:
    if not script:
        return ""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"script-src 'sha256-{digest}'; "


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Iterable[str] = ()) -> str:
    """A table whose header is text and whose cells are HTML; the columns in `numbers` are set to the right.

    On a narrow screen each row becomes a block, with the header's word before each cell.
    """
    kinds = [' class="number"' if name in set(numbers) else "" for name in header]
    head = "".join(f"<th{kind}>{escape(name)}</th>" for name, kind in zip(header, kinds, strict=True))
    lines = [
        "<tr>"
        + "".join(f'<td{kind} data-name="{escape(name)}">{cell}</td>' for name, kind, cell in zip(header, kinds, row, strict=True))
        + "</tr>"
        for row in rows
    ]
    return f'<div class="card scroll"><table class="stack"><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def tag(outcome: str, *, advisory: bool = False) -> str:
    """An outcome as a coloured word."""
    return f'<span class="tag {escape(outcome)}">{escape(outcome)}{" (advisory)" if advisory else ""}</span>'
