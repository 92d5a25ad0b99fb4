"""What an action does at the forge, done here: clones for checkouts, folders for artifacts and caches; others are left out, and said."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from seatrial.ci import clones
from seatrial.ci.artifacts import found_files, put, take
from seatrial.ci.shell import read_settings
from seatrial.errors import PipelineError


@dataclass(slots=True, kw_only=True)
class Place:
    """Where one job works: `root` is the repository, `commit` what is checked out where a step names nothing; `env` may grow."""

    root: Path
    commit: str
    job: str
    workspace: Path
    artifacts: Path
    caches: Path
    env: dict[str, str]
    saved: list[tuple[Path, Path]] = field(default_factory=list)


class LeftOutError(Exception):
    """There is no stand-in for what a step wants; the message says why."""


def stand_in(place: Place, uses: str, inputs: Mapping[str, str]) -> str:
    """Do what an action does, and say it in one sentence; LeftOutError where that is not done here, PipelineError where it fails."""
    if uses not in _STAND_INS:
        raise LeftOutError(f"{uses} has no stand-in here")
    return _STAND_INS[uses](place, inputs)


def save_caches(place: Place) -> None:
    """Keep what the job's cache steps named for the next run."""
    for source, target in place.saved:
        if source.is_dir():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target, symlinks=True)


def _check_out(place: Place, inputs: Mapping[str, str]) -> str:
    if inputs.get("repository") or inputs.get("path"):
        raise LeftOutError("only this repository is checked out here, at the workspace")
    commit = clones.resolve(place.root, inputs["ref"]) if inputs.get("ref") else place.commit
    if (place.workspace / ".git").exists():
        kept = inputs.get("clean") == "false"
        clones.check_out(place.workspace, commit, clean=not kept)
        return f"{commit[:10]} in the same clone{', beside what is there' if kept else ''}"
    clones.clone(place.root, place.workspace, commit)
    return f"a clean clone of {commit[:10]}"


def _python(place: Place, inputs: Mapping[str, str]) -> str:
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    asked = inputs.get("python-version", "")
    return f"this machine's Python {here}" + ("" if asked in ("", here) else f" (it asks for {asked})")


def _cache(place: Place, inputs: Mapping[str, str]) -> str:
    inside = [one for one in _lines(inputs.get("path", "")) if not one.startswith(("~", "/", "$"))]
    restored = 0
    for name in inside:
        kept = place.caches / name.strip("./").replace("/", "-")
        place.saved.append((place.workspace / name, kept))
        if kept.is_dir():
            shutil.copytree(kept, place.workspace / name, symlinks=True, dirs_exist_ok=True)
            restored += 1
    return f"{restored} of {len(inside)} folders from the run before; what lies outside of the clone is this machine's own"


def _upload(place: Place, inputs: Mapping[str, str]) -> str:
    name = inputs.get("name") or "artifact"
    files, root = found_files(place.workspace, _lines(inputs.get("path", "")))
    if not files:
        words = f"there is no file for the artifact {name!r}"
        if inputs.get("if-no-files-found") == "error":
            raise PipelineError(words)
        return words
    if (place.artifacts / name).exists() and inputs.get("overwrite") != "true":
        raise PipelineError(f"there is an artifact {name!r} already")
    put(files, root, place.artifacts / name)
    return f"{len(files)} files to the artifact {name!r}"


def _download(place: Place, inputs: Mapping[str, str]) -> str:
    if inputs.get("run-id"):
        raise LeftOutError("it takes an artifact of another run")
    target = place.workspace / inputs.get("path", "")
    if name := inputs.get("name"):
        return f"{take(place.artifacts / name, target)} files of the artifact {name!r}"
    every = sorted(place.artifacts.iterdir()) if place.artifacts.is_dir() else []
    return f"{sum(take(one, target / one.name) for one in every)} files of {len(every)} artifacts"


def _gitlab_artifacts(place: Place, inputs: Mapping[str, str]) -> str:
    """Hand over what the job names, or take over what jobs before it did; a dotenv report becomes variables."""
    if "from" not in inputs:
        files, _ = found_files(place.workspace, [*_lines(inputs["paths"]), *_lines(inputs["dotenv"])])
        put(files, place.workspace, place.artifacts / place.job / "files")
        if inputs["dotenv"] and (place.workspace / inputs["dotenv"]).is_file():
            shutil.copyfile(place.workspace / inputs["dotenv"], place.artifacts / place.job / "dotenv")
        return f"{len(files)} files"
    handed = [place.artifacts / job for job in _lines(inputs["from"]) if (place.artifacts / job).is_dir()]
    for one in handed:
        place.env.update(read_settings(one / "dotenv"))
    number = sum(take(one / "files", place.workspace) for one in handed if (one / "files").is_dir())
    return f"{number} files of {', '.join(one.name for one in handed) or 'no job'}"


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


_STAND_INS: dict[str, Callable[[Place, Mapping[str, str]], str]] = {
    "actions/checkout": _check_out,
    "actions/setup-python": _python,
    "actions/cache": _cache,
    "actions/upload-artifact": _upload,
    "actions/download-artifact": _download,
    "gitlab/artifacts": _gitlab_artifacts,
}
