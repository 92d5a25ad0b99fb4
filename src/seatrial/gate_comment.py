"""The gate's comparison as text: Markdown for a pull request, a table for the terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from seatrial.gate_figures import Comparison, Line, cells, limit_words
from seatrial.gate_tasks import count_rows
from seatrial.report import LIMIT, verdict_markdown
from seatrial.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from rich.text import Text

MARKER = "<!-- seatrial gate -->"
"""The first line of the text, by which a forge adapter finds the comment that it wrote before."""
HEAD = ("metric", "challenger", "champion", "difference", "limit", "outcome")
TONES = {Outcome.FAIL: "red", Outcome.ERROR: "dark_orange", Outcome.INCONCLUSIVE: "yellow", Outcome.PASS: "green"}
WIDE, NARROW = 130, 96


def gate_markdown(verdict: Verdict, comparison: Comparison | None, *, limit: int = LIMIT) -> str:
    """The verdict as Markdown: its outcome, a table of the metrics asked of, then at most `limit` findings."""
    outcome, _, findings = verdict_markdown(verdict, limit=limit).partition("\n")
    parts = [f"{MARKER}\n{outcome}"]
    if comparison is not None and comparison.lines:
        rule = "|---|---:|---:|---:|---|---|"
        rows = [f"| {' | '.join(cells(line, comparison.confidence))} |" for line in comparison.lines]
        parts.append("\n".join([f"| {' | '.join(HEAD)} |", rule, *rows]))
        parts.append(_note(comparison))
    parts.append(findings.strip())
    return "\n\n".join(part for part in parts if part) + "\n"


def _note(comparison: Comparison) -> str:
    rows = comparison.rows
    said = f"{count_rows(rows.labels, rows.challenger).words}; {100 * comparison.confidence:g} % intervals."
    return f"{said} {comparison.note}".strip()


def print_comparison(comparison: Comparison | None) -> None:
    """Print one line for each metric asked of: coloured in a terminal, aligned with spaces elsewhere."""
    if comparison is None or not comparison.lines:
        return
    if sys.stdout.isatty():
        _print_table(comparison)
    else:
        rows = [HEAD, *(cells(line, comparison.confidence) for line in comparison.lines)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if comparison.note:
        print(comparison.note)


def _print_table(comparison: Comparison) -> None:
    """Where there is little room, intervals stand below their values, and then only the difference has one."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(box=None, padding=(0, 2 if console.width >= NARROW else 1, 0, 0), header_style="dim", pad_edge=False)
    for name in HEAD:
        table.add_column(name, overflow="fold")
    for line in comparison.lines:
        table.add_row(*_texts(line, comparison.confidence, console.width))
    console.print(table)


def _texts(line: Line, confidence: float, width: int) -> list[Text]:
    """The cells of a line, each limit in the colour of its outcome."""
    from rich.text import Text

    title, *figures, _, outcome = cells(line, confidence)
    if width < WIDE:
        figures = [words.replace(" [", "\n[") for words in figures]
    if width < NARROW:
        figures[:2] = [words.partition("\n")[0] for words in figures[:2]]
    limits = Text("\n" if width < WIDE else ", ").join(Text(limit_words(check), style=TONES[check.outcome]) for check in line.checks)
    return [Text(title, style="bold"), *map(Text, figures), limits, Text(outcome, style=TONES[line.outcome])]
