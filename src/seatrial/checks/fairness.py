"""Fairness: equal opportunity (Hardt et al. 2016): of the rows that are positive, how many does the model find in each group.

Each value of a group column against the rest. The gap is the group's true-positive rate minus the rest's; judged are its
size, and how much it grew from champion to challenger on the same rows. "Small enough" is claimed at the whole level, as
all groups must be; "too large" by Holm over all groups, as one is enough to fail.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seatrial.checks.performance import interval, needed
from seatrial.metrics import Floats, Labels, Scores
from seatrial.params import Fairness, Tier
from seatrial.statistics import NormalEstimate, holm, settle
from seatrial.verdict import Check, Outcome

MISSING = "(missing)"
SHOWN = 10
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Group:
    """The positive rows of one value of a group column, among all positive rows, shape (positives,)."""

    column: str
    value: str
    rows: Mask

    @property
    def size(self) -> int:
        """Positive rows in the group."""
        return int(self.rows.sum())

    @property
    def smaller(self) -> int:
        """Positive rows in the group or in the rest, whichever has fewer."""
        return min(self.size, len(self.rows) - self.size)

    @property
    def name(self) -> str:
        """How the group is called in a check's name."""
        return f"{self.column}.{self.value}"

    def __str__(self) -> str:
        return f"{self.column} = {self.value}"


def fairness_checks(
    policy: Fairness,
    labels: Labels,
    groups: Mapping[str, Sequence[Any]],
    challenger: Scores,
    champion: Scores | None,
    *,
    confidence: float,
) -> tuple[Check, ...]:
    """Equal opportunity for each group of each column; `groups` maps a column to its values, one for each row.

    A group with fewer than `min_positives` positive rows, or whose rest has fewer, is named and not judged.
    """
    positive = np.asarray(labels) == 1
    found = [group for column, values in groups.items() for group in split_groups(column, values, positive)]
    judged = [group for group in found if group.smaller >= policy.min_positives]
    small = [group for group in found if group.smaller < policy.min_positives]
    hits = challenger.positive[positive].astype(np.float64)
    before = None if champion is None else champion.positive[positive].astype(np.float64)
    return (
        *_gaps(policy, judged, hits, confidence),
        *(() if before is None else _changes(policy, judged, hits, before, confidence)),
        *_small(policy, small),
        *(_alone(column, values) for column, values in groups.items() if len({word(value) for value in values}) < 2),
    )


def split_groups(column: str, values: Sequence[Any], positive: Mask) -> list[Group]:
    """The groups of a column over the positive rows; of two values only the last by name, since the other mirrors it."""
    words = np.array([word(value) for value in values], dtype=object)
    distinct = sorted(set(words))
    if len(distinct) < 2:
        return []
    chosen = distinct[-1:] if len(distinct) == 2 else distinct
    return [Group(column=column, value=value, rows=words[positive] == value) for value in chosen]


def word(value: Any) -> str:
    """A group's value as one word; what is missing is a group of its own."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    return str(value).lower() if isinstance(value, bool | np.bool_) else str(value)


def _gaps(policy: Fairness, groups: Sequence[Group], hits: Floats, confidence: float) -> Iterator[Check]:
    margin, alpha = float(policy.margin), 1 - confidence
    estimates = [gap(group, hits) for group in groups]
    too_large = holm([min(one.p_above(margin), one.p_below(-margin)) for one in estimates])
    for group, estimate, p_large in zip(groups, estimates, too_large, strict=True):
        outcome = settle(max(estimate.p_below(margin), estimate.p_above(-margin)), p_large, alpha)
        rates = f"{hits[group.rows].mean():.2f} against {hits[~group.rows].mean():.2f} elsewhere"
        message = f"{group}: true-positive rate {rates}, gap {_seen(group, estimate, confidence)}; {_words(outcome, margin)}"
        limit = math.copysign(margin, estimate.value)
        yield _check(f"fairness.{group.name}.gap", group, outcome, message, estimate, limit, policy.absolute, alpha)


def gap(group: Group, hits: Floats) -> NormalEstimate:
    """The group's true-positive rate minus the rest's; the error with one hit and one miss added to each (Agresti and Caffo 2000)."""
    inside, outside = hits[group.rows], hits[~group.rows]
    variance = _variance(inside) + _variance(outside)
    return NormalEstimate(value=float(inside.mean() - outside.mean()), error=math.sqrt(variance), method="normal approximation")


def _variance(hits: Floats) -> float:
    share = (float(hits.sum()) + 1) / (len(hits) + 2)
    return share * (1 - share) / (len(hits) + 2)


def _changes(policy: Fairness, groups: Sequence[Group], hits: Floats, before: Floats, confidence: float) -> Iterator[Check]:
    margin, alpha = float(policy.margin), 1 - confidence
    grown = holm([change(group, hits, before).p_above(margin) for group in groups])
    for group, p_grown in zip(groups, grown, strict=True):
        estimate = moved(group, hits, before)
        outcome = settle(_p_not_grown(group, hits, before, margin, alpha), p_grown, alpha)
        now, was = abs(gap(group, hits).value), abs(gap(group, before).value)
        seen = f"gap {now:.3f}, the champion's {was:.3f}, moved by {_seen(group, estimate, confidence)}"
        check = _check(
            f"fairness.{group.name}.change",
            group,
            outcome,
            f"{group}: {seen}; {_words(outcome, margin)}",
            estimate,
            margin,
            policy.change,
            alpha,
        )
        yield replace(check, observed=round(now - was, 6))


def _p_not_grown(group: Group, hits: Floats, before: Floats, margin: float, alpha: float) -> float:
    """p-value of "the absolute gap grew by the margin or more".

    It can only have done so where the signed gap moved by the margin, one way or the other: so two one-sided tests of the
    paired movement answer for every case, with no sign to be guessed (|g1| - |g0| <= |g1 - g0|). Where the side on which the
    champion's gap lies is beyond doubt, a movement towards zero is none to fear, and only growth on that side, or a larger
    gap on the other, is tested.
    """
    movement = moved(group, hits, before)
    side = _side(group, before, alpha)
    if side == 0:
        return max(movement.p_below(margin), movement.p_above(-margin))
    across = _contrast(group, -side * (hits + before))
    return max(_contrast(group, side * (hits - before)).p_below(margin), across.p_below(margin))


def _side(group: Group, before: Floats, alpha: float) -> int:
    """On which side of zero the champion's gap lies: 1, -1, or 0 where that is not shown at a tenth of the level."""
    old = gap(group, before)
    if min(old.p_above(0), old.p_below(0)) > alpha / 10:
        return 0
    return 1 if old.value > 0 else -1


