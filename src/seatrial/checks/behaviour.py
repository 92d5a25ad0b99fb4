"""Behaviour: what a model must do whatever it has learnt: answer with probabilities or numbers, always the same, as it promised.

Each function judges evidence that somebody else measured; none of them loads a model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from seatrial.manifest import Task
from seatrial.metrics import Answers, Floats, Scores
from seatrial.verdict import Check, Outcome

TOLERANCE = 1e-5
"""How far an answer may lie from the one that was recorded: ONNX computes in 32 bits, scikit-learn in 64.

Of answers beyond 1, as a regression's may be, it is this share of the recorded one.
"""
MEGABYTE = 1_000_000

Kind = Literal["missing", "unseen", "range"]

_KINDS = {
    "missing": "missing values",
    "unseen": "categories that training never saw",
    "range": "numbers far outside the training range",
}

ONE_ANSWER: dict[Task, str] = {
    "binary": "probability between 0 and 1",
    "multiclass": "probabilities that add up to 1",
    "regression": "finite number",
}
ANSWERS: dict[Task, str] = {"binary": "probabilities", "multiclass": "probabilities", "regression": "finite numbers"}
"""What the answers of a task must be, in words: each, and all of them."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Perturbation:
    """Answers to the same rows before and after one column was disturbed: emptied, given an unseen category or an extreme number."""

    kind: Kind
    column: str
    before: Floats
    after: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """Answers that the bundle promised, and those that it gives now, row by row: a number, or one for each class."""

    promised: Sequence[Any]
    given: Sequence[Any]


def probabilities_check(scores: Answers, name: str = "behaviour.probabilities") -> Check:
    """Whether each held-out row gets a probability from 0 to 1; it is an error where not, for nothing else can be judged.

    Of a multiclass task each row must get probabilities that add up to 1, of a regression a finite number.
    """
    rows, strange = len(scores.raw), scores.strange
    if rows == 0:
        return Check(name=name, outcome=Outcome.INCONCLUSIVE, message="there are no answers", observed=0)
    outcome = Outcome.ERROR if strange else Outcome.PASS
    words = (
        f"{strange} of {rows:,} answers are no {ONE_ANSWER[scores.task]}" if strange else f"all {rows:,} answers are {ANSWERS[scores.task]}"
    )
    return Check(name=name, outcome=outcome, message=words, observed=strange, limit=0)


def flips_check(challenger: Scores, champion: Scores, max_flips: float) -> Check:
    """Whether few enough rows get another label than from the champion."""
    flipped = challenger.positive != champion.positive
    name, rows = "behaviour.flips", len(flipped)
    if rows == 0:
        return Check(name=name, outcome=Outcome.INCONCLUSIVE, message="there are no rows to compare", limit=float(max_flips))
    share = float(flipped.mean())
    up = int((flipped & challenger.positive).sum())
    message = (
        f"{int(flipped.sum()):,} of {rows:,} rows ({share:.1%}) get another label than from the champion ({up:,} of them positive now), "
        f"at most {max_flips:.1%} may"
    )
    outcome = Outcome.PASS if share <= max_flips else Outcome.FAIL
    return Check(name=name, outcome=outcome, message=message, observed=round(share, 6), limit=float(max_flips))


def determinism_check(first: str, second: str) -> Check:
    """Whether two processes gave the same answers, by the digest of all of them."""
    same = first == second and bool(first)
    message = f"two processes give the same answers to the last bit ({first[:19]}…)"
    if not same:
        message = f"two processes give other answers to the same rows ({first[:19]}… and {second[:19]}…)"
    return Check(
        name="behaviour.determinism", outcome=Outcome.PASS if same else Outcome.FAIL, message=message, observed=second, limit=first
    )


def golden_check(answers: Recorded) -> Check:
    """Whether the bundle's golden rows get the answers that it promises."""
    return _agreement("behaviour.golden", "golden rows", answers)


def onnx_check(answers: Recorded) -> Check:
    """Whether the ONNX model answers as the scikit-learn pipeline that it was made from did."""
    return _agreement("behaviour.onnx", "recorded scikit-learn answers", answers)


