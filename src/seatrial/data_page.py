"""reports/data_profile.html: the verdict on the data, what was found with its examples, and one line for each column."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from seatrial.checks.wording import counted, examples_of, rows_of
from seatrial.column_table import SCRIPT, Mark, column_table, mark
from seatrial.column_table import STYLE as TABLE_STYLE
from seatrial.drawings import drawing, short
from seatrial.html import escape, page, tag
from seatrial.profile import Profile
from seatrial.report import subject_line
from seatrial.summary import Broken, Example, Summary
from seatrial.verdict import Check, Outcome, Verdict

if TYPE_CHECKING:
    from seatrial.contract import Contract
    from seatrial.params import Data

MAX_FINDINGS = 100
MAX_LISTED = 6000
LONGEST = 1500
WAIVED = re.compile(r"; waived until (?P<until>\d{4}-\d\d-\d\d) by (?P<owner>.+?) because (?P<reason>.+)\Z", re.DOTALL)
DRAWN = ("statistics.shift", "statistics.categories", "statistics.new_categories", "statistics.vanished", "quality.constant")
REPEATS = {"quality.key": "key", "quality.duplicates": "rows"}

STYLE = """
.badge { background: var(--tone); color: var(--card); border-radius: 6px; padding: 0 .45em; margin-right: .2em }
.examples .more { background: none }
.meter { width: 100%; height: 8px; border-radius: 4px; margin: .7rem 0 .2rem; overflow: hidden } .meter rect { fill: var(--tone) }
.waived, .advises { --tone: var(--note) } .findings { display: grid; gap: .6rem }
.finding { border-left: 4px solid var(--tone); padding: .7rem 1rem; display: grid; grid-template-columns: minmax(0, 1fr) auto;
  gap: .2rem 1.2rem }
.finding > * { grid-column: 1 } .finding > .shape, .finding > .shares { grid-column: 2; grid-row: 1 / span 4; align-self: center }
.finding h3 { margin: 0; font-size: 1rem; line-height: 1.4; display: flex; flex-wrap: wrap; gap: .1rem .7rem; align-items: baseline;
  min-width: 0 }
.finding h3 a { color: inherit; text-decoration-color: var(--soft); overflow-wrap: anywhere; min-width: 0 }
.finding h3 code { color: var(--soft); font-weight: 400 }
.finding p, .checks li { overflow-wrap: anywhere }
.examples { list-style: none; margin: .3rem 0 0; padding: 0; display: flex; flex-wrap: wrap; gap: .35rem .5rem }
.examples li { background: var(--sunk); border-radius: 6px; padding: .1rem .55rem; display: inline-flex; flex-wrap: wrap; gap: 0 .6rem;
  min-width: 0; align-items: baseline }
