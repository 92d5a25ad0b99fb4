"""What a deployment acts with on this machine: endpoint, registry, clock, probes, and the requests that it sends itself."""

from __future__ import annotations

import datetime as dt
import getpass
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from seatrial.plan import Plan
from seatrial.rollout_state import Pairs, Pin, Smoke

if TYPE_CHECKING:
    from seatrial.adapters.endpoint import Endpoint
    from seatrial.control import Registry
    from seatrial.project import Project
    from seatrial.rollout import Decision

SELF_DRIVEN = ("local", "ephemeral")
"""The environments that may be judged on replayed rows; the others wait for real traffic."""
LONG_S = 10**6
SLACK_S = 2.0


class Clock(Protocol):
    """Time as a rollout needs it."""

    def monotonic(self) -> float:
        """Seconds that only grow."""

    def sleep(self, seconds: float) -> None:
        """Wait."""

    def wall(self) -> str:
        """Date and time for people, in UTC."""

    def boot(self) -> str:
        """Names this run of the machine: within it, `monotonic` is one clock for all processes."""


class Source(Protocol):
    """Requests that a rollout sends itself."""

    def start(self) -> None:
        """Begin, or go on."""

    def problem(self) -> str | None:
        """Why no requests come any more, if none do."""

    def stop(self) -> None:
        """End."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """How far back answers are compared: seconds of this step and of the rollout; whether the challenger's are mirrored ones."""

    step: float
    rollout: float
    mirrored: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What a deployment acts with.

    `smoke` asks the challenger its golden rows, `compare` lays both versions' answers beside each other; without a `source` it
    waits for real traffic; `show` is told every decision, `say` every sentence; `who` is written beside each act.
    """

    endpoint: Endpoint
    registry: Registry
    clock: Clock
    smoke: Callable[[Pin, Path], Smoke]
    compare: Callable[[int, int, Span], Pairs | None]
    show: Callable[[Plan, Decision], None]
    say: Callable[[str], None]
    who: str
    source: Source | None = None


def local_tools(
    project: Project, *, say: Callable[[str], None], show: Callable[[Plan, Decision], None] = lambda plan, decision: None
) -> Tools:
    """The real tools for a project's endpoint on this machine."""
    from seatrial.adapters import registry
    from seatrial.adapters.endpoint import LocalEndpoint

    settings, home = project.settings, project.home

    def smoke(challenger: Pin, folder: Path) -> Smoke:
        from seatrial.probes import smoke_test

        return smoke_test(home, challenger, folder)

    def compare(champion: int, challenger: int, span: Span) -> Pairs | None:
        from seatrial.probes import compare_answered, compare_mirrored

        log, now = home / "log", time.time() - SLACK_S
        if span.mirrored:
            return compare_mirrored(log, champion, challenger, since=now - span.step)
        return compare_answered(log, champion, challenger, since=now - span.step, begun=now - span.rollout)

    replay = settings.rollout.replay
    return Tools(
        endpoint=LocalEndpoint(
            home, settings.rollout, log=settings.monitor.log, name=settings.model.name, env=project.env, root=project.root, say=say
        ),
        registry=registry,
        clock=SystemClock(),
        smoke=smoke,
        compare=compare,
        show=show,
        say=say,
        who=who(),
        source=ReplaySource(project, rate=replay.rate) if replay and settings.environment in SELF_DRIVEN else None,
    )


def who(env: Mapping[str, str] | None = None) -> str:
    """The person who runs this: at a forge the one whose act started the job, as it says, elsewhere the user of this machine."""
    env = os.environ if env is None else env
    told = (
        ("GITHUB_TRIGGERING_ACTOR", "GITHUB_ACTOR") if env.get("GITHUB_ACTIONS") else ("GITLAB_USER_LOGIN",) if env.get("GITLAB_CI") else ()
    )
    if person := next((env[name] for name in told if env.get(name)), None):
        return person
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"


class SystemClock:
    """This machine's time."""

    def monotonic(self) -> float:
        """Seconds since some moment; they only grow."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    def wall(self) -> str:
        """Now, in UTC."""
        return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")

    def boot(self) -> str:
        """The kernel's own name for this boot; where there is none, a fixed one: a lease then only ends by time."""
        try:
            return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        except OSError:
            return "unknown"


class ReplaySource:
    """Held-out rows, sent by a process of its own that dies with this one."""

    def __init__(self, project: Project, *, rate: float) -> None:
        self._project = project
        self._rate = rate
        self._process: subprocess.Popen[bytes] | None = None
        self._log = project.home / "replay.log"

    def start(self) -> None:
        """Start the process; one that was started is left alone."""
        if self._process is not None:
            return
        from seatrial.adapters import leash

        parent = self._project.home / "replay.parent"
        parent.write_text(str(os.getpid()))
        replay = ["-m", "seatrial", "replay", "--env", self._project.environment, "--rate", str(self._rate), "--seconds", str(LONG_S)]
        command = [sys.executable, "-I", "-S", leash.__file__, str(parent), sys.executable, *replay]
        with self._log.open("wb") as log:
            # A session of its own: Ctrl-C in the terminal is for the controller, which ends this process last.
            self._process = subprocess.Popen(
                command,
                cwd=self._project.root,
                env=dict(self._project.env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def problem(self) -> str | None:
        """Why the process ended, if it did."""
        if self._process is None or self._process.poll() is None:
            return None
        lines = [line.strip() for line in self._log.read_text(errors="replace").strip().splitlines()]
        said = " ".join(lines[-2:] if lines and lines[-1].startswith("→") else lines[-1:])  # what to do says nothing without the reason
        return f"the replayed requests ended: {said or f'exit code {self._process.returncode}'}"

    def stop(self) -> None:
        """End the process, and wait for it."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
