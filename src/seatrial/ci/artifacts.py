"""Artifacts and caches of a local run: folders beside the clones, in the shapes that the forges give them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from seatrial.errors import PipelineError


def found_files(workspace: Path, patterns: Sequence[str]) -> tuple[list[Path], Path]:
    """The files that `patterns` (paths, globs, `!` for exceptions) name, and the folder that they are kept relative to.

    That is the deepest one that all patterns share, as GitHub's upload does: of one folder its content, of one file its name.
    """
    wanted = [workspace / one for one in patterns if not one.startswith("!")]
    without = {path for one in patterns if one.startswith("!") for path in _matching(workspace / one[1:])}
    found = sorted({path for one in wanted for path in _matching(one)} - without)
    return found, _common([_start(one) for one in wanted])


def _matching(pattern: Path) -> list[Path]:
    """Files that a path or glob names, those below a folder included."""
    start = _start(pattern)
    hits = [pattern] if start == pattern or pattern.exists() else list(start.glob(pattern.relative_to(start).as_posix()))
    return [file for hit in hits for file in ([hit] if hit.is_file() else hit.rglob("*")) if file.is_file()]


def _start(pattern: Path) -> Path:
    """The part of a pattern before its first sign of a glob."""
    plain: list[str] = []
    for part in pattern.parts:
        if any(sign in part for sign in "*?["):
            break
        plain.append(part)
    return Path(*plain)


def _common(starts: Sequence[Path]) -> Path:
    if len(starts) == 1:
        return starts[0] if starts[0].is_dir() else starts[0].parent
    parts = [one.parts for one in starts]
    same = next((at for at in range(min(map(len, parts))) if len({one[at] for one in parts}) > 1), min(map(len, parts)))
    return Path(*parts[0][:same])


def put(files: Sequence[Path], root: Path, target: Path) -> None:
    """Copy files to `target` by their paths below `root`."""
    for file in files:
        copy = target / file.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)


def take(source: Path, target: Path) -> int:
    """Copy all files of an artifact to `target`, over what is there; gives their number. PipelineError where it does not exist."""
    if not source.is_dir():
        raise PipelineError(f"no job before handed over an artifact {source.name!r}")
    files = [path for path in sorted(source.rglob("*")) if path.is_file()]
    for file in files:
        (target / file.relative_to(source)).unlink(missing_ok=True)  # it may be a link into DVC's cache
    put(files, source, target)
    return len(files)
