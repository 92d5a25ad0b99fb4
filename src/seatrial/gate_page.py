"""reports/gate.html: the verdict on a challenger, and beside the champion its metrics, curves, slices, flips, behaviour and latency."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from seatrial.curves import STYLE as CURVES_STYLE
from seatrial.curves import calibration_drawing, forest, roc_drawing
from seatrial.drawings import short
from seatrial.gate import Evidence
from seatrial.gate_behaviour import behaviour_section, latency_section
from seatrial.gate_figures import BinaryRows, Comparison, Line, compare, interval_words, limit_words, value_words
from seatrial.gate_flips import flips_section
from seatrial.gate_slices import slices_section
from seatrial.gate_tasks import count_rows
from seatrial.html import escape, page, table, tag
from seatrial.metrics import METRICS, Labels, Scores
from seatrial.report import verdict_head
from seatrial.statistics import Estimate
from seatrial.verdict import Check, Outcome, Verdict

FOLDED = 60
LONGEST = 1500
MOST_CHECKS = 1000

STYLE = """
.nobreak { white-space: nowrap } .clear { color: var(--ink) } .lines { display: grid; gap: .15rem } .lines span { white-space: nowrap }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr)); gap: 1rem }
.pair > * { min-width: 0; margin: 0 } .pair h3 { margin: 0 0 .4rem; font-size: 1rem }
.legend { display: flex; flex-wrap: wrap; gap: .1rem 1.2rem; margin: 0 0 .4rem; font-size: .85rem; color: var(--soft) }
.legend span { display: inline-flex; gap: .4rem; align-items: center } .legend svg { width: 34px; height: 12px; flex: none }
.confusion { width: auto }
.confusion td, .confusion th { border: 0; padding: .35rem .7rem; white-space: normal }
.confusion td, .confusion thead th { text-align: right } .confusion tbody th { text-align: left }
.confusion .right { background: var(--sunk) }
.confusion b { font-size: 1.1rem } section > details, section > .card { margin-bottom: .6rem }
.bars { list-style: none; margin: 0; padding: 0 } .bars li { display: grid; gap: 0 .7rem; align-items: center;
  grid-template-columns: minmax(0, 2fr) minmax(0, 3fr) 3.4rem }
.bars bdi { overflow-wrap: anywhere; min-width: 0 } .bars li > span { text-align: right; font-variant-numeric: tabular-nums }
.bars svg { width: 100%; height: 10px } .bars .back { fill: var(--sunk) } .facts { display: grid; gap: 0 1.2rem; margin: .4rem 0;
  grid-template-columns: repeat(auto-fill, minmax(min(15rem, 100%), 1fr)) }
.facts div { border-bottom: 1px solid var(--line); min-width: 0 }
.facts dt { color: var(--soft); font-size: .85rem; overflow-wrap: anywhere } .facts dd { margin: 0; overflow-wrap: anywhere }
td summary { padding: 0 } .stack td bdi, .stack td { overflow-wrap: anywhere } .short { white-space: nowrap }
@media screen and (min-width: 44.01rem) { .checks td:nth-child(1) { width: 10.5rem } .checks td:nth-child(2) { width: 20rem } }
@media print { details::details-content { content-visibility: visible; display: block; block-size: auto }
  .chart { max-width: 8.5cm } .pair { grid-template-columns: 1fr 1fr } figure, .card.pair > * { break-inside: avoid } }
