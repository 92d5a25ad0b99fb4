"""Drawings of a rollout over time: the challenger's weight, requests, failures, and the e-value against its limit.

Inline SVG that takes its colours from the page. The challenger's line is solid, the champion's is dashed; mirror steps and holds
are hatched and named, so that nothing is told by colour alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from seatrial.html import escape
from seatrial.rollout_story import Moment, Story

MOST_POINTS = 300
MOST_NUMBERS = 40
LEFT, TOP, WIDE, HIGH, RIGHT, BOTTOM = 58, 22, 420, 160, 14, 26
LEAST_POWER = -6
"""E-values below ten to this are drawn there: they all say that nothing is wrong."""
UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))
STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)

STYLE = """
.timeline { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(30rem, 100%), 1fr)); gap: 1rem }
.timeline figure { margin: 0; min-width: 0 } .timeline h3 { margin: 0 0 .3rem; font-size: 1rem }
.legend { display: flex; flex-wrap: wrap; gap: .1rem 1.2rem; margin: 0 0 .4rem; font-size: .85rem; color: var(--soft) }
.legend span { display: inline-flex; gap: .4rem; align-items: center } .legend svg { width: 34px; height: 12px; flex: none }
.chart { width: 100%; height: auto } .chart text { fill: var(--soft); font-size: 12px }
.chart .grid, .chart .turns { stroke: var(--line); fill: none } .chart .turns { stroke: var(--then); stroke-dasharray: 1 3 }
.chart .limit { stroke: var(--ink); stroke-dasharray: 4 3; stroke-width: 1.4; fill: none } .chart text.strong { fill: var(--ink) }
.curve { fill: none; stroke: var(--line-tone); stroke-width: 2.2; stroke-linejoin: round; stroke-linecap: round }
.challenger { --line-tone: var(--now) } .champion { --line-tone: var(--soft) } .champion .curve { stroke-dasharray: 6 5 }
.dot { fill: var(--line-tone); stroke: var(--card) } .hatch { stroke: var(--soft); stroke-width: 1; opacity: .55 }
@media screen and (max-width: 44rem) { .chart text { font-size: 14px } }
@media print { .timeline { grid-template-columns: 1fr 1fr } figure { break-inside: avoid } }
"""

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a drawing: `challenger` or `champion`, through points of (seconds, value); `stairs` keeps a value until the next."""

    kind: str
    points: Points
    stairs: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """The upward axis: its ends and the numbers that are written beside it."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]

    def at(self, value: float) -> str:
        """Where a value lies, from the top."""
        share = (min(max(value, self.low), self.high) - self.low) / ((self.high - self.low) or 1.0)
        return f"{TOP + HIGH * (1 - share):.5g}"


def timeline(story: Story, *, log_limit: float | None) -> str:
    """The four drawings (HTML): weight, requests, failures, and e-value with its limit, whose logarithm is `log_limit`."""
    moments = thinned(story.moments)
    figures = [_weight(story, moments)]
    if any(moment.challenger.requests or moment.champion.requests for moment in moments):
        figures += [
            _counts(story, moments, "Requests", "requests", lambda side: side.requests),
            _counts(story, moments, "Failures", "failures", lambda side: side.failures),
            _evidence(story, moments, log_limit),
        ]
    return f'<div class="timeline">{"".join(figures)}</div>'


def thinned(moments: Sequence[Moment], most: int = MOST_POINTS) -> list[Moment]:
    """At most about `most` moments, spread evenly over time, and with them the first, the last and each change of weight."""
    if len(moments) <= most:
        return list(moments)
    span = (moments[-1].seconds - moments[0].seconds) or 1.0
    kept, slot = [moments[0]], 0
    for before, moment in pairwise(moments):
        found = int((moment.seconds - moments[0].seconds) / span * most)
        if found != slot or (moment.exposure, moment.paused) != (before.exposure, before.paused) or moment is moments[-1]:
            kept.append(moment)
            slot = found
    return kept


def weight_of(moment: Moment) -> int:
    """The challenger's percent of the answers that clients got."""
    return moment.exposure if isinstance(moment.exposure, int) else 0


def _weight(story: Story, moments: Sequence[Moment]) -> str:
    axis = Axis(low=0, high=100, ticks=tuple((value, f"{value} %") for value in (0, 25, 50, 75, 100)))
    line = Line(kind="challenger", points=[(moment.seconds, weight_of(moment)) for moment in moments], stairs=True)
    changes = [moments[0], *(after for before, after in pairwise(moments) if after.exposure != before.exposure)]
    told = ", ".join(
        f"{'mirror' if one.exposure == 'mirror' else f'{weight_of(one)} %'} from {duration(one.seconds)}" for one in changes[:30]
    )
    bands = _bands(moments)
    drawn = _chart("weight", "Weight of the challenger over time", told, [line], axis, story, bands=bands, numbered=True)
    hatched = {word for _, _, word in bands}
    notes = [
        "Numbers are the decisions below.",
        *(["Mirror steps send copies, whose answers no client gets."] if "mirror" in hatched else []),
        *(["While it is held, nothing advances."] if "held" in hatched else []),
    ]
    return _figure("Weight", _legend(("challenger",)), drawn, " ".join(notes))


