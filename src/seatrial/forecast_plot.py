"""The forecast's plot: for each quality of challenger, the shares of rollouts that end in promotion, undecided, or sent back, as SVG.

Written by hand, so that the same shares give the same bytes. It brings its own background and follows the reader's choice of
light or dark; the shares stand in words on the bars, so that no colour is needed to read it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from seatrial.forecast import Forecast

WIDTH, ROW, TOP = 760, 40, 66
LEFT, RIGHT = 72, 190
LEAST = 0.06
"""A narrower part of a bar has no room for its words."""

STYLE = """
.paper{fill:#fff}.ink{fill:#1f2328}.soft{fill:#59636e}text{font:13px system-ui,sans-serif}.title{font-weight:600}
.promoted{fill:#2da44e}.undecided{fill:#d4a72c}.failed{fill:#cf222e}.on{fill:#fff;font-weight:600}.dark{fill:#1f2328;font-weight:600}
@media (prefers-color-scheme:dark){.paper{fill:#0d1117}.ink{fill:#f0f6fc}.soft{fill:#9198a1}.promoted{fill:#238636}
.undecided{fill:#bb8009}.failed{fill:#b62324}.dark{fill:#0d1117}}
"""


def forecast_plot(found: Sequence[Forecast], *, base: float, rollouts: int) -> str:
    """One bar for each ratio."""
    height = TOP + ROW * len(found) + 16
    words = "How rollouts end, for challengers that fail so many times as often as the champion"
    bars = "".join(part for at, one in enumerate(found) for part in _bar(one, TOP + ROW * at))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" '
        f'aria-label="{words}"><title>{words}</title><style>{STYLE}</style><rect class="paper" width="{WIDTH}" height="{height}" rx="6"/>'
        f'<text class="ink title" x="16" y="26">{words}</text>'
        f'<text class="soft" x="16" y="46">the champion fails {base:.0%} of the time; {rollouts:,} simulated rollouts of each kind</text>'
        f"{bars}</svg>\n"
    )


def _bar(one: Forecast, y: int) -> Iterator[str]:
    """The ratio, the parts of the bar, and after how many requests the median challenger was sent back."""
    yield f'<text class="ink" x="{LEFT - 12}" y="{y + 21}" text-anchor="end">{one.ratio:g} ×</text>'
    x, width = float(LEFT), WIDTH - LEFT - RIGHT
    for kind, share, words in (
        ("promoted", one.promoted, "promoted"),
        ("undecided", one.undecided, "undecided"),
        ("failed", one.failed, "sent back"),
    ):
        if share > 0:
            told = f"{one.ratio:g} × as many failures: {share:.1%} {words}"
            yield f'<rect class="{kind}" x="{x:.1f}" y="{y}" width="{width * share:.1f}" height="30"><title>{told}</title></rect>'
        if share >= LEAST:
            text = f"{words} {share:.0%}" if share >= 4 * LEAST else f"{share:.0%}"
            tone = "dark" if kind == "undecided" else "on"
            yield f'<text class="{tone}" x="{x + width * share / 2:.1f}" y="{y + 20}" text-anchor="middle">{text}</text>'
        x += width * share
    if one.challenger is not None and one.failed >= LEAST:
        yield f'<text class="soft" x="{WIDTH - RIGHT + 10}" y="{y + 20}">after {one.challenger:,.0f} requests</text>'