"""


def gate_page(
    verdict: Verdict,
    evidence: Evidence | None,
    examples: Sequence[Mapping[str, object]] = (),
    *,
    confidence: float,
    title: str = "Gate",
    resamples: int = 2000,
    seed: int = 0,
    comparison: Comparison | None = None,
) -> str:
    """The page about a gate verdict; without `evidence` it shows verdict and checks only.

    `examples` are the rows as mappings, aligned with `evidence.labels`, or nothing. `comparison` saves the work where
    `compare` was called already.
    """
    found = comparison or compare(verdict, evidence, confidence=confidence, resamples=resamples, seed=seed)
    return page(
        title,
        verdict_head(verdict, title=title),
        _findings(verdict),
        *(_measured(evidence, found, examples) if evidence is not None else ()),
        _all_checks(verdict),
        f'<p class="soft small">verdict {verdict.digest}</p>',
        style=CURVES_STYLE + STYLE,
    )


def _measured(evidence: Evidence, found: Comparison | None, examples: Sequence[Mapping[str, object]]) -> Iterator[str]:
    if found is None:
        yield '<section><h2>Metrics</h2><p class="card">Rows and answers allow no figure; the checks say why.</p></section>'
    else:
        yield _metrics(found)
        yield from _binary(evidence, found, examples)
    if isinstance(evidence.challenger, Scores):
        yield behaviour_section(evidence.perturbations, evidence.challenger.threshold)
    yield latency_section(evidence.latency)


def _binary(evidence: Evidence, found: Comparison, examples: Sequence[Mapping[str, object]]) -> Iterator[str]:
    """What is drawn of a binary task only."""
    rows = found.rows.binary
    if rows is None:
        return
    yield _curves(rows, found.confidence)
    yield slices_section({**evidence.groups, **evidence.slices}, rows, found.confidence)
    yield flips_section(rows, examples)


def _findings(verdict: Verdict) -> str:
    checks = [check for check in verdict.worst_first() if check.outcome is not Outcome.PASS]
    more = f'<p class="soft">… and {len(checks) - MOST_CHECKS:,} more.</p>' if len(checks) > MOST_CHECKS else ""
    return f"<section><h2>What did not pass</h2>{_checks_table(checks[:MOST_CHECKS])}{more}</section>" if checks else ""


def _checks_table(checks: Sequence[Check]) -> str:
    rows = [[tag(check.outcome.value, advisory=check.advisory), _code(check.name), escape(_bounded(check.message))] for check in checks]
    return f'<div class="checks">{table(("outcome", "check", "finding"), rows)}</div>'


def _code(name: str) -> str:
    """A check's name, which ends in what a user called a group; it may be wrapped after a dot."""
    return f'<code class="name">{escape(short(name, 160)).replace(".", ".<wbr>")}</code>'


