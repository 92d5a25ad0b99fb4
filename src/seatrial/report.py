"""Verdicts for people: lines in the terminal, Markdown for a pull request, a page for the browser.

All of them show the worst first and a bounded number of findings; everything is in the verdict's file.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import PurePath

from seatrial.verdict import Check, Outcome, Verdict

LIMIT = 10
LONGEST = 600
WIDE = 110


def print_verdict(verdict: Verdict, *, title: str, path: PurePath | str, recorded: bool = False, limit: int = LIMIT) -> None:
    """Print what did not pass, at most `limit` lines, then one line with outcome, reason and file.

    A recorded verdict is that one line. `path` is shown as it is given: relative to the project.
    """
    if not recorded:
        findings = _findings(verdict)
        shown = findings if len(findings) <= limit else findings[: limit - 1]
        _print_checks(shown)
        if len(findings) > len(shown):
            print(f"… and {len(findings) - len(shown)} more in {path}")
    print(last_line(verdict, title=title, path=path, recorded=recorded))


def last_line(verdict: Verdict, *, title: str, path: PurePath | str, recorded: bool = False) -> str:
    """Outcome, reason and file in one line: `validate: pass · 64 checks, 1 advisory · metrics/validation.json`."""
    note = " (recorded: nothing changed)" if recorded else ""
    return f"{title}: {verdict.outcome.value} · {reason(verdict)} · {path}{note}"


def reason(verdict: Verdict) -> str:
    """Why the outcome is what it is: how many checks there were, and the worst one where it blocks."""
    blocking = [check for check in verdict.worst_first() if check.blocks]
    total = _plural(len(verdict.checks), "check")
    if blocking:
        first = blocking[0]
        return f"{len(blocking)} of {total} did not pass, first {first.name}: {one_line(first.message.partition(chr(10))[0])}"
    if verdict.outcome is not Outcome.PASS:
        return "no check that could block was made"
    advisory = sum(1 for check in verdict.checks if check.advisory and check.outcome is not Outcome.PASS)
    return f"{total}, {advisory} advisory" if advisory else total


def _plural(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def _findings(verdict: Verdict) -> list[Check]:
    return [check for check in verdict.worst_first() if check.outcome is not Outcome.PASS]


def _word(check: Check) -> str:
    return f"{check.outcome.value}, advisory" if check.advisory else check.outcome.value


def _print_checks(checks: Sequence[Check]) -> None:
    if not checks:
        return
    if sys.stdout.isatty():
        _print_table(checks)
        return
    width = max(len(_word(check)) for check in checks)
    for check in checks:
        print(f"{_word(check):<{width}}  {check.name}  {one_line(check.message)}")


def one_line(message: str) -> str:
    """A message in one line of bounded length, in which a terminal finds no order: what cannot be printed is named, as in `\\x1b`."""
    words = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in " ".join(message.split()))
    return words if len(words) <= LONGEST else f"{words[: LONGEST // 2]} … {words[-LONGEST // 2 :]}"


def _print_table(checks: Sequence[Check]) -> None:
    """A table of three columns; where that leaves little room for the sentences, each stands below its check's name."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    tones = {Outcome.FAIL: "red", Outcome.ERROR: "dark_orange", Outcome.INCONCLUSIVE: "yellow", Outcome.PASS: "green"}
    console = Console()
    wide = console.width >= WIDE
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", show_header=wide, pad_edge=False)
    table.add_column("outcome", no_wrap=True)
    if wide:
        table.add_column("check", no_wrap=True)
    table.add_column("finding")
    for check in checks:
        name, words = Text(check.name, style="bold"), Text(one_line(check.message))
        table.add_row(Text(_word(check), style=tones[check.outcome]), *([name, words] if wide else [Text("\n").join([name, words])]))
    console.print(table)


def verdict_markdown(verdict: Verdict, *, limit: int = LIMIT) -> str:
    """The verdict as Markdown: one sentence, the findings as a table, the rest counted."""
    lines = [f"**{verdict.kind}: {verdict.outcome.value}** · {_markdown(reason(verdict))}"]
    findings = _findings(verdict)
    if findings:
        lines += ["", "| outcome | check | finding |", "|---|---|---|"]
        lines += [f"| {_word(check)} | `{check.name}` | {_markdown(check.message)} |" for check in findings[:limit]]
    if len(findings) > limit:
        lines += ["", f"… and {len(findings) - limit} more."]
    return "\n".join(lines) + "\n"


def _markdown(text: str) -> str:
    """One line of text that Markdown and the HTML inside it leave as it is."""
    plain = one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for sign in "\\`*_|[]~":
        plain = plain.replace(sign, f"\\{sign}")
    return plain


def verdict_page(verdict: Verdict, *, title: str, sections: Sequence[str] = ()) -> str:
    """A self-contained page: the verdict on top, what did not pass, then `sections` (HTML), then every check."""
    from seatrial.html import page

    return page(title, verdict_head(verdict, title=title), _findings_section(verdict), *sections, _all_section(verdict))


def verdict_head(verdict: Verdict, *, title: str) -> str:
    """The top of a page: what was asked, the answer and its reason, and what it is about."""
    from seatrial.html import escape

    return (
        f'<header class="card verdict {verdict.outcome.value}"><h1>{escape(title)}: <strong>{verdict.outcome.value}</strong></h1>'
        f'<p>{escape(reason(verdict))}</p><p class="soft small">{subject_line(verdict)}</p></header>'
    )


def subject_line(verdict: Verdict) -> str:
    """What a verdict is about (HTML), digests by their first twelve digits."""
    from seatrial.html import escape

    return escape(" · ".join(f"{key} {_short(value)}" for key, value in sorted(verdict.subject.items()) if value is not None))


def _short(value: object) -> str:
    """A digest by its first twelve digits."""
    kind, _, digits = str(value).partition(":")
    return f"{kind}:{digits[:12]}" if kind in ("md5", "sha256") else str(value)


def _rows(checks: Sequence[Check]) -> list[list[str]]:
    from seatrial.html import escape, tag

    return [
        [tag(check.outcome.value, advisory=check.advisory), f"<code>{escape(check.name)}</code>", escape(check.message)] for check in checks
    ]


def _findings_section(verdict: Verdict) -> str:
    from seatrial.html import table

    findings = _findings(verdict)
    return f"<section><h2>What did not pass</h2>{table(('outcome', 'check', 'finding'), _rows(findings))}</section>" if findings else ""


def _all_section(verdict: Verdict) -> str:
    from seatrial.html import table

    rows = _rows(verdict.worst_first())
    whole = table(("outcome", "check", "finding"), rows)
    return f"<section><h2>Checks</h2><details open><summary>all {len(rows)}</summary>{whole}</details></section>"
