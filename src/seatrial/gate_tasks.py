"""Where tasks differ in what the gate asks: which held-out rows are enough, which labels can be judged, what is said of groups."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from seatrial.metrics import Answers, Targets
from seatrial.params import Gate
from seatrial.verdict import Check, Outcome

MIN_PER_CLASS = 10
"""Rows of a class under which no interval is worth its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The rows to judge on: how many, how many of the rarest class (None for a regression), and both in words."""

    count: int
    rarest: int | None
    words: str

    def enough(self, policy: Gate) -> bool:
        """Whether a model may be judged on them."""
        return self.count >= policy.min_test_rows and (self.rarest is None or self.rarest >= MIN_PER_CLASS)

    def needed(self, policy: Gate) -> str:
        """How many would be enough, in words."""
        return f"{policy.min_test_rows:,} rows{'' if self.rarest is None else f' and {MIN_PER_CLASS} of each class'} are needed"


def count_rows(labels: Targets, answers: Answers) -> Rows:
    """Count held-out rows as the task of `answers` asks: with the rarest of its classes, where it has classes."""
    rows = len(labels)
    if answers.task == "regression":
        return Rows(count=rows, rarest=None, words=f"{rows:,} held-out rows")
    if answers.task == "binary":
        positives = int((labels == 1).sum())
        return Rows(count=rows, rarest=min(positives, rows - positives), words=f"{rows:,} held-out rows, {positives:,} of them positive")
    classes = answers.raw.shape[1]
    rarest = min(int((labels == one).sum()) for one in range(classes))
    return Rows(count=rows, rarest=rarest, words=f"{rows:,} held-out rows of {classes} classes, {rarest:,} of the rarest")


def label_problems(labels: Targets, answers: Answers) -> Iterator[Check]:
    """Labels on which no model can be judged: an error each."""
    rows = len(labels)
    if answers.task == "binary":
        if rows and count_rows(labels, answers).rarest == 0:
            message = (
                f"all {rows:,} held-out rows are of one class, so no model can be judged on them; more rows, or another preprocess.seed"
            )
            yield Check(name="test.one_class", outcome=Outcome.ERROR, message=message, observed=1, limit=2)
        return
    if answers.task == "regression":
        strange, kind = int((~np.isfinite(labels)).sum()), "are no finite number"
    else:
        strange, kind = int(((labels < 0) | (labels >= answers.raw.shape[1])).sum()), "are of a class that the model does not know"
    if strange:
        message = f"{strange:,} of {rows:,} held-out labels {kind}"
        yield Check(name="test.labels", outcome=Outcome.ERROR, message=message, observed=strange, limit=0)


def can_be_judged(labels: Targets, answers: Answers) -> bool:
    """Whether metrics of these answers mean anything; where not, a check has said why."""
    return len(labels) > 0 and not answers.strange and not any(label_problems(labels, answers))


def no_fairness(names: Iterable[str], answers: Answers) -> Iterator[Check]:
    """That groups are not compared outside a binary task is shown, so that nobody takes silence for fairness."""
    for name in names:
        message = f"groups of {name!r} are compared by true-positive rates, which a {answers.task} task has not; nothing was asked"
        yield Check(name=f"fairness.{name}", outcome=Outcome.INCONCLUSIVE, message=message, advisory=True)
