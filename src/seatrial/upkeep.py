"""What the watchdog does for processes: the guardian is started again, what was given up is tried again, what is over is removed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from seatrial.adapters.endpoint import ENVOY
from seatrial.adapters.envoy import Route
from seatrial.adapters.keepers import CONTROLLER, CONTROLLER_FILE
from seatrial.adapters.sockets import recorded_folder
from seatrial.adapters.supervisor import Process, Supervisor, await_an_end
from seatrial.adapters.supervisor_files import OVER
from seatrial.files import locked
from seatrial.guardian import endpoint_folder, guardian_pid, start_guardian

RETRY_S = 60.0
"""How long a program that supervisord has given up is left alone before it is tried again, where requests go to it."""


@dataclass(slots=True, kw_only=True)
class Upkeep:
    """One endpoint's processes; `route` gives the live route, `monotonic` the time."""

    home: Path
    route: Callable[[], Route | None]
    monotonic: Callable[[], float]
    say: Callable[[str], None]
    _given_up: dict[str, float] = field(default_factory=dict)
    _running: frozenset[int] = frozenset()

    def look(self) -> None:
        """One look. Raises EndpointError where supervisord does not answer."""
        if guardian_pid(self.home) is None:
            start_guardian(self.home, Path(sys.executable), os.environ)
            self.say("the guardian was gone; it is started again")
        supervisor = self._supervisor()
        processes = supervisor.processes()
        self._running = frozenset(one.pid for one in processes if one.pid) - {os.getpid()}
        for group in self._due(processes):
            supervisor.start_again(group)
            self.say(f"{group} had been given up, and requests go to it: it is started again")
        # One that was killed has exited too, until supervisord starts it again a moment later.
        if any(one.group == CONTROLLER and one.state == "EXITED" and one.exit_code in OVER for one in processes):
            with suppress(BlockingIOError), locked(endpoint_folder(self.home) / "lock", wait=False):
                supervisor.remove(CONTROLLER)
                (endpoint_folder(self.home) / CONTROLLER_FILE).unlink(missing_ok=True)

    def rest(self, seconds: float) -> None:
        """Wait for so long, or until a program ends.

        supervisord sleeps for up to a second between reaping a program and starting it again, unless somebody asks it something:
        the look that follows does.
        """
        await_an_end(self._running, seconds)

    def _due(self, processes: tuple[Process, ...]) -> list[str]:
        """The groups with traffic that were given up RETRY_S ago; the time starts anew with each try."""
        now, fatal = self.monotonic(), {one.group for one in processes if one.state == "FATAL"}
        self._given_up = {group: self._given_up.get(group, now) for group in fatal}
        waited = [group for group, since in self._given_up.items() if now - since >= RETRY_S]
        due = [group for group in waited if group == ENVOY or group in self._routed()]
        self._given_up.update(dict.fromkeys(due, now))
        return sorted(due)

    def _routed(self) -> set[str]:
        route = self.route()
        return {f"version-{version}" for version in route.versions} if route else set()

    def _supervisor(self) -> Supervisor:
        folder = endpoint_folder(self.home)
        sockets = recorded_folder(self.home, folder / "sockets") or folder / "no-sockets"
        return Supervisor(folder, sockets / "control", os.environ)
