"""Exec a program that dies with its parent: `python -I -S leash.py PIDFILE PROGRAM [ARGUMENT…]`.

supervisord starts every program through this file, so that killing supervisord with -9 leaves no orphan on a socket or a port;
so does the gate with the servers that it times and the tests that it runs.
PIDFILE names the parent that is expected: a program whose parent died before the leash was on does not start at all. The
parent-death signal is Linux's; elsewhere the program is only executed. Nothing but the standard library is imported.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1


def leashed(pid_file: Path, command: Sequence[str]) -> list[str]:
    """The command that starts `command` leashed to this process, which `pid_file` is made to name."""
    pid_file.write_text(str(os.getpid()))
    return [sys.executable, "-I", "-S", __file__, str(pid_file), *command]


def main(pid_file: str, *command: str) -> None:
    """Replace this process by `command`; exit 1 where the parent is not the process of `pid_file`."""
    if sys.platform == "linux":
        die_with_parent()
        if Path(pid_file).read_text().strip() != str(os.getppid()):
            sys.exit(f"leash: {pid_file} does not name my parent; not starting {command[0]}")
    _note_start(Path(pid_file).parent / "starts")
    os.execvp(command[0], command)  # noqa: S606 - no shell is wanted


def _note_start(folder: Path) -> None:
    """One line for each start, time and process id: supervisord does not count, and whoever finds it killed must know what it ran.

    Only where their folder is there to hold them.
    """
    name = os.environ.get("SUPERVISOR_PROCESS_NAME")
    if name and folder.is_dir():
        # A full disk is no reason not to serve.
        with contextlib.suppress(OSError), (folder / name).open("a") as stream:
            stream.write(f"{time.time():.0f} {os.getpid()}\n")


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Ask the kernel for signal `number` when the parent ends; exits where that is refused."""
    import ctypes

    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, number, 0, 0, 0) != 0:
        sys.exit(f"leash: no parent-death signal: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    main(*sys.argv[1:])
