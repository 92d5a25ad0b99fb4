"""What one pass over a table found: counts, violations with examples, and what a profile is made of; parts can be merged."""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from seatrial.profile import MAX_VALUES, ColumnProfile, Profile, rounded
from seatrial.sketches import Values, merged_values

if TYPE_CHECKING:
    import polars as pl

EXAMPLES = 5
LONGEST = 200
SAMPLE = 10_000
HASH = "__hash"


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One cell or row: the part it stands in, its row there (from 1, the header not counted), its value in at most 60 characters.

    A missing cell's value is the row's id, or empty where rows have none.
    """

    part: str
    row: int
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """How many rows break one rule, with up to five examples: the first of each value, in order of part and row."""

    count: int = 0
    examples: tuple[Example, ...] = ()

    def __add__(self, later: Broken) -> Broken:
        seen = {example.value for example in self.examples if example.value}
        more = [example for example in later.examples if example.value not in seen]
        return Broken(count=self.count + later.count, examples=(*self.examples, *more)[:EXAMPLES])


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnSummary:
    """One column of the contract: `count` cells of its type, those without a value, those of another type.

    `mean` and `deviations` (the sum of squared deviations from it) are of numbers only; `low` and `high` of numbers, dates
    and moments (as ISO text).
    """

    type: str
    count: int = 0
    missing: Broken = Broken()
    unread: Broken = Broken()
    low: float | str | None = None
    high: float | str | None = None
    mean: float | None = None
    deviations: float = 0.0
    values: Values = field(default_factory=Values)

    @property
    def nulls(self) -> int:
        """Cells without a value."""
        return self.missing.count


def merged_column(columns: Sequence[ColumnSummary]) -> ColumnSummary:
    """One column of several parts as one."""
    mean, deviations = functools.reduce(_moments, [(column.count, column.mean, column.deviations) for column in columns])[1:]
    return ColumnSummary(
        type=columns[0].type,
        count=sum(column.count for column in columns),
        missing=total(column.missing for column in columns),
        unread=total(column.unread for column in columns),
        low=min((column.low for column in columns if column.low is not None), default=None),
        high=max((column.high for column in columns if column.high is not None), default=None),
        mean=mean,
        deviations=deviations,
        values=merged_values([column.values for column in columns]),
    )


Moments = tuple[int, float | None, float]


def _moments(one: Moments, other: Moments) -> Moments:
    """Count, mean and squared deviations of both together (Chan, Golub and LeVeque 1979)."""
    n, mean, deviations = one
    m, their_mean, theirs = other
    if mean is None or their_mean is None:
        return other if mean is None else one
    apart = their_mean - mean
    return n + m, finite(mean + apart * (m / (n + m))), finite(deviations + theirs + apart * apart * (n * m / (n + m)))


def finite(value: float) -> float:
    """The value, or the largest number there is where it is beyond: JSON has no infinity."""
    return max(-sys.float_info.max, min(sys.float_info.max, value))


@dataclass(frozen=True, slots=True, kw_only=True)
class PartFacts:
    """One file of the table: its rows, its columns and the types they are stored as, in its order."""

    name: str
    digest: str
    rows: int
    stored: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A table or part: `broken` by rule (`quality.range:price`), `repeats` by identity (`unique:id`, `key`, `rows`).

    `samples` are Parquet files of typed rows, each with the row's hash in the column `HASH`.
    """

    rows: int = 0
    parts: tuple[PartFacts, ...] = ()
    columns: Mapping[str, ColumnSummary] = field(default_factory=dict)
    broken: Mapping[str, Broken] = field(default_factory=dict)
    repeats: Mapping[str, Broken] = field(default_factory=dict)
    samples: tuple[str, ...] = ()

    @property
    def header(self) -> tuple[str, ...]:
        """All columns that any part has, in order of first appearance."""
        return tuple(dict.fromkeys(name for part in self.parts for name in part.stored))

    def sample(self, *, rows: int = SAMPLE) -> pl.DataFrame:
        """Up to `rows` typed rows: those with the smallest hashes, so the same ones whatever the parts and their order."""
        import polars as pl

        frames = [pl.scan_parquet(path, glob=False) for path in self.samples]
        if not frames:
            return pl.DataFrame()
        return pl.concat(frames, how="diagonal").sort(HASH).head(rows).drop(HASH).collect()

    def profile(self, *, data: str | None = None) -> Profile:
        """The small, readable face of this summary: what the reference is made of."""
        columns = {name: self._column(name, column) for name, column in self.columns.items()}
        return Profile(rows=self.rows, columns=columns, data=data)

    def _column(self, name: str, column: ColumnSummary) -> ColumnProfile:
        identity = self.repeats.get(f"unique:{name}")
        return column_profile(column, distinct=None if identity is None else column.count - identity.count)


