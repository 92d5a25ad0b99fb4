"""`dvc repro`, run so that an interruption leaves nothing running and nothing half done."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from seatrial.errors import BusyError, PipelineError
from seatrial.project import Project

GRACE_S = 10.0


def require_repository(root: Path) -> None:
    """Raise PipelineError where the project is not in git, or has no DVC repository."""
    if not any((folder / ".git").exists() for folder in (root, *root.parents)):
        raise PipelineError(
            f"{root.name} is not a git repository, and DVC needs one", hint="run: git init && git add -A && git commit -m 'Start'"
        )
    if not (root / ".dvc").is_dir():
        raise PipelineError(f"{root.name} is not a DVC repository", hint="run: .venv/bin/dvc init, and commit .dvc")


def has_remote(root: Path) -> bool:
    """Whether DVC has a remote to pull from, in the repository's configuration or this machine's."""
    import configparser

    for name in ("config", "config.local"):
        found = configparser.ConfigParser(interpolation=None)
        found.read(root / ".dvc" / name)
        if any("remote" in section for section in found.sections() if section != "core"):
            return True
    return False


def reproduce(project: Project, target: str = "dvc.yaml", *, force: bool = False, single: bool = False) -> None:
    """Bring the stages of a pipeline file up to date, in a process group of their own that ends as a whole.

    `force` runs those too that did not change, `single` only the target's. Raises BusyError where another training is under
    way, PipelineError where a stage fails or bytes and dvc.lock disagree afterwards, KeyboardInterrupt once all has stopped.
    """
    options = [*(["--force"] if force else []), *(["--single-item"] if single else []), target]
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as report:
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", "seatrial.reproduce", f"--parent={os.getpid()}", f"--report={writing}", *options],
                cwd=project.root,
                env=dvc_environment(project.env),
                start_new_session=True,
                pass_fds=(writing,),
            )
        finally:
            os.close(writing)
        try:
            code = process.wait()
        finally:
            _stop(process)
        if code:
            raise _told(report.read(), code)


def _told(report: bytes, code: int) -> PipelineError | BusyError:
    """What the process wrote about its end; where it could not write anything, how it ended."""
    if not report:
        return PipelineError(f"`dvc repro` ended with {code} and said nothing", hint="was it killed? run the same session again")
    told = json.loads(report)
    return (BusyError if told["busy"] else PipelineError)(told["message"], hint=told["hint"])


def dvc_environment(env: Mapping[str, str]) -> dict[str, str]:
    """The variables for DVC: this environment's programs first, stages in the same shell everywhere, no word to anybody outside."""
    path = os.pathsep.join([str(Path(sys.executable).parent), env.get("PATH", os.defpath)])
    return {**env, "PATH": path, "DVC_NO_ANALYTICS": "true", "SHELL": "/bin/sh"}


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a process, asking first, and whatever its group still holds: a stage outlives a DVC that is killed."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            break
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
