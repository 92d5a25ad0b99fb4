"""Whether rows repeat: 64-bit hashes of what names them, sorted on disk, so that memory does not grow with the table.

Equal rows have equal hashes, so nothing that repeats is missed; two different rows share a hash once in 2^64 / n² tables,
and what looks repeated is read again and compared by its cells before anybody is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Hashes = np.ndarray[Any, np.dtype[np.uint64]]

RUN = 4_000_000
CHUNK = 2_000_000
BITMAP_BITS = 24


class Writer:
    """Collects hashes of one part and leaves them sorted in one file; at most 64 MB of them are in memory at a time."""

    def __init__(self, path: Path, *, run: int = RUN) -> None:
        self._path = path
        self._run = run
        self._held: list[Hashes] = []
        self._size = 0
        self._runs: list[Path] = []

    def add(self, hashes: Hashes) -> None:
        """Take the hashes of one batch."""
        self._held.append(hashes)
        self._size += len(hashes)
        if self._size >= self._run:
            self._spill(self._path.with_suffix(f".run{len(self._runs)}"))

    def close(self) -> None:
        """Write the sorted file; nothing else stays."""
        if not self._runs:
            self._spill(self._path)
            return
        if self._size:
            self._spill(self._path.with_suffix(f".run{len(self._runs)}"))
        with self._path.open("wb") as stream:
            for chunk in in_order([load(run) for run in self._runs]):
                chunk.tofile(stream)
        for run in self._runs:
            run.unlink()

    def _spill(self, path: Path) -> None:
        import numpy as np

        hashes = np.concatenate(self._held) if self._held else np.empty(0, dtype=np.uint64)
        hashes.sort()
        hashes.tofile(path)
        if path != self._path:
            self._runs.append(path)
        self._held, self._size = [], 0


def load(path: Path) -> Hashes:
    """The sorted hashes of one file, read as they are needed."""
    import numpy as np

    return np.memmap(path, dtype=np.uint64, mode="r") if path.stat().st_size else np.empty(0, dtype=np.uint64)


def in_order(runs: Sequence[Hashes], *, chunk: int = CHUNK) -> Iterator[Hashes]:
    """All sorted runs as one, in sorted chunks of about `chunk` hashes; equal hashes are never in two chunks."""
    import numpy as np

    total = sum(len(run) for run in runs)
    steps = max(1, -(-total // chunk))
    edges = [(at << 64) // steps for at in range(1, steps)]
    starts = [0] * len(runs)
    for edge in [*edges, None]:
        ends = [len(run) if edge is None else int(np.searchsorted(run, np.uint64(edge))) for run in runs]
        merged = np.concatenate([np.asarray(run[start:end]) for run, start, end in zip(runs, starts, ends, strict=True)])
        merged.sort()
        starts = ends
        yield merged


def repeated(runs: Sequence[Hashes], *, most: int) -> tuple[int, Hashes]:
    """How many hashes repeat an earlier one, and up to `most` of those that do, smallest first."""
    import numpy as np

    count, found = 0, np.empty(0, dtype=np.uint64)
    for chunk in in_order(runs):
        twice = chunk[1:][chunk[1:] == chunk[:-1]]
        count += len(twice)
        if len(found) < most:
            found = np.concatenate([found, np.unique(twice)])[:most]
    return count, found


def any_shared(few: Sequence[Hashes], others: Sequence[Hashes]) -> bool:
    """Whether one of `few` runs shares a hash with another of them, or with one of `others`: quick where `few` is small.

    A bitmap of the few's leading bits leaves out nearly all others before any is compared.
    """
    import numpy as np

    needles = np.concatenate([np.asarray(run) for run in few]) if few else np.empty(0, dtype=np.uint64)
    needles.sort()
    if bool((needles[1:] == needles[:-1]).any()):
        return True
    if not len(needles):
        return False
    shift = np.uint64(64 - BITMAP_BITS)
    bitmap = np.zeros(2**BITMAP_BITS, dtype=bool)
    bitmap[needles >> shift] = True
    for run in others:
        near = run[bitmap[run >> shift]]
        at = np.searchsorted(needles, near)
        if bool((needles[np.minimum(at, len(needles) - 1)] == near).any()):
            return True
    return False
