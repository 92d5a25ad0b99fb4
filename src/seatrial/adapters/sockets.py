"""The endpoint's unix sockets: a short folder that only this user can enter, and HTTP over what lies in it.

A socket's path may have about 107 bytes, so the folder lies in $XDG_RUNTIME_DIR or a temporary folder and not below a project.
"""

from __future__ import annotations

import hashlib
import os
import socket
import stat
import tempfile
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from seatrial.errors import EndpointError
from seatrial.files import write_atomic

LONGEST = 99
"""Bytes of a socket's path; Envoy refuses more than 107, and macOS more than 103."""
LONGEST_NAME = 24
"""Bytes that the longest name of a socket needs, with its slash."""


def folder_name(home: Path, uid: int) -> str:
    """The folder's name: one for each user and home."""
    return f"seatrial-{uid}-{hashlib.sha256(str(home).encode()).hexdigest()[:12]}"


def open_folder(home: Path, record: Path, env: Mapping[str, str]) -> Path:
    """Make the socket folder for `home` and give it; the choice is kept in the file `record`.

    The record is what a later command finds the sockets by, whatever its own environment says. Raises EndpointError for a
    folder that somebody else could enter.
    """
    known = recorded_folder(home, record)
    folder = known if known is not None and known.exists() else _choose(folder_name(home, os.getuid()), env)
    _make_private(folder)
    if folder != known:  # others read it at any time, without a lock
        record.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(record, f"{folder}\n".encode())
    return folder


def recorded_folder(home: Path, record: Path) -> Path | None:
    """The folder that `record` names, if it is one of this user and home (a home may have been copied with its record)."""
    try:
        folder = Path(record.read_text().strip())
    except (OSError, UnicodeDecodeError):
        return None
    return folder if folder.is_absolute() and folder.name == folder_name(home, os.getuid()) else None


def _choose(name: str, env: Mapping[str, str]) -> Path:
    """The first base that is usable and short enough: $XDG_RUNTIME_DIR, the temporary folder, /tmp."""
    bases = [env.get("XDG_RUNTIME_DIR"), env.get("TMPDIR") or tempfile.gettempdir(), "/tmp"]  # noqa: S108 - private folder below
    for base in bases:
        if base and _usable(Path(base)) and len(os.fsencode(Path(base) / name)) + LONGEST_NAME <= LONGEST:
            return Path(base) / name
    raise EndpointError(
        f"no folder for sockets: none of {bases} is writable and short enough", hint="set XDG_RUNTIME_DIR to a short folder"
    )


def _usable(base: Path) -> bool:
    return base.is_absolute() and base.is_dir() and os.access(base, os.W_OK | os.X_OK)


def _make_private(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise EndpointError(f"the socket folder {folder} cannot be made: {error}") from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise EndpointError(
            f"the socket folder {folder} is not one that only this user can enter (owner {found.st_uid}, {stat.filemode(found.st_mode)})",
            hint="somebody else made it: remove it, or set XDG_RUNTIME_DIR to a folder of your own",
        )


class UnixConnection(HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = str(path)

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        try:
            self.sock.settimeout(self.timeout)
            self.sock.connect(self._path)
        except BaseException:
            self.sock.close()
            raise


def fetch(path: Path, target: str, *, method: str = "GET", timeout: float = 2) -> tuple[int, bytes] | None:
    """Status and body of one request to the socket `path`, or None where nobody answers there in time."""
    connection = UnixConnection(path, timeout)
    try:
        connection.request(method, target)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()
