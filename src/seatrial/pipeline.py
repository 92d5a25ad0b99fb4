"""`dvc repro`, run so that an interruption leaves nothing running and nothing half done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from seatrial.errors import PipelineError

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


def run_dvc(root: Path, arguments: Sequence[str], env: Mapping[str, str]) -> None:
    """Run one DVC command in its own process group; PipelineError where it fails, KeyboardInterrupt once it has stopped.

    A stage outlives a `dvc repro` that is killed, and the next one would start a second trainer: so Ctrl-C is handed to the
    whole group, and the group is killed where it does not stop.
    """
    process = subprocess.Popen([sys.executable, "-m", "dvc", *arguments], cwd=root, env=dvc_environment(env), start_new_session=True)
    try:
        code = process.wait()
    except KeyboardInterrupt:
        _stop(process)
        raise
    except BaseException:
        _stop(process)
        raise
    if code != 0:
        raise PipelineError(
            f"`dvc {' '.join(arguments)}` failed (exit {code}); what went wrong stands above",
            hint="mend it and run the same session again: what was done is kept, what failed is not",
        )


def dvc_environment(env: Mapping[str, str]) -> dict[str, str]:
    """The variables for DVC: this environment's programs first, and no word to anybody outside."""
    path = os.pathsep.join([str(Path(sys.executable).parent), env.get("PATH", os.defpath)])
    return {**env, "PATH": path, "DVC_NO_ANALYTICS": "true", "SHELL": env.get("SHELL") or "/bin/sh"}


def _stop(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(GRACE_S)
            break
        except subprocess.TimeoutExpired:
            continue
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # a stage that outlived its dvc
