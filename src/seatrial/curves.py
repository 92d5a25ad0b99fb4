"""How well probabilities rank and how far they can be trusted: ROC points, calibration bins, and drawings of intervals and curves.

Drawings are inline SVG that takes its colours from the page: the challenger's line is solid, the champion's is dashed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seatrial.html import escape
from seatrial.metrics import BINS, Floats, Labels, Scores
from seatrial.statistics import Estimate, wilson_interval

MOST = 300
SIDE, LEFT, TOP, RIGHT, BOTTOM = 300, 46, 10, 12, 46
TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
WIDE, HIGH, MIDDLE = 220, 46, 24

STYLE = """
.chart { max-width: 30rem; width: 100%; height: auto } .chart text { fill: var(--soft); font-size: 12px }
.chart .grid { stroke: var(--line); fill: none } .chart .even { stroke: var(--soft); stroke-dasharray: 2 4; fill: none }
.challenger, .champion { --line-tone: var(--now) } .champion { --line-tone: var(--soft) }
.curve { fill: none; stroke: var(--line-tone); stroke-width: 2.2; stroke-linejoin: round } .champion .curve { stroke-dasharray: 6 4 }
.chart .bars { stroke: var(--line-tone); stroke-width: 1.2; fill: none } .dot { fill: var(--line-tone); stroke: var(--card) }
.champion .dot { fill: var(--card); stroke: var(--line-tone); stroke-width: 1.6 }
.forest { width: 13.75rem; height: auto } .forest text { fill: var(--soft); font-size: 11px }
.forest .beyond { fill: var(--sunk) } .forest .zero { stroke: var(--soft) }
.forest .limit { stroke: var(--ink); stroke-dasharray: 4 3; stroke-width: 1.4 }
.forest .whole { stroke: var(--tone); stroke-width: 1.5 } .forest .sure { stroke: var(--tone); stroke-width: 7; opacity: .55 }
.forest .at { fill: var(--tone); stroke: var(--card) } .forest.plain { --tone: var(--now) }
.strip { width: 7.5rem; height: auto } .strip .base { stroke: var(--line) } .strip .whole { stroke: var(--now); stroke-width: 2.4 }
.strip .now { stroke: var(--card) } .strip .was { stroke: var(--ink); stroke-width: 1.6 }
@media screen and (max-width: 44rem) { .chart text { font-size: 14px } }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Rows of like probability: how many, their mean probability, the share of positives, and its Wilson interval."""

    rows: int
    predicted: float
    positive: float
    low: float
    high: float


def roc_points(labels: Labels, probabilities: Floats) -> tuple[Floats, Floats]:
    """False and true-positive rate at every distinct probability from the highest, from (0, 0) to (1, 1); NaN without a class."""
    order = np.argsort(-probabilities, kind="stable")
    ranked, actual = probabilities[order], (labels[order] == 1).astype(np.float64)
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) if len(ranked) else np.array([], dtype=np.int64)
    found, rows = np.cumsum(actual)[ends], ends + 1.0
    return _shares(rows - found), _shares(found)


def _shares(counts: Floats) -> Floats:
    """Cumulated counts from 0 as shares of the last one."""
    whole = np.append(0.0, counts)
    return whole / whole[-1] if whole[-1] > 0 else np.full_like(whole, np.nan)


def calibration(labels: Labels, probabilities: Floats, *, confidence: float, bins: int = BINS) -> list[Bin]:
    """The rows in bins of equal count, by probability; rows of one probability stay in one bin, so that their order is no matter."""
    distinct, inverse, counts = np.unique(probabilities, return_inverse=True, return_counts=True)
    if not len(distinct):
        return []
    middles = np.cumsum(counts) - counts / 2
    places = np.minimum((middles * bins / len(labels)).astype(np.int64), bins - 1)[inverse]
    return [_bin(labels[places == at], probabilities[places == at], confidence) for at in range(bins) if (places == at).any()]


def _bin(labels: Labels, probabilities: Floats, confidence: float) -> Bin:
    positives, rows = int((labels == 1).sum()), len(labels)
    low, high = wilson_interval(positives, rows, confidence)
    return Bin(rows=rows, predicted=float(probabilities.mean()), positive=positives / rows, low=low, high=high)


def rates_at(labels: Labels, scores: Scores) -> tuple[float, float]:
    """False and true-positive rate at the model's own threshold; NaN without a class."""
    actual = labels == 1
    rates = [float(scores.positive[rows].mean()) if rows.any() else math.nan for rows in (~actual, actual)]
    return rates[0], rates[1]


