"""What a decision does: the endpoint and the registry are brought to a state. Acting twice is harmless.

A state is in the journal before it is acted on. Traffic comes first, then processes, then the registry: work at a registry
that does not answer stays in the state as `pending` and is done by the next command.
"""

from __future__ import annotations

import datetime as dt
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from seatrial.anchor import promotion, settle_anchor
from seatrial.errors import BusyError, EndpointError, RegistryError
from seatrial.failpoints import failpoint
from seatrial.notify import Notifier
from seatrial.plan import Plan
from seatrial.rollout_state import Lease, Phase, Pin, State, exposure, finish, give_up
from seatrial.verdict import Outcome

if TYPE_CHECKING:
    from seatrial.adapters.endpoint import Endpoint, Route, Variant
    from seatrial.adapters.registry import RegisteredVersion
    from seatrial.journal import Journal
    from seatrial.project import Project

LEASED = (Phase.MIRROR, Phase.CANARY, Phase.ROLLING_BACK)
"""Where a challenger has requests, or may have them: if nobody is there any more, the watchdog takes them away."""
PROMOTED, ROLLED_BACK = "promoted", "rolled back"
"""How a rollout ends, as journal and ledger say it."""


class Registry(Protocol):
    """What a rollout asks of the registry; the module `seatrial.adapters.registry` is one."""

    def read_alias(self, project: Project, alias: str) -> RegisteredVersion | None:
        """The version that an alias points at."""

    def find_version(self, project: Project, digest: str) -> RegisteredVersion | None:
        """The version of a bundle."""

    def move_aliases(self, project: Project, *, expected: Mapping[str, int | None], to: Mapping[str, int | None]) -> None:
        """Move aliases from the expected holders."""

    def record_rollout(self, project: Project, *, record: Mapping[str, Any]) -> None:
        """Append to the ledger."""

    def fetch_bundle(self, project: Project, version: RegisteredVersion, store: Path) -> Path:
        """The folder of a version's bundle."""


def state_of(record: Mapping[str, Any] | None) -> State:
    """The state that a journal's record holds; without one, nothing was ever live. What nobody watched is no bake."""
    return replace(State.from_dict(record), seen=None) if record else State()


def store_folder(home: Path, pin: Pin) -> Path:
    """Where a version's bundle lies in the content store."""
    return home / "store" / pin.digest.removeprefix("sha256:")


