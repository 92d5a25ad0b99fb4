"""Measures over windows as small drawings (SVG), and a map of columns by windows. Colours are the page's; words say what they show."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from seatrial.html import escape

WIDTH, HEIGHT = 300, 92
LEFT, RIGHT, TOP, BOTTOM = 46, 8, 8, 20
CELL, LABEL = 16, 130
STYLE = """
.trends { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: .8rem }
.trends h3 { font-size: 1rem; margin: 0 } .trends .card { padding: .7rem .9rem } .trend, .map { width: 100%; height: auto }
.trend text, .map text { fill: var(--soft); font-size: 11px } .trend .grid { stroke: var(--line) }
.trend path { fill: none; stroke-width: 2; stroke-linejoin: round }
.trend .limit { stroke: var(--fail); stroke-dasharray: 5 3; stroke-width: 1.2 }
.trend .first { stroke: var(--now) } .trend .second { stroke: var(--note) } .trend .third { stroke: var(--soft) }
.trend .guess { stroke: var(--soft); stroke-dasharray: 3 3 }
.trend path.band { stroke: none; opacity: .22 } .trend .band.first { fill: var(--now) } .trend .band.guess { fill: var(--soft) }
.trend circle { fill: var(--now); stroke: var(--card) } .trend circle.second { fill: var(--note) }
.trend circle.third, .trend circle.guess { fill: var(--soft); stroke: none } .trend circle.fail { fill: var(--fail) }
.trend circle.simulated { fill: var(--card); stroke: var(--now) } .trend circle.simulated.fail { stroke: var(--fail) }
.trend .change { stroke: var(--inconclusive); stroke-dasharray: 2 3 }
.map rect { stroke: var(--card) } .map .calm { fill: var(--now) } .map .fail { fill: var(--fail) } .map .none { fill: var(--sunk) }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A value in one window, None where it was not measured, with its bounds; `failed` where its check did, `simulated` by a replay."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    failed: bool = False
    simulated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One measure over all windows: its name, its tone (`first`, `second`, `third`, `guess`), a point a window."""

    name: str
    tone: str
    points: Sequence[Point]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Where a drawing's values lie: from `low` to `high` upwards, `count` windows across."""

    low: float
    high: float
    count: int

    def y(self, value: float) -> float:
        """How far down a value lies."""
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - (min(max(value, self.low), self.high) - self.low) / (self.high - self.low))

    def x(self, at: float) -> float:
        """How far to the right the middle of a window lies."""
        return LEFT + (WIDTH - LEFT - RIGHT) * (at + 0.5) / self.count


def trend(title: str, lines: Sequence[Line], windows: Sequence[str], *, limit: float | None = None, changes: Sequence[int] = ()) -> str:
    """The lines over windows, which are named; `changes` are the windows from which on another version answered. Empty without values."""
    found = [point for line in lines for point in line.points if point.value is not None]
    if not found:
        return ""
    frame = _frame(found, limit, len(windows))
    parts = [*_axes(frame, windows)]
    parts += [f'<path class="change" d="M{frame.x(at - 0.5):.1f} {TOP}V{HEIGHT - BOTTOM}"/>' for at in changes if at]
    for line in lines:
        parts += [*_band(line, frame), *_curve(line, frame), *_dots(line, frame, windows)]
    if limit is not None:
        parts.append(f'<path class="limit" d="M{LEFT} {frame.y(limit):.1f}H{WIDTH - RIGHT}"><title>limit {_number(limit)}</title></path>')
    label = escape(_words(title, lines, limit))
    return f'<svg class="trend" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def _frame(points: Sequence[Point], limit: float | None, count: int) -> Frame:
    """What the picture spans: every value and bound, the limit, and nought where that is near."""
    values = [one for point in points for one in (point.value, point.low, point.high, limit) if one is not None and math.isfinite(one)]
    low, high = min(values, default=0.0), max(values, default=1.0)
    low = 0.0 if 0 <= low <= 0.3 * high else low
    if high <= low:
        low, high = low - 0.1 * abs(low), high + 0.1 * abs(high) + 0.01
    return Frame(low=low, high=high, count=count)


def _axes(frame: Frame, windows: Sequence[str]) -> Iterator[str]:
    """Two values on the left, the first and the last window below."""
    for value in (frame.low, frame.high):
        y = frame.y(value)
        yield f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
        yield f'<text x="{LEFT - 4}" y="{y + 4:.1f}" text-anchor="end">{_number(value)}</text>'
    yield f'<text x="{LEFT}" y="{HEIGHT - 5}">{escape(windows[0])}</text>'
    if len(windows) > 1:
        yield f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 5}" text-anchor="end">{escape(windows[-1])}</text>'


