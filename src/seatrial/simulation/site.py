"""The scratch site of a simulation: a copy of the project with registry, cache, port, endpoint and state of its own.

Two states lie side by side: the endpoint's (`live`), whose clock is this machine's, and the desk's, where the logs lie with simulated
times and where monitor, labels and retrain read them. A sweeper ends and removes all of it when the site is closed or its owner dies.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from seatrial.convert import convert
from seatrial.errors import ParamsError, PipelineError
from seatrial.files import pretty_json
from seatrial.located import read_yaml
from seatrial.params import Settings, merged
from seatrial.project import Project
from seatrial.scratch import free_port, plain_environment
from seatrial.tools import SELF_DRIVEN

if TYPE_CHECKING:
    import polars as pl

    from seatrial.simulation.story import Told

TABLE = "data/raw/simulation.parquet"
LEFT_OUT = (".dvc/", "metrics/", "reports/", "artifacts/", "dvc.lock", "params.yaml")
GRACE_S = 60.0
ENVIRONMENT = SELF_DRIVEN[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """How one command of the site ended: its exit code and all that it printed."""

    code: int
    output: str

    @property
    def last(self) -> str:
        """The last line that it printed: every command says there how it ended."""
        lines = [line for line in self.output.splitlines() if line.strip()]
        return lines[-1].strip() if lines else ""


class Site:
    """One scratch project; `desk` is it with the state of the monitor, `live` with that of the endpoint."""

    def __init__(self, folder: Path, values: Mapping[str, Any], env: Mapping[str, str]) -> None:
        self.root = folder / "project"
        self.log = folder / "simulation.log"
        self._plain = plain_environment(env)
        rollout = {**values.get("rollout", {}), "port": free_port()}
        (self.root / "params.yaml").write_bytes(pretty_json({**values, "rollout": rollout}))
        self.desk = self._project(folder / "desk")
        self.live = self._project(folder / "live")

    def _project(self, home: Path) -> Project:
        return Project.find(self.root, environment=ENVIRONMENT, env={**self._plain, "SEATRIAL_HOME": str(home)})

    def write_table(self, rows: pl.DataFrame) -> None:
        """Make these rows the site's raw table."""
        self.desk.raw.parent.mkdir(parents=True, exist_ok=True)
        rows.write_parquet(self.desk.raw)

    def allow(self, more: Mapping[str, Sequence[Any]]) -> None:
        """Let columns hold more values: what a person would add to the contract by hand."""
        found = read_yaml(self.desk.contract).values
        for name, values in more.items():
            column = found["columns"][name]
            column["allowed"] = [*column.get("allowed", ()), *(one for one in values if one not in column.get("allowed", ()))]
        self.desk.contract.write_text(yaml.safe_dump(found, sort_keys=False, allow_unicode=True))

    def step(self, project: Project, *command: str) -> Step:
        """Run a command of Seatrial as a person would, in this state; what it prints goes to the site's log."""
        line = [sys.executable, "-m", "seatrial", *command, "--env", project.environment]
        done = subprocess.run(
            line,
            cwd=self.root,
            env=dict(project.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        with self.log.open("a") as stream:
            stream.write(f"$ seatrial {' '.join(command)}\n{done.stdout}")
        return Step(code=done.returncode, output=done.stdout)


def simulated_settings(project: Project, told: Told) -> tuple[Settings, dict[str, Any]]:
    """The project's params.yaml with the story's laid over it, for a site that tells nobody and keeps everything to itself.

    Raises ParamsError, naming the story's lines, where they do not fit.
    """
    values = read_yaml(project.root / "params.yaml").values
    values.pop("environments", None)
    forbidden = sorted({"model", "data", "preprocess", "environments"} & set(told.story.params))
    if forbidden:
        words = f"a story may not change {forbidden[0]!r}: it is the model that is simulated"
        raise ParamsError((told.located.sentence(("params", forbidden[0]), words),))
    values = merged(merged(values, told.story.params), _to_itself(values))
    settings, problems = convert(Settings, {**values, "environment": ENVIRONMENT})
    if settings is None:
        raise ParamsError(tuple(told.located.sentence(("params", *place), words) for place, words in problems))
    return settings, values


def _to_itself(values: Mapping[str, Any]) -> dict[str, Any]:
    """What keeps a site apart, whatever the project and the story say; the table is Parquet, so that cells keep their types."""
    alone: dict[str, Any] = {"host": "127.0.0.1", "tls": None, "approval": False, "four_eyes": False, "freeze": [], "access_log": "all"}
    replay = (values.get("rollout") or {}).get("replay") or {"rate": 300}
    return {
        "data": {"raw": TABLE, "pattern": None, "partitions": []},
        "rollout": {**alone, "replay": replay},
        "monitor": {"log": {"uri": None, "sample": 1.0, "flush_seconds": 0.2, "drop": []}, "history": None},
        "notify": {"events": []},
    }


@contextmanager
def site(project: Project, values: Mapping[str, Any]) -> Iterator[Site]:
    """A site in a folder of its own; whatever happens, to this process too, nothing of it stays."""
    folder = Path(tempfile.mkdtemp(prefix="seatrial-simulate-")).resolve()
    with _swept(folder):
        copy_project(project, folder / "project")
        yield Site(folder, values, project.env)


@contextmanager
def _swept(folder: Path) -> Iterator[None]:
    """A process of its own that waits for the end of this one, or of the block, then ends all that runs in the folder, and removes it."""
    command = [sys.executable, "-m", "seatrial.simulation.sweeper", str(folder)]
    sweeper = subprocess.Popen(command, cwd=folder.parent, stdin=subprocess.PIPE, start_new_session=True)
    try:
        yield
    finally:
        if sweeper.stdin is not None:
            with suppress(OSError):
                sweeper.stdin.close()
        with suppress(subprocess.TimeoutExpired):  # it goes on without us
            sweeper.wait(GRACE_S)


def copy_project(project: Project, target: Path) -> None:
    """Copy what git knows, or would take, of the project; a DVC repository without a remote and a git repository of its own go around it.

    PipelineError where the project is not in git.
    """
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    found = subprocess.run(listed, cwd=project.root, capture_output=True, check=False)
    if found.returncode != 0:
        raise PipelineError(f"{project.root.name} is not a git repository, so nobody knows what belongs to it", hint="run: git init")
    raw = project.settings.data.raw
    for name in found.stdout.decode().split("\0"):
        source = project.root / name
        if name and source.is_file() and not name.startswith(LEFT_OUT) and name != raw and not name.startswith(f"{raw}/"):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)
    for name in (".dvc", "metrics", "reports"):
        (target / name).mkdir(parents=True, exist_ok=True)
    (target / ".dvc/config").write_text("[core]\n    analytics = false\n")
    subprocess.run(["git", "init", "--quiet"], cwd=target, capture_output=True, check=True)
