"""Drift of one window: what is compared with what, every row counted, and the page that shows it.

The verdict comes from mergeable profiles of all rows of both sides. Evidently's charts, which know samples only, stand on the page
below it, with the same distances and limits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from seatrial.bundle import Bundle, Input
from seatrial.checks.drift import ColumnFacts, Kind, Predictions, SegmentFacts, Window, drift_checks, window_checks
from seatrial.checks.drift_scores import Pair, scores_of
from seatrial.html import escape, page, tag
from seatrial.live_profile import NUMBERS, LiveProfile, plain
from seatrial.live_rows import Current
from seatrial.params import Drift
from seatrial.profile import ColumnProfile, Profile
from seatrial.sketches import EXACT
from seatrial.summary import ColumnSummary
from seatrial.verdict import Check, Outcome, Verdict

if TYPE_CHECKING:
    import polars as pl

    from seatrial.evidently_report import ColumnPair

MAX_CATEGORIES = 200
MAX_UNSEEN = 20
PREDICTION = "the answers"
DRAWN = ".drawn { display: grid; grid-template-columns: repeat(auto-fill, minmax(19rem, 1fr)); gap: .8rem }"
NO_COLUMN = ColumnProfile(type="string", count=0, nulls=0, distinct=0)


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What a window is compared with: its profile and its name, in words and as a digest; `rows` are a sample of it for charts.

    `answers` are the probabilities of rows that the model never saw, for the same charts.
    """

    words: str
    digest: str
    profile: LiveProfile
    rows: pl.DataFrame | None = None
    answers: Sequence[float] = ()


def drift_verdict(
    policy: Drift, bundle: Bundle, current: Current, reference: Reference, *, subject: dict[str, Any], dropped: Sequence[str] = ()
) -> Verdict:
    """Every check of a window; where it has too few rows, only that. `dropped` are inputs that the log does not keep."""
    window = Window(rows=current.rows, simulated=current.simulated, others=current.others)
    if current.rows < policy.min_rows:
        return Verdict(kind="drift", subject=subject, checks=window_checks(policy, window))
    inputs = bundle.manifest.inputs
    now, then, counted = current.tally.profile(listed=True), reference.profile, current.tally.columns
    kept = [column.name for column in inputs if column.name not in dropped]
    pairs = {name: _pair(name, now.inputs, then.inputs, counted[name]) for name in kept}
    answered = {} if now.answers is None or then.answers is None else {PREDICTION: (now.answers, then.answers)}
    scores = scores_of(policy, pairs | answered)
    facts = [_facts(column, counted[column.name], then.inputs, known=column.name in kept) for column in inputs]
    columns = [_scored(one, scores.columns, scores.missing) for one in facts]
    predictions = Predictions(strange=current.strange, score=scores.columns.get(PREDICTION))
    checks = drift_checks(policy, window, columns, predictions, _segments(policy, now, then, kept))
    return Verdict(kind="drift", subject=subject, checks=checks)


def _pair(name: str, now: Profile, then: Profile, counted: ColumnSummary) -> Pair:
    """A column on both sides; the present side counts every category that the reference names, however many others there are."""
    column, before = now.columns[name], then.columns.get(name, NO_COLUMN)
    if before.type != "string" or before.values is None:
        return column, before
    counts = dict(counted.values.most_frequent(EXACT))
    named = {value: counts.get(value, 0) for value, _ in before.values}
    return replace(column, values=tuple({**dict(column.values or ()), **named}.items())), before


def _scored(facts: ColumnFacts, scores: Mapping[str, Any], missing: Mapping[str, float]) -> ColumnFacts:
    return replace(facts, score=scores.get(facts.name), missing_p=missing.get(facts.name, 1.0))


def _facts(column: Input, counted: ColumnSummary, then: Profile, *, known: bool) -> ColumnFacts:
    """What is missing and unseen in one column, on all rows."""
    before = then.columns.get(column.name, NO_COLUMN)
    kind: Kind = "numeric" if column.type in NUMBERS else "category"
    if not known:
        return ColumnFacts(name=column.name, kind=kind, reference_missing=before.missing, current_missing=None)
    rows = counted.count + counted.nulls
    share, examples = _unseen(column, counted.values.most_frequent(EXACT), before, rows)
    return ColumnFacts(
        name=column.name,
        kind=kind,
        reference_missing=before.missing,
        current_missing=counted.nulls / rows if rows else 0.0,
        unseen=share,
        examples=examples,
    )