def _bounded(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} … {text[-LONGEST // 2 :]}"


def _metrics(found: Comparison) -> str:
    """One line for each metric asked of, and below what the drawings mean."""
    rows = found.rows
    about = f"{count_rows(rows.labels, rows.challenger).words}. {found.note}"
    head = ("metric", "challenger", "champion", "difference", "worse ← → better", "limits")
    lines = [_line(line, found.confidence) for line in found.lines]
    body = table(head, lines) if lines else '<p class="card">No metric was asked of.</p>'
    return (
        f'<section><h2>Champion against challenger</h2><p class="soft">{escape(_bounded(about))}</p>'
        f"{body}{_explained(found) if lines else ''}</section>"
    )


def _explained(found: Comparison) -> str:
    what = "the difference" if found.rows.champion else "the challenger's value"
    return (
        f'<p class="soft small">Intervals hold {100 * found.confidence:g} % of the time. Drawn is {what}: a thin line for that interval, '
        f"a thick one between the one-sided {100 * found.confidence:g} % bounds by which the gate decides. Right is better; shaded is "
        "beyond the limit (dashed).</p>"
    )


def _line(line: Line, confidence: float) -> list[str]:
    limits = "".join(f"<span>{tag(one.outcome.value, advisory=one.advisory)} {escape(limit_words(one))}</span>" for one in line.checks)
    return [
        f"<strong>{escape(line.metric.title)}</strong>",
        _value(line.challenger, confidence),
        _value(line.champion, confidence) if line.champion else '<span class="soft">–</span>',
        _value(line.difference, confidence, signed=True) if line.difference else '<span class="soft">–</span>',
        _forest(line, confidence),
        f'<div class="lines">{limits}</div>',
    ]


def _value(estimate: Estimate, confidence: float, *, signed: bool = False) -> str:
    """A value, and below it its interval."""
    between = interval_words(estimate, confidence, signed=signed)
    return f'<span class="nobreak">{value_words(estimate, signed=signed)}</span> <span class="soft small nobreak">{between}</span>'


def _forest(line: Line, confidence: float) -> str:
    """The difference against its margin; where there is none, the challenger's value against its floor or ceiling."""
    kinds = ("champion",) if line.difference else ("floor", "ceiling")
    check = next(filter(None, map(line.check, kinds)), None)
    limit = float(check.limit) if check is not None and isinstance(check.limit, float | int) else None
    return forest(
        line.difference or line.challenger,
        confidence=confidence,
        limit=limit,
        zero=line.difference is not None,
        better_is_left=not line.metric.higher_is_better,
        tone=check.outcome.value if check else "plain",
    )


def _curves(rows: BinaryRows, confidence: float) -> str:
    labels, models = rows.labels, rows.models
    level = f"{100 * confidence:g} %"
    bins = f"Ten bins of equal count, with Wilson intervals of {level}; on the dotted line, probabilities mean what they say."
    roc = _figure("ROC curve", _legend(labels, models, "roc_auc"), roc_drawing(labels, models), "The dot is the model's own threshold.")
    drawn = calibration_drawing(labels, models, confidence=confidence)
    calibrated = _figure("Calibration", _legend(labels, models, "calibration_error"), drawn, bins)
    matrices = "".join(_confusion(name, labels, scores) for name, scores in models)
    return (
        f'<section><h2>Curves</h2><div class="pair">{roc}{calibrated}</div></section>'
        f'<section><h2>Labels at the threshold</h2><div class="pair">{matrices}</div></section>'
    )


def _figure(title: str, legend: str, drawn: str, caption: str) -> str:
    return f'<figure class="card"><h3>{title}</h3>{legend}{drawn}<figcaption class="soft small">{caption}</figcaption></figure>'


def _legend(labels: Labels, models: Sequence[tuple[str, Scores]], metric: str) -> str:
    """Which line is whose, with the one figure that sums a drawing up."""
    swatch = '<svg viewBox="0 0 34 12" aria-hidden="true"><path class="curve" d="M1 6H33"/></svg>'
    one = METRICS[metric]
    items = "".join(
        f'<span class="{name}">{swatch}{name}, {one.title} {one(labels, scores.probabilities, scores.threshold):.3f}</span>'
        for name, scores in models
    )
    return f'<p class="legend">{items}</p>'


def _confusion(name: str, labels: Labels, scores: Scores) -> str:
    """Actual against given labels, with the share of each row; what is right stands on a darker ground."""
    lines = []
    for words, actual in (("positive", labels == 1), ("negative", labels != 1)):
        given, rows = scores.positive[actual], int(actual.sum())
        cells = "".join(
            f"<td{' class=right' if right else ''}><b>{count:,}</b> <span class=soft>{count / max(rows, 1):.1%}</span></td>"
            for count, right in ((int(given.sum()), words == "positive"), (int((~given).sum()), words == "negative"))
        )
        lines.append(f'<tr><th scope="row">is {words}</th>{cells}</tr>')
    head = '<tr><td></td><th scope="col">labelled positive</th><th scope="col">labelled negative</th></tr>'
    return (
        f'<div class="card"><h3>{name}, threshold {scores.threshold:.3g}</h3><table class="confusion"><thead>{head}</thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _all_checks(verdict: Verdict) -> str:
    """Every check, family by family; where there are many, the families whose checks all passed are folded."""
    checks = sorted(verdict.checks, key=lambda check: check.name.partition(".")[0])
    folded = len(checks) > FOLDED
    families = "".join(_family(name, list(own), folded) for name, own in groupby(checks, key=lambda check: check.name.partition(".")[0]))
    return f"<section><h2>All {len(checks):,} checks</h2>{families}</section>"


def _family(name: str, checks: list[Check], folded: bool) -> str:
    order = list(Outcome)
    counts = Counter(check.outcome for check in checks)
    words = ", ".join(f"{counts[outcome]} {outcome.value}" for outcome in reversed(order) if counts[outcome])
    ordered = sorted(checks, key=lambda check: (-order.index(check.outcome), check.name))
    shown = ordered[:MOST_CHECKS]
    more = f'<p class="soft">… and {len(ordered) - len(shown):,} more in metrics/gate.json.</p>' if len(shown) < len(ordered) else ""
    opened = "" if folded else " open"
    return f"<details{opened}><summary><code>{escape(short(name, 80))}</code> {words}</summary>{_checks_table(shown)}{more}</details>"
