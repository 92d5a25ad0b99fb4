"""An output's files as an earlier commit had them: out of DVC's cache, else out of its remote, each byte checked against the lock."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from seatrial.dvc_lock import FOLDER, Locked, cache_of, cached_files
from seatrial.errors import DataError
from seatrial.pipeline import dvc_environment, has_remote

TIMEOUT_S = 120.0


def base_files(root: Path, env: Mapping[str, str], *, commit: str, path: str, locked: Locked) -> dict[str, bytes]:
    """The files of a folder that DVC keeps, by name; DataError where neither place has them whole.

    The cache costs milliseconds, the remote a start of DVC and the way there.
    """
    try:
        return cached_files(cache_of(root), locked)
    except DataError:
        if not has_remote(root):
            raise
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch) / "files"
        _fetch(root, env, commit=commit, path=path, target=target)
        files = {file.name: file.read_bytes() for file in sorted(target.iterdir()) if file.is_file()}
    if folder_md5(files) != locked.md5:
        raise DataError("what DVC's remote gave for it has another hash than dvc.lock says")
    return files


def _fetch(root: Path, env: Mapping[str, str], *, commit: str, path: str, target: Path) -> None:
    command = [sys.executable, "-m", "dvc", "get", "--quiet", "--rev", commit, "--out", str(target), ".", path]
    try:
        done = subprocess.run(command, cwd=root, env=dvc_environment(env), capture_output=True, check=False, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise DataError(f"DVC's remote did not give it within {TIMEOUT_S:.0f} s") from None
    if done.returncode != 0 or not target.is_dir():
        raise DataError("neither DVC's cache nor its remote has it")


def folder_md5(files: Mapping[str, bytes]) -> str:
    """The hash by which DVC knows a flat folder: that of its list of names and hashes."""
    listed = [{"md5": hashlib.md5(files[name], usedforsecurity=False).hexdigest(), "relpath": name} for name in sorted(files)]
    return hashlib.md5(json.dumps(listed).encode(), usedforsecurity=False).hexdigest() + FOLDER
