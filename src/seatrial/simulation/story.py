"""The story of a simulation: a YAML file that says what happens to the sample in which month, and which alarms have to fire.

Chapters change the world (what is sent, and what a later training learns from), the wire (what arrives at the endpoint only),
the outcomes, the mix and the number of rows. `load_story` reads the file; `check_story` holds it against the project's own columns.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta

from seatrial.convert import Problem, convert
from seatrial.errors import ParamsError
from seatrial.located import Located, PlacedError, YamlProblem, nearest, read_yaml
from seatrial.section import Count, NotNegative, Positive, Section, Seed, Share, Text

if TYPE_CHECKING:
    from seatrial.contract import Contract
    from seatrial.params import Settings

Value = str | bool | int | float
Part = Annotated[float, Meta(gt=0, le=1)]
Months = tuple[Count, ...]
NUMBERS = ("integer", "number")
RETRAIN, RELEASE = "retrain", "release"
"""What a month may show beside the monitor's alarms: a training was asked for; a new version went live."""


class Where(Section, frozen=True, kw_only=True):
    """Rows by one column: those that hold a value, or a number of at least `since` and below `until`."""

    column: Text
    equals: Value | None = None
    since: float | None = None
    until: float | None = None

    def __post_init__(self) -> None:
        """Refuse a condition that says nothing, or two things."""
        numbers = self.since is not None or self.until is not None
        if numbers == (self.equals is not None):
            raise PlacedError("a condition is equals, or since and until (numbers)", "equals")


class Change(Section, frozen=True, kw_only=True):
    """One column of some rows becomes another: exactly one of `times` (numbers), `value` and `missing`."""

    column: Text
    times: Positive | None = None
    value: Value | None = None
    missing: Literal[True] | None = None
    share: Part = 1.0
    where: Where | None = None

    def __post_init__(self) -> None:
        """Refuse a change that is two, or none."""
        if sum(one is not None for one in (self.times, self.value, self.missing)) != 1:
            raise PlacedError("a change is exactly one of times, value and missing", "column")


class Outcome(Section, frozen=True, kw_only=True):
    """What comes true of some rows, whatever came true of them in the sample."""

    value: Value
    share: Part = 1.0
    where: Where | None = None


class Mix(Section, frozen=True, kw_only=True):
    """Rows of one kind come so many times as often as they otherwise would."""

    where: Where
    times: Positive


