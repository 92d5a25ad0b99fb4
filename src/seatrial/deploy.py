"""Deploy: look whether the gated bundle may go live, then tick until it is champion or back: load, observe, decide, save, act.

What it acts with comes in as `Tools`, so that a whole rollout runs in milliseconds in a test. Answers that need no action
import nothing heavy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from seatrial.admission import admitted, gated_bundle, passing_verdict, refuse_repetition
from seatrial.control import Controller, state_of
from seatrial.drive import drive, start_source
from seatrial.errors import BusyError, EndpointError, RefusedError, RegistryError, UsageError
from seatrial.failpoints import failpoint
from seatrial.journal import Journal, controller, journal_path, read_last
from seatrial.judge import worst_e
from seatrial.look import frozen_words, stop_request
from seatrial.operators import granted
from seatrial.plan import Plan
from seatrial.rollout_state import Lease, Phase, Pin, State, begin, predecessor
from seatrial.tools import Tools
from seatrial.turn import taken_over
from seatrial.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from seatrial.adapters.registry import RegisteredVersion
    from seatrial.project import Project


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """How a deployment ended: its exit code, one sentence, and its verdict, where a rollout was decided."""

    exit_code: int
    message: str
    verdict: Verdict | None = None
    begun: bool = False


def deploy(project: Project, tools: Tools, *, approve: str | None = None, retry: str | None = None, detach: bool = False) -> Deployed:
    """Take the bundle in `artifacts/model` live, if the gate passed exactly it against exactly the present champion.

    `approve` and `retry` are a person's reasons: for an environment that asks for approval, and for trying again a bundle that
    the evidence was against. With `detach`, a rollout is begun in the journal and left for another controller to go on with.
    Raises RefusedError for what the gate's verdict does not cover, and KeyboardInterrupt after all traffic is back.
    """
    try:
        verdict = passing_verdict(project)
        digest = gated_bundle(project, verdict)
        _set_aside(project, tools)
        found = recorded_state(project)
        champion = None if found.get("pending") else tools.registry.read_alias(project, "champion")
        mine = found.get("model") in ("", project.settings.registered_model)
        if mine and champion is not None and champion.digest == digest and _serves(tools, found, champion):
            return _already(champion)
        with _turn(project, tools, found, digest) as journal:
            return _controlled(desk_for(project, tools, journal), tools, verdict, approve=approve, retry=retry, detach=detach)
    except RefusedError:
        _return_interrupted(project, tools)
        raise


@contextmanager
def _turn(project: Project, tools: Tools, found: Mapping[str, Any], digest: str) -> Iterator[Journal]:
    """The journal; where another controller is at work, as `rollout.on_newer` says: refused, waited for, or asked to end."""
    rollout = project.settings.rollout
    running = (found.get("challenger") or {}).get("digest")
    with ExitStack() as stack:
        try:
            journal = stack.enter_context(controller(project.home, "deploy"))
        except BusyError:
            if rollout.on_newer == "refuse" or running in (None, digest):
                raise
            reason = "superseded by a newer challenger" if rollout.on_newer == "supersede" else None
            tools.say("another rollout is under way: " + ("it is asked to end" if reason else "waiting for its end"))
            waiting = taken_over(project, tools, "deploy", reason=reason, patience_s=rollout.hold_deadline_s)
            journal, _ = stack.enter_context(waiting)
        yield journal


def desk_for(project: Project, tools: Tools, journal: Journal) -> Controller:
    """The controller of the holder of the journal."""
    if journal.torn:
        tools.say("the journal ended in the middle of a record, which is left out")
    desk = Controller(
        project,
        journal,
        endpoint=tools.endpoint,
        registry=tools.registry,
        wall=tools.clock.wall,
        who=tools.who,
        say=tools.say,
        lease=lambda seconds: Lease(boot=tools.clock.boot(), until=tools.clock.monotonic() + seconds),
    )
    _check_owner(desk.state, project)
    return desk


def _check_owner(state: State, project: Project) -> None:
    """Raise UsageError where another environment's or model's versions are counted here: their numbers mean nothing in this registry."""
    settings = project.settings
    if state.champion is None and state.challenger is None:
        return
    if state.environment not in ("", settings.environment):
        raise UsageError(
            f"the endpoint in {project.home.name} serves the environment {state.environment!r}, not {settings.environment!r}",
            hint=f"set SEATRIAL_ENV={state.environment}, or give each environment a SEATRIAL_HOME and a rollout.port of its own",
        )
    if state.model not in ("", settings.registered_model):
        raise UsageError(
            f"the endpoint in {project.home.name} serves the model {state.model!r}, not {settings.registered_model!r}",
            hint="nox -s down, then nox -s deploy begins anew; or give each model a SEATRIAL_HOME and a rollout.port of its own",
        )


def _set_aside(project: Project, tools: Tools) -> None:
    """Begin anew where another model was live here and does not serve any more; while it serves, it is in the way."""
    found = state_of(recorded_state(project))
    mine = project.settings.registered_model
    if found.model in ("", mine) or found.environment != project.settings.environment or _answers(tools):
        return
    with controller(project.home, "deploy") as journal:
        journal.append("set aside", State(environment=found.environment, model=mine).to_dict(), time=tools.clock.wall())
    tools.say(f"the model {found.model!r} was live here before; {mine!r} begins anew")


def _answers(tools: Tools) -> bool:
    try:
        return bool(tools.endpoint.observe().variants)
    except EndpointError:
        return False


def _controlled(desk: Controller, tools: Tools, verdict: Verdict, *, approve: str | None, retry: str | None, detach: bool) -> Deployed:
    """The part of a deployment that one controller at a time may do."""
    project, plan = desk.project, Plan.of(desk.project.settings.rollout)
    stop_request(project.home).unlink(missing_ok=True)
    resumed = desk.recover(plan, verdict.subject["bundle"])
    if desk.state.pending:
        raise RegistryError("earlier decisions are not in the registry yet, so it does not say who is champion", hint="deploy again")
    champion = tools.registry.read_alias(project, "champion")
    if champion is not None and champion.digest == verdict.subject["bundle"] and not resumed:
        return _bring_up(desk, tools, champion)
    version = admitted(project, tools.registry, verdict, champion)
    frozen = frozen_words(project, tools.clock.wall())
    if frozen is not None and not resumed:
        return Deployed(exit_code=Outcome.INCONCLUSIVE.exit_code, message=f"not begun: {frozen}")
    if resumed:
        tools.say(f"resuming the rollout of version {version.version} that was interrupted")
    else:
        _prepare(desk, tools, plan, verdict, version, champion, approve=approve, retry=retry)
    if detach:
        return Deployed(exit_code=0, message=f"the rollout of version {version.version} goes on by itself", begun=True)
    return _guarded(desk, tools, plan, resumed=resumed)


def _return_interrupted(project: Project, tools: Tools) -> None:
    """What may not go live does not keep an interrupted rollout half: its traffic returns, unless its controller lives."""
    if state_of(recorded_state(project)).phase in (Phase.IDLE, Phase.HELD):
        return
    with suppress(BusyError, UsageError), controller(project.home, "deploy") as journal:
        desk_for(project, tools, journal).recover(Plan.of(project.settings.rollout), None)


def recorded_state(project: Project) -> dict[str, Any]:
    """The journal's last state as it lies there; parsing it is for who goes on with it."""
    record = read_last(journal_path(project.home)).record
    return record.state if record else {}


