"""The gate page's tables of slices and groups: how both models do in each part of the held-out rows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seatrial.checks.fairness import word
from seatrial.checks.performance import bounds
from seatrial.checks.wording import counted
from seatrial.curves import strip
from seatrial.drawings import short
from seatrial.gate_figures import BinaryRows, interval_words, value_words
from seatrial.gate_tasks import MIN_PER_CLASS
from seatrial.html import escape, table
from seatrial.metrics import Labels, Scores
from seatrial.resampling import delong, delong_difference
from seatrial.statistics import Estimate, PairedEstimate, ProportionEstimate

MOST_VALUES = 12
MOST_COLUMNS = 24
OPEN_COLUMNS = 6
SHORT = 20
Mask = NDArray[np.bool_]


def slices_section(columns: Mapping[str, Sequence[Any]], rows: BinaryRows, confidence: float) -> str:
    """A table for each column: its most frequent values with both models' figures; nothing without a column.

    `columns` maps a column to the value of every held-out row; those whose length is another are left out.
    """
    length = int(rows.at.max()) + 1 if len(rows.at) else 0
    fitting = {name: values for name, values in columns.items() if len(values) >= length}
    if not fitting:
        return ""
    shown = list(fitting.items())[:MOST_COLUMNS]
    tables = "".join(
        _column(name, [word(values[at]) for at in rows.at], rows, confidence, opened=number < OPEN_COLUMNS)
        for number, (name, values) in enumerate(shown)
    )
    more = f'<p class="soft">… and {counted(len(fitting) - len(shown), "more column")}.</p>' if len(fitting) > len(shown) else ""
    return f"<section><h2>Slices and groups</h2>{_explained(rows, confidence)}{tables}{more}</section>"


def _explained(rows: BinaryRows, confidence: float) -> str:
    second = (
        ", and the stroke is the champion's; below each figure stand the champion's and the difference, "
        "which stands out where its interval leaves out 0"
        if rows.champion
        else ""
    )
    return (
        f'<p class="soft small">Intervals hold {100 * confidence:g} % of the time, each for itself: of twenty slices, one may well look '
        f"odd by chance. Drawn is the challenger's ROC AUC{second}. Slices with fewer than {MIN_PER_CLASS} rows of either class show "
        "their counts only.</p>"
    )


def _column(name: str, words: Sequence[str], rows: BinaryRows, confidence: float, *, opened: bool) -> str:
    """One column's values, the most frequent first."""
    counts = Counter(words)
    chosen = sorted(counts, key=lambda value: (-counts[value], value))[:MOST_VALUES]
    values = np.array(words, dtype=object)
    parts = [_Part.of(value, values == value, rows) for value in chosen]
    scale = _scale(parts, confidence)
    head = ("value", "rows", "positives", "ROC AUC", f"{scale[0]:.2f} to {scale[1]:.2f}", "true-positive rate", "labelled positive")
    whole = table(head, [_cells(part, confidence, scale) for part in parts], numbers=("rows", "positives"))
    rest = len(counts) - len(chosen)
    left = sum(counts.values()) - sum(counts[value] for value in chosen)
    more = f'<p class="soft small">… and {counted(rest, "more value")} with {counted(left, "row")}.</p>' if rest else ""
    title = f"<bdi>{escape(short(name, 120))}</bdi>"
    return f"<details{' open' if opened else ''}><summary><strong>{title}</strong></summary>{whole}{more}</details>"


def _scale(parts: Sequence[_Part], confidence: float) -> tuple[float, float]:
    """The ends of a line that holds the intervals of all parts, in steps of 0.05 within 0 and 1."""
    ends = [bounds(part.area().challenger, confidence) for part in parts if part.enough]
    low, high = min((one[0] for one in ends), default=0.5), max((one[1] for one in ends), default=1.0)
    return max(math.floor(low * 20 - 1e-9) / 20, 0.0), min(math.ceil(high * 20 + 1e-9) / 20, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Part:
    """The rows of one value, with both models' answers to them."""

    value: str
    labels: Labels
    challenger: Scores
    champion: Scores | None

    @classmethod
    def of(cls, value: str, mask: Mask, rows: BinaryRows) -> _Part:
        champion = None if rows.champion is None else rows.champion.only(mask)
        return cls(value=value, labels=rows.labels[mask], challenger=rows.challenger.only(mask), champion=champion)

    @property
    def positives(self) -> int:
        return int((self.labels == 1).sum())

    @property
    def enough(self) -> bool:
        return min(self.positives, len(self.labels) - self.positives) >= MIN_PER_CLASS

    def area(self) -> _Figure:
        """ROC AUC, by DeLong."""
        mine, champion = self.challenger.probabilities, self.champion
        if champion is None:
            return _Figure(challenger=delong(self.labels, mine))
        theirs = champion.probabilities
        return _Figure(
            challenger=delong(self.labels, mine),
            champion=delong(self.labels, theirs).value,
            difference=delong_difference(self.labels, mine, theirs),
        )

    def share(self, among: Mask) -> _Figure:
        """The share that is labelled positive among some of the rows; the difference by the rows whose label differs."""
        mine = self.challenger.positive[among]
        found = ProportionEstimate(successes=int(mine.sum()), rows=len(mine))
        if self.champion is None:
            return _Figure(challenger=found)
        theirs = self.champion.positive[among]
        difference = PairedEstimate(wins=int((mine & ~theirs).sum()), losses=int((~mine & theirs).sum()), rows=len(mine))
        return _Figure(challenger=found, champion=float(theirs.mean()), difference=difference)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Figure:
    """One figure of the challenger's, and beside it the champion's."""

    challenger: Estimate
    champion: float | None = None
    difference: Estimate | None = None

    def html(self, confidence: float) -> str:
        """The figure with its interval, below it the champion's and the difference."""
        first = f'{value_words(self.challenger)} <span class="soft small">{interval_words(self.challenger, confidence)}</span>'
        if self.champion is None or self.difference is None:
            return first
        difference = f"{value_words(self.difference, signed=True)} ({interval_words(self.difference, confidence, signed=True)})"
        low, high = bounds(self.difference, confidence)
        kind = "clear" if low > 0 or high < 0 else "soft"
        return f'{first}<br><span class="soft small nobreak">vs {self.champion:.3f}: <span class="{kind}">{difference}</span></span>'


def _cells(part: _Part, confidence: float, scale: tuple[float, float]) -> list[str]:
    kind = ' class="short"' if len(part.value) <= SHORT else ""
    counts = [f"<bdi{kind}>{escape(short(part.value, 120))}</bdi>", f"{len(part.labels):,}", f"{part.positives:,}"]
    return [*counts, *(_figures(part, confidence, scale) if part.enough else ['<span class="soft">too few</span>', "", "", ""])]


def _figures(part: _Part, confidence: float, scale: tuple[float, float]) -> Iterator[str]:
    area, every = part.area(), np.ones(len(part.labels), dtype=bool)
    low, high = bounds(area.challenger, confidence)
    yield area.html(confidence)
    yield strip(low, area.challenger.value, high, area.champion, scale)
    yield part.share(part.labels == 1).html(confidence)
    yield part.share(every).html(confidence)
