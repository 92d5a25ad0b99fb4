"""Deploy: look whether the gated bundle may go live, then tick until it is champion or back: load, observe, decide, save, act.

What it acts with comes in as `Tools`, so that a whole rollout runs in milliseconds in a test. Answers that need no action
import nothing heavy.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seatrial.control import Controller, Registry, state_of, store_folder
from seatrial.errors import BundleError, BusyError, EndpointError, RefusedError, RegistryError, UsageError, VerdictError
from seatrial.journal import Journal, controller, journal_path, read_last
from seatrial.rollout import Action, Decision, advance, log_e
from seatrial.rollout_state import Counters, Counts, Observation, Pairs, Phase, Pin, Plan, State, begin, predecessor
from seatrial.tools import Tools
from seatrial.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from seatrial.adapters.endpoint import Endpoint, Traffic
    from seatrial.adapters.registry import RegisteredVersion
    from seatrial.project import Project

SAVE_EVERY_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """How a deployment ended: its exit code, one sentence, and its verdict, where a rollout was decided."""

    exit_code: int
    message: str
    verdict: Verdict | None = None


def deploy(project: Project, tools: Tools, *, approve: str | None = None, retry: str | None = None) -> Deployed:
    """Take the bundle in `artifacts/model` live, if the gate passed exactly it against exactly the present champion.

    `approve` and `retry` are a person's reasons: for an environment that asks for approval, and for trying again a bundle that
    the evidence was against. Raises RefusedError for what the gate's verdict does not cover, and KeyboardInterrupt after all
    traffic is back.
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
        with controller(project.home, "deploy") as journal:
            return _controlled(desk_for(project, tools, journal), tools, verdict, approve=approve, retry=retry)
    except RefusedError:
        _return_interrupted(project, tools)
        raise


