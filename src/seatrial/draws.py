"""How often each of n rows is drawn in n draws with replacement: a multinomial, many times over, as bytes.

Counts are Poisson with a mean a little below 1, looked up by 16 random bits, and the few draws that are missing are then added
one by one. Given their sum, Poisson counts are multinomial, whatever the sum; so the result is exact, at a fraction of the cost
of n single draws.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.uint8]

SINGLY = 64
"""Rows up to which each draw is made for itself."""
SLOTS = 2**16
RARE = 255
"""Stands for a count beyond what 16 bits tell apart; it is drawn again, from the rest of the distribution."""
MOST = 40
"""A count that is never reached: a Poisson variable of mean 1 is above it with probability 1e-50."""


def draw_counts(generator: np.random.Generator, size: int, count: int) -> Counts:
    """`size` times `count` draws from as many rows, shape (size, count); each line adds up to `count`."""
    if count <= SINGLY:
        return _singly(generator, size, count)
    drawn = _poisson(generator, size, count)
    missing = count - drawn.sum(axis=1, dtype=np.int64)
    while (over := np.flatnonzero(missing < 0)).size:  # once in a thousand lines
        drawn[over] = _poisson(generator, len(over), count)
        missing[over] = count - drawn[over].sum(axis=1, dtype=np.int64)
    lines = np.repeat(np.arange(size), missing)
    places = lines * count + generator.integers(0, count, size=len(lines))
    np.add.at(drawn.reshape(-1), places, np.uint8(1))
    return drawn


def _singly(generator: np.random.Generator, size: int, count: int) -> Counts:
    draws = generator.integers(0, max(count, 1), size=(size, count)) + np.arange(size)[:, None] * count
    return np.bincount(draws.ravel(), minlength=size * count).reshape(size, count).astype(np.uint8)


def _poisson(generator: np.random.Generator, size: int, count: int) -> Counts:
    """Poisson counts whose sum rarely exceeds `count`: their mean is three standard deviations of the sum below it."""
    mean = 1 - 3 / math.sqrt(count)
    table, rest = _table(mean)
    words = generator.integers(0, 2**64, size=-(-size * count // 4), dtype=np.uint64)
    drawn = np.take(table, words.view(np.uint16)[: size * count])
    rare = np.flatnonzero(drawn == RARE)
    drawn[rare] = np.searchsorted(rest, generator.random(len(rare)), side="right")
    return drawn.reshape(size, count)


@lru_cache(maxsize=64)
def _table(mean: float) -> tuple[Counts, NDArray[np.float64]]:
    """The count of each of 2^16 words, whole slots only, and the cumulated distribution of what they leave over."""
    shares = np.array([math.exp(-mean + count * math.log(mean) - math.lgamma(count + 1)) for count in range(MOST)])
    slots = np.floor(shares * SLOTS).astype(np.int64)
    table = np.full(SLOTS, RARE, dtype=np.uint8)
    table[: slots.sum()] = np.repeat(np.arange(MOST, dtype=np.uint8), slots)
    rest = np.cumsum(shares * SLOTS - slots)
    return table, rest / rest[-1]
