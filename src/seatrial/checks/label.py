"""Label: the target's classes, labels that are missing, the balance, and single features that give the label away."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from seatrial.checks.quality import nulls
from seatrial.checks.wording import counted, listed, percent
from seatrial.contract import Column, Contract, Label, features
from seatrial.params import Data
from seatrial.sketches import as_text
from seatrial.summary import Summary
from seatrial.verdict import Check, Outcome

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    Booleans = NDArray[np.bool_]
    Floats = NDArray[np.float64]

MIN_ROWS = 100
MIN_CLASS = 10
FOLDS = 5
FEW_VALUES = 50
"""Up to so many different numbers may be codes of categories, and are asked both ways."""


def label_checks(contract: Contract, summary: Summary, data: Data) -> tuple[Check, ...]:
    """What the target of a binary task must be; nothing where no part has it, because `schema.columns` says that."""
    if data.target not in summary.columns:
        return ()
    found = summary.columns[data.target]
    values = found.values
    pairs = [(as_text(value), count) for value, count in zip(values.exact or (), values.counts, strict=False)]
    classes = dict(sorted(pairs, key=lambda pair: (-pair[1], pair[0])))
    return (
        *nulls(contract.columns[data.target], found, "label.missing", parts=len(summary.parts)),
        _classes(data, classes, values.distinct),
        *_balance(contract.checks.label, data, classes),
        *(leak_checks(contract, summary.sample(), data) if len(classes) == 2 else ()),
    )


def _classes(data: Data, classes: Mapping[str, int], distinct: int) -> Check:
    names = listed(f"{name!r} ({count})" for name, count in classes.items())
    positive = None if data.positive is None else _word(data.positive)
    message = f"the target {data.target!r} has the classes {names}"
    outcome = Outcome.PASS
    if distinct != 2:
        number = f"{distinct} {'class' if distinct == 1 else 'classes'}"
        instead = names or ("too many to list" if distinct else "every label is missing")
        message = f"the target {data.target!r} has {number} instead of two: {instead}"
        outcome = Outcome.FAIL
    elif positive is not None and positive not in classes:
        message = f"{message}; data.positive of params.yaml is {positive!r}, which is none of them"
        outcome = Outcome.FAIL
    return Check(name="label.classes", outcome=outcome, message=message, observed=distinct, limit=2, column=data.target)


def _word(value: Any) -> str:
    """A class as one word, whether it is written as text, a number or a boolean."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _balance(policy: Label, data: Data, classes: Mapping[str, int]) -> Iterator[Check]:
    """The smallest class's share of the labelled rows."""
    if len(classes) < 2:
        return
    name, count = min(classes.items(), key=lambda pair: (pair[1], pair[0]))
    labelled = sum(classes.values())
    share = count / labelled
    message = (
        f"the smallest class of {data.target!r} is {name!r} with {count} of {counted(labelled, 'row')} "
        f"({percent(share)}), at least {percent(policy.min_share)} are expected"
    )
    yield Check(
        name="label.balance",
        outcome=Outcome.PASS if share >= policy.min_share else Outcome.FAIL,
        message=message,
        observed=round(share, 9),
        limit=float(policy.min_share),
        advisory=policy.advisory,
        column=data.target,
    )


def leak_checks(contract: Contract, rows: pl.DataFrame, data: Data) -> tuple[Check, ...]:
    """How well each feature alone tells the two classes of `rows` (typed, in random order) apart; too few rows are inconclusive.

    Text that hardly repeats is left out: a model reads nothing from it that it could use again.
    """
    rows = rows.drop_nulls(data.target) if data.target in rows.columns else rows.clear()
    positive = _positive(rows, data)
    hits = int(positive.sum())
    if rows.height < MIN_ROWS or min(hits, rows.height - hits) < MIN_CLASS:
        return (_too_few(rows.height, hits, data),)
    asked = [column for column in features(contract, data) if column.name in rows.columns and _repeats(rows[column.name])]
    return tuple(_leak(contract.checks.label, column, rows[column.name], positive) for column in asked)