def _agreement(name: str, what: str, answers: Recorded) -> Check:
    promised, given = (np.asarray(one, dtype=np.float64) for one in (answers.promised, answers.given))
    if promised.shape != given.shape:
        message = f"{len(given)} answers to {len(promised)} {what}"
        return Check(name=name, outcome=Outcome.ERROR, message=message, observed=len(given), limit=len(promised))
    if len(promised) == 0:
        return Check(name=name, outcome=Outcome.INCONCLUSIVE, message=f"there are no {what}")
    distances = (np.abs(promised - given) / np.maximum(np.abs(promised), 1)).reshape(len(promised), -1).max(axis=1)
    if not np.isfinite(distances).all():
        message = f"{int((~np.isfinite(distances)).sum())} of {len(distances)} {what} have an answer that is no number"
        return Check(name=name, outcome=Outcome.ERROR, message=message, limit=TOLERANCE)
    far = int((distances > TOLERANCE).sum())
    message = (
        f"{len(distances) - far:,} of {len(distances):,} {what} are met within {TOLERANCE:g} (largest difference {distances.max():.2g})"
    )
    outcome = Outcome.FAIL if far else Outcome.PASS
    return Check(name=name, outcome=outcome, message=message, observed=float(distances.max()), limit=TOLERANCE)


def robustness_checks(perturbations: Sequence[Perturbation], model: Answers) -> tuple[Check, ...]:
    """Whether disturbed rows still get answers of `model`'s kind, one check for each kind of disturbance.

    How many labels change is shown and not judged.
    """
    kinds = dict.fromkeys(one.kind for one in perturbations)
    return tuple(_robustness(kind, [one for one in perturbations if one.kind == kind], model) for kind in kinds)


def _robustness(kind: Kind, found: Sequence[Perturbation], model: Answers) -> Check:
    name = f"behaviour.{kind}"
    answers = sum(len(one.after) for one in found)
    strange = {one.column: count for one in found if (count := model.of(one.after).strange)}
    lost = [one.column for one in found if len(one.after) != len(one.before)]
    if lost:
        message = f"{_KINDS[kind]}: not every row is answered where {', '.join(lost[:5])} is disturbed"
        return Check(name=name, outcome=Outcome.ERROR, message=message, observed=len(lost), limit=0)
    if answers == 0:
        return Check(name=name, outcome=Outcome.INCONCLUSIVE, message=f"{_KINDS[kind]}: no row was tried")
    if strange:
        columns = ", ".join(list(strange)[:5])
        kin = "probability" if model.task == "binary" else ONE_ANSWER[model.task]
        message = f"{_KINDS[kind]}: {sum(strange.values()):,} of {answers:,} answers are no {kin}, in {columns}"
        return Check(name=name, outcome=Outcome.FAIL, message=message, observed=sum(strange.values()), limit=0)
    message = (
        f"{_KINDS[kind]} in {len(found)} {'column' if len(found) == 1 else 'columns'}: all {answers:,} answers are {ANSWERS[model.task]}"
    )
    return Check(name=name, outcome=Outcome.PASS, message=message + _most_changed(found, model), observed=0, limit=0)


def _most_changed(found: Sequence[Perturbation], model: Answers) -> str:
    """Which column moves the most rows into another class; nothing where there are no classes."""
    changed: dict[str, float] = {}
    for one in found:
        before, after = model.of(one.before).given, model.of(one.after).given
        if before is not None and after is not None and len(after):
            changed[one.column] = float((before != after).mean())
    if not changed:
        return ""
    most = max(changed, key=changed.__getitem__)
    return f"; most labels change with {most} ({changed[most]:.1%})"


def size_check(size: int, max_mb: float) -> Check:
    """Whether the bundle's files together are small enough."""
    megabytes = size / MEGABYTE
    outcome = Outcome.ERROR if size <= 0 else Outcome.PASS if megabytes <= max_mb else Outcome.FAIL
    message = f"the bundle has {megabytes:.2f} MB, at most {max_mb:g} MB may it have"
    return Check(name="behaviour.size", outcome=outcome, message=message, observed=round(megabytes, 6), limit=float(max_mb))
