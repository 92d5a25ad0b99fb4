"""Files of a folder that is not trusted: each opened once, regular, of bounded size, and read whole into memory.

The folder is held open and its files are opened relative to it, so that nothing can be moved in between; links, pipes,
devices and files with a second name elsewhere are refused before a byte of them is read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seatrial.errors import BundleError

MAX_ENTRIES = 64
"""What a bundle's folder may hold, whatever it is; more is not even listed."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""Not blocking: a pipe that takes a file's place is opened at once, seen, and refused."""


@contextmanager
def open_folder(folder: Path) -> Iterator[int]:
    """A descriptor of the folder, which must not be a link; OSError where there is none."""
    descriptor = os.open(folder, _FOLDER)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def names_in(descriptor: int, place: str) -> frozenset[str]:
    """The names in an open folder; BundleError where there are more than a bundle has."""
    names: set[str] = set()
    with os.scandir(descriptor) as entries:
        for entry in entries:
            names.add(entry.name)
            if len(names) > MAX_ENTRIES:
                raise BundleError(f"{place} holds more than {MAX_ENTRIES} files; a bundle lies in a folder of its own")
    return frozenset(names)


def read_regular(descriptor: int, place: str, name: str, limit: int) -> bytes:
    """All bytes of the file `name` in an open folder.

    Raises FileNotFoundError where there is none, BundleError where it is no regular file of at most `limit` bytes with one
    name, or changes while it is read.
    """
    shown = f"{place}/{name}"
    _check_status(os.stat(name, dir_fd=descriptor, follow_symlinks=False), shown, limit)  # a device does things when opened
    try:
        file = os.open(name, _FILE, dir_fd=descriptor)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise BundleError(f"{shown} cannot be opened ({error.strerror})") from None
    with os.fdopen(file, "rb", buffering=0) as stream:
        expected = _check_status(os.fstat(file), shown, limit)
        data = _read_at_most(stream.fileno(), expected)
    if len(data) != expected:
        raise BundleError(f"{shown} changed while it was read: {len(data)} bytes, {expected} before")
    return data


def _check_status(status: os.stat_result, shown: str, limit: int) -> int:
    if not stat.S_ISREG(status.st_mode):
        raise BundleError(
            f"{shown} is missing or not a regular file, but {_kind(status.st_mode)}", hint="train again, or fetch it: dvc pull"
        )
    if status.st_nlink > 1:
        raise BundleError(
            f"{shown} has {status.st_nlink} names (hard links), so it can change under another one",
            hint="copy the folder; where DVC made the links: dvc config cache.type copy, then dvc checkout --relink",
        )
    if status.st_size > limit:
        raise BundleError(f"{shown} has {status.st_size} bytes, more than {limit}")
    return status.st_size


def _kind(mode: int) -> str:
    kinds = {stat.S_IFLNK: "a link", stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")


def _read_at_most(file: int, size: int) -> bytes:
    """What the file holds, and never more than one byte above its size: it may grow meanwhile."""
    parts, total = [], 0
    while total <= size and (part := os.read(file, size + 1 - total)):
        parts.append(part)
        total += len(part)
    return b"".join(parts)
