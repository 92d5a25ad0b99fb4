"""The lease's watchdog: where a controller has gone silent while a challenger has requests, all traffic returns to the champion.

    python -m seatrial.watchdog --home HOME --timeout SECONDS

It is one of supervisord's programs. It knows no registry and starts no servers: it ends a controller that hangs, writes the
decision into the journal, and moves the route. What is left (processes, aliases, the ledger) is the next command's. It also
puts back a route that is not the journal's while nobody is at work, and stops a previous version whose warm time is over.
What it does for processes is in seatrial.upkeep.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from seatrial.adapters.envoy import Route
from seatrial.adapters.supervisor import alive, command_line, wait_until
from seatrial.control import LEASED, state_of
from seatrial.errors import BusyError, SeatrialError
from seatrial.journal import Journal, controller, holder_pid, journal_path, read_last
from seatrial.rollout_state import Phase, State, give_up
from seatrial.verdict import Outcome

if TYPE_CHECKING:
    from seatrial.tools import Clock

POLL_S = 1.0
KILLED_S = 2.0
SILENT = "its controller was silent for longer than its lease"


class Traffic(Protocol):
    """What the watchdog asks of an endpoint."""

    def mend(self) -> bool:
        """Put back torn files of the route; gives whether there was something to do."""

    def live_route(self) -> Route | None:
        """The route that is live; None where nothing is."""

    def route(self, route: Route) -> None:
        """Move traffic."""

    def serves(self, version: int) -> bool:
        """Whether a version's servers can be reached."""

    def retire(self, version: int) -> None:
        """Stop a version that gets no traffic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Whom the watchdog looks after; `say` is told what it does."""

    home: Path
    endpoint: Traffic
    clock: Clock
    say: Callable[[str], None]


def expired(state: State, *, boot: str, now: float) -> bool:
    """Whether the challenger has, or may have, requests, and nobody has renewed the lease; a lease of another boot is over."""
    if state.phase not in LEASED:
        return False
    lease = state.lease
    return lease is None or lease.boot != boot or now >= lease.until


def look_after(watch: Watch) -> bool:
    """One look; gives whether there was something to do. Raises SeatrialError where that cannot be done now."""
    if watch.endpoint.mend():
        watch.say("a file of Envoy's was torn; the last good one is back")
    record = read_last(journal_path(watch.home)).record
    if record is None:
        return False
    state = state_of(record.state)
    if expired(state, boot=watch.clock.boot(), now=watch.clock.monotonic()):
        return _take_back(watch, state)
    if state.phase not in (Phase.IDLE, Phase.HELD) or state.champion is None:
        return False
    return _put_right(watch, state) or _let_cool(watch, state)


def _take_back(watch: Watch, state: State) -> bool:
    """All traffic to the champion, written down first; a controller that hangs is ended, for it could still act.

    Where the champion has it all already, nothing is at stake, and whoever is at work is left alone.
    """
    if state.champion is None or watch.endpoint.live_route() == Route(champion=state.champion.version):
        return False
    end_holder(watch.home, watch.say)
    with controller(watch.home, "watchdog") as journal:
        state = state_of(journal.last.state if journal.last else None)
        if not expired(state, boot=watch.clock.boot(), now=watch.clock.monotonic()) or state.champion is None:
            return False
        if state.phase is not Phase.ROLLING_BACK:
            _write(watch, journal, "lease ended", give_up(state, Outcome.INCONCLUSIVE, SILENT))
        return _route_alone(watch, state.champion.version, f"version {state.challenger.version if state.challenger else '?'}: {SILENT}")


def _write(watch: Watch, journal: Journal, event: str, state: State) -> None:
    journal.append(event, state.to_dict(), time=watch.clock.wall())


def _route_alone(watch: Watch, champion: int, why: str) -> bool:
    wanted = Route(champion=champion)
    if watch.endpoint.live_route() == wanted:
        return False
    watch.endpoint.route(wanted)
    watch.say(f"{why}; all traffic is on version {champion}")
    return True


def _put_right(watch: Watch, state: State) -> bool:
    """Where nobody is at work, the live route is the journal's champion and nothing else."""
    champion = state.champion
    live = watch.endpoint.live_route()
    if champion is None or live is None or live == Route(champion=champion.version):
        return False
    with suppress(BusyError), controller(watch.home, "watchdog") as journal:
        again = state_of(journal.last.state if journal.last else None)
        if again.champion == champion and again.phase in (Phase.IDLE, Phase.HELD):
            return _route_alone(watch, champion.version, "the route was not the journal's")
    return False


def _let_cool(watch: Watch, state: State) -> bool:
    """Stop the previous version once its warm time is over; what runs is asked of the endpoint, so twice is once."""
    if state.previous is None or state.warm_until is None or state.previous == state.champion:
        return False
    cold = dt.datetime.fromisoformat(watch.clock.wall()) >= dt.datetime.fromisoformat(state.warm_until)
    if not cold or not watch.endpoint.serves(state.previous.version):
        return False
    with suppress(BusyError), controller(watch.home, "watchdog"):
        watch.endpoint.retire(state.previous.version)
    return True


def end_holder(home: Path, say: Callable[[str], None]) -> None:
    """Kill the process that holds the controller's lock, if it is one of Seatrial's on this machine: it hangs past its lease."""
    try:
        with controller(home, "watchdog"):
            return
    except BusyError:
        pass
    holder = holder_pid(home)
    if holder is None or holder == os.getpid() or not alive(holder) or "seatrial" not in command_line(holder):
        return
    say(f"the controller (process {holder}) hangs past its lease: it is ended")
    with suppress(ProcessLookupError, PermissionError):
        os.kill(holder, signal.SIGKILL)
    wait_until(lambda: not alive(holder), KILLED_S)


def main(argv: list[str] | None = None) -> int:
    """Look once a second, and when a program ends, until told to stop."""
    from seatrial.adapters.endpoint import LocalEndpoint
    from seatrial.params_rollout import Rollout
    from seatrial.tools import SystemClock
    from seatrial.upkeep import Upkeep

    parser = argparse.ArgumentParser(prog="python -m seatrial.watchdog", description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--timeout", type=float, required=True, help="seconds of one attempt, for the route file")
    options = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    endpoint = LocalEndpoint(options.home, Rollout(request_timeout_s=options.timeout), env=os.environ)
    watch = Watch(home=options.home, endpoint=endpoint, clock=SystemClock(), say=lambda text: print(f"watchdog: {text}", flush=True))
    upkeep = Upkeep(home=options.home, route=endpoint.live_route, monotonic=watch.clock.monotonic, say=watch.say)
    told = ""
    while True:
        try:
            look_after(watch)
            upkeep.look()
            told = ""
        except (SeatrialError, OSError) as error:
            told = _tell_once(watch, told, str(error))
        upkeep.rest(POLL_S)


def _tell_once(watch: Watch, told: str, problem: str) -> str:
    if problem != told:
        watch.say(f"not done yet: {problem.splitlines()[0]}")
    return problem


if __name__ == "__main__":
    sys.exit(main())
