"""Whether what `dvc repro` left agrees: bytes with the hashes of dvc.lock, and stages with the sources that they read.

DVC believes a file whose inode, size and modification time it knows, and hashes what a stage takes once more when the stage has
ended. So a changed byte can pass as up to date, and a source that is edited while a stage runs is recorded as what it read.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seatrial.adapters.data_repo import DataRepo, Output, hash_of, overlap
from seatrial.errors import PipelineError
from seatrial.files import write_atomic
from seatrial.stored import Fault, Stored, listed

PARAMS = "params.yaml"
CLOCK = ".dvc/tmp/seatrial-clock"
HERE = "the project's folder"
BEFORE = ".dvc/tmp/seatrial-before"
NOTED = ".dvc/tmp/seatrial-hashes.json"
ALWAYS_BYTES = 64 << 20
COMMAND_WORDS = 5
"""Of a process's command line, how many words may name the program that it is."""


def mend_torn(root: Path, lock: Path) -> None:
    """Put right what a killed DVC left half done: dvc.lock is as it was before, and its notes name only what runs.

    DVC writes both in place, and makes the folder of a run that it will answer from before it has the answer. PipelineError
    where dvc.lock is torn and was never seen whole here.
    """
    before = root / BEFORE / lock.relative_to(root)
    if lock.exists():
        if _is_whole(lock):
            before.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(lock, before)
        elif before.exists():
            write_atomic(lock, before.read_bytes())
            print(f"{lock.name} was left half written, and is again what it was before that", flush=True)
        else:
            raise PipelineError(
                f"{lock.relative_to(root)} is half written", hint=f"take it from git: git checkout {lock.relative_to(root)}"
            )
    _drop_dead(root / ".dvc/tmp/rwlock")
    _drop_empty(root / ".dvc/cache/runs")


def _is_whole(lock: Path) -> bool:
    import yaml

    try:
        return isinstance(yaml.load(lock.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)), dict)  # noqa: S506
    except yaml.YAMLError:
        return False


def _drop_dead(rwlock: Path) -> None:
    """Take the notes of processes out that are gone, or whose number is another program's now; a torn file goes as a whole."""
    try:
        noted = json.loads(rwlock.read_bytes())
        writers = {path: one for path, one in noted.get("write", {}).items() if _is_dvc(one)}
        readers = {path: [one for one in many if _is_dvc(one)] for path, many in noted.get("read", {}).items()}
    except FileNotFoundError:
        return
    except (ValueError, AttributeError, TypeError):
        rwlock.unlink()
        return
    write_atomic(rwlock, json.dumps({"write": writers, "read": {path: many for path, many in readers.items() if many}}).encode())


def _drop_empty(runs: Path) -> None:
    """DVC stumbles over the empty folder of a run."""
    for folder in runs.glob("*/*"):
        with suppress(OSError):
            folder.rmdir()


def _is_dvc(note: Any) -> bool:
    import psutil

    try:
        words = psutil.Process(int(note["pid"])).cmdline()[:COMMAND_WORDS]
    except psutil.AccessDenied:
        return True
    except psutil.Error:
        return False
    # Not by the path: a folder may be called after the project.
    return any(Path(word).name in ("dvc", "seatrial") or word.startswith(("dvc.", "seatrial.")) for word in words)


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What the lock says about one path of the pipeline: `output` where a stage makes it."""

    path: str
    digest: str
    algorithm: str
    size: int
    output: bool


@dataclass(frozen=True, kw_only=True)
class Start:
    """How things stood before the stages ran: the time as the file system's clock tells it (ns), dvc.lock, params.yaml."""

    time: int
    lock: Path
    lock_bytes: bytes | None
    params: bytes

    @classmethod
    def now(cls, root: Path, lock: Path) -> Start:
        """Look at a project just before its stages run."""
        clock = root / CLOCK
        clock.write_text(f"{os.getpid()}\n")
        params = root / PARAMS
        return cls(
            time=clock.stat().st_ctime_ns,
            lock=lock,
            lock_bytes=lock.read_bytes() if lock.exists() else None,
            params=params.read_bytes() if params.exists() else b"",
        )


def check(repo: DataRepo, target: str, *, start: Start, ran: bool) -> None:
    """Raise PipelineError where stages ran while a source changed (dvc.lock is again as it was then), or where bytes differ."""
    stages = repo.stages(target)
    if ran and (moved := _moved(repo, stages, start)):
        _forget(repo, start)
        raise PipelineError(
            f"{', '.join(moved)} changed while a stage ran that takes it, so what came out is from neither the old bytes nor the new ones",
            hint="dvc.lock is as it was before; train again: nox -s train",
        )
    if faults := faults_of(repo, recorded(repo, stages)):
        raise PipelineError(f"bytes differ from what dvc.lock says:\n{listed(faults)}", hint=_mend(repo, faults))


