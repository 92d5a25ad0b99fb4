"""Messages about a rollout's changes, and what a monitor found: what, which version, where, why, what to do. Never in their way.

Each message goes out by a process of its own that ends itself at its time limit, so a notifier that hangs, fails or is slow
neither stops nor delays anything, and a message outlives the controller that said it. Addresses are secrets: they come from an
environment variable or a file of mode 0600, travel through a pipe, and are in no log.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from seatrial.project import Project
    from seatrial.rollout_state import State

Kind = Literal["started", "held", "advanced", "promoted", "rolled_back", "error", "alert"]

MOST = 8
"""So many messages may be on their way at once; past that, they are dropped: a notifier that hangs must not fill the machine."""
LONGEST = 600
LOG_BYTES = 100_000
PIPE_BYTES = 60_000
"""What a pipe takes without a reader, so that nobody waits for one."""

WHAT = {
    "started": "rollout of version {version} began",
    "held": "rollout of version {version} is held",
    "advanced": "version {version} goes on to {step}",
    "promoted": "version {version} is champion",
    "rolled_back": "version {version} goes back",
    "error": "rollout of version {version} ended in an error",
}
TODO = {
    "started": "watch it: nox -s status",
    "held": "look at nox -s status; then approve, resume or abort it, each with --reason '…'",
    "advanced": "nothing",
    "promoted": "nothing; the way back is nox -s rollback",
    "rolled_back": "read reports/rollout.html and metrics/rollout.json; the champion serves",
    "error": "read reports/rollout.html, mend what it names, and deploy again",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One short message: a title of one line, and a body of two."""

    kind: Kind
    title: str
    body: str


def kind_of(before: State, after: State) -> Kind | None:
    """Which change a new state is; None is none that is told."""
    old, new = str(before.phase), str(after.phase)
    pause = getattr(after, "pause", None)
    if pause is not None and getattr(before, "pause", None) is None:
        return "held"
    if new == "rolling_back" and old != new:
        return "error" if str(after.outcome) == "error" else "rolled_back"
    if new == "idle":
        return "promoted" if old == "promoting" and after.champion == before.challenger else None
    if new == "held":
        return "held" if (old, before.id) != (new, after.id) else None
    if new == "starting":
        return "started" if (old, before.id) != (new, after.id) else None
    if new in ("mirror", "canary"):
        return "advanced" if (old, before.step) != (new, after.step) else None
    return None


def message_of(kind: Kind, event: str, state: State, *, steps: tuple[Any, ...] = ()) -> Message:
    """The message about a state that was reached by an event; `steps` are the plan's exposures."""
    pause = getattr(state, "pause", None)
    last = state.last if kind == "promoted" else None
    version = last.challenger.version if last else state.challenger.version if state.challenger else 0
    why = pause.reason if kind == "held" and pause is not None else last.reason if last else state.reason or event
    where = f"{state.model or 'model'} in {state.environment or 'local'}"
    title = WHAT[kind].format(version=version, step=_step(state, steps))
    return Message(kind=kind, title=f"{where}: {title}", body=f"Why: {_bounded(why)}\nWhat to do: {TODO[kind]}")


def _step(state: State, steps: tuple[Any, ...]) -> str:
    given = steps[state.step] if state.step < len(steps) else None
    return "the mirror step" if given == "mirror" or str(state.phase) == "mirror" else f"{given} %" if given else f"step {state.step + 1}"


def _bounded(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= LONGEST else f"{flat[: LONGEST - 1]}…"


def addresses(source: str, env: Mapping[str, str], root: Path) -> tuple[str, ...]:
    """The addresses that an environment variable or a file holds, one to a line or with white space between; `#` begins a comment line.

    ValueError, with a sentence that names no address, for a file that cannot be read or that others can read.
    """
    if "/" not in source:
        return tuple(env.get(source, "").split())
    path = (root / source).expanduser() if not source.startswith("~") else Path(source).expanduser()
    try:
        if path.stat().st_mode & 0o077:
            raise ValueError(f"notify.urls_from: {source} can be read by others: chmod 600 {source}")
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"notify.urls_from: {source} cannot be read: {getattr(error, 'strerror', None) or 'no text'}") from None
    return tuple(word for line in lines if not line.lstrip().startswith("#") for word in line.split())


