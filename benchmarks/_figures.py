"""A figure beside its target: one row each, `ok` or `missed`, and a record that the plot of the docs is drawn from."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks._common import table


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What was measured; `low` and `high` are the least and the most that is right, both None where nothing was promised."""

    name: str
    value: float
    unit: str = ""
    low: float | None = None
    high: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target was met; None without one."""
        if self.low is None and self.high is None:
            return None
        return (self.low is None or self.value >= self.low) and (self.high is None or self.value <= self.high)

    def row(self) -> list[str]:
        """The figure as a table shows it."""
        sides = [f"{word} {shown(limit)}" for word, limit in (("≥", self.low), ("≤", self.high)) if limit is not None]
        said = {True: "ok", False: "missed", None: ""}[self.met]
        return [self.name, f"{shown(self.value)} {self.unit}".strip(), " and ".join(sides), said]


def shown(value: float) -> str:
    """Three digits at least, and no more behind the point than tell something."""
    if not math.isfinite(value):
        return "none"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def show(title: str, figures: list[Figure]) -> None:
    """Print the figures as a Markdown table."""
    table(title, ["figure", "measured", "target", ""], [figure.row() for figure in figures])


def record(path: Path, figures: list[Figure]) -> None:
    """Write the figures of one run, so that a plot can be drawn from them."""
    path.write_text(json.dumps([asdict(figure) for figure in figures], indent=1, ensure_ascii=False) + "\n")
