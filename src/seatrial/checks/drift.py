"""Drift: whether what was asked lately still looks like what the champion learned from.

Decisions only: what was measured about each column goes in, checks come out. `drift.columns`, `drift.prediction` and
`drift.missing` decide; each column's own checks are advisory and say where to look.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from seatrial.located import nearest
from seatrial.params import Drift, DriftMethod
from seatrial.verdict import Check, Outcome

Kind = Literal["numeric", "category"]

NUMERIC: tuple[Kind, ...] = ("numeric",)
CATEGORY: tuple[Kind, ...] = ("category",)
BOTH: tuple[Kind, ...] = ("numeric", "category")
DISTANCES: Mapping[str, tuple[Kind, ...]] = {
    "ks_stat": NUMERIC,
    "wasserstein": NUMERIC,
    "ed": NUMERIC,
    "psi": BOTH,
    "jensenshannon": BOTH,
    "hellinger": BOTH,
    "kl_div": BOTH,
}
"""Tests whose score grows with drift: it counts from the limit on, however many rows there are."""

P_VALUES: Mapping[str, tuple[Kind, ...]] = {
    "ks": NUMERIC,
    "anderson": NUMERIC,
    "cramer_von_mises": NUMERIC,
    "es": NUMERIC,
    "mannw": NUMERIC,
    "t_test": NUMERIC,
    "chisquare": CATEGORY,
}
"""Tests whose score is a probability: drift where it is below the limit, which many rows make of any small change.

Left out are those of Evidently that draw permutations (`empirical_mmd`, `TVD`) or read two categories only (`z`,
`fisher_exact`), and `g_test`, which breaks where the sides differ in size.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One test of one column: what it gave, and whether that counts as drift."""

    method: str
    value: float
    limit: float
    drifted: bool

    def __str__(self) -> str:
        sign = "drift below" if self.method in P_VALUES else "drift from"
        return f"{self.method} {self.value:.3g} ({sign} {self.limit:g})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnFacts:
    """One input of the model in both windows.

    `reference_missing` and `current_missing` are shares of the rows; `current_missing` is None where the log does not keep
    the column. `unseen` is the share of the rows with a category that the reference does not have, `examples` some of
    those. `score` is None where a side holds no value to compare.
    """

    name: str
    kind: Kind
    reference_missing: float
    current_missing: float | None
    unseen: float | None = None
    examples: tuple[str, ...] = ()
    score: Score | None = None


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


def policy_problems(policy: Drift) -> tuple[str, ...]:
    """One sentence for each test of `monitor.drift` that does not exist or does not suit its type of column."""
    found = (_method_problem("numeric", policy.numeric), _method_problem("category", policy.category))
    return tuple(problem for problem in found if problem)


def _method_problem(kind: Kind, chosen: DriftMethod) -> str | None:
    known = [name for name, kinds in {**DISTANCES, **P_VALUES}.items() if kind in kinds]
    if chosen.method in known:
        return None
    return f"params.yaml: monitor.drift.{kind}.method: there is no test {chosen.method!r} for such columns{nearest(chosen.method, known)}"


def drift_checks(policy: Drift, window: Window, columns: Sequence[ColumnFacts], predictions: Predictions) -> tuple[Check, ...]:
    """All checks of a window with enough rows; those that decide first."""
    return (
        *window_checks(policy, window),
        _columns(policy, columns),
        _prediction(predictions),
        _missing(policy, columns),
        *(_column(column) for column in columns),
        *(_column_missing(policy, column) for column in columns if column.current_missing is not None),
        *(_column_unseen(column) for column in columns if column.unseen is not None),
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
    over = [column for column in known if _increase(column) > policy.missing_increase]
    largest = max(map(_increase, known), default=0.0)
    named = _some([f"{column.name}: {column.current_missing:.1%}, was {column.reference_missing:.1%}" for column in over])
    message = f"{len(over)} of {len(known)} columns are missing more often, by over {policy.missing_increase:.0%} of the rows{named}"
    outcome = Outcome.FAIL if over else Outcome.PASS if known else Outcome.INCONCLUSIVE
    return Check(name="drift.missing", outcome=outcome, message=message, observed=round(largest, 6), limit=float(policy.missing_increase))


def _increase(column: ColumnFacts) -> float:
    return 0.0 if column.current_missing is None else column.current_missing - column.reference_missing


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
    outcome = Outcome.FAIL if _increase(column) > policy.missing_increase else Outcome.PASS
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
