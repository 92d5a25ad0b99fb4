"""docs/serving.svg from the figures of one run: `python -m benchmarks._serving_plot FIGURES.json > docs/serving.svg`.

Requests a second of each server at 1 and 16 connections, on a logarithmic scale; the same figures give the same bytes.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from seatrial.html import escape

WIDTH, LEFT, RIGHT, TOP, BAR, GAP = 760, 150, 70, 84, 16, 14
LABELS = {"seatrial": "Seatrial", "bentoml": "BentoML", "mlserver": "MLServer", "mlflow": "mlflow models serve"}
PLACES = (("1 connection", "one"), ("16 connections", "many"))
STYLE = """
.paper{fill:#fff}.ink{fill:#1f2328}.soft{fill:#59636e}text{font:13px system-ui,sans-serif}.title{font-weight:600}
.grid{stroke:#d1d9e0}.one{fill:#9a6700}.many{fill:#0969da}
@media (prefers-color-scheme:dark){.paper{fill:#0d1117}.ink{fill:#f0f6fc}.soft{fill:#9198a1}.grid{stroke:#2f353d}
.one{fill:#d29922}.many{fill:#4493f8}}
"""


def rates_plot(rates: Mapping[str, Mapping[str, float]]) -> str:
    """Two bars for each server; `rates` gives requests a second by server and place, in the order of LABELS."""
    height = TOP + len(rates) * (2 * BAR + GAP) + 34
    top = max(value for own in rates.values() for value in own.values())
    last = math.ceil(math.log10(top))
    words = "One row a request: requests a second of each server at 1 and 16 connections, on a logarithmic scale"
    bars = "".join(_server(name, own, TOP + at * (2 * BAR + GAP), last) for at, (name, own) in enumerate(rates.items()))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" '
        f'aria-label="{words}"><title>{words}</title><style>{STYLE}</style><rect class="paper" width="{WIDTH}" height="{height}" rx="6"/>'
        f'<text class="ink title" x="24" y="28">One row a request, requests a second</text>{"".join(_legend())}'
        f"{''.join(_grid(last, height))}{bars}</svg>\n"
    )


def _legend() -> Iterator[str]:
    for at, (place, kind) in enumerate(PLACES):
        x = 24 + 130 * at
        yield f'<rect class="{kind}" x="{x}" y="44" width="12" height="12"/><text class="soft" x="{x + 18}" y="55">{place}</text>'


def _grid(last: int, height: int) -> Iterator[str]:
    for power in range(last + 1):
        x = _x(10**power, last)
        yield f'<path class="grid" d="M{x:.1f} {TOP - 10}V{height - 28}"/>'
        yield f'<text class="soft" x="{x:.1f}" y="{height - 12}" text-anchor="middle">{10**power:,}</text>'


def _server(name: str, rates: Mapping[str, float], y: float, last: int) -> str:
    bars = [f'<text class="ink" x="{LEFT - 10}" y="{y + BAR + 5}" text-anchor="end">{escape(LABELS[name])}</text>']
    for at, (place, kind) in enumerate(PLACES):
        end, top = _x(rates[place], last), y + at * BAR
        bars.append(f'<rect class="{kind}" x="{LEFT}" y="{top}" width="{end - LEFT:.1f}" height="{BAR - 2}"/>')
        bars.append(f'<text class="soft" x="{end + 6:.1f}" y="{top + 11}">{rates[place]:,.0f}</text>')
    return "".join(bars)


def _x(value: float, last: int) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * max(0.0, math.log10(max(value, 1.0))) / last


def read_rates(path: Path) -> dict[str, dict[str, float]]:
    """The rates of a recorded run; ours are those measured beside MLflow."""
    values = {figure["name"]: figure["value"] for figure in json.loads(path.read_text())}
    names = {"seatrial": "seatrial beside mlflow", "bentoml": "bentoml", "mlserver": "mlserver", "mlflow": "mlflow"}
    found = {server: {place: values.get(f"{name}, {place}") for place, _ in PLACES} for server, name in names.items()}
    return {server: own for server, own in found.items() if None not in own.values()}


if __name__ == "__main__":
    sys.stdout.write(rates_plot(read_rates(Path(sys.argv[1]))))
