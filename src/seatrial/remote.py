"""DVC's remote, checked both ways: fetch what is needed, send what is whole, and ask whether everything is there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from seatrial.adapters.data_repo import ADD_REMOTE, NO_REMOTE, DataRepo, Output
from seatrial.adapters.store_errors import AGAIN, ask, sentence_for, told
from seatrial.errors import PipelineError
from seatrial.files import shown_path
from seatrial.pipeline import require_repository
from seatrial.project import Project
from seatrial.sources import S3
from seatrial.stored import SHOWN, Fault, Store, Stored, copy, listed


@dataclass(frozen=True, kw_only=True)
class Pulled:
    """What `pull` did: outputs that are here now and whole, those that nothing needs, and the objects that came."""

    remote: str | None
    here: tuple[str, ...]
    left: tuple[str, ...]
    fetched: int
    replaced: int


@dataclass(frozen=True, kw_only=True)
class Pushed:
    """What `push` did: objects that the remote has now, each read back, and how many of them were sent; their bytes, where known."""

    remote: str
    objects: int
    sent: int
    size: int


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What `verify` found: stages that would run, what is wrong here and in the remote, and how many objects were read back."""

    remote: str
    stages: tuple[str, ...]
    faults: tuple[Fault, ...]
    objects: int

    @property
    def holds(self) -> bool:
        """Whether everything is reproduced and pushed."""
        return not self.stages and not self.faults


def pull(project: Project, *, remote: str | None = None, everything: bool = False) -> Pulled:
    """Fetch what is needed into the cache, check each object by its hash, and put it where it belongs.

    Needed is what the stages take that will run, what the library reads (raw table, rows, bundle) and nothing will make
    again; `everything` is all that DVC keeps. Raises PipelineError, with names, where an object is missing or corrupt:
    nothing of it reaches the project's folder then.
    """
    repo = _opened(project, remote)
    with repo.held():
        outputs = repo.outputs()
        wanted = outputs if everything else repo.needed(results(project))
        left = tuple(output.path for output in outputs if output not in wanted)
        if repo.remote_name is None and not any(output.remote for output in wanted):
            return _without_remote(project, repo, wanted, left)
        return _pull(repo, wanted, left)


def results(project: Project) -> tuple[str, ...]:
    """What the sessions after `train` read, and the raw table: wanted whatever ran."""
    raw = project.settings.data.raw
    paths = [path.relative_to(project.root).as_posix() for path in (project.bundle, project.train_data, project.test_data)]
    return tuple(paths if raw.startswith(S3) else [*paths, raw])


def _without_remote(project: Project, repo: DataRepo, wanted: Sequence[Output], left: tuple[str, ...]) -> Pulled:
    """Nothing can be fetched: that is well where the data is here, since stages make the rest."""
    absent = [output.path for output in wanted if not (repo.root / output.path).exists()]
    sources = [output.path for output in wanted if output.source and output.path in absent]
    raw = project.settings.data.raw
    if sources or not (raw.startswith(S3) or project.raw.exists()):
        missing = ", ".join(sources or [raw])
        raise PipelineError(f"{missing} is not here, and no remote is configured to fetch it from", hint=ADD_REMOTE)
    here = tuple(output.path for output in wanted if output.path not in absent)
    return Pulled(remote=None, here=here, left=(*left, *absent), fetched=0, replaced=0)


def _pull(repo: DataRepo, wanted: Sequence[Output], left: tuple[str, ...]) -> Pulled:
    repo.fetch_imported([output for output in wanted if output.imported and not (repo.root / output.path).exists()])
    own = [output for output in wanted if not output.imported]
    fetched = replaced = 0
    for cache, remote, group in _groups(repo, own):
        lists = [output.stored for output in group if output.oid.endswith(".dir")]
        counts = _fetch(lists, cache, remote)
        objects = _objects(repo, group, cache)
        more = _fetch([one for one in objects if one not in lists], cache, remote)
        fetched, replaced = fetched + counts[0] + more[0], replaced + counts[1] + more[1]
    repo.checkout(wanted)
    if faults := repo.workspace_faults(wanted):
        raise PipelineError(
            f"the project's folder does not hold what was recorded:\n{listed(faults)}",
            hint=f"remove it, then pull again: rm -r {' '.join(fault.stored.name for fault in faults[:3])}",
        )
    return Pulled(remote=repo.remote_name, here=tuple(output.path for output in wanted), left=left, fetched=fetched, replaced=replaced)


def _fetch(objects: Sequence[Stored], cache: Store, remote: Store) -> tuple[int, int]:
    """Bring objects into the cache that are not there whole; how many came, and how many of those took a corrupt one's place."""
    wrong = cache.faults(objects, "checking the cache")
    if not wrong:
        return 0, 0
    ask(remote)
    asked = [fault.stored for fault in wrong]
    with told(remote.place):
        failed = copy(asked, remote, cache, f"fetching from {remote.place}")
        _raise_failures(failed, remote)
        still = {fault.stored.oid for fault in cache.faults(asked, "checking what came")}
        faults = remote.faults([one for one in asked if one.oid in still], f"reading {remote.place}")
    if faults:
        raise PipelineError(
            f"{remote.place} does not hold what dvc.lock names; nothing of it was put into the project's folder:\n{listed(faults)}",
            hint="where the outputs were made: nox -s push -- --replace; or make them again here: nox -s train -- --force",
        )
    if still:
        raise PipelineError(f"{len(still)} objects came, and are not whole in the cache", hint=f"check the disk; {AGAIN}")
    return len(asked), sum(fault.kind != "missing" for fault in wrong)