.examples code { white-space: pre-wrap; overflow-wrap: anywhere }
.examples span { color: var(--soft); font-size: .85rem; overflow-wrap: anywhere }
.waiver { color: var(--note) } .checks details { border-top: 1px solid var(--line) }
.checks ul { margin: .2rem 0 .8rem; padding-left: 1.3rem }
.checks { padding: .5rem 1.2rem } .checks summary code { color: var(--ink) }
@media screen and (max-width: 44rem) { .finding { display: block } .finding > .shape, .finding > .shares { margin-top: .5rem }
.checks { padding: .3rem .9rem } }
@media print { .finding, .examples li { break-inside: avoid } .verdict { break-inside: avoid } }
"""


def data_page(
    verdict: Verdict,
    present: Profile,
    reference: Profile | None,
    *,
    summary: Summary | None = None,
    roles: Mapping[str, str] | None = None,
) -> str:
    """The page about a table: the verdict, what did not pass, the columns, and every check folded away.

    With `summary`, examples stand apart from the sentences that name them. `roles` says what columns are for.
    """
    ids = {name: f"c{at}" for at, name in enumerate(present.columns, 1)}
    findings = [_Finding.of(check, at, summary) for at, check in enumerate(_findings(verdict), 1)]
    found = _Found(findings=findings, ids=ids, present=present, reference=reference)
    table = column_table(present, reference, marks=_marks(findings), roles=roles or {}, checks=verdict.checks, ids=ids)
    return page(
        f"Data: {_title(summary)}" if summary else "Data",
        _head(verdict, present, findings, summary),
        found.section("What failed", lambda one: one.check.blocks),
        found.section("Waived", lambda one: one.waiver is not None),
        found.section("Advisory: shown, and does not block", lambda one: not one.check.blocks and one.waiver is None),
        f"<section><h2>{counted(len(ids), 'column')}</h2>{table}</section>",
        _all_checks(verdict),
        style=TABLE_STYLE + STYLE,
        script=SCRIPT,
    )


def roles_of(contract: Contract, data: Data) -> dict[str, str]:
    """What each column is for, in words, as params.yaml and the contract say."""
    told = {name: column.role.replace("_", " ") for name, column in contract.columns.items() if column.role}
    told |= dict.fromkeys(data.groups, "group") | {data.target: "target"}
    return told | ({data.id: "id"} if data.id else {})


def _findings(verdict: Verdict) -> list[Check]:
    return [check for check in verdict.worst_first() if check.outcome is not Outcome.PASS]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Finding:
    """A check that did not pass: its sentence, and apart from it the examples and the waiver that its message names."""

    check: Check
    identity: str
    sentence: str
    waiver: tuple[str, str, str] | None
    broken: Broken | None
    parts: int

    @classmethod
    def of(cls, check: Check, at: int, summary: Summary | None) -> _Finding:
        sentence, waiver = _without_waiver(check)
        sentence, broken = _without_examples(check, sentence, summary)
        own = f"column {check.column!r}: "
        sentence = sentence.removeprefix(own)
        sentence = sentence[:1].upper() + sentence[1:]
        parts = len(summary.parts) if summary else 0
        return cls(check=check, identity=f"f{at}", sentence=sentence, waiver=waiver, broken=broken, parts=parts)

    @property
    def tone(self) -> str:
        return self.check.outcome.value if self.check.blocks else "waived" if self.waiver else "advises"


def _without_waiver(check: Check) -> tuple[str, tuple[str, str, str] | None]:
    """The message before what a waiver says, and who waives it until when and why."""
    start = check.message.rfind("; waived until ")
    told = WAIVED.match(check.message, start) if check.advisory and start >= 0 else None
    return (check.message[:start], (told["until"], told["owner"], told["reason"])) if told else (check.message, None)


def _without_examples(check: Check, sentence: str, summary: Summary | None) -> tuple[str, Broken | None]:
    """The sentence without the examples in it, and those; both as they are where the sentence does not name them."""
    broken = _broken(check, summary) if summary else None
    if summary is None or broken is None:
        return sentence, None
    for words in (examples_of, rows_of):
        listed = words(broken, parts=len(summary.parts))
        if listed and listed in sentence:
            return sentence.replace(listed, ""), broken
    return sentence, None


def _broken(check: Check, summary: Summary) -> Broken | None:
    """What the pass over the table found for a check."""
    column = check.column or ""
    if check.name == "schema.type":
        return summary.columns[column].unread if column in summary.columns else None
    if check.name in ("quality.nulls", "label.missing"):
        return summary.columns[column].missing if column in summary.columns else None
    if check.name == "quality.unique":
        return summary.repeats.get(f"unique:{column}")
    if check.name in REPEATS:
        return summary.repeats.get(REPEATS[check.name])
    return summary.broken.get(f"{check.name}:{column}")


def _title(summary: Summary | None) -> str:
    if summary is None or not summary.parts:
        return "Data"
    return short(summary.parts[0].name, 80) if len(summary.parts) == 1 else f"{len(summary.parts):,} parts"


def _head(verdict: Verdict, present: Profile, findings: Sequence[_Finding], summary: Summary | None) -> str:
    outcome = verdict.outcome.value
    return (
        f'<header class="card verdict {outcome}"><h1><span class="badge">{outcome}</span> <bdi>{escape(_title(summary))}</bdi></h1>'
        f"<p>{escape(sentence(verdict, present))}</p>{_meter(verdict, findings)}"
        f'<p class="soft small">{subject_line(verdict)}</p></header>'
    )


def sentence(verdict: Verdict, present: Profile) -> str:
    """The verdict with its counts, in one sentence."""
    rows = "1 row" if present.rows == 1 else f"{present.rows:,} rows"
    asked = f"{counted(len(verdict.checks), 'check')} on {rows} and {counted(len(present.columns), 'column')}"
    findings = _findings(verdict)
    blocking = Counter(check.outcome for check in findings if check.blocks)
    waived = sum(_without_waiver(check)[1] is not None for check in findings)
    advisory = sum(check.advisory for check in findings) - waived
    counts = [f"{count} {_counted_as(outcome, count)}" for outcome in reversed(Outcome) if (count := blocking[outcome])]
    if not counts:
        counts = ["none failed" if verdict.outcome is Outcome.PASS else "none of them could block"]
    counts += [f"{waived} {'is' if waived == 1 else 'are'} waived"] * bool(waived)
    counts += [f"{advisory} only {'advises' if advisory == 1 else 'advise'}"] * bool(advisory)
    return f"Of {asked}, {_and(counts)}."


def _counted_as(outcome: Outcome, count: int) -> str:
    if outcome is Outcome.FAIL:
        return "failed"
    if outcome is Outcome.ERROR:
        return "could not be answered"
    return "is inconclusive" if count == 1 else "are inconclusive"


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _meter(verdict: Verdict, findings: Sequence[_Finding]) -> str:
    """All checks as one bar: what failed, what is waived or advises, what passed."""
    if not verdict.checks:
        return ""
    counts = Counter(finding.tone for finding in findings)
    counts["pass"] = len(verdict.checks) - len(findings)
    tones = [tone for tone in ("fail", "error", "inconclusive", "waived", "advises", "pass") if counts[tone]]
    left, rects = 0.0, []
    for tone in tones:
        width = max(counts[tone], len(verdict.checks) / 100)
        rects.append(f'<rect class="{tone}" x="{left:g}" width="{width:g}" height="1"/>')
        left += width
    label = ", ".join(f"{counts[tone]} {tone}" for tone in tones)
    return f'<svg class="meter" viewBox="0 0 {left:g} 1" preserveAspectRatio="none" role="img" aria-label="{label}">{"".join(rects)}</svg>'


def _marks(findings: Sequence[_Finding]) -> dict[str, Mark]:
    """For each column with findings how bad they are, and the first of them."""
    of: dict[str, list[_Finding]] = {}
    for finding in findings:
        of.setdefault(finding.check.column or "", []).append(finding)
    marks = {name: mark([one.check for one in own], [one.check for one in own if one.waiver], own[0].identity) for name, own in of.items()}
    return {name: found for name, found in marks.items() if found is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """All findings, and what their cards link to and draw."""

    findings: Sequence[_Finding]
    ids: Mapping[str, str]
    present: Profile
    reference: Profile | None

    def section(self, title: str, chosen: Callable[[_Finding], bool]) -> str:
        """The chosen findings as cards, worst first; nothing where there is none."""
        own = [finding for finding in self.findings if chosen(finding)]
        if not own:
            return ""
        more = f'<p class="soft">… and {len(own) - MAX_FINDINGS:,} more, among all checks below.</p>' if len(own) > MAX_FINDINGS else ""
        cards = "".join(self._card(finding) for finding in own[:MAX_FINDINGS])
        return f'<section><h2>{title} ({len(own)})</h2><div class="findings">{cards}</div>{more}</section>'

    def _card(self, finding: _Finding) -> str:
        check = finding.check
        return (
            f'<article class="card finding {finding.tone}" id="{finding.identity}">'
            f"<h3>{tag(check.outcome.value)}{self._subject(check)}<code>{escape(check.name)}</code></h3>"
            f"<p>{escape(_bounded(finding.sentence))}</p>{_examples(finding)}{_waiver(finding)}{self._drawing(check)}</article>"
        )

    def _subject(self, check: Check) -> str:
        if check.column is None:
            return "<span>the whole table</span>"
        name = f"<bdi>{escape(short(check.column, 120))}</bdi>"
        return f'<a href="#{self.ids[check.column]}">{name}</a>' if check.column in self.ids else name

    def _drawing(self, check: Check) -> str:
        """What moved, where the check is about a distribution."""
        if check.name not in DRAWN or check.column not in self.present.columns:
            return ""
        known = {} if self.reference is None else self.reference.columns
        return drawing(check.column, self.present.columns[check.column], known.get(check.column))


def _bounded(text: str) -> str:
    """A message of reasonable length: a name of thousands of characters is in it as a whole."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} … {text[-LONGEST // 2 :]}"


