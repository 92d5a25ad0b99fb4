"""What the alarms of a simulated year come to: which had to fire and did, which did not, which fired although all was quiet.

Pure functions of the story and of what was seen at the end of each month.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from seatrial.live_performance import Interval
from seatrial.simulation.story import RELEASE, RETRAIN, Story, span


class Mark(StrEnum):
    """One alarm in one month: as the story expects it, or not; `open` where the story says nothing."""

    FIRED = "fired"
    QUIET = "quiet"
    MISSED = "missed"
    FALSE = "false alarm"
    OPEN = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """A training that was asked for: why, how far it came (`live`: the version that serves since), in words, and whether a refit helped."""

    reasons: tuple[str, ...]
    words: str
    live: int | None = None
    helps: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one month showed at its end: its window, the version that answered, alarms that are open, with their words.

    Of the rows that were sent, `rows` were answered, `refused` as bad ones (4xx), and `failed` without that being their fault.

    `then` is the primary metric by the outcomes that were known then, `later` by those that had come by the end of the simulation,
    `guess` its estimate without outcomes; `coverage` is the share of outcomes known then.
    """

    month: int
    window: str
    since: str
    version: int
    rows: int
    failed: int = 0
    refused: int = 0
    alarms: Mapping[str, str] = field(default_factory=dict)
    then: Interval | None = None
    later: Interval | None = None
    guess: Interval | None = None
    coverage: float = 0.0
    training: Training | None = None

    @property
    def shown(self) -> frozenset[str]:
        """Everything that a story can expect of a month."""
        more = {RETRAIN} if self.training is not None else set()
        more |= {RELEASE} if self.training is not None and self.training.live is not None else set()
        return frozenset({*self.alarms, *more})


def expected(story: Story, month: int) -> tuple[frozenset[str], frozenset[str]]:
    """What has to fire in a month, and about what the story says nothing."""
    fires = {name for one in story.chapters for name, months in one.fires.items() if month in span(months)}
    may = {name for one in story.chapters for name, months in one.may.items() if month in span(months)}
    return frozenset(fires), frozenset(may - fires)


def mark(story: Story, seen: Seen, name: str) -> Mark:
    """What one alarm was in one month."""
    fires, may = expected(story, seen.month)
    if name in may:
        return Mark.OPEN
    if name in fires:
        return Mark.FIRED if name in seen.shown else Mark.MISSED
    return Mark.FALSE if name in seen.shown else Mark.QUIET


def marks(story: Story, year: Sequence[Seen], names: Sequence[str]) -> dict[str, tuple[Mark, ...]]:
    """Each alarm over all months."""
    return {name: tuple(mark(story, seen, name) for seen in year) for name in names}


def problems(story: Story, year: Sequence[Seen], names: Sequence[str]) -> tuple[str, ...]:
    """A sentence for each alarm that did not do what the story expects, and for requests that had no answer; month by month."""
    return tuple(words for seen in year for words in _problems(story, seen, names))


def _problems(story: Story, seen: Seen, names: Sequence[str]) -> Iterator[str]:
    for name in names:
        found = mark(story, seen, name)
        if found is Mark.MISSED:
            yield f"month {seen.month}: {name} had to fire and stayed quiet"
        if found is Mark.FALSE:
            yield f"month {seen.month}: {name} had to stay quiet and fired{_why(seen, name)}"
    if seen.failed:
        yield f"month {seen.month}: {seen.failed} requests failed"


def _why(seen: Seen, name: str) -> str:
    words = seen.alarms.get(name) or (seen.training.words if seen.training else "")
    return f": {words[:160]}" if words else ""
