"""What supervisord reads: its own settings, and a file for each group of programs."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from seatrial.adapters import leash
from seatrial.adapters.runtimes import Runtime
from seatrial.errors import EndpointError

STOP_S = 15
RETRIES = 20
OVER = (0, 1, 3)
"""The exit codes after which a program that is not lasting is over."""
LOG_BYTES, LOGS_KEPT = 5 * 2**20, 2
OUTPUT_BYTES, OUTPUTS_KEPT = 50 * 10**6, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One process: its name, its command, the file for what it prints, and the runtime that its leash is taken from.

    `output` is a file of its own for standard output. One that is not `lasting` is over once it ends with 0, 1 or 3; every other
    end starts it again.
    """

    name: str
    command: tuple[str, ...]
    log: Path
    output: Path | None = None
    runtime: Runtime | None = None
    lasting: bool = True
    directory: Path | None = None


def supervisord_config(*, control: Path, log: Path, pid_file: Path) -> str:
    """supervisord.conf: nothing listens but the control socket, and `programs/` beside it holds the groups."""
    return f"""[unix_http_server]
file = {_escaped(control)}
chmod = 0700

[supervisord]
logfile = {_escaped(log)}
logfile_maxbytes = {LOG_BYTES}
logfile_backups = {LOGS_KEPT}
loglevel = info
pidfile = {_escaped(pid_file)}
umask = 077

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[include]
files = programs/*.conf
"""


def group_config(group: str, programs: tuple[Program, ...], *, priority: int, pid_file: Path) -> str:
    """The file of one group; every program is leashed to supervisord, restarted when it ends, and its log rotated.

    Logs are named from supervisord's own folder, because it expands `%` twice in that place.
    """
    names = ",".join(program.name for program in programs)
    head = f"[group:{group}]\nprograms = {names}\npriority = {priority}\n"
    return "\n".join([head, *(_program_config(program, pid_file) for program in programs)])


def _program_config(program: Program, pid_file: Path) -> str:
    command = leash_command(program.runtime, pid_file, program.command)
    lasting = "autorestart = true" if program.lasting else f"autorestart = unexpected\nexitcodes = {','.join(map(str, OVER))}"
    return f"""[program:{program.name}]
command = {_escaped(shlex.join(command))}
directory = {_escaped(program.directory or pid_file.parent)}
{lasting}
startsecs = 1
startretries = {RETRIES}
stopwaitsecs = {STOP_S}
{_program_logs(program, pid_file.parent)}"""


def _program_logs(program: Program, folder: Path) -> str:
    """What goes where: together into one file, or standard output, of which there is a line a request, into a larger one of its own."""
    if program.output is None:
        return "redirect_stderr = true\n" + _log("stdout", program.log, folder, LOG_BYTES, LOGS_KEPT)
    return _log("stderr", program.log, folder, LOG_BYTES, LOGS_KEPT) + _log("stdout", program.output, folder, OUTPUT_BYTES, OUTPUTS_KEPT)


def _log(stream: str, path: Path, folder: Path, size: int, kept: int) -> str:
    name = _escaped(path.relative_to(folder))
    return f"{stream}_logfile = {name}\n{stream}_logfile_maxbytes = {size}\n{stream}_logfile_backups = {kept}\n"


def leash_command(runtime: Runtime | None, pid_file: Path, command: tuple[str, ...]) -> tuple[str, ...]:
    """A command on the leash of a runtime; without one, on this process's own."""
    if runtime is None:
        return (sys.executable, "-I", "-S", leash.__file__, str(pid_file), *command)
    return (str(runtime.python), "-I", "-S", str(runtime.seatrial / "adapters/leash.py"), str(pid_file), *command)


def _escaped(value: object) -> str:
    """A value for supervisord's file: `%` doubled; EndpointError for what its format cannot hold."""
    text = str(value)
    if "\n" in text or " ;" in text:
        raise EndpointError(f"supervisord cannot take a line break or ' ;' in {text!r}", hint="rename the folder, or set SEATRIAL_HOME")
    return text.replace("%", "%%")
