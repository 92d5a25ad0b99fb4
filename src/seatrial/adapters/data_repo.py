"""DVC's repository, as `pull`, `push` and `verify` see it: outputs and their objects, the cache, the remotes, what would run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any

from seatrial.adapters.store_errors import told
from seatrial.errors import BusyError, PipelineError
from seatrial.stored import Fault, Store, Stored

CACHE = "the cache"
NO_REMOTE = "no remote is configured, so there is nowhere to send to"
ADD_REMOTE = "run: .venv/bin/dvc remote add --default storage s3://BUCKET/PATH, and commit .dvc/config (docs/remotes.md)"


@dataclass(frozen=True, kw_only=True)
class Output:
    """One output that DVC keeps: `path` from the project's root, and what was recorded about it.

    `remote` is its own remote, where it has one; `imported` is one that comes from another repository.
    """

    path: str
    oid: str
    algorithm: str
    size: int | None
    remote: str | None
    pushed: bool
    imported: bool
    source: bool
    made_by: str

    @property
    def stored(self) -> Stored:
        """The object that it is, or the list of its files."""
        folder = self.oid.endswith(".dir")
        return Stored(oid=self.oid, name=self.path, algorithm=self.algorithm, size=None if folder else self.size)


class DataRepo:
    """The DVC repository of a project, opened once; everything below holds DVC's own lock (see `held`)."""

    def __init__(self, root: Path, *, remote: str | None = None) -> None:
        self.root = root
        self.asked = remote
        self._stores: dict[tuple[str, str | None, str], Store] = {}

    @cached_property
    def repo(self) -> Any:
        """DVC's object; PipelineError where its files cannot be read."""
        from dvc.exceptions import DvcException
        from dvc.repo import Repo

        try:
            return Repo(str(self.root))
        except DvcException as error:
            raise PipelineError(f"DVC cannot open this project: {error}", hint="run: .venv/bin/dvc status") from None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold DVC's lock, so that nothing is trained or collected meanwhile; BusyError where somebody else has it."""
        from dvc.exceptions import DvcException
        from dvc.lock import LockError
        from dvc.repo import lock_repo

        try:
            with lock_repo(self.repo):
                yield
        except LockError as error:
            raise BusyError(
                f"DVC is busy: {str(error).splitlines()[0]}", hint="wait until the other command has ended, and run this one again"
            ) from None
        except DvcException as error:
            raise PipelineError(f"DVC: {_reason(error)}", hint="run: .venv/bin/dvc status, which reads the same files") from None

    @property
    def remote_name(self) -> str | None:
        """The remote that was asked for, or the default one; None where there is none."""
        return self.asked or self.repo.config.get("core", {}).get("remote")

    def outputs(self) -> tuple[Output, ...]:
        """Every output that DVC keeps in its cache and has a hash for, in order of path."""
        found = [self._output(out) for out in self.repo.index.outs if out.use_cache and out.is_in_repo and out.hash_info]
        return tuple(sorted(found, key=lambda output: output.path))

    def _output(self, out: Any) -> Output:
        return Output(
            path=self.named(out.fs_path),
            oid=out.hash_info.value,
            algorithm=out.hash_name,
            size=out.meta.size if out.meta else None,
            remote=out.remote,
            pushed=bool(out.can_push) and not out.stage.is_repo_import,
            imported=bool(out.stage.is_repo_import),
            source=not out.stage.cmd,
            made_by=self._stage(out.stage),
        )

    def named(self, path: str) -> str:
        """A path of DVC's, from the project's root."""
        return Path(path).relative_to(self.repo.root_dir).as_posix()

    def stages(self, target: str = "dvc.yaml") -> tuple[Any, ...]:
        """The stages of a pipeline file and of what they take, in the order in which `dvc repro` asks them."""
        from dvc.repo.reproduce import collect_stages, get_active_graph, plan_repro

        return tuple(plan_repro(get_active_graph(self.repo.index.graph), collect_stages(self.repo, [str(self.root / target)])))

    def running(self) -> tuple[str, ...]:
        """The stages that `dvc repro` would run, in its order: changed ones, and those that take what these make.

        Data that is not here changes nothing: only what is here is compared with what was recorded.
        """
        from dvc.repo.reproduce import get_active_graph

        graph = get_active_graph(self.repo.index.graph)
        running: dict[Any, None] = {}
        for stage in self.stages():
            upstream = list(graph.successors(stage))
            if any(before in running for before in upstream) or stage.changed(True, upstream):
                running[stage] = None
        return tuple(map(self._stage, running))

    def _stage(self, stage: Any) -> str:
        """A stage's name in the root's dvc.yaml, else its file and name, wherever this is called from."""
        file, name = self.named(stage.path), getattr(stage, "name", None)
        if name is None:
            return file
        return str(name) if file == "dvc.yaml" else f"{file}:{name}"

    def taken_by(self, stages: Iterable[str]) -> tuple[str, ...]:
        """The paths that these stages take."""
        wanted = set(stages)
        return tuple(
            self.named(dep.fs_path)
            for stage in self.repo.index.stages
            if self._stage(stage) in wanted
            for dep in stage.deps
            if dep.protocol == "local" and dep.is_in_repo
        )

    def needed(self, results: Sequence[str]) -> tuple[Output, ...]:
        """The outputs that stages take which will run, and those at or below `results`; none that will be made again."""
        running = self.running()
        read = (*self.taken_by(running), *results)
        return tuple(
            output for output in self.outputs() if output.made_by not in running and any(overlap(output.path, path) for path in read)
        )

    def cache(self, output: Output) -> Store:
        """This machine's cache, for an output."""
        legacy = output.algorithm != "md5"
        return self._store((CACHE, None, output.algorithm), lambda: self.repo.cache.legacy if legacy else self.repo.cache.local, CACHE)

    def remote(self, output: Output) -> Store:
        """The remote that keeps an output; PipelineError where there is none, or it cannot be spoken to."""
        from dvc.config import ConfigError

        name = output.remote or self.remote_name
        if name is None:
            raise PipelineError(NO_REMOTE, hint=ADD_REMOTE)
        try:
            return self._store(
                ("remote", name, output.algorithm),
                lambda: self.repo.cloud.get_remote_odb(name, hash_name=output.algorithm),
                f"remote {name!r}",
            )
        except ConfigError as error:
            raise PipelineError(f"remote {name!r} cannot be used: {error}", hint="see: .venv/bin/dvc config --list --show-origin") from None

    def _store(self, key: tuple[str, str | None, str], make: Any, place: str) -> Store:
        if key not in self._stores:
            self._stores[key] = Store(make(), place)
        return self._stores[key]

    def files(self, output: Output, *stores: Store) -> tuple[Stored, ...]:
        """All objects that an output is made of; for a folder its list too, read from the first store that has it whole.

        FileNotFoundError where no store has the list of a folder.
        """
        if not output.oid.endswith(".dir"):
            return (output.stored,)
        for store in stores:
            if store.fault(output.stored) is None:
                with store.odb.fs.open(store.path(output.stored), "r") as stream:
                    entries = json.load(stream)
                return (output.stored, *(_entry(output, entry) for entry in entries))
        raise FileNotFoundError(output.path)

    def checkout(self, outputs: Sequence[Output]) -> None:
        """Put outputs from the cache where they belong; PipelineError where that would overwrite work that is nowhere else."""
        from dvc.exceptions import DvcException

        if not outputs:
            return  # DVC takes no names for all names
        try:
            self.repo.checkout(targets=[str(self.root / output.path) for output in outputs])
        except DvcException as error:
            reason = " ".join(str(error).replace(str(self.root) + "/", "").split())
            raise PipelineError(
                f"not put into the project's folder: {reason}",
                hint="work of yours that is in no cache stays as it is: move it away, or keep it with .venv/bin/dvc commit",
            ) from None

    def workspace_faults(self, outputs: Sequence[Output]) -> tuple[Fault, ...]:
        """The outputs whose bytes in the project's folder are not those that were recorded; every byte is read."""
        found = (self._workspace_fault(output) for output in outputs)
        return tuple(fault for fault in found if fault is not None)

    def _workspace_fault(self, output: Output) -> Fault | None:
        path = self.root / output.path
        if not path.exists():
            return Fault(stored=output.stored, place="the project's folder", kind="missing")
        digest = hash_of(self.repo, path, output.algorithm)
        if digest == output.oid:
            return None
        return Fault(stored=output.stored, place="the project's folder", kind="corrupt", found=f"its bytes hash to {digest}")

    def fetch_imported(self, outputs: Sequence[Output]) -> None:
        """Fetch what is imported from other repositories, by DVC's own means."""
        if outputs:
            with told("another repository"):
                self.repo.fetch(targets=[str(self.root / output.path) for output in outputs])


def overlap(one: str, other: str) -> bool:
    """Whether two paths are the same, or one lies in the other."""
    first, second = PurePath(one), PurePath(other)
    return first == second or first in second.parents or second in first.parents


def hash_of(repo: Any, path: Path, algorithm: str = "md5", *, state: Any = None) -> str:
    """The hash by which DVC would know a file or folder, from its bytes: DVC's memory of earlier ones is not asked, only `state`."""
    from dvc.fs import localfs
    from dvc_data.hashfile.build import build
    from dvc_data.hashfile.db import HashFileDB

    odb = HashFileDB(localfs, str(path.parent), hash_name=algorithm, **({} if state is None else {"state": state}))
    _, _, found = build(odb, str(path), localfs, algorithm, dry_run=True, ignore=repo.dvcignore)
    return str(found.hash_info.value)


def _entry(output: Output, entry: dict[str, Any]) -> Stored:
    return Stored(oid=entry["md5"], name=f"{output.path}/{entry['relpath']}", algorithm=output.algorithm, size=entry.get("size"))


def _reason(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