def thinned(across: Floats, up: Floats, most: int = MOST) -> tuple[Floats, Floats]:
    """At most `most` points of a rising curve, spread evenly along it, with both ends."""
    if len(across) <= most:
        return across, up
    way = across + up
    chosen = np.unique(np.append(np.searchsorted(way, np.linspace(way[0], way[-1], most - 1)), len(way) - 1))
    return across[chosen], up[chosen]


def roc_drawing(labels: Labels, models: Sequence[tuple[str, Scores]]) -> str:
    """The ROC curve of each model, `challenger` first, with a dot at its threshold."""
    layers = []
    for kind, scores in reversed(models):
        points = thinned(*roc_points(labels, scores.probabilities))
        line = _path(list(zip(*points, strict=True)), "curve")
        layers.append(f'<g class="{kind}">{line}{_dot(*rates_at(labels, scores))}</g>')
    words = f"ROC curve of {' and '.join(kind for kind, _ in models)}"
    return _chart(words, "false-positive rate", "true-positive rate", layers)


def calibration_drawing(labels: Labels, models: Sequence[tuple[str, Scores]], *, confidence: float) -> str:
    """The reliability diagram of each model: per bin the share of positives over the mean probability, with its interval."""
    layers = []
    for kind, scores in reversed(models):
        bins = calibration(labels, scores.probabilities, confidence=confidence)
        bars = "".join(f"M{_x(one.predicted)} {_y(one.low)}V{_y(one.high)}" for one in bins)
        line = _path([(one.predicted, one.positive) for one in bins], "curve")
        dots = "".join(_dot(one.predicted, one.positive, 3) for one in bins)
        layers.append(f'<g class="{kind}"><path class="bars" d="{bars}"/>{line}{dots}</g>')
    words = f"Calibration of {' and '.join(kind for kind, _ in models)}"
    return _chart(words, "mean probability of a bin", "share of positives", layers)


def _x(value: float) -> str:
    return f"{LEFT + SIDE * value:.5g}"


def _y(value: float) -> str:
    return f"{TOP + SIDE * (1 - value):.5g}"


def _path(points: Sequence[tuple[float, float]], kind: str) -> str:
    """A line through points; nothing where a number is missing."""
    if not points or not all(math.isfinite(value) for point in points for value in point):
        return ""
    return f'<path class="{kind}" d="M{"L".join(f"{_x(x)} {_y(y)}" for x, y in points)}"/>'


def _dot(x: float, y: float, radius: float = 4.5) -> str:
    return f'<circle class="dot" cx="{_x(x)}" cy="{_y(y)}" r="{radius:g}"/>' if math.isfinite(x + y) else ""


def _chart(words: str, across: str, up: str, layers: Sequence[str]) -> str:
    """A square from 0 to 1 both ways, with its axes and the diagonal."""
    grid = "".join(f"M{LEFT} {_y(tick)}h{SIDE}M{_x(tick)} {TOP}v{SIDE}" for tick in TICKS)
    texts = [f'<text x="{LEFT - 7}" y="{float(_y(tick)) + 4:g}" text-anchor="end">{tick:g}</text>' for tick in TICKS]
    texts += [f'<text x="{_x(tick)}" y="{TOP + SIDE + 17}" text-anchor="middle">{tick:g}</text>' for tick in TICKS]
    texts.append(f'<text x="{_x(0.5)}" y="{TOP + SIDE + 37}" text-anchor="middle">{escape(across)}</text>')
    texts.append(f'<text transform="translate(13 {_y(0.5)}) rotate(-90)" text-anchor="middle">{escape(up)}</text>')
    box = f"0 0 {LEFT + SIDE + RIGHT} {TOP + SIDE + BOTTOM}"
    return (
        f'<svg class="chart" viewBox="{box}" role="img" aria-label="{escape(words)}"><path class="grid" d="{grid}"/>'
        f'<path class="even" d="M{_x(0)} {_y(0)}L{_x(1)} {_y(1)}"/>{"".join(texts)}{"".join(layers)}</svg>'
    )


