"""The one environment, `.venv`: made from the lock by uv, made again only when lock, project or interpreter changed."""

import fcntl
import hashlib
import os
import shutil
import sys
from pathlib import Path

import nox

ROOT = Path(__file__).parent.parent
VENV = ROOT / ".venv"
LOCK = ROOT / "requirements.lock"
STAMP = VENV / "seatrial.stamp"


def run(session: nox.Session, *command: str) -> None:
    """Install, then run one command of the environment; on Ctrl-C the command itself decides when it is done."""
    install(session)
    program, *arguments = command
    session.run(str(VENV / "bin" / program), *arguments, env=_variables(), external=True, interrupt_timeout=None, terminate_timeout=None)


def install(session: nox.Session) -> None:
    """Make `.venv` what the lock says; free when nothing changed, and safe when two sessions ask at once."""
    if _stamped():
        return
    with (ROOT / ".venv.lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not _stamped():
            _build(session)


def _build(session: nox.Session) -> None:
    uv = find_uv(session)
    STAMP.unlink(missing_ok=True)
    session.run(uv, "venv", "--quiet", "--allow-existing", "--python", _interpreter(), str(VENV), external=True)
    session.run(uv, "pip", "sync", "--quiet", "--python", str(_python()), "--require-hashes", str(LOCK), external=True)
    session.run(
        uv,
        "pip",
        "install",
        "--quiet",
        "--python",
        str(_python()),
        "--no-deps",
        "--no-build-isolation",
        "--editable",
        str(ROOT),
        external=True,
    )
    STAMP.write_text(_inputs())


def _stamped() -> bool:
    return STAMP.exists() and STAMP.read_text() == _inputs()


def _inputs() -> str:
    """Hash of all that the environment is made from."""
    parts = [LOCK.read_bytes(), (ROOT / "pyproject.toml").read_bytes(), sys.version.encode(), str(ROOT).encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _interpreter() -> str:
    """The Python that runs nox, where the project supports it; else one that uv finds or fetches."""
    return sys.executable if (3, 11) <= sys.version_info < (3, 14) else "3.12"


def _python() -> Path:
    return VENV / "bin" / "python"


def _variables() -> dict[str, str | None]:
    """The environment's programs first; DVC runs its stages in $SHELL; Python may keep what it compiled; and who it is that asks.

    A command of Seatrial ends when the process SEATRIAL_PARENT does: nox that is cancelled by SIGTERM does not end its child.
    """
    return {
        "PATH": os.pathsep.join([str(VENV / "bin"), os.environ.get("PATH", os.defpath)]),
        "VIRTUAL_ENV": str(VENV),
        "SHELL": os.environ.get("SHELL") or "/bin/sh",
        "PYTHONDONTWRITEBYTECODE": None,
        "SEATRIAL_PARENT": str(os.getpid()),
    }


def find_uv(session: nox.Session) -> str:
    """uv beside nox (`pip install "nox[uv]"` brings it), or on the path."""
    beside = shutil.which("uv", path=str(Path(sys.executable).parent))
    found = beside or shutil.which("uv")
    if not found:
        session.error('uv is not installed; run: pip install "nox[uv]"')
    return found
