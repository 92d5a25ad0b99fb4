"""What drills and simulations need to stay among themselves: an environment that leads nowhere else, a free port, who runs in a folder."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

OUTSIDE = ("SEATRIAL_", "MLFLOW_", "DVC_")


def plain_environment(env: Mapping[str, str]) -> dict[str, str]:
    """The environment without what would lead to the live endpoint, a shared registry or another cache."""
    return {name: value for name, value in env.items() if not name.startswith(OUTSIDE)}


def free_port() -> int:
    """A port of this machine that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def commands() -> Iterator[tuple[int, str]]:
    """Process ids with their commands."""
    proc = Path("/proc")
    if not (proc / "self/cmdline").exists():
        listed = subprocess.run(["ps", "-axww", "-o", "pid=,command="], capture_output=True, text=True, check=True).stdout
        for line in listed.splitlines():
            pid, _, command = line.strip().partition(" ")
            yield int(pid), command
        return
    for folder in proc.glob("[0-9]*"):
        with suppress(OSError):
            yield int(folder.name), (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")


def processes_in(folder: Path) -> dict[int, str]:
    """Every process whose command names the folder, or (where /proc says it) that works in it."""
    return {pid: command for pid, command in commands() if str(folder) in command or _works_in(pid, folder)}


def _works_in(pid: int, folder: Path) -> bool:
    try:
        return Path(f"/proc/{pid}/cwd").readlink().is_relative_to(folder)
    except (OSError, ValueError):
        return False