def _positive(rows: pl.DataFrame, data: Data) -> Booleans:
    """Whether each row is of one of the two classes, whichever."""
    if not rows.height:
        import numpy as np

        return np.zeros(0, dtype=np.bool_)
    labels = rows[data.target]
    truth: Booleans = (labels == labels.max()).to_numpy()
    return truth


def _too_few(rows: int, hits: int, data: Data) -> Check:
    message = (
        f"whether a feature gives {data.target!r} away cannot be said: {counted(rows, 'row')} with {min(hits, rows - hits)} of the smaller "
        f"class, {MIN_ROWS} with {MIN_CLASS} are needed"
    )
    return Check(name="label.leak", outcome=Outcome.INCONCLUSIVE, message=message, observed=rows, limit=MIN_ROWS, advisory=True)


def _repeats(cells: pl.Series) -> bool:
    import polars as pl

    present = cells.drop_nulls()
    return cells.dtype != pl.String or present.n_unique() <= present.len() / 2


def _leak(policy: Label, column: Column, cells: pl.Series, positive: Booleans) -> Check:
    auc = separation(cells, positive)
    message = (
        f"column {column.name!r} alone tells the label apart with ROC AUC {auc:.4f} ({len(positive)} sampled rows); "
        f"above {policy.max_auc:g} it gives the label away"
    )
    return Check(
        name="label.leak",
        outcome=Outcome.PASS if auc <= policy.max_auc else Outcome.FAIL,
        message=message,
        observed=round(auc, 6),
        limit=float(policy.max_auc),
        advisory=policy.advisory,
        column=column.name,
    )


def separation(cells: pl.Series, positive: Booleans) -> float:
    """How well cells alone tell two classes apart, as ROC AUC from 0.5 (not at all) to 1.

    Numbers by their order, with a missing one as the lowest or the highest, whichever tells more. Categories, a missing one
    being its own, by the share of positives among the other rows that have them (target encoding over five folds, so that
    many categories do not tell their own label); so are numbers of few different values.
    """
    ranked = _by_order(cells, positive) if cells.dtype.is_numeric() else 0.5
    coded = _by_category(cells, positive) if not cells.dtype.is_numeric() or cells.n_unique() <= FEW_VALUES else 0.5
    return max(0.5, ranked, coded)


def _by_order(cells: pl.Series, positive: Booleans) -> float:
    import polars as pl

    numbers = cells.cast(pl.Float64).fill_nan(None)
    ends = (-float("inf"), float("inf")) if numbers.null_count() else (0.0,)
    areas = [roc_auc(numbers.fill_null(end), positive) for end in ends]
    return max(max(area, 1 - area) for area in areas)


def _by_category(cells: pl.Series, positive: Booleans) -> float:
    """ROC AUC of the share of positives of each row's category, counted in the other folds and drawn to the common share."""
    import numpy as np
    import polars as pl

    codes = cells.rank("dense").fill_null(0).to_numpy().astype(np.int64)
    folds = np.arange(len(codes)) % FOLDS
    size = int(codes.max()) + 1
    rows = _counts(codes, folds, size)
    hits = _counts(codes[positive], folds[positive], size)
    others, their_hits = rows.sum(axis=0) - rows, hits.sum(axis=0) - hits
    common = their_hits.sum(axis=1, keepdims=True) / others.sum(axis=1, keepdims=True)
    encoded = (their_hits + common) / (others + 1)
    return roc_auc(pl.Series(encoded[folds, codes]), positive)


def _counts(codes: NDArray[np.int64], folds: NDArray[np.int64], size: int) -> Floats:
    """How many rows each category (second axis) has in each fold (first axis)."""
    import numpy as np

    return np.bincount(folds * size + codes, minlength=FOLDS * size).reshape(FOLDS, size).astype(np.float64)


def roc_auc(scores: pl.Series, positive: Booleans) -> float:
    """The share of pairs of a positive and another row that the scores order rightly, ties half (Mann and Whitney 1947)."""
    hits = int(positive.sum())
    ranks = scores.rank("average").to_numpy()
    return float((ranks[positive].sum() - hits * (hits + 1) / 2) / (hits * (len(positive) - hits)))