def push(project: Project, *, remote: str | None = None, replace: bool = False) -> Pushed:
    """Send what the remote lacks, after a look at each object's bytes, and read every object back.

    Raises PipelineError, with names, where an object is not whole here (nothing is sent then) or in the remote; `replace`
    sends those of the remote again that are not what their names promise.
    """
    repo = _opened(project, remote)
    with repo.held():
        outputs = [output for output in repo.outputs() if output.pushed]
        if repo.remote_name is None and not any(output.remote for output in outputs):
            raise PipelineError(NO_REMOTE, hint=ADD_REMOTE)
        total = sent = size = 0
        for cache, store, group in _groups(repo, outputs):
            ask(store)
            objects = _objects(repo, group, cache, store)
            sent += _send(objects, cache, store, replace=replace)
            total, size = total + len(objects), size + sum(one.size or 0 for one in objects)
        return Pushed(remote=str(repo.remote_name), objects=total, sent=sent, size=size)


def _send(objects: Sequence[Stored], cache: Store, remote: Store, *, replace: bool) -> int:
    """Send what lacks; how many objects that were. Every object has been read back at the end."""
    with told(remote.place):
        before = remote.faults(objects, f"reading {remote.place}")
    lacking = [fault.stored for fault in before if fault.kind == "missing"]
    wrong = [fault for fault in before if fault.kind != "missing"]
    going = [*lacking, *(fault.stored for fault in wrong if replace)]
    if faults := cache.faults(going, "checking the cache"):
        raise PipelineError(f"nothing was sent, because this machine does not hold it whole:\n{listed(faults)}", hint=_mend(faults, cache))
    if going:
        with told(remote.place):
            _raise_failures(copy(going, cache, remote, f"sending to {remote.place}"), remote)
            after = remote.faults(going, f"reading back from {remote.place}")
    else:
        after = ()
    if faults := (*after, *(() if replace else wrong)):
        raise PipelineError(
            f"{remote.place} holds objects that are not what their names promise:\n{listed(faults)}",
            hint="send it again from where it is whole: nox -s push -- --replace",
        )
    return len(going)


def _mend(faults: Sequence[Fault], cache: Store) -> str:
    corrupt = [cache.path(fault.stored) for fault in faults if fault.kind != "missing"]
    if not corrupt:
        return "make it again: nox -s train -- --force; or fetch it: nox -s pull"
    paths = " ".join(shown_path(Path(path)) for path in corrupt[:SHOWN])
    return f"remove it and make it again: rm -f {paths}; then nox -s train -- --force, or nox -s pull"


def verify(project: Project, *, remote: str | None = None) -> Verified:
    """Whether every stage is reproduced and every object is whole in the remote; PipelineError where that cannot be asked."""
    repo = _opened(project, remote)
    with repo.held():
        outputs = [output for output in repo.outputs() if output.pushed]
        if repo.remote_name is None and not any(output.remote for output in outputs):
            raise PipelineError(NO_REMOTE.replace("to send to", "to look"), hint=ADD_REMOTE)
        faults: list[Fault] = list(repo.workspace_faults([output for output in outputs if (repo.root / output.path).exists()]))
        total = 0
        for cache, store, group in _groups(repo, outputs):
            ask(store)
            with told(store.place):
                found, count = _remote_faults(repo, group, cache, store)
            faults += found
            total += count
        return Verified(remote=str(repo.remote_name), stages=repo.running(), faults=tuple(faults), objects=total)


def _remote_faults(repo: DataRepo, group: Sequence[Output], cache: Store, remote: Store) -> tuple[list[Fault], int]:
    """What is wrong in a remote, and how many objects were asked for; the list of a folder that nobody has is one of them."""
    objects: list[Stored] = []
    for output in group:
        try:
            objects += repo.files(output, remote, cache)
        except FileNotFoundError:
            objects.append(output.stored)
    objects = _once(objects)
    return list(remote.faults(objects, f"reading {remote.place}")), len(objects)


def _opened(project: Project, remote: str | None) -> DataRepo:
    require_repository(project.root)
    return DataRepo(project.root, remote=remote)


def _groups(repo: DataRepo, outputs: Iterable[Output]) -> list[tuple[Store, Store, list[Output]]]:
    """Outputs by where they are kept: cache, remote, and the outputs of both."""
    groups: dict[tuple[str | None, str], list[Output]] = defaultdict(list)
    for output in outputs:
        groups[output.remote, output.algorithm].append(output)
    return [(repo.cache(group[0]), repo.remote(group[0]), group) for group in groups.values()]


def _objects(repo: DataRepo, group: Sequence[Output], *stores: Store) -> list[Stored]:
    """All objects of outputs, each once; PipelineError where the list of a folder is nowhere whole."""
    objects: list[Stored] = []
    for output in group:
        try:
            objects += repo.files(output, *stores)
        except FileNotFoundError:
            faults = [fault for store in stores if (fault := store.fault(output.stored))]
            raise PipelineError(
                f"the list of the files of {output.path} is nowhere whole:\n{listed(faults)}",
                hint=_mend([fault for fault in faults if fault.place == stores[0].place], stores[0]),
            ) from None
    return _once(objects)


def _once(objects: Iterable[Stored]) -> list[Stored]:
    return list({one.oid: one for one in objects}.values())


def _raise_failures(failed: dict[str, BaseException], remote: Store) -> None:
    """What could not be copied for another reason than that it is not there, told by the first."""
    others = [error for error in failed.values() if not isinstance(error, FileNotFoundError)]
    if others:
        raise sentence_for(others[0], remote.place) or others[0]
