"""A recorded run once more, in a clean clone of its commit: the same bundle, and the same verdict but for what is volatile?

`obstacle` and `differences` decide; `rerun` clones, trains and gates there, with a registry of its own that holds the champion and the
anchor of then. Nothing of the project, its registry or its endpoint is touched.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seatrial.errors import BundleError, PipelineError, RegistryError, SeatrialError
from seatrial.files import locked
from seatrial.run_manifest import RunManifest, digest_of
from seatrial.verdict import Verdict

if TYPE_CHECKING:
    from seatrial.bundle import Bundle
    from seatrial.project import Project

SCRATCH, LOCK = "rerun.scratch", "rerun.lock"
FOREIGN = ("MLFLOW_", "SEATRIAL_", "DVC_", "GIT_")
LOOKS = "test.looks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """What a run would be repeated with: this Python, this environment's lock, and whether the repository has the commit."""

    python: str
    requirements: str | None
    has_commit: bool


def obstacle(recorded: RunManifest, here: Here) -> tuple[str, str] | None:
    """Why a run cannot be repeated here, and what to do about it; None where it can."""
    if recorded.commit is None:
        return "it was made outside git", "commit, and run: nox -s train gate"
    if recorded.changed:
        names = ", ".join(recorded.changed[:5]) + (" …" if len(recorded.changed) > 5 else "")
        return f"files differed from the commit, and no commit holds them: {names}", "commit them, and run: nox -s train gate"
    if not here.has_commit:
        return f"this repository has no commit {recorded.commit}", f"git fetch origin {recorded.commit}"
    again = f"git worktree add ../again {recorded.commit[:12]}, and run nox -s rerun there: it builds the environment of that commit"
    if recorded.requirements != here.requirements:
        return "its requirements.lock is not the one of this environment", again
    if recorded.python.split(".")[:2] != here.python.split(".")[:2]:
        return f"it ran on Python {recorded.python}, this is {here.python}", "run nox with that Python"
    return None


def differences(recorded: RunManifest, bundle: str, files: Mapping[str, str], verdict: Verdict | None) -> tuple[str, ...]:
    """One sentence for each thing that came out otherwise; volatile checks are left out."""
    found = []
    if bundle != recorded.bundle:
        names = sorted(name for name in {*files, *recorded.files} if files.get(name) != recorded.files.get(name))
        found.append(f"the bundle is {bundle[:19]}…, recorded {recorded.bundle[:19]}…: {', '.join(names) or 'only its manifest'} differs")
    if recorded.gate is not None and verdict is not None:
        found += _verdicts(recorded.gate, verdict.without_volatile())
    return tuple(found)


def _verdicts(then: Verdict, now: Verdict) -> Iterator[str]:
    for key in sorted({*then.subject, *now.subject}):
        if then.subject.get(key) != now.subject.get(key):
            yield f"the gate was asked about another {key}: {now.subject.get(key)}, recorded {then.subject.get(key)}"
    before, after = ({check.name: check for check in one.checks} for one in (then, now))
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            was, came = (one[name].message if name in one else "not asked" for one in (before, after))
            yield f"{name}: {came}; recorded: {was}"


def rerun(project: Project, recorded: RunManifest, say: Callable[[str], None]) -> tuple[str, ...]:
    """Repeat a run and say what came out otherwise.

    Raises PipelineError where it cannot be repeated here, or a stage fails; RegistryError where a champion's bytes cannot be had.
    """
    project = replace(project, environment=recorded.environment)
    commit = recorded.commit or ""
    has_commit = _git(project.root, "cat-file", "-e", f"{commit}^{{commit}}") == 0
    here = Here(python=platform.python_version(), requirements=digest_of(project.root / "requirements.lock"), has_commit=has_commit)
    reason = obstacle(recorded, here)
    if reason is not None:
        raise PipelineError(f"this run cannot be repeated: {reason[0]}", hint=reason[1])
    with _scratch(project.home) as folder:
        say(f"cloning {commit[:12]}")
        clone = _clone(project, commit, folder)
        say("training: every stage runs")
        _train(project, clone)
        verdict = None
        if recorded.gate is not None:
            _seed(project, clone, recorded.gate)
            say("gating")
            verdict = _gate(clone)
        return differences(recorded, *_made(clone), verdict)


@contextmanager
def _scratch(home: Path) -> Iterator[Path]:
    """A folder outside of the project; one that a killed rerun left is removed first. One at a time."""
    try:
        with locked(home / LOCK, wait=False):
            note = home / SCRATCH
            if note.exists():
                shutil.rmtree(note.read_text(), ignore_errors=True)
            with tempfile.TemporaryDirectory(prefix="seatrial-rerun-", ignore_cleanup_errors=True) as folder:
                note.write_text(folder)
                yield Path(folder)
            note.unlink()
    except BlockingIOError:
        raise PipelineError("another rerun is under way here", hint="wait for its end") from None