def _unseen(column: Input, counts: Sequence[tuple[str, int]], before: ColumnProfile, rows: int) -> tuple[float | None, tuple[str, ...]]:
    """The share of all rows with a category that is new, and up to three of those, the most frequent first; None of other columns."""
    if column.type != "category" or (column.categories is None and not before.complete):
        return None, ()
    known = {*(column.categories or ()), *(value for value, _ in before.values or ())}
    new = [(value, count) for value, count in counts if value not in known]
    return sum(count for _, count in new) / max(rows, 1), tuple(value[:40] for value, _ in new[:3])


def _segments(policy: Drift, now: LiveProfile, then: LiveProfile, kept: Sequence[str]) -> list[SegmentFacts]:
    """The parts of the rows that both sides know, each with its scores where it has enough rows."""
    return [
        SegmentFacts(
            column=column,
            value=value,
            reference_rows=then.segments[column, value].rows,
            rows=profile.rows,
            scores=_within(policy, profile, then.segments[column, value], [name for name in kept if name != column]),
        )
        for (column, value), profile in sorted(now.segments.items())
        if (column, value) in then.segments
    ]


def _within(policy: Drift, now: Profile, then: Profile, kept: Sequence[str]) -> Mapping[str, Any]:
    if min(now.rows, then.rows) < policy.min_rows:
        return {}
    return scores_of(policy, {name: (now.columns[name], then.columns.get(name, NO_COLUMN)) for name in kept}).columns


def drift_page(policy: Drift, bundle: Bundle, current: Current, reference: Reference, verdict: Verdict, *, title: str) -> str:
    """The page: the verdict, what was compared, and charts: Evidently's of both samples, else ours of both profiles."""
    head = page_head(verdict, policy, current, reference)
    if reference.rows is None:
        from seatrial.column_table import STYLE

        return page(title, f"<h1>{escape(title)}</h1>{head}", _drawings(current, reference, verdict), style=STYLE + DRAWN)
    from seatrial.evidently_report import compare, framed

    inputs = bundle.manifest.inputs
    tested = [
        _tested(column, reference.rows, current.sample.rows, policy) for column in inputs if column.name in current.sample.rows.columns
    ]
    tested = [pair for pair in tested if _has_values(pair.reference) and _has_values(pair.current)]
    _, html = compare(tested, alone=_predictions(bundle, current, reference, policy), drifted_share=_share(policy, len(tested)))
    return framed(html, title=title, head=head)


def _drawings(current: Current, reference: Reference, verdict: Verdict) -> str:
    """A card for each column, those that drifted first, with its sentence and both sides' distributions."""
    from seatrial.drawings import NOW, THEN, drawing

    now, then = current.tally.profile(listed=True).inputs.columns, reference.profile.inputs.columns
    cards = [
        f'<article class="card"><h3>{escape(check.column or "")}</h3><p>{tag(check.outcome.value)} {escape(check.message)}</p>'
        f"{drawing(check.column or '', now[check.column], then.get(check.column))}</article>"
        for check in verdict.worst_first()
        if check.column is not None and check.name == f"drift.{check.column}"
    ]
    legend = f'<p class="legend"><span>{NOW}now</span><span>{THEN}reference</span></p>'
    return f'<h2>Columns</h2>{legend}<div class="drawn">{"".join(cards)}</div>'


def _has_values(values: Any) -> bool:
    import numpy as np

    return bool(np.isfinite(values).any()) if isinstance(values, np.ndarray) else any(value is not None for value in values)


def _tested(column: Input, reference: pl.DataFrame, current: pl.DataFrame, policy: Drift) -> ColumnPair:
    """One column with the distance of its type, ready for Evidently."""
    from seatrial.evidently_report import ColumnPair

    then, now = plain(reference[column.name], column), plain(current[column.name], column)
    before: Any
    after: Any
    kind: Kind = "numeric" if column.type in NUMBERS else "category"
    chosen = policy.numeric if kind == "numeric" else policy.category
    if kind == "numeric":
        before, after = (side.fill_null(float("nan")).to_numpy() for side in (then, now))
    else:
        before, after = _bounded(then, now)
    return ColumnPair(name=column.name, kind=kind, method=chosen.method, limit=float(chosen.limit), reference=before, current=after)


