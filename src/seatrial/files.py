"""Bytes on disk: canonical JSON, digests, and writes that are whole or not there."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def canonical_json(value: Any) -> bytes:
    """Encode with sorted keys and no white space: one value, one sequence of bytes.

    Raises ValueError for NaN and infinity, which are not JSON.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def pretty_json(value: Any) -> bytes:
    """Encode for files that people read in a pull request: sorted keys, two spaces, a newline at the end."""
    return (json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def sha256_bytes(data: bytes) -> str:
    """Digest of bytes, written `sha256:<hex>`."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def sha256_json(value: Any) -> str:
    """Digest of a value's canonical JSON, written `sha256:<hex>`."""
    return sha256_bytes(canonical_json(value))


def md5_of(path: Path) -> str:
    """Hash of a file or folder, written `md5:<hex>`; of a file, the hash that DVC knows it by.

    A folder's hash covers the relative name and hash of each file below it, in order of name.
    """
    if path.is_dir():
        lines = [f"{child.relative_to(path).as_posix()} {md5_of(child)}" for child in files_below(path)]
        return f"md5:{hashlib.md5(chr(10).join(lines).encode(), usedforsecurity=False).hexdigest()}"
    with path.open("rb") as stream:
        return f"md5:{hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()}"


def sha256_of_tree(path: Path, *, suffixes: tuple[str, ...] = ()) -> str:
    """Digest over the names and bytes of all files below `path` (only those with a suffix of `suffixes`, where given)."""
    files = [child for child in files_below(path) if not suffixes or child.suffix in suffixes]
    return sha256_json([[child.relative_to(path).as_posix(), sha256_bytes(child.read_bytes())] for child in files])


def files_below(path: Path) -> Iterator[Path]:
    """All regular files below a folder in order of name, caches of Python left out."""
    return iter(sorted(child for child in path.rglob("*") if child.is_file() and "__pycache__" not in child.parts))


def write_atomic(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Replace `path` by `data`, durably: after a crash it holds the old bytes or the new ones, never a part.

    Temporary file in the same folder, fsync, rename, fsync of the folder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a folder's entries durable: a new or renamed file in it is still there after a crash."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def shown_path(path: Path) -> str:
    """A path as people know it: from the folder they are in, or its name where it lies elsewhere."""
    try:
        return path.absolute().relative_to(Path.cwd()).as_posix()
    except (ValueError, OSError):
        return path.name


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold an exclusive lock on `path` (the kernel drops it when the process dies).

    Raises BlockingIOError where `wait` is false and another process holds it.
    """
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