def _runs(line: Line, fields: Sequence[str]) -> Iterator[list[int]]:
    """Windows one after the other in which all of these are known."""
    known = [all(getattr(point, name) is not None for name in fields) for point in line.points]
    for there, group in groupby(range(len(known)), key=known.__getitem__):
        if there:
            yield list(group)


def _band(line: Line, frame: Frame) -> Iterator[str]:
    """The interval, as an area where windows follow each other and as a bar where one stands alone."""
    for run in _runs(line, ("value", "low", "high")):
        ends = [run[0] - 0.18, *run, run[-1] + 0.18]
        inner = [run[0], *run, run[-1]]
        over = [f"{frame.x(x):.1f} {frame.y(line.points[at].high or 0):.1f}" for x, at in zip(ends, inner, strict=True)]
        under = [f"{frame.x(x):.1f} {frame.y(line.points[at].low or 0):.1f}" for x, at in zip(ends, inner, strict=True)]
        yield f'<path class="band {line.tone}" d="M{"L".join([*over, *reversed(under)])}Z"/>'


def _curve(line: Line, frame: Frame) -> Iterator[str]:
    for run in _runs(line, ("value",)):
        if len(run) > 1:
            places = [f"{frame.x(at):.1f} {frame.y(line.points[at].value or 0):.1f}" for at in run]
            yield f'<path class="{line.tone}" d="M{"L".join(places)}"/>'


def _dots(line: Line, frame: Frame, windows: Sequence[str]) -> Iterator[str]:
    """A dot a window, which says its numbers to whoever points at it."""
    for at, point in enumerate(line.points):
        if point.value is not None:
            kinds = " ".join([line.tone, *(["fail"] if point.failed else []), *(["simulated"] if point.simulated else [])])
            told = f"{windows[at]}: {line.name} {_told(point)}{', failed' * point.failed}{', simulation' * point.simulated}"
            place = f'cx="{frame.x(at):.1f}" cy="{frame.y(point.value):.1f}"'
            yield f'<circle class="{kinds}" {place} r="2.6"><title>{escape(told)}</title></circle>'


def _told(point: Point) -> str:
    bounds = f" ({_number(point.low)} to {_number(point.high)})" if point.low is not None and point.high is not None else ""
    return f"{_number(point.value or 0.0)}{bounds}"


def _words(title: str, lines: Sequence[Line], limit: float | None) -> str:
    """The picture for who does not see it: what is newest, and how often a check failed."""
    newest = [
        f"{line.name} {_told(point)}"
        for line in lines
        if (point := next((one for one in reversed(line.points) if one.value is not None), None))
    ]
    failed = sum(point.failed for line in lines for point in line.points)
    known = max((sum(point.value is not None for point in line.points) for line in lines), default=0)
    more = f"; limit {_number(limit)}" if limit is not None else ""
    return f"{title} over {known} windows; newest: {', '.join(newest)}{more}{f'; failed in {failed}' if failed else ''}"


def _number(value: float | None) -> str:
    """A number as a reader wants it: whole from a hundred on, three digits below."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}" if abs(value) >= 0.1 else f"{value:.2g}"


def heat_map(rows: Mapping[str, Sequence[float | None]], windows: Sequence[str], *, words: str) -> str:
    """A cell for each row and window: how much of its limit a value takes, darker for more, in the tone of failures from 1 on."""
    width, height = LABEL + CELL * len(windows), CELL * len(rows) + 4
    cells = []
    for down, (name, values) in enumerate(rows.items()):
        shown = name if len(name) <= 20 else f"{name[:19]}…"
        cells.append(f'<text x="{LABEL - 6}" y="{down * CELL + 12}" text-anchor="end">{escape(shown)}</text>')
        cells += [
            _cell(name, value, window, LABEL + at * CELL, down * CELL)
            for at, (value, window) in enumerate(zip(values, windows, strict=True))
        ]
    size = f'viewBox="0 0 {width} {height}" style="min-width:{width}px;max-width:{1.3 * width:.0f}px"'
    return f'<svg class="map" {size} role="img" aria-label="{escape(words)}">{"".join(cells)}</svg>'


def _cell(name: str, value: float | None, window: str, x: int, y: int) -> str:
    kind = "none" if value is None else "fail" if value >= 1 else "calm"
    tone = "" if value is None or value >= 1 else f' fill-opacity="{0.08 + 0.6 * max(value, 0):.2f}"'
    told = f"{name}, {window}: {'not measured' if value is None else f'{value:.0%} of the limit'}"
    return f'<rect class="{kind}"{tone} x="{x}" y="{y}" width="{CELL}" height="{CELL}"><title>{escape(told)}</title></rect>'
