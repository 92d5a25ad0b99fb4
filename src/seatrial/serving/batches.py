"""Rows of several requests scored in one call: ONNX Runtime takes about as long for sixteen rows as for two.

Only requests that wait at the same moment are put together, so nobody waits for others to come. Each gets the answer that it
would have got alone, to the last bit: a server tries that with the bundle's golden rows before it serves, and scores one by
one where it is not so, or where it would not be quicker.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from seatrial.serving.rows import Rows, joined

if TYPE_CHECKING:
    from seatrial.serving.runtime import Blocks, Probabilities, Runtime

LARGEST = 64
SLICE_S = 0.005
"""How long one call may take, so that others are heard meanwhile."""
TRIES = 5


class BrokenAnswer(Exception):  # noqa: N818 - the model's fault, answered with 500 so that the endpoint notices
    """The model failed, or answered what is no probability."""


def score_alone(runtime: Runtime, rows: Rows) -> Probabilities:
    """The answers to one request's rows; BrokenAnswer where the model fails."""
    try:
        return runtime.score(runtime.blocks(*rows.flat))
    except Exception as error:
        raise BrokenAnswer(f"the model failed: {type(error).__name__}") from error


def score_all(runtime: Runtime, asked: Sequence[Rows], *, largest: int) -> list[Probabilities | BrokenAnswer]:
    """The answers to each request in turn; those of one row are scored together, at most `largest` in one call."""
    single = [at for at, rows in enumerate(asked) if rows.count == 1] if largest > 1 else []
    found: dict[int, Probabilities | BrokenAnswer] = {}
    for start in range(0, len(single), largest):
        part = single[start : start + largest]
        if len(part) > 1:
            found.update(zip(part, _together(runtime, [asked[at] for at in part]), strict=True))
    return [found[at] if at in found else _or_broken(runtime, rows) for at, rows in enumerate(asked)]


def _together(runtime: Runtime, asked: Sequence[Rows]) -> Sequence[Probabilities | BrokenAnswer]:
    """One call for all; where it fails, each is asked alone, so that only the one at fault is told."""
    try:
        found = runtime.score(runtime.blocks(*joined(asked)))
    except Exception:  # noqa: BLE001 - whatever it was, it is found again with the request that causes it
        return [_or_broken(runtime, rows) for rows in asked]
    return [found[at : at + 1] for at in range(len(asked))]


def _or_broken(runtime: Runtime, rows: Rows) -> Probabilities | BrokenAnswer:
    try:
        return score_alone(runtime, rows)
    except BrokenAnswer as error:
        return error


def size_that_pays(runtime: Runtime, rows: Rows, *, clock: Callable[[], float] = time.perf_counter) -> int:
    """The most rows that one call may take: 1 where a batch gives another bit, or costs more than its rows one by one.

    `rows` are tried in batches of every size up to 64, repeated as often as needed.
    """
    import numpy as np

    if not rows.count:
        return 1
    order = np.arange(LARGEST + rows.count) % rows.count
    blocks = runtime.blocks(*rows.flat).taken(order)
    alone = np.concatenate([runtime.score(_part(blocks, at, at + 1)) for at in range(rows.count)])[order]
    cost = _seconds(runtime, _part(blocks, 0, 1), clock)
    for size in range(2, LARGEST + 1):
        start = size % rows.count
        if not np.array_equal(runtime.score(_part(blocks, start, start + size)), alone[start : start + size], equal_nan=True):
            return 1
    size = LARGEST
    while size > 1:
        spent = _seconds(runtime, _part(blocks, 0, size), clock)
        if spent <= min(SLICE_S, size * cost):
            return size
        size //= 2
    return 1


def _part(blocks: Blocks, start: int, end: int) -> Blocks:
    return blocks.taken(slice(start, end))


def _seconds(runtime: Runtime, blocks: Blocks, clock: Callable[[], float]) -> float:
    """The shortest of a few calls: what disturbs one only makes it longer."""
    spent = []
    for _ in range(TRIES):
        start = clock()
        runtime.score(blocks)
        spent.append(clock() - start)
    return min(spent)
