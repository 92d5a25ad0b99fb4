"""The simulated year as one picture (SVG): chapters, alarms month by month, the metric by outcomes, which version answered.

Written by hand, so that the same year gives the same bytes. It brings its own background and follows the reader's choice of light
or dark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from seatrial.html import escape
from seatrial.live_performance import Interval
from seatrial.simulation.judge import Mark, Seen
from seatrial.simulation.story import Chapter, Story

LEFT, RIGHT, TOP = 216, 20, 78
WIDE, NARROW, ROOM = 52, 22, 624
LINE, BAND, CURVE = 24, 24, 120
LETTER, MARGIN = 6.4, 6
MOST_LETTERS = 30

STYLE = """
.sim text{font:12px system-ui,sans-serif}.sim .title{font-size:14px;font-weight:600}.paper{fill:#fff}.ink{fill:#1f2328}.soft{fill:#59636e}
.grid{stroke:#d8dee4}.band{fill:#ddf4ff}.bandname{fill:#0a3069}.quiet{fill:none;stroke:#8c959f}.fired{fill:#bf8700}
.missed{stroke:#cf222e;stroke-width:2.2;fill:none}.false{fill:#cf222e}.open{fill:#d0d7de}
.known{stroke:#0969da;stroke-width:2;fill:none}.late{fill:#0969da}.sure{stroke:#0969da;stroke-width:5;opacity:.25}
.guess{stroke:#59636e;stroke-width:1.6;stroke-dasharray:4 3;fill:none}.limit{stroke:#cf222e;stroke-dasharray:5 4;fill:none}
.v0{fill:#dafbe1}.v1{fill:#aceebb}.live{fill:#1a7f37}.asked{fill:none;stroke:#1a7f37;stroke-width:1.8}
@media (prefers-color-scheme:dark){.paper{fill:#0d1117}.ink{fill:#f0f6fc}.soft{fill:#9198a1}.grid{stroke:#2f353d}.band{fill:#12304f}
.bandname{fill:#a5d6ff}.quiet{stroke:#6e7681}.fired{fill:#d29922}.missed{stroke:#ff7b72}.false{fill:#ff7b72}.open{fill:#3d444d}
.known{stroke:#4493f8}.late{fill:#4493f8}.sure{stroke:#4493f8}.guess{stroke:#9198a1}.limit{stroke:#ff7b72}.v0{fill:#0f2d1b}.v1{fill:#1c4a2c}
.live{fill:#56d364}.asked{stroke:#56d364}}
"""
WORDS = {
    Mark.FIRED: "fired, as expected",
    Mark.QUIET: "quiet, as expected",
    Mark.OPEN: "nothing is expected",
    Mark.MISSED: "had to fire",
    Mark.FALSE: "false alarm",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """Where months lie: `count` of them, each `wide`."""

    count: int
    wide: float

    @classmethod
    def of(cls, count: int) -> Sheet:
        """Months as wide as there is room for."""
        return cls(count=count, wide=min(WIDE, max(NARROW, ROOM / count)))

    @property
    def width(self) -> float:
        """The picture's width; a short year has room for its legend all the same."""
        return LEFT + max(self.count * self.wide, ROOM) + RIGHT

    def x(self, month: float) -> float:
        """The left edge of a month, counted from 1."""
        return LEFT + (month - 1) * self.wide

    def middle(self, month: int) -> float:
        """The middle of a month."""
        return self.x(month + 0.5)


def year_picture(
    story: Story, year: Sequence[Seen], rows: Mapping[str, Sequence[Mark]], *, metric: str, limit: float | None, title: str
) -> str:
    """The whole picture; `rows` are the alarms with their marks month by month, `limit` is the metric's floor or ceiling."""
    sheet = Sheet.of(len(year))
    parts, y = [*_head(title), *_legend(), *_months(sheet, year, TOP)], TOP + LINE
    for lane in _lanes(sheet, story):
        parts += [_chapter(sheet, chapter, y) for chapter in lane]
        y += BAND
    y += 8
    for name, marks in rows.items():
        parts += _row(sheet, name, marks, year, y)
        y += LINE
    parts += _curve(sheet, year, metric, limit, y + 10)
    y += CURVE + 26
    parts += _versions(sheet, year, y)
    height = y + 62
    words = escape(_spoken(year, rows, title))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="sim" viewBox="0 0 {sheet.width:g} {height:g}" width="{sheet.width:g}" '
        f'height="{height:g}" role="img" aria-label="{words}"><title>{words}</title><style>{STYLE}</style>'
        f'<rect class="paper" width="{sheet.width:g}" height="{height:g}" rx="6"/>{"".join(parts)}</svg>\n'
    )


def _spoken(year: Sequence[Seen], rows: Mapping[str, Sequence[Mark]], title: str) -> str:
    """The picture for who does not see it."""
    fired = [f"{name} in months {', '.join(str(one.month) for one in year if name in one.shown)}" for name in rows if _ever(name, year)]
    return f"{title}: {'; '.join(fired) if fired else 'every alarm stayed quiet'}"


def _ever(name: str, year: Sequence[Seen]) -> bool:
    return any(name in one.shown for one in year)


def _head(title: str) -> Iterator[str]:
    yield f'<text class="ink title" x="16" y="26">{escape(title)}</text>'


def _legend() -> Iterator[str]:
    x = 22.0
    for mark in Mark:
        yield f'<g transform="translate({x:g} 50)">{_sign(mark, 0, 0, fired=False)}<text class="soft" x="13" y="4">{WORDS[mark]}</text></g>'
        x += 38 + 6.2 * len(WORDS[mark])


def _months(sheet: Sheet, year: Sequence[Seen], y: float) -> Iterator[str]:
    yield f'<text class="soft" x="{LEFT - 10}" y="{y + 14:g}" text-anchor="end">month (simulated)</text>'
    for one in year:
        told = escape(f"month {one.month}, from {one.since}: {one.rows} rows")
        place = f'x="{sheet.middle(one.month):.1f}" y="{y + 14:g}" text-anchor="middle"'
        yield f'<text class="soft" {place}>{one.month}<title>{told}</title></text>'


def _lanes(sheet: Sheet, story: Story) -> list[list[Chapter]]:
    """The chapters that are reached, side by side where neither bands nor names overlap."""
    lanes: list[list[Chapter]] = []
    for chapter in story.chapters:
        if chapter.months[0] > sheet.count:
            continue
        begin = _extent(sheet, chapter)[0]
        free = next((lane for lane in lanes if all(_extent(sheet, other)[1] <= begin for other in lane)), None)
        lanes.append([chapter]) if free is None else free.append(chapter)
    return lanes


def _extent(sheet: Sheet, chapter: Chapter) -> tuple[float, float]:
    """From where to where a chapter's band and name reach."""
    right = sheet.x(min(chapter.months[-1], sheet.count) + 1)
    name = LETTER * len(chapter.name) + 2 * MARGIN
    left = sheet.x(chapter.months[0])
    return min(left, sheet.x(sheet.count + 1) - name), max(right, min(left, sheet.x(sheet.count + 1) - name) + name)


def _chapter(sheet: Sheet, chapter: Chapter, y: float) -> str:
    """A band over its months; the name begins with it, and ends with the picture at the latest."""
    x, last = sheet.x(chapter.months[0]) + 1, min(chapter.months[-1], sheet.count)
    wide = (last - chapter.months[0] + 1) * sheet.wide - 2
    at = _extent(sheet, chapter)[0] + MARGIN
    told = escape(f"{chapter.name}: {chapter.words}")
    band = f'<rect class="band" x="{x:.1f}" y="{y:g}" width="{wide:.1f}" height="{BAND - 4}" rx="4"/>'
    return f'<g><title>{told}</title>{band}<text class="bandname" x="{at:.1f}" y="{y + 14:g}">{escape(chapter.name)}</text></g>'


def _row(sheet: Sheet, name: str, marks: Sequence[Mark], year: Sequence[Seen], y: float) -> Iterator[str]:
    shown = name if len(name) <= MOST_LETTERS else f"{name[: MOST_LETTERS - 1]}…"
    yield f'<path class="grid" d="M{LEFT} {y + LINE:g}H{sheet.x(sheet.count + 1):.1f}"/>'
    yield f'<text class="ink" x="{LEFT - 10}" y="{y + 16:g}" text-anchor="end">{escape(shown)}</text>'
    for one, mark in zip(year, marks, strict=True):
        fired = "fired" if name in one.shown else "quiet"
        told = escape(f"month {one.month}: {name} {fired}; {WORDS[mark]}")
        yield f"<g><title>{told}</title>{_sign(mark, sheet.middle(one.month), y + LINE / 2, fired=name in one.shown)}</g>"


def _sign(mark: Mark, x: float, y: float, *, fired: bool = True) -> str:
    """Shapes, so that nobody has to tell colours apart."""
    match mark:
        case Mark.FIRED:
            return f'<circle class="fired" cx="{x:.1f}" cy="{y:.1f}" r="7"/>'
        case Mark.QUIET:
            return f'<circle class="quiet" cx="{x:.1f}" cy="{y:.1f}" r="3"/>'
        case Mark.OPEN:
            return f'<rect class="open" x="{x - 6:.1f}" y="{y - 6:.1f}" width="12" height="12" rx="2"/>' + (
                f'<circle class="fired" cx="{x:.1f}" cy="{y:.1f}" r="4"/>' if fired else ""
            )
        case Mark.MISSED:
            return f'<path class="missed" d="M{x - 6:.1f} {y - 6:.1f}l12 12m0 -12l-12 12"/>'
        case Mark.FALSE:
            return f'<path class="false" d="M{x:.1f} {y - 8:.1f}l8 14h-16z"/>'


def _curve(sheet: Sheet, year: Sequence[Seen], metric: str, limit: float | None, y: float) -> Iterator[str]:
    """The primary metric: by outcomes as they were known at the end, hollow where too few were known then; estimated; the limit."""
    values = [bound for one in year for found in (one.later, one.then, one.guess) if found for bound in (found.low, found.high)]
    values += [] if limit is None else [limit]
    if len(values) < 2:
        return
    low, high = min(values), max(values)

    def up(value: float) -> float:
        return y + CURVE - (value - low) / ((high - low) or 1) * CURVE

    yield f'<text class="ink" x="{LEFT - 10}" y="{y + 12:g}" text-anchor="end">{escape(metric)}</text>'
    for words, at in (
        ("● by outcomes (95 %)", 30),
        ("○ few outcomes by then", 46),
        ("- - estimated without", 62),
        ("– – limit of the gate", 78),
    ):
        yield f'<text class="soft" x="{LEFT - 10}" y="{y + at:g}" text-anchor="end">{words}</text>'
    for value in (low, high):
        yield f'<path class="grid" d="M{LEFT} {up(value):.1f}H{sheet.x(sheet.count + 1):.1f}"/>'
        yield f'<text class="soft" x="{LEFT + 4}" y="{up(value) + (12 if value == high else -4):.1f}">{value:.2f}</text>'
    if limit is not None:
        yield f'<path class="limit" d="M{LEFT} {up(limit):.1f}H{sheet.x(sheet.count + 1):.1f}"><title>limit {limit:g}</title></path>'
    yield _line("guess", [(sheet.middle(one.month), up(one.guess.value)) for one in year if one.guess])
    yield _line("known", [(sheet.middle(one.month), up(one.later.value)) for one in year if one.later])
    for one in year:
        if one.later:
            yield _dot(one, one.later, sheet.middle(one.month), up)


def _dot(one: Seen, found: Interval, x: float, up: Callable[[float], float]) -> str:
    told = escape(f"month {one.month}: {found}; known then for {one.coverage:.0%} of the rows")
    kind = "late" if one.then else "paper known"
    return (
        f'<g><title>{told}</title><path class="sure" d="M{x:.1f} {up(found.low):.1f}V{up(found.high):.1f}"/>'
        f'<circle class="{kind}" cx="{x:.1f}" cy="{up(found.value):.1f}" r="4"/></g>'
    )


def _line(kind: str, points: Sequence[tuple[float, float]]) -> str:
    return "" if len(points) < 2 else f'<path class="{kind}" d="M{"L".join(f"{x:.1f} {y:.1f}" for x, y in points)}"/>'


def _versions(sheet: Sheet, year: Sequence[Seen], y: float) -> Iterator[str]:
    """Which version answered, and where a training was asked for: filled where its version went live, else hollow."""
    yield f'<text class="ink" x="{LEFT - 10}" y="{y + 15:g}" text-anchor="end">version that answers</text>'
    yield f'<text class="soft" x="{LEFT - 10}" y="{y + 40:g}" text-anchor="end">training: ▲ live, △ not</text>'
    for version, group in groupby(year, key=lambda one: one.version):
        months = [one.month for one in group]
        x, wide = sheet.x(months[0]) + 1, len(months) * sheet.wide - 2
        yield f'<rect class="v{version % 2}" x="{x:.1f}" y="{y:g}" width="{wide:.1f}" height="22" rx="4"/>'
        yield f'<text class="ink" x="{x + wide / 2:.1f}" y="{y + 15:g}" text-anchor="middle">{version}</text>'
    for one in year:
        if one.training is not None:
            kind = "asked" if one.training.live is None else "live"
            told = escape(f"month {one.month}: {', '.join(one.training.reasons)}: {one.training.words}")
            x = sheet.x(one.month + 1) - 8
            yield f'<g><title>{told}</title><path class="{kind}" d="M{x:.1f} {y + 29:g}l7 13h-14z"/></g>'
