"""Champion against challenger, metric by metric: the figures that the gate's page, its comment and the terminal show."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seatrial.checks.performance import bounds
from seatrial.gate import Evidence
from seatrial.gate_tasks import can_be_judged
from seatrial.metrics import Answers, Labels, Metric, Scores, Targets
from seatrial.metrics_tasks import metrics_of
from seatrial.params import METRICS
from seatrial.resampling import estimate_differences, estimate_metrics
from seatrial.rivals import comparable
from seatrial.statistics import Estimate
from seatrial.verdict import Check, Outcome, Verdict, worst

KINDS = ("floor", "ceiling", "champion", "anchor")
KNOWN = frozenset(name for names in METRICS.values() for name in names)
WORDS = {"champion": "margin", "anchor": "anchor's margin"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SameRows:
    """The held-out rows on which the models stand side by side: those that the champion was not trained on.

    `at` is the place of each among all held-out rows, shape (n,). `champion` is None where there is none to compare with.
    """

    labels: Targets
    challenger: Answers
    champion: Answers | None
    at: NDArray[np.int64]

    @property
    def binary(self) -> BinaryRows | None:
        """The same of a binary task, and nothing of another one."""
        challenger, champion = self.challenger, self.champion
        if not isinstance(challenger, Scores):
            return None
        labels = np.asarray(self.labels, dtype=np.int64)
        return BinaryRows(labels=labels, challenger=challenger, champion=champion if isinstance(champion, Scores) else None, at=self.at)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BinaryRows:
    """Rows as in SameRows, with labels of 0 and 1 and probabilities of the positive class."""

    labels: Labels
    challenger: Scores
    champion: Scores | None
    at: NDArray[np.int64]

    @property
    def models(self) -> list[tuple[str, Scores]]:
        """The models by name, the challenger first."""
        return [("challenger", self.challenger), *([] if self.champion is None else [("champion", self.champion)])]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Line:
    """One metric that the policy asks of: what both models have, their difference, and the checks that judged it."""

    metric: Metric
    challenger: Estimate
    champion: Estimate | None
    difference: Estimate | None
    checks: tuple[Check, ...]

    @property
    def outcome(self) -> Outcome:
        """The worst of the checks that can block; where none can, the worst."""
        blocking = [check.outcome for check in self.checks if not check.advisory]
        return worst(blocking or [check.outcome for check in self.checks])

    @property
    def advisory(self) -> bool:
        """Whether none of its checks can block."""
        return all(check.advisory for check in self.checks)

    def check(self, kind: str) -> Check | None:
        """Its check of a kind, such as `floor`."""
        return next((check for check in self.checks if kind_of(check) == kind), None)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison:
    """All lines, the rows that both models share, what is special about them in words, and how sure the intervals are."""

    lines: tuple[Line, ...]
    rows: SameRows
    note: str
    confidence: float


def compare(verdict: Verdict, evidence: Evidence | None, *, confidence: float, resamples: int = 2000, seed: int = 0) -> Comparison | None:
    """The figures behind a verdict; None where nothing was measured, or where rows and answers allow no figure.

    All figures of a line are about the same rows, so that they can be read together. With the policy's resamples and seed,
    intervals are those of the checks' sentences.
    """
    if evidence is None or not _readable(evidence):
        return None
    rows, note = _same_rows(verdict, evidence)
    metrics = metrics_of(evidence.challenger.task)
    checks = _by_metric(verdict)
    drawing = {"resamples": resamples, "seed": seed}
    mine = estimate_metrics(checks, rows.labels, rows.challenger, **drawing)
    theirs = estimate_metrics(checks, rows.labels, rows.champion, **drawing) if rows.champion else {}
    changes = estimate_differences(checks, rows.labels, rows.challenger, rows.champion, **drawing) if rows.champion else {}
    lines = tuple(
        Line(metric=metrics[name], challenger=mine[name], champion=theirs.get(name), difference=changes.get(name), checks=tuple(own))
        for name, own in checks.items()
    )
    return Comparison(lines=lines, rows=rows, note=note, confidence=confidence)


def _readable(evidence: Evidence) -> bool:
    """Whether there is one answer for each row, and labels on which a model can be judged."""
    scores = evidence.challenger
    return len(scores.raw) == len(evidence.labels) and can_be_judged(evidence.labels, scores)


def _same_rows(verdict: Verdict, evidence: Evidence) -> tuple[SameRows, str]:
    """The rows to compare on as the gate chose them, and what is to be known about them."""
    champion = evidence.champion
    rival = comparable(champion, evidence.labels, evidence.challenger)
    every = np.arange(len(evidence.labels))
    alone = SameRows(labels=evidence.labels, challenger=evidence.challenger, champion=None, at=every)
    if champion is None:
        return alone, "First release: there is no champion to compare with."
    if rival is None:
        return alone, f"The champion cannot be compared with: {champion.problem or 'it did not give one answer for each row'}."
    if champion.learned is None or not champion.learned.any():
        return SameRows(labels=evidence.labels, challenger=evidence.challenger, champion=rival, at=every), ""
    learned, new = int(champion.learned.sum()), ~champion.learned
    asked = next((check for check in verdict.checks if check.name == "champion.trained_on"), None)
    if asked is not None and asked.outcome is not Outcome.PASS:
        return alone, f"The champion was trained on {learned:,} of these rows, and too few others are left to compare on."
    note = (
        f"The champion was trained on {learned:,} of the held-out rows, which are left out here; floors and ceilings were judged on "
        f"all {len(every):,}."
    )
    rows = SameRows(labels=evidence.labels[new], challenger=evidence.challenger.only(new), champion=rival.only(new), at=every[new])
    return rows, note


def _by_metric(verdict: Verdict) -> dict[str, list[Check]]:
    """The checks about a value or a difference, by metric, in the verdict's order."""
    found: dict[str, list[Check]] = {}
    for check in verdict.checks:
        if kind_of(check) in KINDS:
            found.setdefault(check.name.split(".")[1], []).append(check)
    return found


