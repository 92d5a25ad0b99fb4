"""What drills and sweeps came to: lines for people, a record for programs, a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from seatrial.drill.drills import Drill, Happened, broken_promises
from seatrial.drill.sweep import Result
from seatrial.html import escape, page, table, tag

HEADER = ("drill", "requests", "without 2xx", "detected", "safe", "most exposed", "kept")
NUMBERS = HEADER[1:-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drilled:
    """One drill with what happened; `error` says why it could not be carried out."""

    drill: Drill
    happened: Happened | None = None
    error: str | None = None

    @property
    def problems(self) -> tuple[str, ...]:
        """What was promised and not kept, as sentences."""
        if self.happened is None:
            return (f"not carried out: {self.error}",)
        return broken_promises(self.drill.promise, self.happened)

    @property
    def cells(self) -> tuple[str, ...]:
        """Its row under HEADER."""
        if self.happened is None:
            return (self.drill.name, "–", "–", "–", "–", "–", "no")
        found = self.happened
        times = (_seconds(found.detected_s), _seconds(found.safe_s))
        return (self.drill.name, f"{found.requests}", f"{found.harmed}", *times, f"{found.exposure} %", "no" if self.problems else "yes")


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} s"


def as_json(drilled: Sequence[Drilled]) -> dict[str, Any]:
    """`{"kept", "drills": [{"name", "fault", "promise", "happened", "problems"}]}`."""
    rows = [
        {
            "name": one.drill.name,
            "fault": one.drill.fault,
            "promise": asdict(one.drill.promise),
            "happened": asdict(one.happened) if one.happened else None,
            "problems": list(one.problems),
        }
        for one in drilled
    ]
    return {"kept": all(not one.problems for one in drilled), "drills": rows}


def drill_page(drilled: Sequence[Drilled]) -> str:
    """The game day as a page of its own."""
    broken = sum(1 for one in drilled if one.problems)
    head = f"<h1>Game day</h1><p>{tag('fail' if broken else 'pass')} {len(drilled)} drills, {broken} promises broken.</p>"
    rows = [[f"{escape(one.cells[0])}<br><small>{escape(one.drill.fault)}</small>", *map(escape, one.cells[1:])] for one in drilled]
    wrong = [f"<li><b>{escape(one.drill.name)}</b>: {escape(text)}</li>" for one in drilled for text in one.problems]
    listed = f"<h2>Not kept</h2><ul>{''.join(wrong)}</ul>" if wrong else ""
    return page("Game day", head, listed, table(HEADER, rows, numbers=NUMBERS), f"<p>{escape(NOTE)}</p>")


NOTE = (
    "Times are seconds after the fault: until it was decided about, and until no request could reach what was wrong, or the last one "
    "without an answer. A client sends 100 requests a second, whatever the answers take; each drill has a scratch endpoint to itself."
)


def sweep_words(results: Sequence[Result]) -> str:
    """One sentence about a sweep."""
    reached = [one for one in results if one.reached]
    agreed = max((one.agreed_s for one in results if one.agreed_s is not None), default=0.0)
    requests, harmed = sum(one.requests for one in results), sum(one.harmed for one in results)
    wrong = sum(1 for one in results if one.problems)
    return (
        f"{len(results)} runs, {len(reached)} of them broken where they should be: {harmed} of {requests:,} requests without a 2xx, "
        f"everything agreed again after {agreed:.1f} s at the latest, {wrong} with a problem"
    )
