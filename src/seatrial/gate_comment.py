"""The gate's comparison as text: Markdown for a pull request, a table for the terminal."""

from __future__ import annotations

import sys

from seatrial.comparison import Comparison, cells
from seatrial.report import LIMIT, verdict_markdown
from seatrial.verdict import Outcome, Verdict

MARKER = "<!-- seatrial gate -->"
"""The first line of the text, by which a forge adapter finds the comment that it wrote before."""
HEAD = ("metric", "challenger", "champion", "difference", "limit", "outcome")
TONES = {Outcome.FAIL: "red", Outcome.ERROR: "dark_orange", Outcome.INCONCLUSIVE: "yellow", Outcome.PASS: "green"}
NARROW = 100


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
    positives = int((rows.labels == 1).sum())
    said = f"{len(rows.labels):,} held-out rows, {positives:,} of them positive; {100 * comparison.confidence:g} % intervals."
    return f"{said} {comparison.note}".strip()


def print_comparison(comparison: Comparison | None) -> None:
    """Print one line for each metric asked of: coloured in a terminal, aligned with spaces elsewhere."""
    if comparison is None or not comparison.lines:
        return
    rows = [cells(line, comparison.confidence) for line in comparison.lines]
    outcomes = [line.outcome for line in comparison.lines]
    if sys.stdout.isatty():
        _print_table(rows, outcomes)
    else:
        widths = [max(map(len, column)) for column in zip(HEAD, *rows, strict=True)]
        for row in (HEAD, *rows):
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if comparison.note:
        print(comparison.note)


def _print_table(rows: list[tuple[str, ...]], outcomes: list[Outcome]) -> None:
    """In a narrow terminal an interval stands below its value."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for name in HEAD:
        table.add_column(name, no_wrap=name in HEAD[:4], justify="left")
    for row, outcome in zip(rows, outcomes, strict=True):
        words = [cell.replace(" [", "\n[") if console.width < NARROW else cell for cell in row]
        table.add_row(Text(words[0], style="bold"), *map(Text, words[1:-1]), Text(words[-1], style=TONES[outcome]))
    console.print(table)
