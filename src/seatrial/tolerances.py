"""Whether a metric moved further from the base commit's value than params.yaml tolerates: values in, checks out.

A point rule, unlike the gate's: it says what moved, not whether chance explains it. It is for what should not move at all in a
change that is not about the model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from seatrial.diff import Change, Value, is_finite, shown, signed
from seatrial.params_diff import LOWER_IS_BETTER, Tolerance
from seatrial.verdict import Check, Outcome

ROUNDING = 1e-12


def tolerance_checks(tolerances: Mapping[str, Tolerance], changes: Iterable[Change]) -> tuple[Check, ...]:
    """One check for each tolerance, `tolerance.<metric>`; several files with the metric give one each.

    Further away than tolerated is fail, a base without the metric inconclusive, a workspace without it or a value that is no
    finite number an error.
    """
    found: dict[str, list[Change]] = {}
    for change in changes:
        found.setdefault(change.name, []).append(change)
    return tuple(_check(name, one, change) for name, one in tolerances.items() for change in found.get(name, [_nowhere(name)]))


def _nowhere(name: str) -> Change:
    return Change(path="", name=name, old=None, new=None)


def _check(name: str, tolerance: Tolerance, change: Change) -> Check:
    outcome, words = _unusable(change) or _held(name, tolerance, change)
    place = f" ({change.path})" if change.path else ""
    return Check(
        name=f"tolerance.{name}",
        outcome=outcome,
        message=f"{name}{place} {words}",
        observed=change.delta,
        limit=limit_of(tolerance, change),
    )


def _unusable(change: Change) -> tuple[Outcome, str] | None:
    """The answer where one of the two values cannot be compared."""
    if change.new is None:
        return Outcome.ERROR, "has no value in the workspace: run nox -s train"
    if not is_finite(change.new):
        return Outcome.ERROR, f"is {shown(change.new)} in the workspace, no finite number: mend the evaluation, then nox -s train"
    if change.old is None:
        return Outcome.INCONCLUSIVE, "has no value at the base: name a commit that has one (--base REV), or leave its tolerance out"
    if not is_finite(change.old):
        return Outcome.ERROR, f"is {shown(change.old)} at the base, no finite number: name another commit (--base REV)"
    return None


def _held(name: str, tolerance: Tolerance, change: Change) -> tuple[Outcome, str]:
    limit, moved = limit_of(tolerance, change), _moved(name, tolerance, change)
    past = limit is not None and moved > limit + ROUNDING
    words = f"went from {shown(change.old)} to {shown(change.new)} ({signed(change.delta)})"
    return (Outcome.FAIL if past else Outcome.PASS), f"{words}: {_tolerated(tolerance, limit)}{'' if past else ', which it keeps'}"


def _moved(name: str, tolerance: Tolerance, change: Change) -> float:
    """How far the value moved to the side that is held against it."""
    delta = change.delta or 0.0
    direction = tolerance.direction or ("lower" if name in LOWER_IS_BETTER else "higher")
    return abs(delta) if direction == "either" else delta if direction == "lower" else -delta


def limit_of(tolerance: Tolerance, change: Change) -> float | None:
    """How far the value may move; of two limits the smaller. None where the base has no number for a relative one."""
    limits = [] if tolerance.absolute is None else [float(tolerance.absolute)]
    if tolerance.relative is not None and is_finite(change.old):
        limits.append(float(tolerance.relative) * abs(_number(change.old)))
    return min(limits, default=None)


def _number(value: Value) -> float:
    return float(value or 0)


def _tolerated(tolerance: Tolerance, limit: float | None) -> str:
    relative = f" ({tolerance.relative:.3g} of the base's value)" if tolerance.relative is not None and limit != tolerance.absolute else ""
    return f"{limit or 0:.4g} is tolerated{relative}"
