"""A simulated year for people and programs: a table, a record, a page, Markdown between two marks. Each says that it is a simulation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from seatrial.html import escape, page, table, tag
from seatrial.live_performance import Interval
from seatrial.simulation.judge import Mark, Seen, marks, problems
from seatrial.simulation.picture import year_picture
from seatrial.simulation.story import Story, known_alarms, span

if TYPE_CHECKING:
    from seatrial.params import Settings

START, END = "<!-- simulated: nox -s simulate -- --write -->", "<!-- /simulated -->"
HEADER = ("month", "what happens", "alarms", "as the story says", "training", "version")
STYLE = ".sim { width: 100%; min-width: 46rem; max-width: none; height: auto }"
NOTE = (
    "Simulation: the sample has no dates. Its rows were sent to a scratch endpoint in an order of chance, changed as the story says, "
    "and their logs were given simulated times; the endpoint, the monitor, the trainings and the gate are the real ones."
)


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """A story, the settings that it ran with, and what every month showed."""

    story: Story
    settings: Settings
    year: tuple[Seen, ...]

    @cached_property
    def rows(self) -> dict[str, tuple[Mark, ...]]:
        """Every alarm that can fire, with its marks month by month."""
        return marks(self.story, self.year, known_alarms(self.settings))

    @cached_property
    def problems(self) -> tuple[str, ...]:
        """What was not as the story expects, as sentences."""
        return problems(self.story, self.year, list(self.rows))

    @property
    def outcome(self) -> str:
        """`pass` or `fail`."""
        return "fail" if self.problems else "pass"

    @property
    def title(self) -> str:
        """What it is, in a few words."""
        return f"Simulation: {len(self.year)} months of {self.settings.model.name}"

    def count(self, *wanted: Mark) -> int:
        """How many alarms of how many months were this."""
        return sum(one in wanted for row in self.rows.values() for one in row)

    @property
    def summary(self) -> str:
        """One sentence about all alarms."""
        due = self.count(Mark.FIRED, Mark.MISSED)
        calm = self.count(Mark.QUIET, Mark.FALSE)
        return f"{self.count(Mark.FIRED)} of {due} expected alarms fired, {self.count(Mark.QUIET)} of {calm} stayed quiet as expected"


def as_json(found: Simulated) -> dict[str, Any]:
    """`{"kind", "simulation", "outcome", "problems", "alarms": {name: [mark, …]}, "months": [{…}, …]}`."""
    return {
        "kind": "simulation",
        "simulation": True,
        "outcome": found.outcome,
        "model": found.settings.model.name,
        "metric": found.settings.model.primary,
        "problems": list(found.problems),
        "alarms": {name: list(map(str, row)) for name, row in found.rows.items()},
        "months": [_plain(asdict(one)) for one in found.year],
    }


def _plain(value: Any) -> Any:
    """Values as JSON has them, numbers to six digits."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return round(value, 6) if isinstance(value, float) else value


def month_rows(found: Simulated) -> list[tuple[str, ...]]:
    """A row for each month, under HEADER and the metric's three columns."""
    return [(*_cells(found, at, one), *map(_shown, (one.then, one.later, one.guess))) for at, one in enumerate(found.year)]


def header(found: Simulated) -> tuple[str, ...]:
    """The header of `month_rows`."""
    primary = found.settings.model.primary
    return (*HEADER, f"{primary} then", "known later", "estimated")


def _cells(found: Simulated, at: int, one: Seen) -> tuple[str, ...]:
    """Month, chapters, alarms, whether they are as expected, training, version."""
    wrong = [f"{name}: {row[at]}" for name, row in found.rows.items() if row[at] in (Mark.MISSED, Mark.FALSE)]
    happens = ", ".join(chapter.name for chapter in found.story.chapters_in(one.month))
    alarms = ", ".join(name.removeprefix("monitor.") for name in sorted(one.alarms)) or "–"
    return (str(one.month), happens, alarms, "; ".join(wrong) or "yes", _training(one), str(one.version))


def _training(one: Seen) -> str:
    if one.training is None:
        return "–"
    reasons = ", ".join(one.training.reasons)
    return f"{reasons}: version {one.training.live} live" if one.training.live else f"{reasons}: {one.training.words[:90]}"


def _shown(found: Interval | None) -> str:
    return "–" if found is None else f"{found.value:.3f}"


