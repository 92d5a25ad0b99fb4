"""Progress of a long read: a bar on a terminal, a line now and then in CI, nothing at all where it is over soon."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PATIENCE = 2.0
EVERY = 5.0
PLAIN = ("dumb", "unknown")

Advance = Callable[[int, int], None]


@contextmanager
def reading(
    total_bytes: int,
    label: str,
    *,
    unit: str = "rows",
    stream: TextIO | None = None,
    clock: Callable[[], float] = time.monotonic,
    environ: Mapping[str, str] = os.environ,
) -> Iterator[Advance]:
    """Give a function that takes the bytes and rows (or whatever `unit` says) read since it was called last.

    Nothing is shown before two seconds have passed; then a bar where `stream` (standard error by default) is a terminal that
    can draw one, and at most a line every five seconds elsewhere. The bar is taken away at the end, also by an exception.
    """
    stream = sys.stderr if stream is None else stream
    kind = _Bar if stream.isatty() and environ.get("TERM", "") not in PLAIN else _Lines
    shown = kind(total_bytes, label, unit, stream, clock())
    size = rows = 0

    def advance(more_bytes: int, more_rows: int) -> None:
        nonlocal size, rows
        size, rows = size + more_bytes, rows + more_rows
        shown.show(clock(), size, rows)

    try:
        yield advance
    finally:
        shown.close()


class _Lines:
    """One plain line every five seconds."""

    def __init__(self, total: int, label: str, unit: str, stream: TextIO, start: float) -> None:
        self._total = total
        self._label = label
        self._unit = unit
        self._stream = stream
        self._next = start + PATIENCE

    def show(self, now: float, size: int, rows: int) -> None:
        if now >= self._next:
            part = f"{min(1.0, size / self._total):.0%}, " if self._total else ""
            print(f"{self._label}: {part}{rows:,} {self._unit}", file=self._stream, flush=True)
            self._next = now + EVERY

    def close(self) -> None:
        """Nothing is open."""


class _Bar:
    """A bar by rich, from the second second on."""

    def __init__(self, total: int, label: str, unit: str, stream: TextIO, start: float) -> None:
        self._total = total
        self._label = label
        self._unit = unit
        self._stream = stream
        self._from = start + PATIENCE
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def show(self, now: float, size: int, rows: int) -> None:
        if now < self._from:
            return
        if self._progress is None:
            self._open()
        assert self._progress is not None
        assert self._task is not None
        self._progress.update(self._task, completed=size, rows=f"{rows:,} {self._unit}")

    def _open(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TextColumn("{task.fields[rows]}"),
            TimeRemainingColumn(),
        )
        self._progress = Progress(*columns, console=Console(file=self._stream), transient=True)
        self._progress.start()
        self._task = self._progress.add_task(self._label, total=self._total or None, rows="")

    def close(self) -> None:
        """Take the bar away."""
        if self._progress is not None:
            self._progress.stop()


@contextmanager
def counting(
    total: int,
    label: str,
    *,
    stream: TextIO | None = None,
    clock: Callable[[], float] = time.monotonic,
    environ: Mapping[str, str] = os.environ,
) -> Iterator[Callable[[], None]]:
    """Give a function to call after each of `total` pieces of work; shown as `reading` shows bytes."""
    stream = sys.stderr if stream is None else stream
    terminal = stream.isatty() and environ.get("TERM", "") not in PLAIN
    bar: Progress | None = None
    done, next_at = 0, clock() + PATIENCE

    def step() -> None:
        nonlocal done, next_at, bar
        done += 1
        if clock() < next_at:
            return
        if not terminal:
            print(f"{label}: {done:,} of {total:,}", file=stream, flush=True)
            next_at = clock() + EVERY
            return
        bar = bar or _opened(label, total, stream)
        bar.update(bar.task_ids[0], completed=done)

    try:
        yield step
    finally:
        if bar is not None:
            bar.stop()


def _opened(label: str, total: int, stream: TextIO) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(file=stream), transient=True)
    bar.start()
    bar.add_task(label, total=total)
    return bar
