"""The world of a story: which rows come in which month, what becomes of them, and what comes true of them.

Pure functions of the sample, the story and its seed. Each row of the sample comes once, so that nothing that a later training
learns from is asked again; what is sent and what the table holds differ only by what happens on the wire.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seatrial.errors import UsageError
from seatrial.simulation.story import Change, Chapter, Outcome, Story, Where

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

FEWEST = 20
"""Rows that a month needs to be one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dealt:
    """The sample as the story deals it out: what is known before the first month, and the rows of each month."""

    history: pl.DataFrame
    months: tuple[pl.DataFrame, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """One month's rows, in the order in which they ask: as they are (with what comes true), and as they arrive (without the target)."""

    rows: pl.DataFrame
    asked: pl.DataFrame


def draws(story: Story, month: int, label: str) -> np.random.Generator:
    """Random numbers of their own for each month and purpose, so that one more draw elsewhere changes nothing here."""
    import numpy as np

    return np.random.default_rng([story.seed, month, zlib.crc32(label.encode())])


def deal(frame: pl.DataFrame, story: Story) -> Dealt:
    """Deal the sample: the history first, then month by month what is left, more of what the story's mix asks for.

    The rows of a month depend on the whole story and not on how many months are simulated. UsageError where a month has too few rows.
    """
    shuffled = frame[draws(story, 0, "deal").permutation(frame.height).tolist()]
    cut = round(story.history * frame.height)
    history, left = shuffled.head(cut), shuffled.tail(frame.height - cut)
    counts = _counts(story, left.height)
    dealt: dict[int, pl.DataFrame] = {}
    # Who asks for a mix chooses first: the last to draw takes what is left.
    for month in sorted(range(1, story.months + 1), key=lambda one: all(chapter.mix is None for chapter in story.chapters_in(one))):
        if counts[month - 1] < FEWEST:
            raise UsageError(
                f"month {month} would have {counts[month - 1]} rows of the sample's {frame.height:,}, {FEWEST} are needed",
                hint="a smaller history, fewer months, or a larger sample",
            )
        dealt[month], left = _dealt(left, counts[month - 1], story, month)
    return Dealt(history=history, months=tuple(dealt[month] for month in sorted(dealt)))


def _counts(story: Story, rows: int) -> list[int]:
    """How many rows each month gets: all of them together by the months' traffic."""
    traffic = []
    for month in range(1, story.months + 1):
        share = 1.0
        for chapter in story.chapters_in(month):
            share *= float(chapter.traffic)
        traffic.append(share)
    return [int(rows * one / sum(traffic)) for one in traffic]


def _dealt(left: pl.DataFrame, count: int, story: Story, month: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Draw without replacement, by weights (Efraimidis and Spirakis 2006); gives the drawn rows and the others."""
    import numpy as np
    import polars as pl

    weights = np.ones(left.height)
    for chapter in story.chapters_in(month):
        if chapter.mix is not None:
            weights[_chosen(left, chapter.mix.where)] *= float(chapter.mix.times)
    keys = draws(story, month, "deal").random(left.height) ** (1 / weights)
    drawn = pl.Series(np.isin(np.arange(left.height), np.argsort(-keys, kind="stable")[:count]))
    return left.filter(drawn), left.filter(~drawn)


def live(rows: pl.DataFrame, story: Story, month: int, target: str) -> Month:
    """What a month's rows become: changed by the world, with the outcomes of the story, and then what is left of them on the wire."""
    for chapter in story.chapters_in(month):
        rows = _all_changed(rows, chapter.world, story, month, f"{chapter.name}/world")
        rows = _come_true(rows, chapter, story, month, target)
    asked = rows.drop(target)
    for chapter in story.chapters_in(month):
        asked = _all_changed(asked, chapter.wire, story, month, f"{chapter.name}/wire")
    return Month(rows=rows, asked=asked)


def _all_changed(rows: pl.DataFrame, changes: Sequence[Change], story: Story, month: int, label: str) -> pl.DataFrame:
    for number, change in enumerate(changes):
        rows = _changed(rows, change, draws(story, month, f"{label}/{number}"))
    return rows


def _changed(rows: pl.DataFrame, change: Change, draw: np.random.Generator) -> pl.DataFrame:
    """One column of the rows that the change is about, its type kept: a whole number stays one."""
    import polars as pl

    kind, column = rows.schema[change.column], pl.col(change.column)
    new: pl.Expr = pl.lit(None, dtype=kind)
    if change.times is not None:
        new = column * float(change.times)
        new = new.round().cast(kind) if kind.is_integer() else new.round(6)
    elif change.value is not None:
        new = pl.lit(change.value).cast(kind)
    picked = pl.Series("picked", _picked(rows, change.where, float(change.share), draw))
    return rows.with_columns(pl.when(picked).then(new).otherwise(column).alias(change.column))


def _come_true(rows: pl.DataFrame, chapter: Chapter, story: Story, month: int, target: str) -> pl.DataFrame:
    import polars as pl

    for number, outcome in enumerate(chapter.outcomes):
        picked = pl.Series("picked", _marked(rows, outcome, draws(story, month, f"{chapter.name}/outcomes/{number}")))
        value = pl.lit(outcome.value).cast(rows.schema[target])
        rows = rows.with_columns(pl.when(picked).then(value).otherwise(pl.col(target)).alias(target))
    return rows


def _marked(rows: pl.DataFrame, outcome: Outcome, draw: np.random.Generator) -> np.ndarray:
    return _picked(rows, outcome.where, float(outcome.share), draw)


def _picked(rows: pl.DataFrame, where: Where | None, share: float, draw: np.random.Generator) -> np.ndarray:
    """Which rows are meant: those of the condition, and of them a share."""
    some: np.ndarray = draw.random(rows.height) < share
    return some if where is None else some & _chosen(rows, where)


def _chosen(rows: pl.DataFrame, where: Where) -> np.ndarray:
    import polars as pl

    column = rows[where.column]
    if where.equals is not None:
        found = (column == pl.Series([where.equals]).cast(column.dtype)[0]).fill_null(False)
    else:
        low, high = where.since, where.until
        found = pl.Series([True] * rows.height)
        found = found if low is None else found & (column >= low).fill_null(False)
        found = found if high is None else found & (column < high).fill_null(False)
    chosen: np.ndarray = found.to_numpy()
    return chosen
