"""Prediction flips between two commits: rows that get another class than they got at the base, and whether that is right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

HEAD = "actual,predicted"
"""The first line of metrics/plots/confusion.csv, which has a line for each held-out row."""

Kind = tuple[str, str]
"""The class at the base, and now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flips:
    """How many of `rows` got another class, by kind, and how many of those are right now."""

    rows: int
    kinds: Mapping[Kind, tuple[int, int]]

    @property
    def count(self) -> int:
        """How many rows flipped."""
        return sum(count for count, _ in self.kinds.values())

    @property
    def right(self) -> int:
        """How many of them are right now."""
        return sum(right for _, right in self.kinds.values())


def count_flips(triples: Iterable[tuple[str, str, str]]) -> Flips:
    """Flips among rows of (actual, at the base, now)."""
    rows, counts, right = 0, Counter[Kind](), Counter[Kind]()
    for actual, was, now in triples:
        rows += 1
        if was != now:
            counts[was, now] += 1
            right[was, now] += now == actual
    return Flips(rows=rows, kinds={kind: (count, right[kind]) for kind, count in sorted(counts.items())})


def flips_between(base: bytes, now: bytes) -> Flips | None:
    """Flips from both sides' metrics/plots/confusion.csv; None unless both are about the same rows, told by what is true of them."""
    old, new = _read(base), _read(now)
    if not old or len(old) != len(new) or any(one[0] != other[0] for one, other in zip(old, new, strict=True)):
        return None
    return count_flips((actual, was, here) for (actual, was), (_, here) in zip(old, new, strict=True))


def _read(raw: bytes) -> list[tuple[str, str]]:
    head, *lines = raw.decode(errors="replace").splitlines() or [""]
    pairs = [tuple(line.split(",")) for line in lines]
    return [(pair[0], pair[1]) for pair in pairs] if head == HEAD and all(len(pair) == 2 for pair in pairs) else []