def print_year(found: Simulated, *, terminal: bool) -> None:
    """The table, what was not as expected, and the last line."""
    from rich.console import Console
    from rich.table import Table

    shown = Table(box=None, pad_edge=False, title=f"{found.title} (nothing of it happened)", title_justify="left")
    for name in header(found):
        shown.add_column(name, overflow="fold", justify="right" if name in ("month", "version") else "left")
    for row in month_rows(found):
        shown.add_row(*row)
    Console(width=None if terminal else 160, markup=False, highlight=False).print(shown)
    for problem in found.problems:
        print(f"simulate: {problem}")
    print(f"simulate: {found.outcome} · simulation: {found.summary} · metrics/simulate.json · reports/simulate.html")


def limit_of(found: Simulated) -> float | None:
    """The gate's floor or ceiling for the primary metric."""
    asked = found.settings.gate.metrics.get(found.settings.model.primary)
    return None if asked is None else asked.floor if asked.floor is not None else asked.ceiling


def picture(found: Simulated) -> str:
    """The year as SVG."""
    return year_picture(found.story, found.year, found.rows, metric=found.settings.model.primary, limit=limit_of(found), title=found.title)


def simulation_page(found: Simulated) -> str:
    """The year as a page of its own, which loads nothing."""
    wrong = "".join(f"<li>{escape(words)}</li>" for words in found.problems)
    head = (
        f'<h1>{escape(found.title)}</h1><div class="card verdict {found.outcome}"><p>{tag(found.outcome)} {escape(found.summary)}.</p>'
        f'<p class="soft">{escape(NOTE)}</p>{f"<ul>{wrong}</ul>" if wrong else ""}</div>'
    )
    rows = [[escape(cell) for cell in row] for row in month_rows(found)]
    months = f"<h2>Month by month</h2>{table(header(found), rows, numbers=('month', 'version'))}"
    drawn = f'<h2>The year</h2><div class="card scroll">{picture(found)}</div>'
    return page(found.title, head, drawn, _story(found), _trainings(found), months, _alarms(found), style=STYLE)


def _story(found: Simulated) -> str:
    rows = [[escape(one.name), _between(one.months), escape(one.words)] for one in _told(found)]
    return f"<h2>The story</h2>{table(('chapter', 'months', 'what happens'), rows)}"


def _told(found: Simulated) -> Iterator[Any]:
    """The chapters that the simulated months reach."""
    return (one for one in found.story.chapters if one.months[0] <= len(found.year))


def _between(months: Sequence[int]) -> str:
    reached = span(tuple(months))
    return str(reached[0]) if len(reached) == 1 else f"{reached[0]}–{reached[-1]}"


def _trainings(found: Simulated) -> str:
    helped = {True: "would help", False: "would not", None: "nobody can say"}
    rows = [
        [str(one.month), escape(", ".join(one.training.reasons)), helped[one.training.helps], escape(one.training.words)]
        for one in found.year
        if one.training is not None
    ]
    words = ("end of month", "asked because of", "refit on recent rows", "what became of it")
    return f"<h2>Trainings</h2>{table(words, rows)}" if rows else "<h2>Trainings</h2><p>None was asked for.</p>"


def _alarms(found: Simulated) -> str:
    rows = [
        [str(one.month), f"<code>{escape(name)}</code>", escape(words)] for one in found.year for name, words in sorted(one.alarms.items())
    ]
    return f"<h2>What the alarms said</h2>{table(('month', 'alarm', 'what'), rows)}" if rows else ""


def markdown(found: Simulated) -> str:
    """The year for a page of the docs: the summary, what happens, and the months."""
    lines = [f"**{found.title}.** {found.summary[0].upper()}{found.summary[1:]}.", ""]
    lines += ["| months | chapter | what happens | alarms that fired |", "|---|---|---|---|"]
    lines += [f"| {_between(one.months)} | {one.name} | {one.words} | {_fired(found, one)} |" for one in _told(found)]
    trained = [f"- Month {one.month}: {', '.join(one.training.reasons)}: {one.training.words}." for one in found.year if one.training]
    return "\n".join([*lines, "", "Trainings:", "", *(trained or ["- none"])]) + "\n"


def _fired(found: Simulated, chapter: Any) -> str:
    """The alarms that the chapter expects, with the months in which they fired."""
    parts = []
    for name in dict.fromkeys((*chapter.fires, *chapter.may)):
        fired = [str(one.month) for one in found.year if one.month in span(chapter.months) and name in one.shown]
        if fired and name not in ("retrain", "release"):
            parts.append(f"`{name}` ({', '.join(fired)})")
    return ", ".join(parts) or "none"