def _bounded(then: pl.Series, now: pl.Series) -> tuple[list[str | None], list[str | None]]:
    """Categories as lists: the frequent ones, and `(other)` for what is rare, because anybody can send a million new words."""
    known = _frequent(then, MAX_CATEGORIES)
    kept = {*known, *_frequent(now.filter(now.is_not_null() & ~now.is_in(known)), MAX_UNSEEN)}
    before, after = ([word if word is None or word in kept else "(other)" for word in side.to_list()] for side in (then, now))
    return before, after


def _frequent(values: pl.Series, limit: int) -> list[str]:
    """The most frequent values; equally frequent ones in order."""
    counts = values.drop_nulls().alias("seatrial_value").value_counts(name="seatrial_count")
    ordered = counts.sort("seatrial_count", "seatrial_value", descending=[True, False])
    return [str(value) for value in ordered["seatrial_value"].head(limit)]


def _predictions(bundle: Bundle, current: Current, reference: Reference, policy: Drift) -> list[ColumnPair]:
    """The answers of both sides; nothing where a side has none."""
    import numpy as np

    from seatrial.evidently_report import ColumnPair
    from seatrial.live_rows import own_columns

    names = {column.name for column in bundle.manifest.inputs}
    answers = current.sample.rows[own_columns(bundle.manifest)["probability"]].cast(float).fill_null(float("nan")).to_numpy()
    if not _has_values(answers) or not len(reference.answers):
        return []
    return [
        ColumnPair(
            name=next(name for name in ("prediction", "probability", "seatrial_prediction") if name not in names),
            kind="numeric",
            method=policy.numeric.method,
            limit=float(policy.numeric.limit),
            reference=np.asarray(reference.answers, dtype=np.float64),
            current=answers,
        )
    ]


def _share(policy: Drift, columns: int) -> float:
    """Evidently declares drift from this share of the columns on: from one more than may drift."""
    return min(1.0, round((policy.max_columns + 0.5) / max(columns, 1), 4))


def page_head(verdict: Verdict, policy: Drift, current: Current, reference: Reference) -> str:
    """What stands above the charts (HTML): the verdict, what did not pass, and what was compared by which distances."""
    from seatrial.report import reason

    found = [check for check in verdict.worst_first() if check.outcome is not Outcome.PASS]
    more = f"<li>… and {len(found) - 10} more in metrics/drift.json</li>" if len(found) > 10 else ""
    shown = min(current.rows, policy.max_rows)
    charts = (
        f"The charts below are drawn from {shown} of these rows and at most as many of the reference, with seed 0, by Evidently with"
        " the same distances; they leave missing values out."
        if reference.rows is not None
        else "The reference's rows are not at hand, so the drawings below show the profiles that were compared."
    )
    return (
        f'<p><strong class="{verdict.outcome.value}">{verdict.outcome.value}</strong>: {escape(reason(verdict))}</p>'
        f"<ul>{''.join(_item(check) for check in found[:10])}{more}</ul>"
        f"<p>{current.rows} rows against {escape(reference.words)}; every row of both sides was counted."
        f" Drift is decided for {escape(methods(policy))}. {charts}</p>"
    )


def methods(policy: Drift) -> str:
    """By what drift is decided, in words."""
    return (
        f"numbers by {policy.numeric.method} from {policy.numeric.limit:g} on, categories by {policy.category.method} from "
        f"{policy.category.limit:g} on, missing cells from {policy.missing_increase:.0%} more on, each only where chance is below "
        f"{policy.alpha:g} after Benjamini-Hochberg"
    )


def _item(check: Check) -> str:
    word = f"{check.outcome.value}{' (advisory)' if check.advisory else ''}"
    return f'<li><span class="{check.outcome.value}">{word}</span> <code>{escape(check.name)}</code> {escape(check.message)}</li>'