class Notifier:
    """Sends the messages that params.yaml asks for; what goes wrong is said once and stops nothing."""

    def __init__(self, project: Project, say: Callable[[str], None], *, goes_on: str = "the rollout") -> None:
        self._project = project
        self._say = say
        self._goes_on = goes_on
        self._said = False
        self._running: list[subprocess.Popen[bytes]] = []

    def __call__(self, event: str, before: State, after: State) -> None:
        """Tell the change from one state to the next, if it is one that is to be told. Nothing is raised."""
        try:
            self._tell(event, before, after)
        except Exception as error:  # noqa: BLE001 - a message is not worth a rollout
            self._complain(f"{type(error).__name__}: {error}" if not isinstance(error, ValueError) else str(error))

    def _tell(self, event: str, before: State, after: State) -> None:
        wanted = self._project.settings.notify.events
        if not wanted:
            return
        self._collect()
        kind = kind_of(before, after)
        if kind in wanted:
            from seatrial.rollout_page import planned_steps

            self.send(message_of(kind, event, after, steps=planned_steps(self._project)))

    def tell(self, message: Message) -> None:
        """Send a message, whatever comes of it. Nothing is raised."""
        try:
            self.send(message)
        except Exception as error:  # noqa: BLE001 - a message is not worth what it is about
            self._complain(f"{type(error).__name__}: {error}" if not isinstance(error, ValueError) else str(error))

    def send(self, message: Message) -> None:
        """Start a process that sends; this returns at once."""
        import importlib.util

        settings = self._project.settings.notify
        found = addresses(settings.urls_from, self._project.env, self._project.root)
        if not found:
            self._complain(f"{settings.urls_from} holds no address")
            return
        if importlib.util.find_spec("apprise") is None:
            self._complain("this needs the package apprise: pip install 'seatrial[notify]'")
            return
        if len(self._running) >= MOST:
            self._complain(f"{MOST} messages are on their way still, so this one is dropped")
            return
        log = notify_log(self._project.home)
        told = {"urls": found, "title": message.title, "body": message.body, "kind": message.kind, "timeout_s": settings.timeout_s}
        self._running.append(_spawn(told, log))

    def _collect(self) -> None:
        """Say how the messages went that are through by now."""
        done = [process for process in self._running if process.poll() is not None]
        self._running = [process for process in self._running if process.returncode is None]
        if any(process.returncode for process in done):
            self._complain(f"a message did not arrive everywhere: {last_line(notify_log(self._project.home))}")

    def _complain(self, words: str) -> None:
        if not self._said:
            self._said = True
            self._say(f"notify: {words}; {self._goes_on} goes on, and this is not said again")


def _spawn(told: Mapping[str, Any], log: Path) -> subprocess.Popen[bytes]:
    data = json.dumps(told).encode()
    if len(data) > PIPE_BYTES:
        raise ValueError(f"the addresses are longer than {PIPE_BYTES:,} bytes together")
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
    with log.open("ab") as stream:
        # A session of its own: Ctrl-C in the terminal is for the controller, and a message that is said is to arrive.
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "seatrial.notify_send"],
            stdin=subprocess.PIPE,
            stdout=stream,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    if process.stdin is not None:
        with process.stdin:
            process.stdin.write(data)
    return process


def notify_log(home: Path) -> Path:
    """Where messages that did not arrive are noted, without addresses."""
    return home / "notify.log"


def last_line(path: Path) -> str:
    """The newest line of a log of ours."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return "no line was written"
    return lines[-1] if lines else "no line was written"
