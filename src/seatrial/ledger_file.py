"""A ledger of ours on the disk: one JSON object a line, added durably and never rewritten."""

from __future__ import annotations

import os
from pathlib import Path

from seatrial.files import locked


def append_line(path: Path, line: bytes) -> None:
    """Add a line and force it to the disk; a line that was torn before stays behind as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_name(f"{path.name}.lock")), path.open("ab+") as stream:
        stream.seek(0, os.SEEK_END)
        if stream.tell():
            stream.seek(-1, os.SEEK_END)
            stream.write(b"" if stream.read(1) == b"\n" else b"\n")
        stream.write(line + b"\n")
        stream.flush()
        os.fsync(stream.fileno())


def read_lines(path: Path) -> list[bytes]:
    """Every line, oldest first, a torn one among them; without a file, none."""
    try:
        return path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