class Controller:
    """Acts for the one holder of the journal.

    `wall` gives the time that the journal and the ledger name, `who` their author; `lease` the time until which the watchdog
    waits for this controller to speak again, from seconds.
    """

    def __init__(
        self,
        project: Project,
        journal: Journal,
        *,
        endpoint: Endpoint,
        registry: Registry,
        wall: Callable[[], str],
        who: str,
        lease: Callable[[float], Lease] | None = None,
        say: Callable[[str], None],
    ) -> None:
        self.project = project
        self.endpoint = endpoint
        self.registry = registry
        self.say = say
        self.state = state_of(journal.last.state if journal.last else None)
        self.ended: State | None = None
        self._journal = journal
        self._wall = wall
        self._lease = lease
        self._who = who
        self._notify = Notifier(project, say)

    def save(self, event: str, state: State) -> None:
        """Make `state` durable, and this controller's."""
        settings = self.project.settings
        lease = self._lease(settings.rollout.lease_s) if self._lease and state.phase in LEASED else None
        state = replace(state, environment=settings.environment, model=settings.registered_model, lease=lease)
        self._journal.append(event, state.to_dict(), time=self._wall())
        self._notify(event, self.state, state)
        self.state = state

    def variants(self, state: State, *, challenger: bool = True) -> tuple[Variant, ...]:
        """The versions that run in this state: champion, challenger, and the previous one, warm for the way back."""
        from seatrial.adapters.endpoint import Variant

        pins = [state.champion, state.challenger if challenger else None]
        if state.previous is not None and self._warm(state) and store_folder(self.project.home, state.previous).is_dir():
            pins.append(state.previous)
        wanted = {pin.version: pin for pin in pins if pin is not None}
        return tuple(
            Variant(version=pin.version, digest=pin.digest, bundle=store_folder(self.project.home, pin)) for pin in wanted.values()
        )

    def _warm(self, state: State) -> bool:
        """Whether the previous version still runs, for the way back."""
        return state.warm_until is None or dt.datetime.fromisoformat(self._wall()) < dt.datetime.fromisoformat(state.warm_until)

    def _until_cold(self) -> str | None:
        """When the previous version of a promotion of now is stopped; None is never."""
        seconds = self.project.settings.rollout.keep_previous_s
        return None if seconds is None else (dt.datetime.fromisoformat(self._wall()) + dt.timedelta(seconds=seconds)).isoformat()

    def start(self) -> None:
        """Bring up the processes of this state; traffic stays where it is."""
        self.endpoint.ensure(self.variants(self.state, challenger=self.state.phase is not Phase.HELD))
        if self.state.champion is not None:
            self.endpoint.route(_alone(self.state.champion))

    def expose(self, plan: Plan) -> None:
        """Move traffic to where this state wants it."""
        from seatrial.adapters.endpoint import Route

        champion, challenger = self.state.champion, self.state.challenger
        if champion is None or challenger is None:
            return
        weight, mirror = exposure(plan, self.state)
        named = challenger.version if weight or mirror else None
        self.endpoint.route(Route(champion=champion.version, challenger=named, weight=weight, mirror=mirror))

    def resume(self, plan: Plan) -> None:
        """Bring processes and traffic to where an interrupted rollout had them."""
        self.endpoint.ensure(self.variants(self.state))
        self.expose(plan)

    def promote(self, *, resumed: bool = False) -> None:
        """Make the challenger champion: aliases first, then the direct route, then what is not needed any more.

        Where the aliases did not move, the challenger goes back instead. Where that cannot be known (`resumed`: an earlier
        controller may have moved them), RegistryError is raised, and the next `deploy` finishes what this one began.
        """
        state, new = self.state, _named(self.state.challenger)
        with uninterrupted():
            refusal = self._crown(state, new, resumed=resumed)
            if refusal is not None:
                self.save("promotion refused", give_up(state, Outcome.ERROR, refusal))
                self.roll_back()
                return
            self._switch(new, self.variants(state))
            self._end(PROMOTED)
            self.endpoint.ensure(self.variants(self.state))
            self.settle()
        self.report()

    def _crown(self, state: State, new: Pin, *, resumed: bool) -> str | None:
        """Move `previous` and `champion`; gives the reason where they did not move."""
        old = state.champion.version if state.champion else None
        try:
            if self._holder("champion") == new.version:
                return None
        except RegistryError as error:
            if resumed:
                raise
            return f"the promotion could not be recorded, so it did not happen: {error.message}"
        try:
            failpoint("alias.move")
            self.registry.move_aliases(self.project, expected={"champion": old}, to={"previous": old, "champion": new.version})
            failpoint("alias.moved")
        except RegistryError as error:
            if self._holder("champion") != new.version:
                return f"the promotion was not recorded, so it did not happen: {error.message}"
        return None

    def _holder(self, alias: str) -> int | None:
        found = self.registry.read_alias(self.project, alias)
        return found.version if found else None

    def roll_back(self) -> None:
        """Return all traffic to the champion, stop the challenger, then tell the registry."""
        with uninterrupted():
            self.withdraw()
            self._end(ROLLED_BACK)
            self.settle()
        self.report()

    def report(self) -> None:
        """Write the page about the rollout that ended."""
        from seatrial.rollout_page import write_rollout_page

        write_rollout_page(self.project, self.say)

    def withdraw(self) -> None:
        """The part of a way back that clients see: route, then processes."""
        state = self.state
        if state.champion is None:
            self.endpoint.down()
            return
        self._switch(state.champion, self.variants(state))
        self.say(f"all traffic is on version {state.champion.version}")
        self.endpoint.ensure(self.variants(state, challenger=False))

    def _switch(self, champion: Pin, variants: tuple[Variant, ...]) -> None:
        """All traffic to one version, whatever else is broken: what does not run is started, with the others or alone."""
        try:
            self.endpoint.route(_alone(champion))
            return
        except EndpointError:
            pass
        try:
            self.endpoint.ensure(variants)
        except EndpointError:
            self.endpoint.ensure(tuple(variant for variant in variants if variant.version == champion.version))
        self.endpoint.route(_alone(champion))

    def _end(self, event: str) -> None:
        """Between rollouts again, with the registry's work noted before it is done."""
        self.ended = self.state
        challenger = _named(self.state.challenger)
        work: tuple[dict[str, Any], ...] = ({"release": challenger.version}, {"ledger": self._ledger_record(event)})
        if event == PROMOTED:
            work += (promotion(challenger.version, self.state.champion),)
        done = finish(self.state)
        if event == PROMOTED:
            done = replace(done, warm_until=self._until_cold())
        self.save(event, replace(done, pending=(*done.pending, *work)))

    def _ledger_record(self, event: str) -> dict[str, Any]:
        state, challenger = self.state, _named(self.state.challenger)
        return {
            "event": event,
            "rollout": state.id,
            "outcome": str(state.outcome),
            "reason": state.reason,
            "bundle": challenger.digest,
            "version": challenger.version,
            "champion": state.champion.digest if state.champion else None,
            "champion_version": state.champion.version if state.champion else None,
            "plan": state.plan,
            "gate": state.gate,
            "environment": self.project.settings.environment,
            "simulated": state.simulated,
            "approval": state.approval,
            "started_by": state.started_by,
            "override": state.override,
            "who": self._who,
            "when": self._wall(),
            "steps": [asdict(part) for part in state.evidence],
        }

    def settle(self) -> bool:
        """Do the pending work at the registry, in order; what fails stays pending and is said. True when none is left."""
        while self.state.pending:
            task, *rest = self.state.pending
            try:
                self._do(task)
            except RegistryError as error:
                self.say(f"pending at the registry, done by the next command: {_task_words(task)} ({error.message})")
                return False
            failpoint("pending.done")
            self.save("settled", replace(self.state, pending=tuple(rest)))
            failpoint("pending.settled")
        return True

    def _do(self, task: Mapping[str, Any]) -> None:
        match task:
            case {"move": {"expected": expected, "to": to}}:
                self._move(expected, to)
            case {"release": int(version)}:
                if self._holder("challenger") == version:
                    failpoint("alias.move")
                    self.registry.move_aliases(self.project, expected={"challenger": version}, to={"challenger": None})
                    failpoint("alias.moved")
            case {"ledger": record}:
                failpoint("ledger.write")
                self.registry.record_rollout(self.project, record=record)
                failpoint("ledger.written")
            case {"anchor": work}:
                settle_anchor(self.registry, self.project, work)

    def _move(self, expected: Mapping[str, int | None], to: Mapping[str, int | None]) -> None:
        """Move aliases that were decided earlier; done already is done, and moved by somebody else meanwhile is theirs."""
        holders = {alias: self._holder(alias) for alias in {*expected, *to}}
        if all(holders[alias] == version for alias, version in to.items()):
            return
        strange = [alias for alias, version in expected.items() if holders[alias] not in (version, to.get(alias, version))]
        if strange:
            self.say(f"alias {strange[0]!r} was moved by somebody else to version {holders[strange[0]]}; it is left there")
            return
        failpoint("alias.move")
        self.registry.move_aliases(self.project, expected=holders, to=to)
        failpoint("alias.moved")

    def abandon(self, outcome: Outcome, reason: str) -> None:
        """Leave nothing half: before a promotion the traffic goes back; a promotion that has begun is left for the next `deploy`."""
        if self.state.phase in (Phase.STARTING, Phase.MIRROR, Phase.CANARY):
            self.save("given up", give_up(self.state, outcome, reason))
        if self.state.phase is Phase.ROLLING_BACK:
            self.roll_back()

    def recover(self, plan: Plan, digest: str | None) -> bool:
        """Bring what an earlier controller left to an end; True where the rollout of `digest` by this plan can go on instead."""
        state = self.state
        if state.phase is Phase.PROMOTING:
            self.say(f"finishing the promotion of version {_named(state.challenger).version} that was interrupted")
            self.promote(resumed=True)
        elif state.phase is Phase.ROLLING_BACK:
            self.say("finishing the way back that was interrupted")
            self.roll_back()
        elif state.phase in (Phase.STARTING, Phase.MIRROR, Phase.CANARY):
            challenger = _named(state.challenger)
            if challenger.digest == digest and state.plan == plan.digest:
                return True
            self.say(f"an interrupted rollout of version {challenger.version} was found: all traffic returns to the champion")
            self.abandon(Outcome.INCONCLUSIVE, "interrupted, and not resumed")
        self.settle()
        return False


def _alone(champion: Pin) -> Route:
    from seatrial.adapters.endpoint import Route

    return Route(champion=champion.version)


def _named(pin: Pin | None) -> Pin:
    if pin is None:
        raise BusyError("the journal names no version where it must", hint="seatrial down, then deploy again")
    return pin


def _task_words(task: Mapping[str, Any]) -> str:
    match task:
        case {"move": {"to": to}}:
            return "move " + ", ".join(f"{alias} to {version or 'nothing'}" for alias, version in to.items())
        case {"release": version}:
            return f"take the alias challenger from version {version}"
        case {"anchor": _}:
            return "move the anchor"
        case _:
            return "write the ledger"


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Keep Ctrl-C and SIGTERM away from a few steps that belong together; outside the main thread there are none to keep away."""
    import threading

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
