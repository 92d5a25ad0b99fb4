"""Hashes of large files, believed while nothing about the file changed: inode, size, and the times of writing and of change.

DVC's own memory leaves the time of change out, and a program can set the other one back; nobody can set this one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.meta import Meta
from dvc_data.hashfile.state import StateNoop

from seatrial.files import write_atomic


class NotedHashes(StateNoop):  # type: ignore[misc, unused-ignore]
    """A memory of hashes in the shape that DVC's library asks for; a file that cannot be read is an empty one."""

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            self._before: dict[str, list[Any]] = dict(json.loads(file.read_bytes()))
        except (OSError, ValueError, TypeError):
            self._before = {}
        self._now: dict[str, list[Any]] = {}

    def get(self, path: str, fs: Any, info: Mapping[str, Any] | None = None) -> tuple[Any, Any]:
        """The hash of a file, where it is noted and nothing changed; (None, None) otherwise."""
        noted = self._before.get(path)
        if noted is None or noted[:-2] != _identity(path):
            return None, None
        self._now[path] = noted
        return Meta(size=noted[1]), HashInfo(noted[-2], noted[-1])

    def get_many(self, items: Iterable[str], fs: Any, infos: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
        """The same for several files."""
        for path in items:
            yield (path, *self.get(path, fs))

    def save(self, path: str, fs: Any, hash_info: Any, info: Mapping[str, Any] | None = None) -> None:
        """Note a hash."""
        self._now[path] = [*_identity(path), hash_info.name, hash_info.value]

    def save_many(self, items: Iterable[tuple[str, Any, Any]], fs: Any) -> None:
        """The same for several files."""
        for path, hash_info, _ in items:
            self.save(path, fs, hash_info)

    def write(self) -> None:
        """Keep the notes of this run."""
        write_atomic(self._file, json.dumps(self._now).encode())


def _identity(path: str) -> list[int]:
    known = Path(path).stat()
    return [known.st_ino, known.st_size, known.st_mtime_ns, known.st_ctime_ns]