def _serves(tools: Tools, state: Mapping[str, Any], champion: RegisteredVersion) -> bool:
    """Whether the champion serves, no rollout is under way, and nothing has to be mended."""
    pin = {"version": champion.version, "digest": champion.digest}
    if state.get("phase") not in (Phase.IDLE, Phase.HELD) or state.get("champion") != pin:
        return False
    try:
        return champion.version in tools.endpoint.observe().variants
    except EndpointError:
        return False


def _bring_up(desk: Controller, tools: Tools, champion: RegisteredVersion) -> Deployed:
    pin = Pin(version=champion.version, digest=champion.digest)
    if not _serves(tools, desk.state.to_dict(), champion):
        tools.say(f"version {pin.version} is champion, but the endpoint does not serve it: bringing it up")
        tools.registry.fetch_bundle(desk.project, champion, desk.project.home / "store")
        previous = predecessor(desk.state, pin)
        desk.save("up", replace(desk.state, phase=Phase.IDLE, champion=pin, previous=previous, challenger=None))
        desk.start()
    return _already(champion)


def _already(champion: RegisteredVersion) -> Deployed:
    return Deployed(exit_code=0, message=f"already champion: version {champion.version} serves; nothing to deploy")


def _prepare(
    desk: Controller,
    tools: Tools,
    plan: Plan,
    verdict: Verdict,
    version: RegisteredVersion,
    champion: RegisteredVersion | None,
    *,
    approve: str | None,
    retry: str | None,
) -> None:
    """Store the bundles and write down that a rollout begins."""
    from seatrial.bundle import load_bundle
    from seatrial.store import store_bundle

    project, store = desk.project, desk.project.home / "store"
    state = _begun(desk, tools, plan, verdict, version, champion, approve=approve, fresh=retry is not None)
    if worst_e(state)[1] >= plan.log_limit:
        raise RefusedError(
            f"version {version.version} was rolled back, and its evidence still stands: {state.last.reason if state.last else ''}",
            hint="train another, or where the cause lay elsewhere: seatrial deploy --retry --reason '…'",
        )
    refuse_repetition(state, version, champion, retry)
    failpoint("store.put")
    store_bundle(load_bundle(project.bundle, expected=version.digest), store)
    if champion is not None:
        tools.registry.fetch_bundle(project, champion, store)
    failpoint("store.stored")
    desk.save(f"retried by {tools.who}: {retry}" if retry else "began", state)