def forest(estimate: Estimate, *, confidence: float, limit: float | None, zero: bool, better_is_left: bool, tone: str) -> str:
    """An interval against its limit: a thin line for the two-sided interval, a thick one between the one-sided bounds that decide.

    Worse is always on the left, so the axis of a loss runs backwards. `zero` marks no difference; `tone` is an outcome or `plain`.
    """
    ends = [bound(share) for share in ((1 - confidence) / 2, 1 - confidence) for bound in (estimate.lower, estimate.upper)]
    shown = [*ends, estimate.value, *([] if limit is None else [limit]), *([0.0] if zero else [])]
    if not all(math.isfinite(value) for value in shown):
        return ""
    place = _Across.of(shown, backwards=better_is_left)
    drawn = [_limit(place, limit, f"{limit:+g}" if zero and limit else f"{limit:g}")] if limit is not None else []
    drawn += [f'<path class="zero" d="M{place(0)} 14V34"/>{_label(place, 0, "0", HIGH - 2)}'] if zero else []
    low, high, sure_low, sure_high = (place(value) for value in ends)
    drawn.append(f'<path class="whole" d="M{low} {MIDDLE}H{high}"/><path class="sure" d="M{sure_low} {MIDDLE}H{sure_high}"/>')
    drawn.append(f'<circle class="at" cx="{place(estimate.value)}" cy="{MIDDLE}" r="4.5"/>')
    words = f"{estimate.value:.3f}, from {min(ends):.3f} to {max(ends):.3f}" + ("" if limit is None else f"; the limit is {limit:g}")
    return f'<svg class="forest {tone}" viewBox="0 0 {WIDE} {HIGH}" role="img" aria-label="{words}">{"".join(drawn)}</svg>'


@dataclass(frozen=True, slots=True, kw_only=True)
class _Across:
    """Where a value lies from left to right in a drawing of `WIDE`."""

    low: float
    width: float
    backwards: bool

    @classmethod
    def of(cls, values: Sequence[float], *, backwards: bool) -> _Across:
        low, high = min(values), max(values)
        room = (high - low) * 0.12 or max(abs(high), 1.0) * 0.1
        return cls(low=low - room, width=high - low + 2 * room, backwards=backwards)

    def __call__(self, value: float) -> str:
        share = (value - self.low) / self.width
        return f"{WIDE * (1 - share if self.backwards else share):.4g}"


def _limit(place: _Across, limit: float, words: str) -> str:
    """The limit with its number, and what lies beyond it on the side of worse."""
    at = place(limit)
    return f'<path class="beyond" d="M0 14H{at}V34H0z"/><path class="limit" d="M{at} 14V34"/>{_label(place, limit, words, 10)}'


def _label(place: _Across, value: float, words: str, y: int) -> str:
    at = float(place(value))
    anchor = "start" if at < 25 else "end" if at > WIDE - 25 else "middle"
    return f'<text x="{at:g}" y="{y}" text-anchor="{anchor}">{words}</text>'


def strip(low: float, value: float, high: float, was: float | None, scale: tuple[float, float]) -> str:
    """A value with its interval on a line of this scale, the champion's as a stroke across it."""
    if not all(math.isfinite(one) for one in (low, value, high)):
        return ""
    left, mark, right = (_on_strip(one, scale) for one in (low, value, high))
    stroke = f'<path class="was" d="M{_on_strip(was, scale)} 2V18"/>' if was is not None and math.isfinite(was) else ""
    return (
        '<svg class="strip" viewBox="0 0 120 20" aria-hidden="true"><path class="base" d="M4 10H116"/>'
        f'<path class="whole" d="M{left} 10H{right}"/><circle class="now" cx="{mark}" cy="10" r="4"/>{stroke}</svg>'
    )


def _on_strip(value: float, scale: tuple[float, float]) -> str:
    low, high = scale
    return f"{4 + 112 * min(max((value - low) / (high - low), 0.0), 1.0):.4g}"
