"""Slices: parts of the held-out rows, by the values of a column or the quarters of a number, each compared for itself.

A model can be as good as the champion over all rows and worse for some of them; a slice is where that shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from seatrial.checks.comparison import Question, both
from seatrial.checks.performance import Level
from seatrial.gate_tasks import count_rows
from seatrial.metrics import Answers, Targets
from seatrial.metrics_tasks import metrics_of
from seatrial.params import Slices
from seatrial.resampling import estimate_differences
from seatrial.verdict import Check, Outcome

if TYPE_CHECKING:
    import polars as pl

MOST = 50
"""Values of one column that become slices of their own, the most frequent first."""
SHOWN = 5
MISSING = "(missing)"


def slices_of(names: Sequence[str], rows: pl.DataFrame) -> dict[str, list[str]]:
    """The slice of each row in words, by column: its value, or the quarter that its number lies in."""
    return {name: _quarters(rows[name]) if _is_measure(rows[name]) else _values(rows[name]) for name in names}


def _is_measure(series: pl.Series) -> bool:
    return series.dtype.is_numeric() and series.n_unique() > 12


def _values(series: pl.Series) -> list[str]:
    return [MISSING if value is None else str(value) for value in series.to_list()]


def _quarters(series: pl.Series) -> list[str]:
    """The quarter of each number among the held-out rows; equal numbers stay together."""
    import polars as pl

    numbers = series.cast(pl.Float64).fill_nan(None)
    known = numbers.drop_nulls().to_numpy()
    if not len(known):
        return [MISSING] * len(series)
    cuts = np.unique(np.quantile(known, [0.25, 0.5, 0.75], method="inverted_cdf"))
    edges = [f"{one:g}" for one in (known.min(), *cuts, known.max())]
    words = [f"{'above ' if at else ''}{low} to {high}" for at, (low, high) in enumerate(pairwise(edges))]
    at = np.searchsorted(cuts, numbers.fill_null(float("nan")).to_numpy(), side="left")
    return [MISSING if value is None else words[place] for value, place in zip(numbers.to_list(), at.tolist(), strict=True)]


def slice_questions(
    policy: Slices, primary: str, labels: Targets, slices: Mapping[str, Sequence[str]], challenger: Answers, champion: Answers, level: Level
) -> list[Question]:
    """One question for each slice with enough rows of both classes: is the metric no worse there than the champion's?"""
    metric = metrics_of(challenger.task)[policy.metric or primary]
    questions = []
    for column, value, rows in _slices(slices):
        if _fewest(labels, challenger, rows) < policy.min_per_class:
            continue
        own, new, old = labels[rows], challenger.only(rows), champion.only(rows)
        found = estimate_differences([metric.name], own, new, old, resamples=level.resamples, seed=level.seed)
        questions.append(
            Question(
                name=f"slices.{column}.{value}",
                what=f"{metric.title} where {column} is {value}:",
                metric=metric,
                rival="the champion",
                difference=found[metric.name],
                values=both(metric, own, new, old),
                rows=len(own),
                margin=float(policy.margin),
                tier=policy.tier,
                column=column,
            )
        )
    return questions


def small_slices(policy: Slices, labels: Targets, slices: Mapping[str, Sequence[str]], challenger: Answers) -> Iterator[Check]:
    """Name what is not judged: slices with too few rows of either class, and values beyond the most frequent."""
    for column, values in slices.items():
        small = [(value, _fewest(labels, challenger, rows)) for _, value, rows in _slices({column: values})]
        small = [(value, count) for value, count in small if count < policy.min_per_class]
        if small:
            named = ", ".join(f"{value} ({count})" for value, count in small[:SHOWN]) + (" …" if len(small) > SHOWN else "")
            message = f"{column}: too few rows of a class to judge {named}; {policy.min_per_class} of each class are needed"
            yield _unjudged(column, message, len(small), 0)
        beyond = len(set(values)) - MOST
        if beyond > 0:
            yield _unjudged(
                column, f"{column} has {beyond} more values than the {MOST} most frequent, which are judged", beyond + MOST, MOST
            )


def _unjudged(column: str, message: str, observed: int, limit: int) -> Check:
    outcome = Outcome.INCONCLUSIVE
    return Check(name=f"slices.{column}", outcome=outcome, message=message, observed=observed, limit=limit, advisory=True, column=column)


def _slices(slices: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """Each column's most frequent values and a mask of their rows, in the order of the values."""
    for column, values in slices.items():
        words = np.asarray(values, dtype=object)
        known, counts = np.unique(words, return_counts=True)
        kept = sorted(known[np.argsort(-counts, kind="stable")][:MOST])
        yield from ((column, str(value), words == value) for value in kept)


def _fewest(labels: Targets, challenger: Answers, rows: NDArray[np.bool_]) -> int:
    """Rows of the rarest class in a slice; of a regression all rows."""
    counted = count_rows(labels[rows], challenger.only(rows))
    return counted.count if counted.rarest is None else counted.rarest
