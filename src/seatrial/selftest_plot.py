"""The self-test's plot: for each metric, the share of test sets that pass over the true distance, as SVG.

Written by hand, so that the same rates give the same bytes. It brings its own background and follows the reader's choice of
light or dark.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from seatrial.html import escape
from seatrial.metrics import METRICS
from seatrial.selftest import Rate, as_good

WIDTH, PANEL = 760, 340
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 64, 60
STEPS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
TICKS = 8

STYLE = """
.paper{fill:#fff}.ink{fill:#1f2328}.soft{fill:#59636e}text{font:13px system-ui,sans-serif}.title{font-weight:600}
.grid{stroke:#d1d9e0}.axis{stroke:#59636e}.curve{stroke:#0969da;stroke-width:2;fill:none}.bar{stroke:#0550ae;stroke-width:1.5}
.dot{fill:#0550ae}.point{stroke:#bc4c00;stroke-width:2;stroke-dasharray:5 4;fill:none}.margin{stroke:#59636e;stroke-dasharray:2 3}
@media (prefers-color-scheme:dark){.paper{fill:#0d1117}.ink{fill:#f0f6fc}.soft{fill:#9198a1}.grid{stroke:#2f353d}.axis{stroke:#9198a1}
.curve{stroke:#4493f8}.bar{stroke:#a5d6ff}.dot{fill:#a5d6ff}.point{stroke:#f0883e}.margin{stroke:#9198a1}}
"""


def power_plot(rates: Sequence[Rate], margins: dict[str, float]) -> str:
    """One panel for each metric of `margins` that has rates: measured points with 95 % intervals, prediction, point rule, margin."""
    drawn = [(metric, margin, own) for metric, margin in margins.items() if (own := _of(rates, metric, margin))]
    height = PANEL * len(drawn)
    panels = "".join(
        f'<g transform="translate(0 {PANEL * at})">{_panel(metric, margin, own)}</g>' for at, (metric, margin, own) in enumerate(drawn)
    )
    words = "Share of test sets on which the gate passes a model, over how much worse than the champion the model truly is"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" '
        f'aria-label="{words}"><title>{words}</title><style>{STYLE}</style>'
        f'<rect class="paper" width="{WIDTH}" height="{height}" rx="6"/>{panels}</svg>\n'
    )


def _of(rates: Sequence[Rate], metric: str, margin: float) -> list[Rate]:
    """The rates of one kind of model, worse by more and more: one that is as good is another model and no point of its line."""
    own = [rate for rate in rates if rate.metric == metric and rate.distance is not None and not as_good(rate, margin)]
    return sorted(own, key=lambda rate: rate.distance or 0.0)


def _panel(metric: str, margin: float, rates: Sequence[Rate]) -> str:
    """One metric: axes first, then the lines, the measured points on top."""
    right = max(*(rate.distance or 0.0 for rate in rates), margin) * 1.02
    title = escape(METRICS[metric].title)
    predicted = [(rate.distance or 0.0, rate.predicted) for rate in rates if rate.predicted is not None]
    point_rule = [(rate.distance or 0.0, rate.point_rule / rate.draws) for rate in rates]
    return "".join(
        (
            f'<text class="ink title" x="{LEFT}" y="26">{title}: how often a worse model passes</text>',
            *_legend(),
            *_axes(right, f"how much lower {title} truly is" if METRICS[metric].higher_is_better else f"how much higher {title} truly is"),
            _upright("margin", _x(margin, right), 0.0, 1.0),
            f'<text class="soft" x="{_x(margin, right) + 5:.1f}" y="{_y(0.9):.1f}">margin {margin:g}</text>',
            _line("point", point_rule, right),
            _line("curve", predicted, right),
            *(_point(rate, right) for rate in rates),
        )
    )


def _legend() -> Iterator[str]:
    """What each mark is, in one line below the title."""
    entries = (
        (LEFT, '<circle class="dot" cx="12" cy="-4" r="3"/><path class="bar" d="M12 -11v14"/>', "measured, 95 % interval"),
        (LEFT + 200, '<path class="curve" d="M0 -4h24"/>', "predicted"),
        (LEFT + 310, '<path class="point" d="M0 -4h24"/>', "a point rule instead: new ≥ old − margin"),
    )
    for x, mark, words in entries:
        yield f'<g transform="translate({x} 48)">{mark}<text class="soft" x="30">{words}</text></g>'


def _axes(right: float, label: str) -> Iterator[str]:
    for share in (0, 0.25, 0.5, 0.75, 1):
        y = _y(share)
        kind = "grid" if share else "axis"
        yield f'<path class="{kind}" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
        yield f'<text class="soft" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{share:.0%}</text>'
    step = next((one for one in STEPS if right / one <= TICKS), 1.0)
    for at in range(int(right / step + 1e-9) + 1):
        x = _x(at * step, right)
        yield f'<path class="axis" d="M{x:.1f} {_y(0):.1f}v5"/>'
        yield f'<text class="soft" x="{x:.1f}" y="{_y(0) + 20:.1f}" text-anchor="middle">{at * step:g}</text>'
    middle = (LEFT + WIDTH - RIGHT) / 2
    yield f'<text class="ink" x="{middle:.1f}" y="{PANEL - 14}" text-anchor="middle">{label}</text>'
    centre = (_y(0) + _y(1)) / 2
    yield f'<text class="ink" transform="translate(18 {centre:.1f}) rotate(-90)" text-anchor="middle">share of test sets that pass</text>'


def _line(kind: str, points: Sequence[tuple[float, float]], right: float) -> str:
    if len(points) < 2:
        return ""
    places = "L".join(f"{_x(distance, right):.1f} {_y(share):.1f}" for distance, share in points)
    return f'<path class="{kind}" d="M{places}"/>'


def _point(rate: Rate, right: float) -> str:
    x, (low, high) = _x(rate.distance or 0.0, right), rate.interval
    told = f"worse by {rate.distance:.4f}: {rate.passed:,} of {rate.draws:,} passed ({low:.1%} to {high:.1%})"
    return f'<g><title>{told}</title>{_upright("bar", x, low, high)}<circle class="dot" cx="{x:.1f}" cy="{_y(rate.share):.1f}" r="3"/></g>'


def _upright(kind: str, x: float, low: float, high: float) -> str:
    return f'<path class="{kind}" d="M{x:.1f} {_y(low):.1f}V{_y(high):.1f}"/>'


def _x(distance: float, right: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * distance / right


def _y(share: float) -> float:
    return PANEL - BOTTOM - (PANEL - TOP - BOTTOM) * share
