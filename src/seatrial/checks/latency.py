"""Latency: the slowest hundredth of the real server's answers, in milliseconds and against the champion's.

The 99th percentile of a sample misses the true one more than a third of the time, so it is bounded by order statistics,
which assume nothing about the distribution. The figures belong to the machine: both checks are volatile.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from seatrial.params import Latency
from seatrial.statistics import quantile_lower_rank, quantile_upper_rank
from seatrial.verdict import Check, Outcome

QUANTILE = 0.99

Bounds = tuple[float, float, float]


def latency_checks(
    policy: Latency, challenger: Sequence[float], champion: Sequence[float] | None, *, confidence: float
) -> tuple[Check, ...]:
    """Judge milliseconds of single calls, the champion's measured in turn with the challenger's; None for a first release."""
    checks = [_p99(policy, challenger, confidence)]
    if champion is not None:
        checks.append(_ratio(policy, challenger, champion, confidence))
    return tuple(checks)


def p99_bounds(milliseconds: Sequence[float], confidence: float) -> Bounds | None:
    """One-sided lower bound, observed value and one-sided upper bound of the 99th percentile; None where there are too few calls.

    Each bound is an order statistic: of 2,000 calls at 95 %, the 1,988th is the upper one.
    """
    count = len(milliseconds)
    low, high = quantile_lower_rank(count, QUANTILE, confidence), quantile_upper_rank(count, QUANTILE, confidence)
    if low is None or high is None:
        return None
    ordered = np.sort(np.asarray(milliseconds, dtype=np.float64))
    return float(ordered[low - 1]), float(np.quantile(ordered, QUANTILE, method="higher")), float(ordered[high - 1])


def _p99(policy: Latency, milliseconds: Sequence[float], confidence: float) -> Check:
    limit, advisory = float(policy.p99_ms), policy.absolute == "advisory"
    problem = _unusable(milliseconds, confidence)
    if problem is not None:
        return _check("latency.p99", *problem, None, limit, advisory)
    low, seen, high = p99_bounds(milliseconds, confidence) or (float("nan"),) * 3
    outcome = Outcome.PASS if high <= limit else Outcome.FAIL if low > limit else Outcome.INCONCLUSIVE
    message = (
        f"the slowest hundredth of {len(milliseconds):,} calls takes {seen:.2f} ms or more "
        f"(one-sided {100 * confidence:g} % bounds {low:.2f} and {high:.2f}), {limit:g} ms is the limit"
    )
    return _check("latency.p99", outcome, message, round(high, 3), limit, advisory)


def _ratio(policy: Latency, challenger: Sequence[float], champion: Sequence[float], confidence: float) -> Check:
    """The challenger's 99th percentile over the champion's: each side's bound at half the level, so both hold together."""
    limit, advisory, half = float(policy.max_ratio), policy.ratio == "advisory", (1 + confidence) / 2
    for name, one in (("challenger", challenger), ("champion", champion)):
        problem = _unusable(one, half)
        if problem is not None:
            return _check("latency.ratio", problem[0], f"{name}: {problem[1]}", None, limit, advisory)
    low, seen, high = p99_bounds(challenger, half) or (float("nan"),) * 3
    low_before, seen_before, high_before = p99_bounds(champion, half) or (float("nan"),) * 3
    least, most = low / high_before, high / low_before
    outcome = Outcome.PASS if most <= limit else Outcome.FAIL if least > limit else Outcome.INCONCLUSIVE
    message = (
        f"the slowest hundredth of calls takes {seen:.2f} ms, the champion's {seen_before:.2f} ms: {seen / seen_before:.2f} times as long "
        f"(with {100 * confidence:g} % confidence {least:.2f} at least, {most:.2f} at most), {limit:g} times is the limit"
    )
    return _check("latency.ratio", outcome, message, round(seen / seen_before, 3), limit, advisory)


def _unusable(milliseconds: Sequence[float], confidence: float) -> tuple[Literal[Outcome.ERROR, Outcome.INCONCLUSIVE], str] | None:
    """Why no bound can be given: what is no time, or too few calls."""
    values = np.asarray(milliseconds, dtype=np.float64)
    strange = int((~(np.isfinite(values) & (values > 0))).sum())
    if strange:
        return Outcome.ERROR, f"{strange} of {len(values):,} times are not positive numbers"
    if p99_bounds(milliseconds, confidence) is None:
        return Outcome.INCONCLUSIVE, f"{len(values):,} calls are too few to bound their 99th percentile (gate.latency.requests)"
    return None


def _check(name: str, outcome: Outcome, message: str, observed: float | None, limit: float, advisory: bool) -> Check:
    return Check(name=name, outcome=outcome, message=message, observed=observed, limit=limit, advisory=advisory, volatile=True)
