"""What each program of an endpoint does, as supervisord, its leash and its log tell it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from seatrial.adapters.supervisor import Process, Supervisor, tail

TROUBLED = ("backoff", "fatal", "exited", "unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One program: its state in small letters, `since` when (seconds since 1970), how often it was started again.

    `log` is the end of what it printed, where it is in trouble; `log_file` where all of it is.
    """

    group: str
    name: str
    state: str
    pid: int
    since: int
    restarts: int
    log: str
    log_file: Path


def seen(supervisor: Supervisor, processes: tuple[Process, ...], logs: Path) -> tuple[Seen, ...]:
    """Every program that supervisord knows."""
    return tuple(_seen(supervisor, one, logs / f"{one.name}.log") for one in processes)


def _seen(supervisor: Supervisor, process: Process, log: Path) -> Seen:
    state = process.state.lower()
    ended = state in ("fatal", "exited", "stopped") and process.ended
    return Seen(
        group=process.group,
        name=process.name,
        state=state,
        pid=process.pid,
        since=process.ended if ended else process.started,
        restarts=supervisor.restarts(process.name),
        log=tail(log, 5) if state in TROUBLED else "",
        log_file=log,
    )


def advice(one: Seen, *, routed: bool) -> str | None:
    """What to do about a program in trouble, or None."""
    if one.state == "backoff":
        return "it crashes soon after each start, and is started again after longer and longer pauses: read the end of its log"
    if one.state == "fatal":
        again = "it is tried again every minute, because requests go to it" if routed else "it is not tried again by itself"
        return f"it was given up after too many crashes; {again}. Read its log; seatrial rollback leads back, seatrial up starts it again"
    return None


def times(since: int) -> str | None:
    """A moment as text, in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(since)) if since else None