def _counts(story: Story, moments: Sequence[Moment], title: str, word: str, number: Callable[..., int]) -> str:
    sides = {kind: [(moment.seconds, float(number(getattr(moment, kind)))) for moment in moments] for kind in ("champion", "challenger")}
    top = max(value for points in sides.values() for _, value in points)
    axis = _counting(top)
    lines = [Line(kind=kind, points=points) for kind, points in sides.items()]
    told = "; ".join(f"{kind} {points[-1][1]:,.0f} {word} in the end" for kind, points in sides.items())
    ends = {kind: f"{points[-1][1]:,.0f}" for kind, points in sides.items()}
    drawn = _chart(word, f"{title} of both sides over time", told, lines, axis, story, bands=_bands(moments))
    return _figure(title, _legend(("champion", "challenger"), ends), drawn, "Summed over all steps of this rollout; mirrored ones count.")


def _evidence(story: Story, moments: Sequence[Moment], log_limit: float | None) -> str:
    points = [(moment.seconds, moment.log_e / math.log(10)) for moment in moments if math.isfinite(moment.log_e)]
    limit = log_limit / math.log(10) if log_limit is not None else None
    values = [value for _, value in points] + [0.0] + ([limit] if limit is not None else [])
    axis = _powers(min(values), max(values))
    worst = max((value for _, value in points), default=0.0)
    told = f"the largest is {power(worst)}" + (f", the limit is {power(limit)}" if limit is not None else "")
    drawn = _chart(
        "evidence", "E-value against the challenger over time, logarithmic", told, [Line(kind="challenger", points=points)], axis, story,
        bands=_bands(moments), limit=limit,
    )  # fmt: skip
    note = "At the dashed limit the challenger goes back. 1 says nothing, below 1 speaks for it."
    return _figure("E-value against the challenger", _legend(("challenger",), {"challenger": told}), drawn, note)


def power(logarithm: float) -> str:
    """An e-value in words, from its logarithm to base 10."""
    if abs(logarithm) >= 4:
        return f"10^{logarithm:.0f}"
    return f"{10**logarithm:,.0f}" if logarithm >= 2 else f"{10**logarithm:.3g}"


def _figure(title: str, legend: str, drawn: str, caption: str) -> str:
    return f'<figure class="card"><h3>{title}</h3>{legend}{drawn}<figcaption class="soft small">{escape(caption)}</figcaption></figure>'


def _legend(kinds: Iterable[str], words: dict[str, str] | None = None) -> str:
    swatch = '<svg viewBox="0 0 34 12" aria-hidden="true"><path class="curve" d="M2 6H32"/></svg>'
    told = {kind: f"{kind}: {words[kind]}" if words and kind in words else kind for kind in kinds}
    return f'<p class="legend">{"".join(f"""<span class="{kind}">{swatch}{escape(said)}</span>""" for kind, said in told.items())}</p>'


def _bands(moments: Sequence[Moment]) -> list[tuple[float, float, str]]:
    """From when to when what was hatched: mirror steps, and holds."""
    found: list[tuple[float, float, str]] = []
    for at, moment in enumerate(moments):
        word = "held" if moment.paused else "mirror" if moment.exposure == "mirror" else ""
        end = moments[min(at + 1, len(moments) - 1)].seconds
        if word and found and found[-1][2] == word and found[-1][1] >= moment.seconds:
            found[-1] = (found[-1][0], end, word)
        elif word:
            found.append((moment.seconds, end, word))
    return found


def _chart(
    name: str,
    title: str,
    told: str,
    lines: Sequence[Line],
    axis: Axis,
    story: Story,
    *,
    bands: Sequence[tuple[float, float, str]] = (),
    limit: float | None = None,
    numbered: bool = False,
) -> str:
    """One drawing with its axes; `told` says in words what it shows."""
    across = _Across(story.seconds)
    layers = [_hatched(name, bands, across), _grid(axis, across), _turns(story, across, numbered=numbered)]
    if limit is not None:
        layers.append(f'<path class="limit" d="M{LEFT} {axis.at(limit)}h{WIDE}"/>')
        layers.append(f'<text class="strong" x="{LEFT + 4}" y="{float(axis.at(limit)) - 5:g}">limit {power(limit)}</text>')
    layers += [_line(line, axis, across) for line in lines]
    box = f"0 0 {LEFT + WIDE + RIGHT} {TOP + HIGH + BOTTOM}"
    return (
        f'<svg class="chart" viewBox="{box}" role="img" aria-labelledby="{name}-title {name}-desc"><title id="{name}-title">'
        f'{escape(title)}</title><desc id="{name}-desc">{escape(told)}</desc>{"".join(layers)}</svg>'
    )


