"""What a person says to a rollout: approve, pause, resume, promote now. Heard by its controller, or by nobody and then applied here.

A word is a file in `<home>/words/` until the controller has heard it; the answer lies beside it. Where no controller is at work,
who speaks takes the lock and applies the word to the journal's last state.
"""

from __future__ import annotations

import datetime as dt
import json
import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.errors import BusyError, RefusedError, SeatrialError, UsageError
from seatrial.failpoints import failpoint
from seatrial.files import pretty_json, write_atomic
from seatrial.plan import Plan
from seatrial.rollout_state import Grant, Pause, Phase, State

if TYPE_CHECKING:
    from seatrial.control import Controller
    from seatrial.project import Project
    from seatrial.tools import Tools

PATIENCE_S = 15.0
POLL_S = 0.05
MOVING = (Phase.STARTING, Phase.MIRROR, Phase.CANARY)


class Word(StrEnum):
    """What can be said."""

    APPROVE = "approve"
    PAUSE = "pause"
    RESUME = "resume"
    PROMOTE = "promote"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One word: who says it and why, when (UTC, ISO), and a number that is used once."""

    word: Word
    who: str
    reason: str
    time: str
    nonce: str

    @property
    def words(self) -> str:
        """Who, and why."""
        return f"{self.who}: {self.reason}"


def hear(plan: Plan, state: State, said: Said, *, environment: str, hours: float) -> tuple[State, str]:
    """The state after a word, and the sentence that answers it; RefusedError says why it cannot be done. Pure.

    An approval is of this bundle under this verdict in this environment, for so many `hours`, and is used once.
    """
    if state.phase is Phase.IDLE or state.challenger is None:
        raise RefusedError("no rollout is under way", hint="see nox -s status, or nox -s history for earlier ones")
    match said.word:
        case Word.APPROVE:
            return _approve(plan, state, said, environment, hours)
        case Word.PAUSE:
            return _pause(state, said)
        case Word.RESUME:
            return _resume(plan, state, said)
        case Word.PROMOTE:
            return _promote(plan, state, said)


def _approve(plan: Plan, state: State, said: Said, environment: str, hours: float) -> tuple[State, str]:
    if plan.four_eyes and said.who == state.started_by:
        raise RefusedError(
            f"{said.who} started this rollout, and rollout.four_eyes asks for another person's approval",
            hint="let somebody else run: nox -s approve",
        )
    ahead = [step for step in plan.steps[state.step :] if step.kind == "approve"]
    if state.phase is not Phase.HELD and not (ahead and state.phase in MOVING):
        raise RefusedError(f"nothing waits for an approval: the rollout is {state.phase}", hint="see nox -s status")
    if state.challenger is None or said.nonce in state.used:
        raise RefusedError("this approval was used already", hint="approve again: nox -s approve")
    until = dt.datetime.fromisoformat(said.time) + dt.timedelta(hours=hours)
    grant = Grant(
        bundle=state.challenger.digest,
        gate=state.gate,
        environment=environment,
        who=said.who,
        reason=said.reason,
        until=until.isoformat(timespec="seconds"),
        nonce=said.nonce,
    )
    words = f"version {state.challenger.version} is approved by {said.words}, once, until {grant.until}"
    return replace(state, grant=grant), f"{words}; go on with: nox -s deploy" if state.phase is Phase.HELD else words


def _pause(state: State, said: Said) -> tuple[State, str]:
    if state.phase not in MOVING:
        raise RefusedError(f"the rollout is {state.phase}: there is nothing to pause", hint="nox -s rollback returns all traffic")
    if state.pause is not None:
        raise RefusedError(f"it is paused already: {state.pause.reason}", hint="nox -s resume goes on")
    return replace(state, pause=Pause(reason=said.words)), "paused: it is watched, and goes back if it misbehaves, but does not advance"


def _resume(plan: Plan, state: State, said: Said) -> tuple[State, str]:
    waits = state.phase in MOVING and plan.steps[state.step].kind == "pause" and plan.steps[state.step].seconds is None
    if state.pause is None and not waits:
        raise RefusedError("it is not paused", hint="see nox -s status")
    if state.pause is not None and state.pause.withdrawn:
        raise RefusedError(
            f"it is held because it failed: {state.pause.reason}",
            hint="nox -s abort ends it; where the cause lay elsewhere: seatrial deploy --retry --reason '…'",
        )
    if state.pause is None:
        return replace(state, step_done=said.words), f"going on, says {said.words}"
    kept = (*state.evidence, state.counts) if state.counts else state.evidence
    fresh = replace(state, pause=None, evidence=kept, counts=None, baseline=None, pairs=None, baked=0.0, waited=0.0)
    return fresh, f"going on, says {said.words}; the step begins anew"


def _promote(plan: Plan, state: State, said: Said) -> tuple[State, str]:
    if state.phase not in (Phase.MIRROR, Phase.CANARY) or not plan.promotes:
        raise RefusedError(f"nothing can be promoted now: the rollout is {state.phase}, by the strategy {plan.strategy}")
    if state.pause is not None and state.pause.withdrawn:
        raise RefusedError(f"it failed: {state.pause.reason}", hint="nox -s abort, then seatrial deploy --retry --reason '…'")
    if any(step.kind == "approve" for step in plan.steps[state.step :]) and state.grant is None:
        raise RefusedError("an approval is still to come, and promoting does not replace it", hint="first: nox -s approve")
    words = f"promoted at once by {said.words}"
    return replace(state, override=words), words


def expire(state: State, wall: str) -> State:
    """Without an approval whose time is over; `wall` is now, ISO with its zone."""
    grant = state.grant
    if grant is None or dt.datetime.fromisoformat(wall) < dt.datetime.fromisoformat(grant.until):
        return state
    return replace(state, grant=None)


def granted(state: State, *, bundle: str, gate: str, environment: str, wall: str) -> Grant | None:
    """The approval that a held rollout was given, if it is of exactly this and its time is not over."""
    grant = expire(state, wall).grant
    binds = grant is not None and (grant.bundle, grant.gate, grant.environment) == (bundle, gate, environment)
    return grant if binds and grant is not None and grant.nonce not in state.used else None


def folder(home: Path) -> Path:
    """Where words wait to be heard."""
    return home / "words"


def listen(desk: Controller, plan: Plan) -> None:
    """Hear every word that waits, in the order they were said; the new state is durable before the answer is given."""
    for path in sorted(folder(desk.project.home).glob("*.json")):
        said = _read(path)
        try:
            if said is None:
                raise UsageError(f"{path.name} is no word that this version understands")
            answer = {"answer": take(desk, plan, said)}
        except SeatrialError as error:
            answer = {"refused": error.message, "hint": error.hint or ""}
        failpoint("word.heard")
        write_atomic(path.with_suffix(".answer"), pretty_json(answer))
        failpoint("word.answered")
        path.unlink(missing_ok=True)


def take(desk: Controller, plan: Plan, said: Said) -> str:
    """Apply one word for the holder of the journal; gives its sentence."""
    rollout = desk.project.settings.rollout
    environment = desk.project.settings.environment
    if desk.state.plan not in ("", plan.digest):
        raise RefusedError("params.yaml has another plan than this rollout began with", hint="put it back, or nox -s abort")
    state, answer = hear(plan, desk.state, said, environment=environment, hours=rollout.approval_hours)
    desk.save(f"{said.word} by {said.words}", state)
    desk.say(answer)
    return answer


def _read(path: Path) -> Said | None:
    try:
        found = json.loads(path.read_bytes())
        return Said(**{**found, "word": Word(found["word"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def speak(project: Project, tools: Tools, word: Word, reason: str) -> str:
    """Say a word to the rollout that is under way; gives its answer.

    Raises RefusedError where it cannot be done, UsageError without a reason, BusyError where a controller is at work and does
    not hear it.
    """
    from seatrial.deploy import desk_for
    from seatrial.journal import controller

    if not reason.strip():
        raise UsageError(f"{word} is a person's word: it needs a reason", hint="add --reason '…'")
    said = Said(word=word, who=tools.who, reason=reason.strip(), time=tools.clock.wall(), nonce=secrets.token_hex(8))
    try:
        with controller(project.home, str(word)) as journal:
            return take(desk_for(project, tools, journal), Plan.of(project.settings.rollout), said)
    except BusyError as busy:
        answer = next(_answers(project, tools, said), None)
        if answer is None:
            raise busy from None
    if "refused" in answer:
        raise RefusedError(answer["refused"], hint=answer.get("hint") or None)
    return answer["answer"]


def _answers(project: Project, tools: Tools, said: Said) -> Iterator[dict[str, str]]:
    """Leave the word for the controller that is at work, and wait for its answer; a word that nobody heard is taken back."""
    path = folder(project.home) / f"{dt.datetime.fromisoformat(said.time).timestamp():.6f}-{said.nonce}.json"
    write_atomic(path, pretty_json(asdict(said)))
    end, answered = tools.clock.monotonic() + PATIENCE_S, path.with_suffix(".answer")
    while tools.clock.monotonic() < end:
        with suppress(FileNotFoundError):
            found: dict[str, str] = json.loads(answered.read_bytes())
            answered.unlink(missing_ok=True)
            yield found
            return
        tools.clock.sleep(POLL_S)
    path.unlink(missing_ok=True)
