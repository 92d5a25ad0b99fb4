"""Claims about what a model does, whatever it has learnt: changes that must not matter, or must matter in one direction.

Moves are differences of the probability of the positive class, from -1 to 1. A change is a function from a table to a table
of the same rows, which `what` names in the sentence. With `share` below 1 that part of the rows must keep the limit, and the
others may break it.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from seatrial.bundle import ANALYSIS
from seatrial.claims.finding import EXAMPLES, Finding, conclude, outcome_of, undecided
from seatrial.errors import UsageError
from seatrial.metrics import Floats

if TYPE_CHECKING:
    import polars as pl

    from seatrial.suite import Model

Change = Callable[["pl.DataFrame"], "pl.DataFrame"]


def assert_answers(model: Model, rows: pl.DataFrame, *, what: str = "", advisory: bool = False) -> Finding:
    """Every row is answered by a probability from 0 to 1; `what` says in words what is special about the rows.

    Observed is how many answers are none. Undecided without rows.
    """
    scores = _answers(model, rows)
    strange = np.flatnonzero(~((scores >= 0) & (scores <= 1)))
    said = (
        f"{len(strange):,} of {len(scores):,} answers are no probability"
        if len(strange)
        else f"all {len(scores):,} answers are probabilities"
    )
    examples = tuple(f"{_name(model, rows, at)}: {scores[at]:g}" for at in strange[:EXAMPLES].tolist())
    outcome = outcome_of(len(strange) == 0)
    sentence = f"{said} {what}".strip()
    return conclude(Finding(observed=len(strange), limit=0, sentence=sentence, examples=examples, outcome=outcome, advisory=advisory))


def assert_invariant(
    model: Model, rows: pl.DataFrame, change: Change, within: float, *, share: float = 1.0, what: str = "", advisory: bool = False
) -> Finding:
    """A change that must not matter moves no answer by more than `within`; observed is the largest move that `share` of the rows keep."""
    before, after = _answers(model, rows), _answers(model, _changed(rows, change))
    moves = np.abs(after - before)
    said = f"{what}: " if what else ""
    said += f"{_of_rows(share, len(moves))} move by"
    return conclude(_moved(model, rows, before, after, moves, within, share, said, advisory))


def assert_direction(
    model: Model,
    rows: pl.DataFrame,
    change: Change,
    direction: Literal["up", "down"],
    *,
    slack: float = 0.0,
    share: float = 1.0,
    what: str = "",
    advisory: bool = False,
) -> Finding:
    """A change that may only raise ("up") or lower ("down") the answer moves none the other way by more than `slack`.

    Observed is the largest move the wrong way that `share` of the rows keep, negative where all move the right way. Only rows
    whose inputs the change alters are counted; undecided where it alters none. An answer that stays as it is breaks nothing.
    """
    if direction not in ("up", "down"):
        raise UsageError(f'the direction is "up" or "down", not {direction!r}')
    other = _changed(rows, change)
    altered = np.flatnonzero(_altered(model, rows, other)).tolist()
    if not altered:
        undecided(f"the change alters no input of the {rows.height:,} rows, so it shows no direction")
    rows, other = rows[altered], other[altered]
    before, after = _answers(model, rows), _answers(model, other)
    wrong = before - after if direction == "up" else after - before
    said = f"{what}: " if what else ""
    said += f"the mean answer moves by {float((after - before).mean()):+.3f}, {_of_rows(share, len(wrong))} move {_OPPOSITE[direction]} by"
    return conclude(_moved(model, rows, before, after, wrong, slack, share, said, advisory))


_OPPOSITE = {"up": "down", "down": "up"}


def _of_rows(share: float, rows: int) -> str:
    return f"all {rows:,} rows" if share >= 1 else f"{share:.0%} of {rows:,} rows"


def _changed(rows: pl.DataFrame, change: Change) -> pl.DataFrame:
    other = change(rows)
    if other.height != rows.height:
        raise UsageError(f"the change makes {other.height:,} rows of {rows.height:,}; it must keep each row in its place")
    return other


def _altered(model: Model, rows: pl.DataFrame, other: pl.DataFrame) -> NDArray[np.bool_]:
    """Which rows have another value in an input of the model, shape (n,)."""
    before, after = model.encode(rows), model.encode(other)
    altered = np.zeros(rows.height, dtype=bool)
    for name, values in before.items():
        same = values == after[name]
        if values.dtype != object:
            same |= np.isnan(values) & np.isnan(after[name])
        altered |= ~same
    return altered


def _moved(
    model: Model,
    rows: pl.DataFrame,
    before: Floats,
    after: Floats,
    moves: Floats,
    limit: float,
    share: float,
    what: str,
    advisory: bool,
) -> Finding:
    """Hold the share-quantile of the moves to the limit; the rows that moved furthest past it are the examples."""
    observed = _quantile(moves, share)
    holds = observed <= limit
    furthest = [] if holds else np.argsort(-moves, kind="stable")[:EXAMPLES].tolist()
    examples = tuple(f"{_name(model, rows, at)}: {before[at]:.3f} → {after[at]:.3f}" for at in furthest if not moves[at] <= limit)
    sentence = f"{what} {observed:.3g} at most, {limit:g} is the limit"
    return Finding(observed=observed, limit=limit, sentence=sentence, examples=examples, outcome=outcome_of(holds), advisory=advisory)


def _quantile(values: Floats, share: float) -> float:
    """The smallest value that at least `share` of the values keep; NaN where one is NaN."""
    if not 0 < share <= 1:
        raise UsageError(f"share is a part of the rows, above 0 and at most 1, not {share:g}")
    if not np.isfinite(values).all():
        return math.nan
    return float(np.sort(values)[math.ceil(share * len(values) - 1e-9) - 1])


def assert_same_answers(first: Floats, second: Floats, within: float = 1e-6, *, what: str = "answers", advisory: bool = False) -> Finding:
    """Two lists of answers to the same rows, each of shape (n,), differ by at most `within`; observed is the largest difference."""
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if first.shape != second.shape:
        sentence = f"{len(first):,} and {len(second):,} {what} cannot be compared"
        return conclude(Finding(observed=len(second), limit=len(first), sentence=sentence, outcome=outcome_of(False), advisory=advisory))
    if len(first) == 0:
        undecided(f"there are no {what} to compare")
    distances = np.abs(first - second)
    largest = float(distances.max())
    holds = largest <= within
    sentence = f"{len(first):,} {what} differ by at most {largest:.2g}, {within:g} is the limit"
    far = [at for at in np.argsort(-distances, kind="stable")[:EXAMPLES].tolist() if not distances[at] <= within]
    examples = tuple(f"row {at}: {first[at]:.6g} and {second[at]:.6g}" for at in far)
    return conclude(
        Finding(observed=largest, limit=within, sentence=sentence, examples=examples, outcome=outcome_of(holds), advisory=advisory)
    )


def assert_batch_of_one(model: Model, rows: pl.DataFrame, within: float = 1e-6, *, advisory: bool = False) -> Finding:
    """Each row gets the same answer alone as among all of `rows`; a call for each row, so give tens of rows and not thousands."""
    together = _answers(model, rows)
    alone = np.array([model.score(rows[at])[0] for at in range(rows.height)])
    return assert_same_answers(together, alone, within, what="answers one at a time and together", advisory=advisory)


def assert_deterministic(model: Model, rows: pl.DataFrame, *, advisory: bool = False) -> Finding:
    """Scored again, and in a process of its own, the rows get the same answers to the last bit; observed is how many answers there were."""
    from seatrial.serving.replica import score_elsewhere, scores_digest

    if model.folder is None:
        raise UsageError("the model has no folder, so no other process can load it")
    here = [scores_digest(_answers(model, rows)), scores_digest(_answers(model, rows.clone()))]
    with tempfile.TemporaryDirectory() as scratch:
        table = Path(scratch) / "rows.parquet"
        rows.write_parquet(table)
        elsewhere = score_elsewhere(model.folder, model.digest, table)
    different = len({*here, elsewhere})
    words = (
        "give the same answers to the last bit"
        if different == 1
        else f"give other answers ({', '.join(dict.fromkeys([*here, elsewhere]))})"
    )
    sentence = f"two runs and another process {words} for {rows.height:,} rows"
    return conclude(Finding(observed=different, limit=1, sentence=sentence, outcome=outcome_of(different == 1), advisory=advisory))


def assert_matches_sklearn(model: Model, rows: pl.DataFrame, within: float = 1e-5, *, advisory: bool = False) -> Finding:
    """The served ONNX model answers as the scikit-learn pipeline that it was made from; skipped where the bundle keeps none.

    The pipeline is asked with the model's own tensors as a pandas table; ONNX computes in 32 bits, scikit-learn in 64. Undecided
    where a library is missing; BundleError where the file names a type that is not on the reviewed list.
    """
    from seatrial.analysis import load_skops

    data = model.bundle.files.get(ANALYSIS)
    if data is None:
        pytest.skip(f"the bundle has no {ANALYSIS}")
    try:
        import pandas as pd

        pipeline: Any = load_skops(data)
    except ModuleNotFoundError as error:
        undecided(f"{error.name} is not installed, so the pipeline cannot be asked (the extra seatrial[train] has it)")
    expected = pipeline.predict_proba(pd.DataFrame(model.encode(rows)))[:, 1]
    return assert_same_answers(expected, _answers(model, rows), within, what="answers of scikit-learn and ONNX", advisory=advisory)


def assert_few_flips(model: Model, champion: Model | None, rows: pl.DataFrame, share: float, *, advisory: bool = False) -> Finding:
    """At most `share` of the rows, from 0 to 1, get another label than from the champion; skipped where there is no champion."""
    if champion is None:
        pytest.skip("there is no champion to compare with")
    _answers(model, rows)
    now, was = model.predict(rows), champion.predict(rows)
    flipped = [at for at, (one, other) in enumerate(zip(now, was, strict=True)) if one != other]
    observed = len(flipped) / rows.height
    holds = observed <= share
    sentence = (
        f"{len(flipped):,} of {rows.height:,} rows ({observed:.1%}) get another label than from the champion, at most {share:.1%} may"
    )
    examples = () if holds else tuple(f"{_name(model, rows, at)}: {was[at]} → {now[at]}" for at in flipped[:EXAMPLES])
    return conclude(
        Finding(observed=observed, limit=share, sentence=sentence, examples=examples, outcome=outcome_of(holds), advisory=advisory)
    )


def _answers(model: Model, rows: pl.DataFrame) -> Floats:
    if rows.height == 0:
        undecided("there are no rows to ask about")
    return model.score(rows)


def _name(model: Model, rows: pl.DataFrame, at: int) -> str:
    """How a row is called: by its id where the table has one."""
    known = model.manifest.id
    return str(rows[known][at]) if known is not None and known in rows.columns else f"row {at}"
