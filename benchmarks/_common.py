"""What the benchmarks share: clones to measure in, processes that end with them, and a table at the end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
LINES = ("DVC_", "MLFLOW_", "SEATRIAL_", "VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE")


def clone(folder: Path) -> Path:
    """A fresh clone of this repository's last commit."""
    target = folder / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(target)], check=True)
    return target


def use_port(folder: Path, port: int) -> None:
    """Write another port into a clone's params.yaml."""
    path = folder / "params.yaml"
    path.write_text(path.read_text().replace("port: 8080", f"port: {port}"))


def free_port() -> int:
    """A port of 127.0.0.1 that nobody holds at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def plain_environment(**more: str) -> dict[str, str]:
    """This process's variables without those that would steer the tools under test."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(LINES)}
    return {**kept, **more}


def nox_command() -> list[str]:
    """nox of this environment."""
    return [sys.executable, "-m", "nox"]


def timed(command: Sequence[str], *, cwd: Path, env: Mapping[str, str], expect: int | None = 0) -> float:
    """Wall seconds of one command; its output is shown where its exit code is not the expected one."""
    start = time.perf_counter()
    ended = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if expect is not None and ended.returncode != expect:
        print(ended.stdout[-3000:], ended.stderr[-3000:], sep="\n")
        raise SystemExit(f"{' '.join(command)} ended with {ended.returncode}, expected {expect}")
    return seconds


@contextmanager
def serving(
    command: Sequence[str], *, ready: str, cwd: Path, env: Mapping[str, str], wait_s: float = 120
) -> Iterator[subprocess.Popen[bytes]]:
    """A server in its own process group, from the moment it answers to the end of the block."""
    log = cwd / f"server-{time.monotonic_ns()}.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(command, cwd=cwd, env=env, stdout=stream, stderr=stream, start_new_session=True)
    try:
        _await(ready, process, log, wait_s)
        yield process
    finally:
        with_group(process, signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            with_group(process, signal.SIGKILL)


def with_group(process: subprocess.Popen[bytes], number: int) -> None:
    """Send a signal to a process and all that it started."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return


def _await(url: str, process: subprocess.Popen[bytes], log: Path, wait_s: float) -> None:
    end = time.monotonic() + wait_s
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(url, timeout=1).read()
            return
        except OSError:
            if process.poll() is not None:
                raise SystemExit(f"the server ended: {log.read_text()[-2000:]}") from None
            time.sleep(0.1)
    raise SystemExit(f"the server did not answer within {wait_s:.0f} s: {log.read_text()[-2000:]}")


def wrk(url: str, body: dict[str, object], *, connections: int, seconds: int, folder: Path) -> float:
    """Requests a second that wrk measures with one body, all answers 2xx; SystemExit where some are not."""
    program = shutil.which("wrk")
    if program is None:
        raise SystemExit("wrk is not installed; on Debian: apt-get install wrk")
    script = folder / "post.lua"
    headers = 'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n'
    script.write_text(f"{headers}wrk.body = [==[{json.dumps(body)}]==]\n")
    command = [program, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", str(script), url]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in output or "Socket errors" in output:
        raise SystemExit(f"not every answer was good:\n{output}")
    return float(next(line.split()[1] for line in output.splitlines() if line.startswith("Requests/sec")))


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return statistics.median(values)


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table."""
    print(f"\n{title}\n")
    print(f"| {' | '.join(header)} |\n|{'---|' * len(header)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")
