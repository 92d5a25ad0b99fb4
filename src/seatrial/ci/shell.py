"""One command of a step: bash in a process group of its own, its output as it comes; and the files by which a step says something."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from seatrial.adapters.leash import leashed
from seatrial.errors import UsageError

GRACE_S = 60.0
"""So long an interrupted step may take to leave nothing behind."""
LINGER_S = 3.0
"""And so long what it started may outlive it."""
KEPT = re.compile(r"HOME|USER|LOGNAME|LANG|LC_\w+|TMPDIR|TZ|XDG_\w+|UV_\w+|PIP_\w+|SSL_CERT_\w+|REQUESTS_CA_BUNDLE|\w+_proxy|\w+_PROXY")
"""What of this machine's variables a step sees: where things are and how the network is reached, nothing that steers a session."""
PIP = '#!/bin/sh\n# uv, so that what is cached is not downloaded again\nexec {uv} pip "$@" --quiet --python {python}\n'


def run_command(command: str, *, folder: Path, env: Mapping[str, str], leash: Path) -> int:
    """Run a command as the forge does (`bash -e`), and give its exit code; an interruption is handed on, and waited for.

    The file `leash` names this process: where it is killed, so is bash, or the one program that it became (on Linux).
    """
    sys.stdout.flush()
    bash = leashed(leash, ["bash", "-e", "-c", command])
    with _noted() as interrupted:
        process = subprocess.Popen(bash, cwd=folder, env=dict(env), stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        if interrupted:
            raise KeyboardInterrupt
        return process.wait()
    except BaseException:
        _stop(process)
        raise


@contextmanager
def _noted() -> Iterator[list[int]]:
    """Signals that come while a process is being started are noted, not raised: it would be started, and known to nobody."""
    noted: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield noted
        return
    before = {number: signal.signal(number, lambda number, _: noted.append(number)) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
            break
    with suppress(ProcessLookupError):
        end = time.monotonic() + LINGER_S
        while time.monotonic() < end:
            os.killpg(process.pid, 0)
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)


def machine_variables(environ: Mapping[str, str], tools: Path) -> dict[str, str]:
    """The variables that every step starts from; `tools` comes first on the path, and this environment's programs are not on it."""
    own = Path(sys.executable).parent
    path = [part for part in environ.get("PATH", os.defpath).split(os.pathsep) if part and Path(part) != own]
    kept = {name: value for name, value in environ.items() if KEPT.fullmatch(name)}
    return {**kept, "PATH": os.pathsep.join([str(tools / "bin"), *path]), "SHELL": "/bin/bash"}


def make_tools(folder: Path, environ: Mapping[str, str]) -> None:
    """An empty Python environment with this interpreter, whose `pip` is uv; UsageError where there is no uv."""
    own = Path(sys.executable).parent
    uv = shutil.which("uv", path=os.pathsep.join([str(own), environ.get("PATH", os.defpath)]))
    if uv is None:
        raise UsageError("uv is not installed, and the clean environments are made with it", hint='run: pip install "nox[uv]"')
    python = Path(sys._base_executable)  # type: ignore[attr-defined]  # the interpreter that this environment was made with
    subprocess.run([uv, "venv", "--quiet", "--allow-existing", "--python", str(python), str(folder)], check=True, stdin=subprocess.DEVNULL)
    pip = folder / "bin/pip"
    pip.write_text(PIP.format(uv=uv, python=folder / "bin/python"))
    pip.chmod(0o755)


def read_settings(path: Path) -> dict[str, str]:
    """What a step wrote to GITHUB_OUTPUT or GITHUB_ENV: `name=value`, or `name<<END` and lines up to END; UsageError for anything else."""
    lines = iter(path.read_text(encoding="utf-8").splitlines() if path.exists() else [])
    found = {}
    for line in lines:
        name, sign, value = re.split(r"(<<|=)", line, maxsplit=1) if re.search(r"<<|=", line) else (line, "", "")
        if sign == "=":
            found[name] = value
        elif sign == "<<":
            found[name] = "\n".join(_lines_until(lines, value, path))
        elif line.strip():
            raise UsageError(f"{path.name}: {line!r} is no name=value")
    return found


def _lines_until(lines: Iterator[str], end: str, path: Path) -> Iterator[str]:
    for line in lines:
        if line == end:
            return
        yield line
    raise UsageError(f"{path.name}: a value is not closed by {end!r}")
