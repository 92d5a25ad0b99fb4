"""The shell of Seatrial's pages: one self-contained file, light and dark, readable on a phone and on paper.

Pages load nothing from elsewhere. The only script is the one below, which sorts and filters tables and is allowed by its
hash; without it they read as well. Text goes through `escape` before it becomes part of a page.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from html import escape as _escape

STYLE = """
:root { color-scheme: light dark; --page: #f6f7f9; --card: #fff; --ink: #1c2530; --soft: #5b6775; --line: #dfe4ea;
  --pass: #1a7f4b; --fail: #c0303b; --error: #b3541e; --inconclusive: #8a6a00; --now: #2b6cb0; --then: #b9c3cf; }
@media (prefers-color-scheme: dark) { :root { --page: #12161b; --card: #1b2129; --ink: #e4e9ef; --soft: #9aa6b4; --line: #2f3843;
  --pass: #4cc38a; --fail: #ff7b84; --error: #f0965a; --inconclusive: #d9b23d; --now: #6aa9e9; --then: #46525f; } }
* { box-sizing: border-box }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif }
main { max-width: 74rem; margin: 0 auto; padding: 1.5rem 1rem 3rem }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .25rem } h2 { font-size: 1.1rem; margin: 2rem 0 .6rem }
p { margin: .3rem 0 } .soft { color: var(--soft) } .small { font-size: .85rem } code { font-size: .92em } td code { white-space: nowrap }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 1rem 1.2rem }
.verdict { border-left: 6px solid var(--tone) } .verdict strong { color: var(--tone) }
.pass { --tone: var(--pass) } .fail { --tone: var(--fail) } .error { --tone: var(--error) } .inconclusive { --tone: var(--inconclusive) }
.tag { color: var(--tone); font-weight: 600; white-space: nowrap }
.scroll { overflow-x: auto; padding: 0 } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: .45rem .7rem; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: break-word }
th { color: var(--soft); font-weight: 600; font-size: .85rem; white-space: nowrap } tr:last-child td { border-bottom: 0 }
td.number, th.number { text-align: right; white-space: nowrap; overflow-wrap: normal }
details > summary { cursor: pointer; color: var(--soft); padding: .3rem 0 }
th button { all: unset; cursor: pointer; color: inherit; font: inherit }
th button:focus-visible { outline: 2px solid var(--now); outline-offset: 3px }
th button::after { content: " ↕"; opacity: .35 } th[aria-sort=ascending] button::after { content: " ↑"; opacity: 1 }
th[aria-sort=descending] button::after { content: " ↓"; opacity: 1 }
.filter { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: .35rem .6rem;
  margin: 0 0 .6rem; width: min(20rem, 100%) }
svg { display: block } svg .now { fill: var(--now) } svg .then { fill: var(--then) }
@media (max-width: 44rem) { body { font-size: 14px } main { padding: 1rem .6rem 2rem }
  .stack thead { display: none } .stack tr { display: block; padding: .5rem .2rem; border-bottom: 1px solid var(--line) }
  .stack tr:last-child { border-bottom: 0 }
  .stack td { display: block; border: 0; padding: .1rem .6rem; text-align: left; white-space: normal }
  .stack td.number { display: inline-block; text-align: left } .stack td:empty { display: none }
  .stack td[data-name]:not(:empty)::before { content: attr(data-name) " "; color: var(--soft); font-size: .85em } }
@media print { body { background: #fff } main { max-width: none; padding: 0 }
  .card { border-color: #bbb; break-inside: avoid-page }
  .filter, th button::after { display: none } .scroll { overflow: visible }
  tr { break-inside: avoid } * { print-color-adjust: exact; -webkit-print-color-adjust: exact } }
"""

SCRIPT = """
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, at) => {
    const word = document.createElement("button");
    word.type = "button"; word.textContent = head.textContent; head.replaceChildren(word); head.ariaSort = "none";
    word.addEventListener("click", () => {
      const up = head.ariaSort !== "ascending", key = row => row.cells[at].dataset.key ?? row.cells[at].textContent;
      const compare = (a, b) => (a === "") - (b === "") || (up ? 1 : -1) * (isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b);
      heads.forEach(other => other.ariaSort = "none"); head.ariaSort = up ? "ascending" : "descending";
      body.replaceChildren(...[...body.rows].sort((a, b) => compare(key(a), key(b))));
    });
  });
  if (body.rows.length > 30) {
    const box = document.createElement("input");
    box.type = "search"; box.className = "filter"; box.placeholder = "filter"; box.ariaLabel = "filter rows";
    box.addEventListener("input", () => { for (const row of body.rows) row.hidden = !row.cells[0].textContent.includes(box.value) });
    table.parentElement.before(box);
  }
}
"""


def escape(text: object) -> str:
    """Text as it may stand in a page, in an attribute too."""
    return _escape(str(text), quote=True)


def page(title: str, *sections: str) -> str:
    """A whole page around sections that are HTML already; `title` is text."""
    body = "\n".join(section for section in sections if section)
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    script = ""
    if 'class="stack sortable"' in body:
        digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
        policy, script = f"{policy}; script-src 'sha256-{digest}'", f"<script>{SCRIPT}</script>\n"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n{script}</body>\n</html>\n"
    )


def table(
    header: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Iterable[str] = (), keys: Iterable[Sequence[object]] | None = None
) -> str:
    """A table whose header is text and whose cells are HTML; the columns in `numbers` are set to the right.

    With `keys`, one for each cell, readers can sort it: None comes last. On a narrow screen each row becomes a block, with
    the header's word before each cell.
    """
    kinds = [' class="number"' if name in set(numbers) else "" for name in header]
    head = "".join(f"<th{kind}>{escape(name)}</th>" for name, kind in zip(header, kinds, strict=True))
    listed = list(rows)
    sorted_by = [[None] * len(header) for _ in listed] if keys is None else list(keys)
    lines = [_line(header, kinds, row, keys is not None, own) for row, own in zip(listed, sorted_by, strict=True)]
    kind = "stack" if keys is None else "stack sortable"
    return f'<div class="card scroll"><table class="{kind}"><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def _line(header: Sequence[str], kinds: Sequence[str], row: Sequence[str], sortable: bool, keys: Sequence[object]) -> str:
    cells = []
    for name, kind, cell, key in zip(header, kinds, row, keys, strict=True):
        order = f' data-key="{"" if key is None else escape(key)}"' if sortable else ""
        cells.append(f'<td{kind} data-name="{escape(name)}"{order}>{cell}</td>')
    return f"<tr>{''.join(cells)}</tr>"


def tag(outcome: str, *, advisory: bool = False) -> str:
    """An outcome as a coloured word."""
    return f'<span class="tag {escape(outcome)}">{escape(outcome)}{" (advisory)" if advisory else ""}</span>'
