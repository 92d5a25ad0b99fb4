"""Small drawings of a review that need no other host: Mermaid for a comment, SVG for the page.

GitHub and GitLab take images from addresses only (neither shows a data URI or an SVG in a comment), and both draw Mermaid's
`xychart-beta` themselves. In tables, a strip of signs does it, which shows in a mail and a terminal too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from seatrial.html import escape
from seatrial.review_facts import Curve

POINTS = 20
SIDE, LEFT, TOP, RIGHT, BOTTOM = 300, 46, 10, 12, 46
TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
TITLES = {
    "roc": ("ROC", "false-positive rate", "true-positive rate"),
    "calibration": ("Calibration", "mean probability of a bin", "share of positives"),
}
LOOK = "%%{init: {'themeVariables': {'xyChart': {'plotColorPalette': 'royalblue, darkorange'}}}}%%"

STYLE = """
.chart { max-width: 30rem; width: 100%; height: auto } .chart text { fill: var(--soft); font-size: 12px }
.chart .grid { stroke: var(--line); fill: none } .chart .even { stroke: var(--soft); stroke-dasharray: 2 4; fill: none }
.chart .curve { fill: none; stroke-width: 2.2; stroke-linejoin: round; stroke: var(--now) }
.chart .was { stroke: var(--soft); stroke-dasharray: 6 4 }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr)); gap: 1rem }
.pair > * { min-width: 0; margin: 0 } .pair h3 { margin: 0 0 .4rem; font-size: 1rem }
"""


def mermaid(name: str, now: Curve, base: Curve) -> str:
    """Both curves as a Mermaid chart over what both span; the base's is drawn first, so that the present one lies above."""
    title, across, up = TITLES[name]
    left = max(min(x for x, _ in curve) for curve in (now, base))
    right = min(max(x for x, _ in curve) for curve in (now, base))
    lines = [LOOK, "xychart-beta", f'  title "{title}: blue is the base, orange is now"', f'  x-axis "{across}" {left:.3g} --> {right:.3g}']
    lines.append(f'  y-axis "{up}" 0 --> 1')
    lines += [f"  line [{', '.join(f'{height:.3f}' for height in heights(curve, left, right))}]" for curve in (base, now)]
    return "\n".join(["```mermaid", *lines, "```"])


def heights(curve: Curve, left: float, right: float) -> list[float]:
    """The curve's height at evenly spaced places from left to right, with straight lines between its points."""
    ordered = sorted(curve)
    return [_height(ordered, left + (right - left) * at / POINTS) for at in range(POINTS + 1)]


def _height(points: Sequence[tuple[float, float]], x: float) -> float:
    before = [point for point in points if point[0] <= x]
    after = [point for point in points if point[0] > x]
    if not before:
        return after[0][1]
    if not after:
        return before[-1][1]
    (left, low), (right, high) = before[-1], after[0]
    return low + (high - low) * (x - left) / (right - left)


def drawing(name: str, now: Curve, base: Curve) -> str:
    """Both curves as SVG that takes its colours from the page, the base's dashed."""
    title, across, up = TITLES[name]
    lines = [_path(sorted(base), "curve was"), _path(sorted(now), "curve")]
    grid = "".join(f"M{_x(one)} {_y(0)}V{_y(1)}M{_x(0)} {_y(one)}H{_x(1)}" for one in TICKS)
    ticks = "".join(
        f'<text x="{_x(one)}" y="{TOP + SIDE + 18}" text-anchor="middle">{one:g}</text>'
        f'<text x="{LEFT - 8}" y="{float(_y(one)) + 4:g}" text-anchor="end">{one:g}</text>'
        for one in TICKS
    )
    middle = TOP + SIDE / 2
    labels = (
        f'<text x="{LEFT + SIDE / 2}" y="{TOP + SIDE + 38}" text-anchor="middle">{escape(across)}</text>'
        f'<text x="12" y="{middle}" text-anchor="middle" transform="rotate(-90 12 {middle})">{escape(up)}</text>'
    )
    size = f"0 0 {LEFT + SIDE + RIGHT} {TOP + SIDE + BOTTOM}"
    return (
        f'<figure class="card"><h3>{escape(title)}</h3><svg class="chart" viewBox="{size}" role="img" '
        f'aria-label="{escape(title)} now and at the base"><path class="grid" d="{grid}"/>'
        f'<path class="even" d="M{_x(0)} {_y(0)}L{_x(1)} {_y(1)}"/>{"".join(lines)}{ticks}{labels}</svg></figure>'
    )


def _path(points: Sequence[tuple[float, float]], kind: str) -> str:
    steps = " ".join(f"{_x(across)} {_y(up)}" for across, up in points if math.isfinite(across) and math.isfinite(up))
    return f'<path class="{kind}" d="M{steps}"/>'


def _x(value: float) -> str:
    return f"{LEFT + SIDE * value:.5g}"


def _y(value: float) -> str:
    return f"{TOP + SIDE * (1 - value):.5g}"
