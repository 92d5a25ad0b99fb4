"""The programs beside an endpoint's Envoy and servers: guardian, watchdog, the log's upload, and a detached controller."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial import detached
from seatrial.adapters.supervisor import Program, command_line
from seatrial.files import canonical_json, write_atomic
from seatrial.guardian import guardian_pid, start_guardian
from seatrial.journal import journal_path, read_last

if TYPE_CHECKING:
    from seatrial.adapters.parts import Parts
    from seatrial.params import Log

WATCHDOG, CONTROLLER, UPLOAD = "watchdog", "controller", "log-upload"
CONTROLLER_FILE = "controller.json"
BEFORE_SERVERS, AFTER_ENVOY = 50, 950


def start_watch(parts: Parts, *, timeout: float) -> None:
    """Start the watchdog and the guardian, where they do not run; `timeout` is seconds of one attempt, for the route file.

    The watchdog is always of the present runtime, so that it understands what this code writes into the journal.
    """
    runtime = parts.runtimes.present()
    command = (str(runtime.python), "-I", "-m", "seatrial.watchdog", "--home", str(parts.home), "--timeout", str(timeout))
    program = Program(name=WATCHDOG, command=command, log=parts.folder / f"logs/{WATCHDOG}.log", runtime=runtime)
    parts.supervisor.put(WATCHDOG, (program,), priority=AFTER_ENVOY)
    start_guardian(parts.home, runtime.python, parts.env)


def start_controller(parts: Parts, command: list[str], *, folder: Path, env: Mapping[str, str]) -> None:
    """Run `command` in `folder` until it ends with 0, 1 or 3; every other end starts it again."""
    file = parts.folder / CONTROLLER_FILE
    write_atomic(file, canonical_json({"command": command, "folder": str(folder), "env": dict(env)}), mode=0o600)
    line = (sys.executable, "-I", "-S", detached.__file__, str(file))
    log = parts.folder / f"logs/{CONTROLLER}.log"
    program = Program(name=CONTROLLER, command=line, log=log, runtime=parts.runtimes.present(), lasting=False)
    parts.supervisor.remove(CONTROLLER)
    parts.supervisor.add(CONTROLLER, (program,), priority=AFTER_ENVOY)


def start_upload(parts: Parts, settings: Log, *, root: Path, keep_local: float) -> None:
    """Start what takes the log to its store, again where its settings or credentials are others; without a store, stop it.

    `root` is the project, `keep_local` for how many seconds an uploaded part stays on the disk.
    """
    if settings.uri is None:
        parts.supervisor.remove(UPLOAD)
        parts.access.unlink(missing_ok=True)
        return
    from seatrial.serving.upload import access, command

    log = parts.home / "log"
    known = access(root, settings.uri, parts.env, keep_days=settings.keep_days)
    line = command(log, settings.uri, parts.access, keep_days=settings.keep_days, keep_local=keep_local)
    program = Program(name=UPLOAD, command=line, log=parts.folder / "logs" / f"{UPLOAD}.log")
    same = parts.access.exists() and parts.access.read_bytes() == known
    if same and any(one.group == UPLOAD and one.pid for one in parts.supervisor.processes()):
        return
    parts.supervisor.remove(UPLOAD)
    log.mkdir(parents=True, exist_ok=True)
    write_atomic(parts.access, known, mode=0o600)
    parts.supervisor.add(UPLOAD, (program,), priority=BEFORE_SERVERS)


def is_controller(env: Mapping[str, str]) -> bool:
    """Whether this process is a detached controller, which supervisord would end with everything else."""
    return detached.NAME in env


def stop_all_but_keepers(parts: Parts) -> None:
    """Stop Envoy and the servers, and nothing else."""
    for group in sorted({one.group for one in parts.supervisor.processes()} - {CONTROLLER, WATCHDOG}):
        parts.supervisor.remove(group)
    for name in ("envoy", "good"):
        shutil.rmtree(parts.folder / name, ignore_errors=True)


def tidy(parts: Parts) -> None:
    """Remove the runtimes that nothing needs any more: no version of the journal, and no process."""
    record = read_last(journal_path(parts.home)).record
    pins = [record.state.get(role) for role in ("champion", "challenger", "previous")] if record else []
    versions = {int(pin["version"]) for pin in pins if pin} | set(parts.servers.running())
    pids = (parts.supervisor.pid(), guardian_pid(parts.home))
    parts.runtimes.keep_only(versions, [*parts.supervisor.texts(), *(command_line(pid) for pid in pids if pid)])