def recorded(repo: DataRepo, stages: Iterable[Any]) -> tuple[Recorded, ...]:
    """Every file and folder that the stages make or take and that has a hash, each once."""
    from dvc.dependency import ParamsDependency

    found: dict[str, Recorded] = {}
    for stage in stages:
        for item, output in [*((out, True) for out in stage.outs), *((dep, False) for dep in stage.deps)]:
            if item.protocol == "local" and item.is_in_repo and item.hash_info and not isinstance(item, ParamsDependency):
                path = repo.named(item.fs_path)
                size = (item.meta.size if item.meta else None) or 0
                found.setdefault(path, Recorded(path=path, digest=item.hash_info.value, algorithm=item.hash_name, size=size, output=output))
    return tuple(found.values())


def _moved(repo: DataRepo, stages: Sequence[Any], start: Start) -> tuple[str, ...]:
    """The sources that changed since the start, of stages whose outputs did too; what a stage makes is no source."""
    made = [out.fs_path for stage in repo.repo.index.stages for out in stage.outs]
    ran = [stage for stage in stages if any(_changed_at(out.fs_path) >= start.time for out in stage.outs)]
    taken = {dep.fs_path: dep for stage in ran for dep in stage.deps if dep.protocol == "local"}
    sources = {path: dep for path, dep in taken.items() if not any(overlap(path, other) for other in made)}
    moved = {path for path in sources if _changed_at(path) >= start.time}
    params = str(repo.root / PARAMS)
    if params in moved and not any(_asked_otherwise(dep, start.params) for stage in ran for dep in stage.deps if dep.fs_path == params):
        moved.remove(params)
    return tuple(sorted(map(repo.named, moved)))


def _asked_otherwise(dep: Any, before: bytes) -> bool:
    """Whether params.yaml says something else now than `before` under a key that a stage takes."""
    import yaml

    now = yaml.safe_load(Path(dep.fs_path).read_bytes())
    then = yaml.safe_load(before)
    return any(_at(now, key) != _at(then, key) for key in getattr(dep, "params", ()) or ())


def _at(values: Any, key: str) -> Any:
    for part in key.split("."):
        values = values.get(part) if isinstance(values, dict) else None
    return values


def _changed_at(path: str) -> int:
    """When the newest file at or below a path changed (ns): contents, name or rights; 0 where there is nothing."""
    top = Path(path)
    newest = 0
    for one in (top, *top.rglob("*")):
        with suppress(FileNotFoundError):
            newest = max(newest, one.lstat().st_ctime_ns)
    return newest


def _forget(repo: DataRepo, start: Start) -> None:
    """Take back what DVC noted since: dvc.lock, and the runs that it would answer from the next time."""
    if start.lock_bytes is None:
        start.lock.unlink(missing_ok=True)
    else:
        write_atomic(start.lock, start.lock_bytes)
    runs = Path(repo.repo.cache.legacy.path, "runs")
    for run in runs.glob("*/*/*"):
        if run.stat().st_ctime_ns >= start.time:
            run.unlink()
    _drop_empty(runs)


def faults_of(repo: DataRepo, items: Sequence[Recorded]) -> tuple[Fault, ...]:
    """What is here and has other bytes; what is not here is no fault.

    All is read where it is at most ALWAYS_BYTES; of more, files that have the inode, size and both times (the time of change
    cannot be set) that they had when they were hashed here last are believed.
    """
    from seatrial.noted_hashes import NotedHashes

    large = sum(item.size for item in items) > ALWAYS_BYTES
    notes = NotedHashes(repo.root / NOTED) if large else None
    found = [fault for item in items if (fault := _fault(repo, item, notes))]
    if notes:
        notes.write()
    return tuple(found)


def _fault(repo: DataRepo, item: Recorded, notes: Any) -> Fault | None:
    path = repo.root / item.path
    if not path.exists() or (digest := hash_of(repo.repo, path, item.algorithm, state=notes)) == item.digest:
        return None
    stored = Stored(oid=item.digest, name=item.path, algorithm=item.algorithm)
    return Fault(stored=stored, place=HERE, kind="corrupt", found=f"its bytes hash to {digest}")


def _mend(repo: DataRepo, faults: Sequence[Fault]) -> str:
    """What to remove: outputs, and their objects in the cache where those are corrupt too; a source is a person's to mend."""
    wrong = {fault.stored.name for fault in faults}
    outputs = [output for output in repo.outputs() if output.path in wrong]
    if not outputs:
        return "put it back, or train with it: nox -s train -- --force"
    paths = [output.path for output in outputs]
    for output in outputs:
        paths += [os.path.relpath(path, repo.root) for path in _corrupt_in_cache(repo, output)]
    return f"remove it and make it again: rm -rf {' '.join(paths)}; then nox -s train"


def _corrupt_in_cache(repo: DataRepo, output: Output) -> list[str]:
    cache = repo.cache(output)
    try:
        objects = repo.files(output, cache)
    except FileNotFoundError:
        objects = (output.stored,)
    return [cache.path(fault.stored) for fault in cache.faults(objects, "checking the cache") if fault.kind != "missing"]