def kind_of(check: Check) -> str:
    """`floor`, `ceiling`, `champion` or `anchor` for a check of a known metric, else nothing."""
    family, _, rest = check.name.partition(".")
    metric, _, kind = rest.partition(".")
    return kind if family == "performance" and metric in KNOWN and kind in KINDS else ""


def limit_words(check: Check) -> str:
    """What a check holds a metric to: `floor 0.8`, `margin 0.02`."""
    kind = kind_of(check)
    limit = abs(check.limit) if kind in WORDS and isinstance(check.limit, float | int) else check.limit
    shown = f"{limit:g}" if isinstance(limit, float | int) else "unknown"
    return f"{WORDS.get(kind, kind)} {shown}"


def value_words(estimate: Estimate | None, *, signed: bool = False) -> str:
    """A value with three decimals, `+` before a difference that is one; a dash for none."""
    if estimate is None or not math.isfinite(estimate.value):
        return "–"
    return _rounded(estimate.value, signed=signed)


def _rounded(value: float, *, signed: bool) -> str:
    """Three decimals; what they show as zero has no sign."""
    words = f"{value:+.3f}" if signed else f"{value:.3f}"
    return "0.000" if words in ("+0.000", "-0.000") else words


def interval_words(estimate: Estimate | None, confidence: float, *, signed: bool = False) -> str:
    """The two-sided interval, such as `0.821–0.862` or `-0.010 to +0.004`; empty where there is none."""
    if estimate is None or not all(map(math.isfinite, (estimate.value, *bounds(estimate, confidence)))):
        return ""
    low, high = (_rounded(bound, signed=signed) for bound in bounds(estimate, confidence))
    return f"{low} to {high}" if signed else f"{low}–{high}"


def cells(line: Line, confidence: float) -> tuple[str, ...]:
    """A line as plain words: metric, challenger, champion, difference, limits, outcome."""
    return (
        line.metric.title,
        *(_seen(one, confidence, signed=False) for one in (line.challenger, line.champion)),
        _seen(line.difference, confidence, signed=True),
        _limits(line),
        f"{line.outcome.value}{', advisory' if line.advisory else ''}",
    )


def _seen(estimate: Estimate | None, confidence: float, *, signed: bool) -> str:
    between = interval_words(estimate, confidence, signed=signed)
    return f"{value_words(estimate, signed=signed)}{f' [{between}]' if between else ''}"


def _limits(line: Line) -> str:
    """Its limits, and where there are several, which of them it did not keep: `floor 0.7, margin 0.02 (fail)`."""
    several = len(line.checks) > 1
    return ", ".join(
        limit_words(check) + (f" ({check.outcome.value})" if several and check.outcome is not Outcome.PASS else "") for check in line.checks
    )