def _clone(project: Project, commit: str, folder: Path) -> Project:
    """A clean clone at the commit, as a project whose registry and state are its own."""
    top = Path(_said(project.root, "rev-parse", "--show-toplevel"))
    _must(folder, "clone", "--quiet", "--no-checkout", str(top), "clone")
    _must(folder / "clone", "checkout", "--quiet", "--detach", commit)
    root = folder / "clone" / project.root.resolve().relative_to(top.resolve())
    kept = {name: value for name, value in project.env.items() if not name.startswith(FOREIGN)}
    paths = {"PYTHONPATH": str(root / "src"), "SEATRIAL_HOME": str(folder / "home"), "MLFLOW_TRACKING_URI": f"sqlite:///{root}/mlflow.db"}
    return replace(project, root=root, shared=False, env={**kept, **paths})


def _train(project: Project, clone: Project) -> None:
    from seatrial.pipeline import reproduce

    if not clone.raw.exists():
        _fetch_data(project, clone)
    reproduce(clone, force=True)


def _fetch_data(project: Project, clone: Project) -> None:
    """The raw table from the project's cache, else from DVC's remote."""
    raw = clone.settings.data.raw
    try:
        cache = _dvc(project, "cache", "dir")
        _dvc(clone, "cache", "dir", "--quiet", "--local", str((project.root / cache).absolute()))
        _dvc(clone, "pull", "--quiet", raw)
    except subprocess.CalledProcessError:
        raise PipelineError(f"{raw} is neither in git, nor in DVC's cache or remote", hint="fetch it here first: nox -s pull") from None


def _dvc(project: Project, *arguments: str) -> str:
    from seatrial.pipeline import dvc_environment

    command, env = [sys.executable, "-m", "dvc", *arguments], dvc_environment(project.env)
    return subprocess.run(command, cwd=project.root, env=env, capture_output=True, text=True, check=True).stdout.strip()


def _seed(project: Project, clone: Project, gate: Verdict) -> None:
    """The champion, the anchor and the number of earlier looks that the gate met then."""
    wanted = {alias: gate.subject.get(alias) for alias in ("champion", "anchor")}
    numbers: dict[str, int] = {}
    for digest in dict.fromkeys(filter(None, wanted.values())):
        numbers[digest] = _enter(clone, _bytes_of(project, digest))
    if numbers:
        from seatrial.adapters.registry import move_aliases

        move_aliases(clone, expected={}, to={alias: numbers[digest] for alias, digest in wanted.items() if digest} | {"challenger": None})
    looks = next((check.observed for check in gate.checks if check.name == LOOKS), 1)
    _look_before(clone, int(looks or 1) - 1, str(gate.subject.get("test_data")))


def _bytes_of(project: Project, digest: str) -> Bundle:
    from seatrial.adapters.registry import download_bundle, find_version
    from seatrial.store import open_stored

    try:
        return open_stored(digest, project.home / "store")
    except BundleError:
        version = find_version(project, digest)
        if version is None:
            raise RegistryError(f"the champion of then, {digest}, is neither in the store nor in the registry") from None
        return download_bundle(project, version)


def _enter(clone: Project, bundle: Bundle) -> int:
    """Register a bundle in the clone's registry: its number there."""
    from seatrial.adapters.registry import register_version
    from seatrial.adapters.tracking import log_run

    run_id, _ = log_run(clone, bundle, {})
    return register_version(clone, bundle, run_id=run_id, gate="", verdict="{}", tags={}).version


def _look_before(clone: Project, count: int, test_data: str) -> None:
    from seatrial.looks import Look, append_look

    words = dict.fromkeys(("when", "who", "environment", "model", "verdict", "outcome"), "")
    for number in range(count):
        append_look(clone.home, Look(**words, bundle=f"earlier {number}", test_data=test_data, champion=None))


def _gate(clone: Project) -> Verdict:
    """The verdict of the commit's own gate on what was trained in the clone."""
    from seatrial.adapters.leash import leashed

    command = leashed(clone.root.parent / "parent", [sys.executable, "-m", "seatrial", "gate", "--env", clone.environment])
    process = subprocess.Popen(command, cwd=clone.root, env=dict(clone.env), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        said, _ = process.communicate()
    except BaseException:
        process.terminate()
        process.wait()
        raise
    try:
        return Verdict.load(clone.verdict("gate"), kind="gate")
    except SeatrialError:
        raise PipelineError(f"the gate gave no verdict (exit {process.returncode}); it said:\n{said[-2000:]}") from None


def _made(clone: Project) -> tuple[str, dict[str, str]]:
    from seatrial.bundle import load_bundle

    bundle = load_bundle(clone.bundle)
    return bundle.digest, dict(bundle.manifest.files)


def _git(folder: Path, *arguments: str) -> int:
    return subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, check=False).returncode


def _said(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True).stdout.strip()


def _must(folder: Path, *arguments: str) -> None:
    done: Any = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PipelineError(
            f"git {arguments[0]} failed: {done.stderr.strip()[:300]}", hint="git fsck tells whether the repository is whole"
        )