def moved(group: Group, hits: Floats, before: Floats) -> NormalEstimate:
    """By how much the signed gap moved from champion (`before`) to challenger, row by row, so that what they share cancels."""
    return _contrast(group, hits - before)


def change(group: Group, hits: Floats, before: Floats) -> NormalEstimate:
    """By how much the absolute gap grew, each gap on the side on which it was seen."""
    signs = [1.0 if gap(group, one).value >= 0 else -1.0 for one in (hits, before)]
    return _contrast(group, signs[0] * hits - signs[1] * before)


def _contrast(group: Group, values: Floats) -> NormalEstimate:
    """The mean inside the group minus the mean outside."""
    inside, outside = values[group.rows], values[~group.rows]
    variance = inside.var(ddof=1) / len(inside) + outside.var(ddof=1) / len(outside)
    return NormalEstimate(value=float(inside.mean() - outside.mean()), error=math.sqrt(variance), method="paired normal approximation")


def _seen(group: Group, estimate: NormalEstimate, confidence: float) -> str:
    rest = len(group.rows) - group.size
    return f"{estimate.value:+.3f} ({interval(estimate, confidence)}; {group.size} and {rest} positives)"


def _words(outcome: Outcome, margin: float) -> str:
    return {Outcome.PASS: f"at most {margin:g}", Outcome.FAIL: f"more than {margin:g}"}.get(outcome, f"it may be more than {margin:g}")


def _check(
    name: str, group: Group, outcome: Outcome, message: str, estimate: NormalEstimate, limit: float, tier: Tier, alpha: float
) -> Check:
    if outcome is Outcome.INCONCLUSIVE:
        message = f"{message}; {needed(estimate, limit, len(group.rows), alpha).replace('labelled', 'positive')}"
    return Check(
        name=name,
        outcome=outcome,
        message=message,
        observed=round(estimate.value, 6),
        limit=abs(limit),
        advisory=tier == "advisory",
        column=group.column,
    )


def _small(policy: Fairness, groups: Sequence[Group]) -> Iterator[Check]:
    """Name the groups with too few positive rows, ten of each column one by one."""
    for column, found in _by_column(groups).items():
        for group in found[:SHOWN]:
            rest = len(group.rows) - group.size
            message = f"{group}: {group.size} positives and {rest} elsewhere, {policy.min_positives} are needed in both: too few to tell"
            yield _unknown(f"fairness.{group.name}", message, column, group.smaller, policy.min_positives)
        if len(found) > SHOWN:
            examples = ", ".join(group.value for group in found[SHOWN : SHOWN + 5])
            message = f"{len(found) - SHOWN} more values of {column} have fewer than {policy.min_positives} positives, such as {examples}"
            yield _unknown(f"fairness.{column}", message, column, len(found), policy.min_positives)


def _by_column(groups: Sequence[Group]) -> dict[str, list[Group]]:
    found: dict[str, list[Group]] = {}
    for group in groups:
        found.setdefault(group.column, []).append(group)
    return found


def _alone(column: str, values: Sequence[Any]) -> Check:
    seen = word(values[0]) if len(values) else "no value"
    return _unknown(f"fairness.{column}", f"{column} is {seen} in every row, so there are no groups to compare", column, 1, 2)


def _unknown(name: str, message: str, column: str, observed: int, limit: int) -> Check:
    return Check(name=name, outcome=Outcome.INCONCLUSIVE, message=message, observed=observed, limit=limit, advisory=True, column=column)
