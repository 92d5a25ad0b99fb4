"""Objects by their hash, as DVC's cache and remotes keep them: whether each holds the bytes that its name promises.

DVC itself does not ask: an object of the cache that is write-protected counts as whole, and one that lies in a remote as
there. So every object is read to its end here, in pieces, and its hash compared.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

from seatrial.progress import Advance, reading

PIECE = 1 << 20
BLOCK = 4 << 20
READERS = 8
SHOWN = 10

Kind = Literal["missing", "truncated", "corrupt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One object: its hash, the hash's name, which output (or file in one) it is, and its size in bytes where that is known."""

    oid: str
    name: str
    algorithm: str = "md5"
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """An object that is not what its name promises, in one place; `found` says in words what lies there instead."""

    stored: Stored
    place: str
    kind: Kind
    found: str = ""

    def __str__(self) -> str:
        said = f"{self.stored.name}: object {self.stored.oid} is {self.kind} in {self.place}"
        return f"{said} ({self.found})" if self.found else said


class Store:
    """A place where DVC keeps objects: `odb` is DVC's own object for it, `place` how people know it."""

    def __init__(self, odb: Any, place: str) -> None:
        self.odb = odb
        self.place = place

    def path(self, stored: Stored) -> str:
        """Where an object lies, or would lie."""
        return str(self.odb.oid_to_path(stored.oid))

    def fault(self, stored: Stored, advance: Advance = lambda _size, _count: None) -> Fault | None:
        """What is wrong with one object; None where its bytes hash to its name."""
        try:
            size, digest = self._read(stored, advance)
        except FileNotFoundError:
            return Fault(stored=stored, place=self.place, kind="missing")
        if digest == stored.oid.removesuffix(".dir"):
            return None
        if stored.size is not None and size < stored.size:
            return Fault(stored=stored, place=self.place, kind="truncated", found=f"{size:,} of {stored.size:,} bytes")
        return Fault(stored=stored, place=self.place, kind="corrupt", found=f"{size:,} bytes that hash to {digest}")

    def faults(self, objects: Sequence[Stored], label: str) -> tuple[Fault, ...]:
        """Read each object to its end, several at a time, and give what is wrong, in the order of the objects."""
        guard = threading.Lock()
        with reading(sum(one.size or 0 for one in objects), label, unit="objects") as advance, ThreadPoolExecutor(READERS) as readers:

            def advance_alone(size: int, count: int) -> None:
                with guard:
                    advance(size, count)

            tasks = [readers.submit(self.fault, one, advance_alone) for one in objects]
            try:
                found = [task.result() for task in tasks]
            except BaseException:
                readers.shutdown(wait=False, cancel_futures=True)
                raise
        return tuple(fault for fault in found if fault is not None)

    def _read(self, stored: Stored, advance: Advance) -> tuple[int, str]:
        from dvc_data.hashfile.hash import get_hash_stream

        size = 0
        with self.odb.fs.open(self.path(stored), "rb", block_size=BLOCK) as stream:
            hashed = get_hash_stream(stream, name=stored.algorithm)
            while piece := hashed.read(PIECE):
                size += len(piece)
                advance(len(piece), 0)
        advance(0, 1)
        return size, str(hashed.hash_value)


def copy(objects: Sequence[Stored], source: Store, target: Store, label: str) -> dict[str, BaseException]:
    """Copy objects by DVC's own means, whatever lies at the target; gives what went wrong, by object.

    Lists of folders come last, so that a list that is there means that its files are. What reaches the cache and is not what
    its name promises is taken away again at once.
    """
    failed: dict[str, BaseException] = {}
    with reading(sum(one.size or 0 for one in objects), label, unit="objects") as advance:
        for part in _folders_last(objects):
            target.odb.add(
                [source.path(one) for one in part],
                source.odb.fs,
                [one.oid for one in part],
                check_exists=False,
                verify=target.odb.fs.protocol == "local",
                callback=_callback(advance),
                on_error=failed.__setitem__,
                batch_size=READERS,
            )
    return failed


def _folders_last(objects: Iterable[Stored]) -> list[list[Stored]]:
    objects = list({one.oid: one for one in objects}.values())
    files = [one for one in objects if not one.oid.endswith(".dir")]
    folders = [one for one in objects if one.oid.endswith(".dir")]
    return [part for part in (files, folders) if part]


def _callback(advance: Advance) -> Any:
    """fsspec's way to tell of progress: each file's bytes, then the file."""
    from fsspec.callbacks import Callback

    class Bytes(Callback):  # type: ignore[misc]
        value: int

        def relative_update(self, inc: int = 1) -> None:
            advance(inc, 0)

        def absolute_update(self, value: int) -> None:
            advance(value - self.value, 0)
            self.value = value

    class Files(Callback):  # type: ignore[misc]
        def relative_update(self, inc: int = 1) -> None:
            advance(0, inc)

        def branched(self, *_: object, **__: object) -> Any:
            return Bytes()

    return Files()


def listed(faults: Sequence[Fault]) -> str:
    """Faults, one a line; ten, and how many more."""
    lines = [f"  {fault}" for fault in faults[:SHOWN]]
    if len(faults) > SHOWN:
        lines.append(f"  … and {len(faults) - SHOWN} more")
    return "\n".join(lines)
