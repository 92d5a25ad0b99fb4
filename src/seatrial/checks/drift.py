"""Drift: whether what was asked lately still looks like what the champion learned from.

Decisions only: what was measured about each column goes in, checks come out. `drift.columns`, `drift.prediction` and
`drift.missing` decide; each column's own checks are advisory and say where to look.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from seatrial.params import Drift
from seatrial.verdict import Check, Outcome

Kind = Literal["numeric", "category"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One column's distance to the reference: how far, from where on it counts, and how likely it is by chance (`p`, adjusted)."""

    method: str
    value: float
    limit: float
    p: float
    drifted: bool

    def __str__(self) -> str:
        chance = "p < 0.0001" if self.p < 0.0001 else f"p = {self.p:.2g}"
        return f"{self.method} {self.value:.3g} (drift from {self.limit:g}, {chance})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnFacts:
    """One input of the model in both windows.

    `reference_missing` and `current_missing` are shares of the rows; `current_missing` is None where the log does not keep
    the column. `unseen` is the share of the rows with a category that the reference does not have, `examples` some of
    those. `score` is None where a side holds no value to compare. `missing_p` says how likely the change of what is missing is by
    chance.
    """

    name: str
    kind: Kind
    reference_missing: float
    current_missing: float | None
    unseen: float | None = None
    examples: tuple[str, ...] = ()
    score: Score | None = None
    missing_p: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentFacts:
    """One part of the rows in both windows, by a column's value: its rows there, and the scores of the inputs in it."""

    column: str
    value: str
    reference_rows: int
    rows: int
    scores: Mapping[str, Score]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What is compared with the reference: rows of the champion, simulated ones among them, rows of other versions."""

    rows: int
    simulated: int = 0
    others: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """The champion's probabilities on the reference against the logged ones, of which `strange` are no numbers."""

    strange: int = 0
    score: Score | None = None


def drift_checks(
    policy: Drift, window: Window, columns: Sequence[ColumnFacts], predictions: Predictions, segments: Sequence[SegmentFacts] = ()
) -> tuple[Check, ...]:
    """All checks of a window with enough rows; those that decide first."""
    return (
        *window_checks(policy, window),
        _columns(policy, columns),
        _prediction(predictions),
        _missing(policy, columns),
        *(_column(column) for column in columns),
        *(_column_missing(policy, column) for column in columns if column.current_missing is not None),
        *(_column_unseen(column) for column in columns if column.unseen is not None),
        *(_segment(policy, segment) for segment in segments),
    )


def window_checks(policy: Drift, window: Window) -> tuple[Check, ...]:
    """Whether there is enough to compare, and whether anybody asked for real."""
    outcome = Outcome.PASS if window.rows >= policy.min_rows else Outcome.INCONCLUSIVE
    check = Check(name="drift.window", outcome=outcome, message=_window_words(policy, window), observed=window.rows, limit=policy.min_rows)
    return (check, _simulation(window)) if window.simulated else (check,)


def _window_words(policy: Drift, window: Window) -> str:
    others = f" ({window.others} rows of other versions left out)" if window.others else ""
    if window.rows == 0:
        return f"nobody asked the champion yet{others}; send it rows: nox -s replay"
    if window.rows < policy.min_rows:
        missing = policy.min_rows - window.rows
        return f"{window.rows} rows{others}, {policy.min_rows} are needed: {missing} missing; wait, or send it rows: nox -s replay"
    return f"{window.rows} rows{others}"


def _simulation(window: Window) -> Check:
    message = f"simulation: {window.simulated} of {window.rows} rows were sent by a replay, so this says little about live traffic"
    return Check(name="drift.simulation", outcome=Outcome.INCONCLUSIVE, message=message, observed=window.simulated, limit=0, advisory=True)


def _columns(policy: Drift, columns: Sequence[ColumnFacts]) -> Check:
    """How many inputs drifted, by the test of their type; one that could not be compared is not counted."""
    compared = [column for column in columns if column.score is not None]
    drifted = [column for column in compared if column.score is not None and column.score.drifted]
    if not compared:
        message = "no column holds values on both sides, so none could be compared; look at drift.missing"
        return Check(name="drift.columns", outcome=Outcome.INCONCLUSIVE, message=message, limit=policy.max_columns)
    named = _some([f"{column.name}: {column.score}" for column in drifted])
    message = f"{len(drifted)} of {len(compared)} columns drifted, {policy.max_columns} may{named}"
    outcome = Outcome.FAIL if len(drifted) > policy.max_columns else Outcome.PASS
    return Check(name="drift.columns", outcome=outcome, message=message, observed=len(drifted), limit=policy.max_columns)


