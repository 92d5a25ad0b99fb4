"""Failpoints: named places before and after every durable step of the controller, where a drill makes it die, fail or wait.

    SEATRIAL_FAILPOINT=journal.written#3:kill seatrial deploy      # dies after the third record is written, before its fsync
    SEATRIAL_FAILPOINT_LOG=passed.txt seatrial deploy              # writes the name of each failpoint that is passed

`NAME[#NTH[+]]:ACTION[=SECONDS]`, where NAME is one of `NAMES` or `any`, NTH counts from 1 and `+` goes on from there, as a full
disk does. Off unless one of the two variables is set, and then a call is one comparison. Only the standard library is imported.
"""

from __future__ import annotations

import errno
import os
import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from seatrial.errors import UsageError

VARIABLE, LOG_VARIABLE = "SEATRIAL_FAILPOINT", "SEATRIAL_FAILPOINT_LOG"
ANY = "any"
ACTIONS = ("kill", "raise", "enospc", "delay")
DELAY_S = 1.0
NAMES = {
    "lock.taken": "the controller's lock is held, and names nobody yet",
    "lock.named": "the lock names this controller",
    "journal.append": "before a record is written",
    "journal.written": "a record is written, and not durable yet",
    "journal.synced": "a record is durable, and not acted on yet",
    "store.put": "before the challenger's bundle goes into the content store",
    "store.publish": "a bundle lies complete beside its place in the store",
    "store.published": "a bundle lies in its place in the store",
    "store.stored": "the store holds every bundle of the rollout",
    "supervisord.start": "before supervisord is started",
    "supervisord.started": "supervisord answers",
    "group.add": "before the file of a group of programs is written",
    "group.written": "the file of a group is written, and supervisord does not know it",
    "group.added": "supervisord has started a group",
    "group.remove": "before the file of a group is removed",
    "group.unlinked": "the file of a group is gone, and its programs run",
    "group.removed": "supervisord has stopped and forgotten a group",
    "envoy.prepare": "before the files are written that Envoy starts with",
    "envoy.prepared": "they are written, and Envoy does not run",
    "config.move": "before Envoy's clusters or route are moved into place",
    "config.moved": "they are in place, and Envoy has not confirmed them",
    "config.confirmed": "Envoy has confirmed them, and they are not kept as the last good ones",
    "config.kept": "they are kept as the last good ones",
    "config.heal": "before the last good ones are put back",
    "alias.move": "before aliases of the registry are moved",
    "alias.moved": "aliases of the registry are moved",
    "ledger.write": "before the ledger is written",
    "ledger.written": "the ledger is written, and the journal does not know it",
    "pending.done": "work at the registry is done, and stands in the journal as pending",
    "pending.settled": "the journal knows that it is done",
    "verdict.save": "before the rollout's verdict is written",
    "verdict.saved": "the rollout's verdict is written",
    "stop.write": "before a running rollout is asked to end",
    "stop.written": "a running rollout is asked to end",
    "word.heard": "a person's word is in the journal, and not answered",
    "word.answered": "it is answered, and still waits to be heard",
}
_FORM = re.compile(r"(?P<name>[a-z.]+)(?:#(?P<nth>[1-9]\d*)(?P<on>\+)?)?:(?P<action>[a-z]+)(?:=(?P<seconds>\d+(?:\.\d+)?))?")


class FailpointError(RuntimeError):
    """What `raise` raises: an exception that nobody foresaw."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What happens where: at the `nth` passing of `name` (any failpoint's, where it is `any`), and with `on` at each one after it."""

    name: str
    action: str
    nth: int = 1
    on: bool = False
    seconds: float = DELAY_S

    def meets(self, name: str, count: int, total: int) -> bool:
        """Whether it happens at the `count`th passing of `name`, the `total`th of all."""
        if self.name not in (ANY, name):
            return False
        passed = total if self.name == ANY else count
        return passed == self.nth or (self.on and passed > self.nth)


def parse(text: str) -> Fault:
    """The fault that a variable asks for; UsageError names what is unknown, and lists what is known."""
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{VARIABLE}: {text!r} is not NAME[#NTH[+]]:ACTION[=SECONDS]", hint=f"such as journal.written#3:kill; {_known()}")
    name, action, seconds = match["name"], match["action"], match["seconds"]
    if name not in NAMES and name != ANY:
        raise UsageError(f"{VARIABLE}: there is no failpoint {name!r}", hint=_known())
    if action not in ACTIONS or (seconds is not None and action != "delay"):
        raise UsageError(f"{VARIABLE}: {text!r} asks for no known action", hint=_known())
    wait = DELAY_S if seconds is None else float(seconds)
    return Fault(name=name, action=action, nth=int(match["nth"] or 1), on=match["on"] is not None, seconds=wait)


def _known() -> str:
    return f"actions: {', '.join(ACTIONS)} (delay=SECONDS); failpoints: any, {', '.join(NAMES)}"


@dataclass(slots=True, kw_only=True)
class Armed:
    """A fault that waits to happen, and the places that were passed so far; `die` is what `kill` does."""

    fault: Fault | None = None
    log: Path | None = None
    die: Callable[[], None] = field(default=lambda: os.kill(os.getpid(), signal.SIGKILL))
    passed: list[str] = field(default_factory=list)

    def passing(self, name: str) -> None:
        """Note that a failpoint is passed, and let happen what has to."""
        if name not in NAMES:
            raise UsageError(f"the code passes a failpoint {name!r} that failpoints.py does not list")
        self.passed.append(name)
        if self.log is not None:
            with self.log.open("a") as stream:
                stream.write(f"{name}\n")
        if self.fault is not None and self.fault.meets(name, self.passed.count(name), len(self.passed)):
            self._happen(self.fault, name)

    def _happen(self, fault: Fault, name: str) -> None:
        match fault.action:
            case "kill":
                self.die()
            case "raise":
                raise FailpointError(f"failpoint {name}")
            case "enospc":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)
            case _:
                time.sleep(fault.seconds)


_armed: Armed | None = None


def failpoint(name: str) -> None:
    """Say that this place is passed; nothing happens unless something was armed."""
    if _armed is not None:
        _armed.passing(name)


def arm(environ: Mapping[str, str]) -> None:
    """Arm what the environment asks for, for the rest of this process; UsageError for what is unknown."""
    global _armed
    fault, log = environ.get(VARIABLE), environ.get(LOG_VARIABLE)
    _armed = Armed(fault=parse(fault) if fault else None, log=Path(log) if log else None) if fault or log else None


@contextmanager
def armed(fault: Fault | None = None, *, die: Callable[[], None] | None = None) -> Iterator[Armed]:
    """Arm a fault for the length of a block, in this process: for tests, whose `die` raises what nobody catches."""
    global _armed
    before = _armed
    _armed = Armed(fault=fault) if die is None else Armed(fault=fault, die=die)
    try:
        yield _armed
    finally:
        _armed = before