class _Across:
    """Where a second lies from left to right, and which seconds are named below."""

    def __init__(self, seconds: float) -> None:
        self._span = max(seconds, 1e-3)

    def __call__(self, seconds: float) -> float:
        return LEFT + WIDE * min(max(seconds / self._span, 0.0), 1.0)

    def ticks(self) -> list[float]:
        step = next((step for step in STEPS_S if self._span / step <= 6), None) or 86_400 * math.ceil(self._span / 86_400 / 6)
        return [step * at for at in range(int(self._span / step) + 1)]


def _grid(axis: Axis, across: _Across) -> str:
    rows = "".join(f"M{LEFT} {axis.at(value)}h{WIDE}" for value, _ in axis.ticks)
    texts = [
        f'<text x="{LEFT - 6}" y="{float(axis.at(value)) + 4:g}" text-anchor="end">{escape(words)}</text>' for value, words in axis.ticks
    ]
    for second in across.ticks():
        place = across(second)
        anchor = "end" if place > LEFT + WIDE - 20 else "middle"
        rows += f"M{place:.5g} {TOP + HIGH}v4"
        texts.append(f'<text x="{place:.5g}" y="{TOP + HIGH + 19}" text-anchor="{anchor}">{_tick(second)}</text>')
    return f'<path class="grid" d="{rows}"/>{"".join(texts)}'


def _turns(story: Story, across: _Across, *, numbered: bool) -> str:
    """A dotted line for each decision, with its number where there is room."""
    path, free = "", -math.inf
    texts: list[str] = []
    for turn in story.turns:
        place = across(turn.seconds)
        path += f"M{place:.5g} {TOP}v{HIGH}"
        room = 5 + 5 * len(str(turn.number))
        if numbered and place - room >= free and len(texts) < MOST_NUMBERS:
            texts.append(f'<text class="strong" x="{place:.5g}" y="{TOP - 7}" text-anchor="middle">{turn.number}</text>')
            free = place + room
    return f'<path class="turns" d="{path}"/>{"".join(texts)}'


def _hatched(name: str, bands: Sequence[tuple[float, float, str]], across: _Across) -> str:
    if not bands:
        return ""
    pattern = (
        f'<pattern id="{name}-hatch" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<path class="hatch" d="M0 0V7"/></pattern>'
    )
    drawn = []
    for start, end, words in bands:
        left, width = across(start), max(across(end) - across(start), 1.5)
        drawn.append(f'<rect x="{left:.5g}" y="{TOP}" width="{width:.5g}" height="{HIGH}" fill="url(#{name}-hatch)"/>')
        if width > 7 * len(words):
            drawn.append(f'<text class="strong" x="{left + width / 2:.5g}" y="{TOP + 14}" text-anchor="middle">{words}</text>')
    return f"<defs>{pattern}</defs>{''.join(drawn)}"


def _line(line: Line, axis: Axis, across: _Across) -> str:
    if not line.points:
        return ""
    first, *rest = [(f"{across(seconds):.5g}", axis.at(value)) for seconds, value in line.points]
    way = "".join(f"H{x}V{y}" if line.stairs else f"L{x} {y}" for x, y in rest)
    x, y = rest[-1] if rest else first
    return (
        f'<g class="{line.kind}"><path class="curve" d="M{first[0]} {first[1]}{way}"/><circle class="dot" cx="{x}" cy="{y}" r="3.5"/></g>'
    )


def _counting(top: float) -> Axis:
    """From 0 to a round number above `top`."""
    step = next(size * 10**at for at in range(15) for size in (1, 2, 5) if top / (size * 10**at) <= 4)
    count = max(1, math.ceil(top / step))
    return Axis(low=0, high=step * count, ticks=tuple((step * at, _short(step * at)) for at in range(count + 1)))


def _short(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= 10 * size or (value >= size and value % size == 0):
            return f"{value / size:g} {letter}"
    return f"{value:g}"


def _powers(low: float, high: float) -> Axis:
    """Powers of ten from below `low` to above `high`."""
    first, last = max(math.floor(low), LEAST_POWER), math.ceil(high + 0.15)
    step = max(1, math.ceil((last - first) / 6))
    ticks = tuple((float(at), power(at)) for at in range(first, last + 1, step))
    return Axis(low=first, high=max(last, first + 1), ticks=ticks)


def _tick(seconds: float) -> str:
    """A round length of time: `30 s`, `1.5 min`, `2 h`."""
    size, word = next(((size, word) for size, word in UNITS if seconds >= size), UNITS[-1])
    return f"{seconds / size:.3g} {word}"


def duration(seconds: float) -> str:
    """A length of time in words, in at most two units: `5.4 s`, `2 min 20 s`, `3 h 5 min`, `1 d 12 h`."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    at = next(at for at, (size, _) in enumerate(UNITS) if seconds >= size)
    (size, word), (small, less) = UNITS[at], UNITS[at + 1]
    whole, rest = divmod(seconds, size)
    return f"{whole:.0f} {word}" + (f" {rest // small:.0f} {less}" if rest >= small else "")