def _prediction(predictions: Predictions) -> Check:
    """Whether the champion answers other probabilities now than on its held-out rows."""
    name = "drift.prediction"
    if predictions.strange:
        message = f"{predictions.strange} logged probabilities are missing or no numbers: the log is damaged, or the model is"
        return Check(name=name, outcome=Outcome.ERROR, message=message, observed=predictions.strange, limit=0)
    if predictions.score is None:
        return Check(name=name, outcome=Outcome.INCONCLUSIVE, message="there are no probabilities to compare")
    outcome = Outcome.FAIL if predictions.score.drifted else Outcome.PASS
    moved = "moved away from" if predictions.score.drifted else "look like"
    message = f"the answered probabilities {moved} those on the held-out rows: {predictions.score}"
    return Check(name=name, outcome=outcome, message=message, observed=predictions.score.value, limit=float(predictions.score.limit))


def _missing(policy: Drift, columns: Sequence[ColumnFacts]) -> Check:
    """The largest increase of missing values over all inputs; an empty column is one that is missing everywhere."""
    known = [column for column in columns if column.current_missing is not None]
    over = [column for column in known if _missing_more(policy, column)]
    largest = max(map(_increase, known), default=0.0)
    named = _some([f"{column.name}: {column.current_missing:.1%}, was {column.reference_missing:.1%}" for column in over])
    message = f"{len(over)} of {len(known)} columns are missing more often, by over {policy.missing_increase:.0%} of the rows{named}"
    outcome = Outcome.FAIL if over else Outcome.PASS if known else Outcome.INCONCLUSIVE
    return Check(name="drift.missing", outcome=outcome, message=message, observed=round(largest, 6), limit=float(policy.missing_increase))


def _increase(column: ColumnFacts) -> float:
    return 0.0 if column.current_missing is None else column.current_missing - column.reference_missing


def _missing_more(policy: Drift, column: ColumnFacts) -> bool:
    return _increase(column) > policy.missing_increase and column.missing_p < policy.alpha


def _some(sentences: Sequence[str], limit: int = 5) -> str:
    """The first few, behind a colon; nothing where there are none."""
    if not sentences:
        return ""
    more = f" and {len(sentences) - limit} more" if len(sentences) > limit else ""
    return f" ({'; '.join(sentences[:limit])}{more})"


def _column(column: ColumnFacts) -> Check:
    name = f"drift.{column.name}"
    if column.score is None:
        return Check(name=name, outcome=Outcome.INCONCLUSIVE, message=_why_not(column), advisory=True, column=column.name)
    outcome = Outcome.FAIL if column.score.drifted else Outcome.PASS
    message = f"column {column.name!r}: {column.score}"
    return Check(
        name=name,
        outcome=outcome,
        message=message,
        observed=column.score.value,
        limit=float(column.score.limit),
        advisory=True,
        column=column.name,
    )


def _why_not(column: ColumnFacts) -> str:
    if column.current_missing is None:
        return f"column {column.name!r} is not in the prediction log (monitor.log.drop), so nothing is known about it"
    if column.reference_missing == 1:
        return f"column {column.name!r} has no value in the training rows, so there is nothing to compare with"
    return f"column {column.name!r} is empty: not one of the rows has a value, so no distribution can be compared"


def _column_missing(policy: Drift, column: ColumnFacts) -> Check:
    outcome = Outcome.FAIL if _missing_more(policy, column) else Outcome.PASS
    now, then = column.current_missing or 0.0, column.reference_missing
    message = f"column {column.name!r} is missing in {now:.1%} of the rows, in {then:.1%} of the training rows"
    return Check(
        name=f"drift.missing.{column.name}",
        outcome=outcome,
        message=message,
        observed=round(_increase(column), 6),
        limit=float(policy.missing_increase),
        advisory=True,
        column=column.name,
    )


def _column_unseen(column: ColumnFacts) -> Check:
    share = column.unseen or 0.0
    shown = f", like {', '.join(map(repr, column.examples))}" if column.examples else ""
    message = f"column {column.name!r}: {share:.1%} of the rows have a category that the training rows do not have{shown}"
    return Check(
        name=f"drift.unseen.{column.name}",
        outcome=Outcome.FAIL if share > 0 else Outcome.PASS,
        message=message,
        observed=round(share, 6),
        limit=0.0,
        advisory=True,
        column=column.name,
    )


def _segment(policy: Drift, segment: SegmentFacts) -> Check:
    """Drift in a part of the rows, which the rest may hide; parts with few rows say nothing."""
    name, place = f"drift.segment.{segment.column}.{segment.value}", f"{segment.column} = {segment.value}"
    if min(segment.rows, segment.reference_rows) < policy.min_rows:
        message = f"{place}: {segment.rows} rows, {segment.reference_rows} in the reference; {policy.min_rows} are needed on both sides"
        return Check(name=name, outcome=Outcome.INCONCLUSIVE, message=message, advisory=True, column=segment.column)
    drifted = [column for column, score in segment.scores.items() if score.drifted]
    named = _some([f"{column}: {segment.scores[column]}" for column in drifted])
    message = f"{place}: {len(drifted)} of {len(segment.scores)} columns drifted in these {segment.rows} rows{named}"
    outcome = Outcome.FAIL if len(drifted) > policy.max_columns else Outcome.PASS
    return Check(
        name=name, outcome=outcome, message=message, observed=len(drifted), limit=policy.max_columns, advisory=True, column=segment.column
    )