def total(several: Iterable[Broken]) -> Broken:
    """Counts added up, the first examples kept."""
    return functools.reduce(lambda left, right: left + right, several, Broken())


def merged(summaries: Sequence[Summary]) -> Summary:
    """All parts as one table, in their order; `repeats` are left out: whether rows repeat is a question to all parts at once."""
    names = dict.fromkeys(name for summary in summaries for name in summary.columns)
    rules = dict.fromkeys(key for summary in summaries for key in summary.broken)
    return Summary(
        rows=sum(summary.rows for summary in summaries),
        parts=tuple(part for summary in summaries for part in summary.parts),
        columns={name: merged_column([summary.columns[name] for summary in summaries if name in summary.columns]) for name in names},
        broken={key: total(summary.broken[key] for summary in summaries if key in summary.broken) for key in rules},
        samples=tuple(path for summary in summaries for path in summary.samples),
    )


def column_profile(column: ColumnSummary, *, distinct: int | None = None) -> ColumnProfile:
    """What a reader compares: counts, extremes, moments, quantiles or the most frequent values.

    `distinct` is given where rows were asked whether they repeat: then values name rows, and are not listed.
    """
    values = column.values
    listed = distinct is None and _worth_listing(column)
    facts: dict[str, Any] = {"values": values.most_frequent(MAX_VALUES)} if listed else {}
    if column.type == "string":
        facts |= {"numbers_among": values.numbers_among, "variants": values.variants() if listed else ()}
    elif column.type in ("date", "datetime"):
        facts |= {"low": column.low, "high": column.high}
    return ColumnProfile(
        type=column.type,
        count=column.count,
        nulls=column.nulls,
        distinct=values.distinct if distinct is None else distinct,
        **facts,
        **_numbers(column, listed=listed),
    )


def _worth_listing(column: ColumnSummary) -> bool:
    """Whether the values are categories: names that hardly repeat tell nothing, and would put ids into git."""
    distinct = column.values.distinct
    if not column.count or column.type in ("date", "datetime"):
        return False
    return distinct <= max(2, column.count / 2) if column.type == "string" else distinct <= MAX_VALUES


def _numbers(column: ColumnSummary, *, listed: bool) -> dict[str, Any]:
    if column.mean is None or column.low is None or column.high is None:
        return {}
    facts: dict[str, Any] = {
        "mean": rounded(column.mean),
        "std": rounded(math.sqrt(column.deviations / column.count)),
        "low": rounded(float(column.low)),
        "high": rounded(float(column.high)),
    }
    return facts if listed else facts | {"quantiles": tuple(rounded(value) for value in column.values.quantiles())}


def examples_of(pairs: Sequence[tuple[int, object]], part: str, *, plain: bool = False) -> tuple[Example, ...]:
    """Examples from (row, value) pairs in order of row: the first of each value, at most five; `plain` text is shown as it is."""
    found: dict[str, Example] = {}
    for row, value in pairs:
        text = str(value)[:LONGEST] if plain else shown(value)
        found.setdefault(text or str(row), Example(part=part, row=row, value=text))
        if len(found) == EXAMPLES:
            break
    return tuple(found.values())


def shown(value: object) -> str:
    """A value as people see it, in at most 60 characters."""
    text = repr(value) if isinstance(value, str) and value else "" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
