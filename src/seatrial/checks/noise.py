"""Noise: whether a margin is wider than what training by luck alone makes of a metric."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from seatrial.params import MetricPolicy
from seatrial.verdict import Check, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """What `nox -s noise` measured: by metric, the difference that two equally good models exceed once in twenty times.

    `stale` is true where it was measured on other training rows than the challenger's.
    """

    seeds: int
    floors: Mapping[str, float]
    stale: bool = False


def noise_checks(policy: Mapping[str, MetricPolicy], noise: Noise | None) -> Iterator[Check]:
    """Hold each margin against the noise floor; advisory, and silent where nobody has measured one."""
    if noise is None:
        return
    if noise.stale:
        message = "the noise floor was measured on other training rows; measure it again: nox -s noise"
        yield Check(name="noise", outcome=Outcome.INCONCLUSIVE, message=message, advisory=True)
        return
    for name, one in policy.items():
        if one.margin is not None and not one.must_improve and name in noise.floors:
            yield _margin(name, float(one.margin), noise.floors[name], noise.seeds)


def _margin(name: str, margin: float, floor: float, seeds: int) -> Check:
    wide = margin >= floor
    message = (
        f"the margin of {name}, {margin:g}, is {'at least' if wide else 'smaller than'} the noise of training, {floor:.4f} ({seeds} seeds)"
    )
    if not wide:
        message = f"{message}: an equally good model misses it by luck; {floor:.2g} is the smallest sensible one"
    outcome = Outcome.PASS if wide else Outcome.INCONCLUSIVE
    return Check(name=f"noise.{name}", outcome=outcome, message=message, observed=margin, limit=floor, advisory=True)