class Chapter(Section, frozen=True, kw_only=True):
    """What happens from month `months[0]` to month `months[-1]`.

    `fires` names alarms and the months in which they have to be open at the end; `may` those about which nothing is said. In every
    other month every other alarm has to stay quiet.
    """

    name: Text
    months: Months
    words: Text
    world: tuple[Change, ...] = ()
    wire: tuple[Change, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    mix: Mix | None = None
    traffic: Positive = 1.0
    delay_days: NotNegative | None = None
    fires: dict[str, Months] = {}  # noqa: RUF012 - a struct copies its defaults
    may: dict[str, Months] = {}  # noqa: RUF012

    def __post_init__(self) -> None:
        """Refuse months that are none."""
        _refuse_months(self.months, "months")
        for kind in ("fires", "may"):
            for name, months in getattr(self, kind).items():
                _refuse_months(months, kind, name)


class Act(Section, frozen=True, kw_only=True):
    """What a person does at the end of a month: asks for a training (`request` says why), and lets a column hold more (`allow`)."""

    month: Count
    request: Text
    allow: dict[str, tuple[Value, ...]] = {}  # noqa: RUF012


class Story(Section, frozen=True, kw_only=True):
    """All of a story: a month is one window of the monitor (`monitor.window_hours`), the first begins at `start` or soon after.

    `history` is the share of the sample that is known, with its outcomes, before the first month; the rest comes month by month, each
    row once. Outcomes come `delay_days` after the answer on average. `params` are laid over params.yaml for the simulation only.
    """

    start: dt.date
    months: Annotated[int, Meta(ge=1, le=36)]
    seed: Seed = 0
    history: Share = 0.5
    delay_days: NotNegative = 5
    params: dict[str, Any] = {}  # noqa: RUF012
    chapters: tuple[Chapter, ...] = ()
    acts: tuple[Act, ...] = ()

    def chapters_in(self, month: int) -> tuple[Chapter, ...]:
        """What happens in a month."""
        return tuple(one for one in self.chapters if month in span(one.months))

    def delay_in(self, month: int) -> float:
        """How many days outcomes of a month's rows take on average."""
        found = [float(one.delay_days) for one in self.chapters_in(month) if one.delay_days is not None]
        return found[-1] if found else float(self.delay_days)

    def acts_in(self, month: int) -> tuple[Act, ...]:
        """What people do at the end of a month."""
        return tuple(one for one in self.acts if one.month == month)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A story as it was read, and the lines of its file."""

    story: Story
    located: Located


def span(months: Months) -> range:
    """The months of `[4]` or `[4, 6]`."""
    return range(months[0], months[-1] + 1)


def _refuse_months(months: Months, *place: str) -> None:
    if len(months) not in (1, 2) or months[0] > months[-1]:
        raise PlacedError(f"{list(months)} are no months: one, such as [4], or the first and the last, such as [4, 6]", *place)


def load_story(path: Path) -> Told:
    """Read a story; ParamsError with one sentence for each problem, its file and its line."""
    try:
        located = read_yaml(path)
    except YamlProblem as error:
        raise ParamsError((str(error),)) from None
    story, problems = convert(Story, located.values)
    if story is None:
        raise ParamsError(tuple(located.sentence(place, words) for place, words in problems))
    ends = [(("chapters", at, "months"), one.months[-1]) for at, one in enumerate(story.chapters)]
    ends += [(("acts", at, "month"), one.month) for at, one in enumerate(story.acts)]
    late = [(place, f"month {last} comes after the story's last, month {story.months}") for place, last in ends if last > story.months]
    if late:
        raise ParamsError(tuple(located.sentence(place, words) for place, words in late))
    return Told(story=story, located=located)


def check_story(told: Told, contract: Contract, settings: Settings) -> None:
    """ParamsError for columns, values, classes and alarms that the project does not have; each with its line."""
    problems = [*_chapters(told.story, contract, settings), *_acts(told.story, contract)]
    if problems:
        raise ParamsError(tuple(told.located.sentence(place, words) for place, words in problems))


def _chapters(story: Story, contract: Contract, settings: Settings) -> Iterator[Problem]:
    alarms = known_alarms(settings)
    for at, chapter in enumerate(story.chapters):
        place = ("chapters", at)
        for kind in ("world", "wire"):
            for number, change in enumerate(getattr(chapter, kind)):
                yield from _change(change, contract, settings, (*place, kind, number))
        for number, outcome in enumerate(chapter.outcomes):
            yield from _where(outcome.where, contract, (*place, "outcomes", number, "where"))
            yield from _class(outcome, contract, settings, (*place, "outcomes", number, "value"))
        if chapter.mix is not None:
            yield from _where(chapter.mix.where, contract, (*place, "mix", "where"))
        for kind in ("fires", "may"):
            for name in getattr(chapter, kind):
                if name not in alarms:
                    yield (*place, kind, name), f"there is no alarm {name!r}{nearest(name, alarms)}"


def _change(change: Change, contract: Contract, settings: Settings, place: tuple[str | int, ...]) -> Iterator[Problem]:
    yield from _column(change.column, contract, (*place, "column"))
    yield from _where(change.where, contract, (*place, "where"))
    column = contract.columns.get(change.column)
    if change.column in (settings.data.id, settings.data.target):
        yield (*place, "column"), f"{change.column!r} is the id or the target; outcomes change by `outcomes`"
    elif column is not None and change.times is not None and column.type not in NUMBERS:
        yield (*place, "times"), f"column {change.column!r} is a {column.type}, and cannot be multiplied"
    elif column is not None and change.value is not None and (column.type in NUMBERS) != _is_number(change.value):
        yield (*place, "value"), f"column {change.column!r} is a {column.type}, {change.value!r} is none"


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _where(where: Where | None, contract: Contract, place: tuple[str | int, ...]) -> Iterator[Problem]:
    if where is None:
        return
    yield from _column(where.column, contract, (*place, "column"))
    column = contract.columns.get(where.column)
    if column is not None and where.equals is None and column.type not in NUMBERS:
        yield (*place, "column"), f"column {where.column!r} is a {column.type}: since and until are for numbers"


def _column(name: str, contract: Contract, place: tuple[str | int, ...]) -> Iterator[Problem]:
    if name not in contract.columns:
        yield place, f"the table has no column {name!r}{nearest(name, contract.columns)}"


def _class(outcome: Outcome, contract: Contract, settings: Settings, place: tuple[str | int, ...]) -> Iterator[Problem]:
    target = contract.columns.get(settings.data.target)
    allowed = [str(one) for one in (target.allowed or ())] if target is not None else []
    if allowed and str(outcome.value) not in allowed:
        yield place, f"{outcome.value!r} is no class of {settings.data.target!r}{nearest(str(outcome.value), allowed)}"


def _acts(story: Story, contract: Contract) -> Iterator[Problem]:
    for at, act in enumerate(story.acts):
        for name in act.allow:
            yield from _column(name, contract, ("acts", at, "allow", name))


def known_alarms(settings: Settings) -> tuple[str, ...]:
    """What a month can show: the monitor's checks that somebody is told about, a training that is asked for, a release."""
    limited: Mapping[str, Any] = settings.gate.metrics
    metrics = [name for name, one in limited.items() if one.tier != "advisory" and (one.floor is not None or one.ceiling is not None)]
    live = ["monitor.rows", "monitor.errors", "monitor.unseen", *(["monitor.latency"] if settings.monitor.max_p99_ms else [])]
    drift = ["drift.columns", "drift.prediction", "drift.missing"]
    return (*live, *drift, *(f"monitor.performance.{name}" for name in metrics), RETRAIN, RELEASE)