def desk_for(project: Project, tools: Tools, journal: Journal) -> Controller:
    """The controller of the holder of the journal."""
    if journal.torn:
        tools.say("the journal ended in the middle of a record, which is left out")
    desk = Controller(
        project, journal, endpoint=tools.endpoint, registry=tools.registry, wall=tools.clock.wall, who=tools.who, say=tools.say
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


def _controlled(desk: Controller, tools: Tools, verdict: Verdict, *, approve: str | None, retry: str | None) -> Deployed:
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
    if resumed:
        tools.say(f"resuming the rollout of version {version.version} that was interrupted")
    else:
        _prepare(desk, tools, plan, verdict, version, champion, approve=approve, retry=retry)
    return _guarded(desk, tools, plan, resumed=resumed)


def _return_interrupted(project: Project, tools: Tools) -> None:
    """What may not go live does not keep an interrupted rollout half: its traffic returns, unless its controller lives."""
    if state_of(recorded_state(project)).phase in (Phase.IDLE, Phase.HELD):
        return
    with suppress(BusyError, UsageError), controller(project.home, "deploy") as journal:
        desk_for(project, tools, journal).recover(Plan.of(project.settings.rollout), None)


def passing_verdict(project: Project) -> Verdict:
    """The gate's verdict, if it is a pass; RefusedError otherwise."""
    try:
        verdict = Verdict.load(project.verdict("gate"), kind="gate")
    except VerdictError as error:
        raise RefusedError(f"nothing may go live without a passing gate: {error.message}", hint="gate it: nox -s gate") from None
    if verdict.outcome is not Outcome.PASS:
        raise RefusedError(
            f"the gate's verdict is {verdict.outcome.value}, not pass (metrics/gate.json)", hint="see reports/gate.html, and train again"
        )
    return verdict


def gated_bundle(project: Project, verdict: Verdict) -> str:
    """The digest of the bundle in `artifacts/model`, every byte hashed; RefusedError unless the verdict is about it."""
    from seatrial.bundle import read_digest

    try:
        digest = read_digest(project.bundle)
    except BundleError as error:
        raise RefusedError(f"artifacts/model does not hold the bundle that the gate passed: {error.message}", hint=error.hint) from None
    if digest != verdict.subject.get("bundle"):
        raise RefusedError(
            f"the bundle in artifacts/model is {digest}, the gate passed {verdict.subject.get('bundle')}", hint="gate again: nox -s gate"
        )
    return digest


def admitted(project: Project, registry: Registry, verdict: Verdict, champion: RegisteredVersion | None) -> RegisteredVersion:
    """The challenger's registered version; RefusedError unless verdict, registry and champion agree."""
    holder = champion.digest if champion else None
    if holder != verdict.subject.get("champion"):
        compared = verdict.subject.get("champion") or "no champion"
        raise RefusedError(f"the gate compared with {compared}, the champion is {holder or 'none'} now", hint="gate again: nox -s gate")
    version = registry.find_version(project, verdict.subject["bundle"])
    if version is None or version.gate != verdict.digest:
        what = "is not registered" if version is None else f"is version {version.version}, registered under another verdict"
        raise RefusedError(f"the bundle {verdict.subject['bundle']} {what}", hint="gate again: nox -s gate")
    return version


def stop_request(home: Path) -> Path:
    """The file by which `rollback` asks a running rollout to end; it holds who asks and why."""
    return home / "stop.json"


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
    state = begin(
        desk.state,
        plan,
        challenger=Pin(version=version.version, digest=version.digest),
        champion=Pin(version=champion.version, digest=champion.digest) if champion else None,
        gate=verdict.digest,
        id=f"{version.version}-{tools.clock.wall()}",
        simulated=tools.source is not None,
        approval=f"{tools.who}: {approve}" if approve else None,
        fresh=retry is not None,
    )
    if log_e(state) >= plan.log_limit:
        raise RefusedError(
            f"version {version.version} was rolled back, and its evidence still stands: {state.last.reason if state.last else ''}",
            hint="train another, or where the cause lay elsewhere: seatrial deploy --retry --reason '…'",
        )
    _refuse_repetition(state, version, champion, retry)
    store_bundle(load_bundle(project.bundle, expected=version.digest), store)
    if champion is not None:
        tools.registry.fetch_bundle(project, champion, store)
    desk.save(f"retried by {tools.who}: {retry}" if retry else "began", state)


def _refuse_repetition(state: State, version: RegisteredVersion, champion: RegisteredVersion | None, retry: str | None) -> None:
    """A bundle that failed, or that a person took back, does not return by running the same line again."""
    last = state.last
    if retry is not None or last is None or last.outcome is not Outcome.FAIL:
        return
    against = champion.digest if champion else None
    if (last.challenger.digest, last.champion.digest if last.champion else None) == (version.digest, against):
        raise RefusedError(
            f"version {version.version} was rolled back: {last.reason}",
            hint="train another, or where the cause lay elsewhere: seatrial deploy --retry --reason '…'",
        )


def _guarded(desk: Controller, tools: Tools, plan: Plan, *, resumed: bool) -> Deployed:
    """Drive, and whatever happens leave nothing half: the traffic goes back before the error goes up."""
    try:
        if resumed and desk.state.phase in (Phase.MIRROR, Phase.CANARY):
            desk.resume(plan)
            _start(tools)
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
    return _deployed(desk, plan)


def _give_back(desk: Controller, tools: Tools, outcome: Outcome, reason: str) -> None:
    desk.abandon(outcome, reason)
    if desk.state.phase is Phase.PROMOTING:
        tools.say("the promotion had begun: deploy again to finish it")


def _deployed(desk: Controller, plan: Plan) -> Deployed:
    if desk.state.phase is Phase.HELD:
        return Deployed(exit_code=3, message=f"{desk.state.reason}; give it: seatrial deploy --approve --reason '…'")
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
    verdict.save(desk.project.verdict("rollout"))
    return verdict


def drive(desk: Controller, tools: Tools, plan: Plan) -> None:
    """Tick until the rollout has ended, or a person has to say something."""
    desk.ended = None
    saved = tools.clock.monotonic()
    while True:
        now = tools.clock.monotonic()
        decision = advance(plan, desk.state, _look(desk, tools, plan), now)
        if decision.action is not Action.WAIT or now - saved >= SAVE_EVERY_S:
            desk.save(decision.reason, decision.state)
            saved = now
        desk.state = decision.state
        tools.show(plan, decision)
        if decision.action is Action.WAIT:
            tools.clock.sleep(max(0.0, (decision.until or now) - tools.clock.monotonic()))
            continue
        if decision.action is Action.HOLD:
            return
        _act(desk, tools, plan, decision)
        if desk.state.phase is Phase.IDLE:
            return


def _act(desk: Controller, tools: Tools, plan: Plan, decision: Decision) -> None:
    match decision.action:
        case Action.START:
            desk.start()
            challenger = desk.state.challenger
            if challenger is not None:
                smoke = tools.smoke(challenger, store_folder(desk.project.home, challenger))
                desk.state = replace(desk.state, smoke=smoke)
        case Action.ADVANCE:
            desk.expose(plan)
            _start(tools)
        case Action.PROMOTE:
            desk.promote()
        case Action.ROLL_BACK:
            desk.roll_back()


def _start(tools: Tools) -> None:
    if tools.source is not None:
        tools.source.start()


def _look(desk: Controller, tools: Tools, plan: Plan) -> Observation:
    """One look at the world; a signal that does not come is None, and advances nothing."""
    state = desk.state
    stop = _asked_to_stop(desk.project.home)
    if state.phase not in (Phase.MIRROR, Phase.CANARY):
        return Observation(stop=stop)
    stop = stop or (tools.source.problem() if tools.source else None)
    return Observation(counters=_counters(tools.endpoint, state), pairs=_pairs(tools, plan, state), stop=stop)


def _asked_to_stop(home: Path) -> str | None:
    try:
        asked = json.loads(stop_request(home).read_bytes())
        return f"asked for by {asked['who']}: {asked['reason']}"
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return "asked for by a person"


def _counters(endpoint: Endpoint, state: State) -> Counters | None:
    """The endpoint's counters of both sides; None where one is missing."""
    if state.champion is None or state.challenger is None:
        return None
    try:
        telemetry = endpoint.observe()
        side = telemetry.mirror if state.phase is Phase.MIRROR else telemetry.variants
        champion, challenger = telemetry.variants[state.champion.version], side[state.challenger.version]
    except (EndpointError, KeyError):
        return None
    return Counters(boot=telemetry.boot, champion=_counts(champion), challenger=_counts(challenger))


def _counts(traffic: Traffic) -> Counts:
    return Counts(requests=traffic.requests, failures=traffic.failures)


def _pairs(tools: Tools, plan: Plan, state: State) -> Pairs | None:
    """The answers to mirrored requests beside the champion's, once there are enough of them to compare."""
    if state.phase is not Phase.MIRROR or state.champion is None or state.challenger is None:
        return state.pairs
    if state.counts is None or state.counts.challenger.requests < plan.min_requests:
        return None
    return tools.compare(state.champion.version, state.challenger.version, state.waited)