def _begun(
    desk: Controller,
    tools: Tools,
    plan: Plan,
    verdict: Verdict,
    version: RegisteredVersion,
    champion: RegisteredVersion | None,
    *,
    approve: str | None,
    fresh: bool,
) -> State:
    """The state in which a rollout begins; an approval that was given to exactly this while it was held is used here."""
    if approve and plan.approval and plan.four_eyes:
        raise RefusedError("rollout.four_eyes asks for another person's approval", hint="deploy, and let somebody else run: nox -s approve")
    environment, wall = desk.project.settings.environment, tools.clock.wall()
    grant = granted(desk.state, bundle=version.digest, gate=verdict.digest, environment=environment, wall=wall)
    state = begin(
        desk.state,
        plan,
        challenger=Pin(version=version.version, digest=version.digest),
        champion=Pin(version=champion.version, digest=champion.digest) if champion else None,
        gate=verdict.digest,
        id=f"{version.version}-{wall}",
        simulated=tools.source is not None,
        approval=f"{tools.who}: {approve}" if approve else grant.words if grant else None,
        started_by=desk.state.started_by if grant else tools.who,
        fresh=fresh,
    )
    return replace(state, used=(*state.used, grant.nonce)) if grant is not None and not approve else state


def _guarded(desk: Controller, tools: Tools, plan: Plan, *, resumed: bool) -> Deployed:
    """Drive, and whatever happens leave nothing half: the traffic goes back before the error goes up."""
    try:
        if resumed and desk.state.phase in (Phase.MIRROR, Phase.CANARY):
            desk.resume(plan)
            start_source(tools)
        drive(desk, tools, plan)
    except KeyboardInterrupt:
        _give_back(desk, tools, Outcome.INCONCLUSIVE, "interrupted by a person")
        _record(desk, plan)
        raise
    except BusyError:
        raise
    except Exception as error:
        _give_back(desk, tools, Outcome.ERROR, f"{type(error).__name__}: {str(error).splitlines()[0]}")
        _record(desk, plan)
        raise
    finally:
        if tools.source is not None:
            tools.source.stop()
        stop_request(desk.project.home).unlink(missing_ok=True)
    return ended(desk, plan)


def _give_back(desk: Controller, tools: Tools, outcome: Outcome, reason: str) -> None:
    desk.abandon(outcome, reason)
    if desk.state.phase is Phase.PROMOTING:
        tools.say("the promotion had begun: deploy again to finish it")


def ended(desk: Controller, plan: Plan) -> Deployed:
    """How the rollout that ended here did, its verdict written."""
    if desk.state.phase is Phase.HELD:
        return Deployed(exit_code=3, message=f"{desk.state.reason}; give it: nox -s approve -- --reason '…'")
    verdict = _record(desk, plan)
    if verdict is None:
        return Deployed(exit_code=Outcome.INCONCLUSIVE.exit_code, message="no rollout was decided")
    return Deployed(exit_code=verdict.outcome.exit_code, message=_ended_words(desk), verdict=verdict)


def _ended_words(desk: Controller) -> str:
    """What serves now, and why."""
    champion, reason = desk.state.champion, desk.ended.reason if desk.ended else ""
    return f"version {champion.version} serves · {reason}" if champion else f"nothing serves · {reason}"


def _record(desk: Controller, plan: Plan) -> Verdict | None:
    """Write metrics/rollout.json for the rollout that ended here."""
    from seatrial.rollout_verdict import rollout_verdict

    if desk.ended is None:
        return None
    verdict = rollout_verdict(plan, desk.ended)
    failpoint("verdict.save")
    verdict.save(desk.project.verdict("rollout"))
    failpoint("verdict.saved")
    desk.report()
    return verdict
