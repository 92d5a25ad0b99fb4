"""Metrics between two commits: by how much each moved, how sure that is, and whether it is more than noise. Pure functions.

A movement is *better* or *worse* only where its interval leaves out nothing and it is larger than training by luck alone makes it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

WIDTH = 21
"""Signs in a strip; odd, so that there is a middle."""


class Reading(StrEnum):
    """What a movement says."""

    BETTER = "better"
    WORSE = "worse"
    NOISE = "noise"
    UNCLEAR = "unclear"
    SAME = "same"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A paired difference, now minus base, on the same rows, with its two-sided bounds."""

    value: float
    low: float
    high: float

    @property
    def finite(self) -> bool:
        """Whether all of it are numbers."""
        return all(map(math.isfinite, (self.value, self.low, self.high)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """One metric: both values (None where a side has none), the paired interval and the noise floor where they are known."""

    name: str
    old: float | None
    new: float | None
    interval: Interval | None = None
    floor: float | None = None
    higher_is_better: bool = True

    @property
    def delta(self) -> float | None:
        """By how much it moved: the paired difference where there is one, else now minus base."""
        if self.interval is not None:
            return self.interval.value
        return None if self.old is None or self.new is None else self.new - self.old

    @property
    def reading(self) -> Reading:
        """Whether it is better, worse, or neither, and why neither."""
        delta = self.delta
        if delta is None or not math.isfinite(delta):
            return Reading.UNKNOWN
        if delta == 0:
            return Reading.SAME
        if self.floor is not None and abs(delta) <= self.floor:
            return Reading.NOISE
        if self.interval is None or self.interval.low <= 0 <= self.interval.high:
            return Reading.UNCLEAR
        return Reading.BETTER if (delta > 0) is self.higher_is_better else Reading.WORSE

    @property
    def strip(self) -> str:
        """The movement as a line of signs, better to the right: `░` noise, `━` interval, `╋` value, `│` nothing; empty without one.

        The line is as wide as what it shows, so that lines are compared by where zero lies in them, not by length.
        """
        delta = self.delta
        if delta is None or not math.isfinite(delta):
            return ""
        sign = 1.0 if self.higher_is_better else -1.0
        ends = (self.interval.low * sign, self.interval.high * sign) if self.interval is not None else (delta * sign, delta * sign)
        return strip(delta * sign, min(ends), max(ends), self.floor or 0.0)


def strip(value: float, low: float, high: float, floor: float = 0.0) -> str:
    """A line of signs around nothing in its middle: the noise floor on both sides, the interval, the value."""
    reach = max(abs(value), abs(low), abs(high), floor, 1e-12) * 1.05

    def at(x: float) -> int:
        return round((x / reach + 1) / 2 * (WIDTH - 1))

    signs = ["░" if floor and at(-floor) <= place <= at(floor) else "·" for place in range(WIDTH)]
    signs[WIDTH // 2] = "│"
    for place in range(at(low), at(high) + 1):
        signs[place] = "┿" if place == WIDTH // 2 else "━"
    signs[at(value)] = "╋"
    return "".join(signs)