def _examples(finding: _Finding) -> str:
    if finding.broken is None:
        return ""
    shown = "".join(_example(example, finding.parts) for example in finding.broken.examples)
    more = '<li class="more">…</li>' if finding.broken.count > len(finding.broken.examples) else ""
    return f'<ul class="examples">{shown}{more}</ul>'


def _example(example: Example, parts: int) -> str:
    value = f"<code><bdi>{escape(example.value)}</bdi></code>" if example.value else ""
    part = f"<bdi>{escape(short(example.part, 120))}</bdi>, " if parts > 1 else ""
    return f"<li>{value}<span>{part}row {example.row:,}</span></li>"


def _waiver(finding: _Finding) -> str:
    if finding.waiver is None:
        return ""
    until, owner, reason = (escape(words) for words in finding.waiver)
    return f'<p class="waiver">Waived until <strong>{until}</strong> by <strong>{owner}</strong>: {reason}</p>'


def _all_checks(verdict: Verdict) -> str:
    """Every check, by name; of very many those that passed are only counted."""
    whole = len(verdict.checks) <= MAX_LISTED
    checks = sorted(verdict.checks, key=lambda check: check.name)
    groups = "".join(_group(name, list(own), whole=whole) for name, own in groupby(checks, key=lambda check: check.name))
    total = f"All {len(checks):,} checks" if len(checks) != 1 else "The only check"
    return f'<section><h2>Checks</h2><details class="card checks"><summary>{total}</summary>{groups}</details></section>'


def _group(name: str, checks: Sequence[Check], *, whole: bool) -> str:
    order = list(Outcome)
    counts = Counter(check.outcome for check in checks)
    words = ", ".join(f"{counts[outcome]} {outcome.value}" for outcome in reversed(order) if counts[outcome])
    ordered = sorted(checks, key=lambda check: -order.index(check.outcome))
    lines = "".join(_lines(check for check in ordered if whole or check.outcome is not Outcome.PASS))
    return f"<details><summary><code>{escape(name)}</code> {words}</summary><ul>{lines}</ul></details>\n"


def _lines(checks: Iterable[Check]) -> Iterator[str]:
    for check in checks:
        found = "" if check.outcome is Outcome.PASS else tag(check.outcome.value, advisory=check.advisory) + " "
        yield f"<li>{found}{escape(_bounded(check.message))}</li>"
