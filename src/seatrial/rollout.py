"""The rollout as a state machine: plan, state, observation and time go in, a decision with its reason in words comes out.

Pure: no process, file or clock is touched here. `advance` gives the next state with each decision; the controller saves that
state before it acts on it, so that it may die at any instant. Every doubt leads back to the champion, or, where the plan says
so, to a person.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from seatrial.judge import UNDECIDED_AFTER, Finding, failed_words, log_e, sum_up, weigh, worst_e
from seatrial.plan import Plan, Step
from seatrial.rollout_state import Evidence, Observation, Pause, Phase, State, give_up
from seatrial.verdict import Outcome

__all__ = ["Action", "Decision", "advance", "log_e"]

TICK_S = 0.25


class Action(StrEnum):
    """What the state machine asks for."""

    START = "start"
    WAIT = "wait"
    ADVANCE = "advance"
    HOLD = "hold"
    PROMOTE = "promote"
    ROLL_BACK = "roll back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do and why; `state` is to be saved before it is done. WAIT ends at `until` (monotonic)."""

    action: Action
    reason: str
    state: State
    log_e: float = 0.0
    log_limit: float = 0.0
    until: float | None = None


def advance(plan: Plan, state: State, observation: Observation, now: float) -> Decision:
    """Decide what is next; `now` is monotonic seconds."""
    if observation.stop is not None and state.phase in (Phase.HELD, Phase.STARTING, Phase.MIRROR, Phase.CANARY):
        return _back(plan, state, Outcome.INCONCLUSIVE, observation.stop)
    match state.phase:
        case Phase.IDLE:
            return Decision(action=Action.WAIT, reason="no rollout is under way", state=state, until=now + TICK_S)
        case Phase.HELD:
            return _held(state)
        case Phase.STARTING:
            return _started(plan, replace(state, smoke=observation.smoke or state.smoke), observation, now)
        case Phase.MIRROR | Phase.CANARY:
            return _watch(plan, state, observation, now)
        case Phase.PROMOTING:
            return Decision(action=Action.PROMOTE, reason=state.reason, state=state)
        case Phase.ROLLING_BACK:
            return Decision(action=Action.ROLL_BACK, reason=state.reason, state=state)


def _held(state: State) -> Decision:
    if state.approval is None:
        reason = "held: this environment needs a person's approval"
        return Decision(action=Action.HOLD, reason=reason, state=replace(state, reason=reason))
    return Decision(action=Action.START, reason=f"approved by {state.approval}", state=replace(state, phase=Phase.STARTING))


def _started(plan: Plan, state: State, observation: Observation, now: float) -> Decision:
    smoke = state.smoke
    if smoke is None:
        return Decision(action=Action.START, reason="start the challenger's servers and ask them the golden rows", state=state)
    if smoke.problem is not None:
        return _back(plan, state, Outcome.FAIL, f"smoke test: {smoke.problem}")
    if worst_e(state)[1] >= plan.log_limit:
        return _back(plan, state, Outcome.FAIL, "the evidence of its earlier rollout is against it")
    passed = f"smoke test: {smoke.rows} golden rows answered as promised"
    if observation.frozen is not None:
        return _wait(plan, state, observation.frozen, now)
    if state.champion is None and plan.promotes:
        return _promote(plan, state, "first release: the smoke test passed, and there is no champion to compare with")
    if state.champion is None:
        return _back(plan, state, Outcome.INCONCLUSIVE, f"{plan.strategy}: there is no champion whose requests could be mirrored")
    return _enter(plan, state, 0, passed, now)


def _enter(plan: Plan, state: State, index: int, reason: str, now: float) -> Decision:
    phase = Phase.MIRROR if plan.steps[index].mirrors else Phase.CANARY
    fresh = replace(
        state,
        phase=phase,
        step=index,
        baseline=None,
        counts=None,
        pairs=None,
        baked=0.0,
        waited=0.0,
        seen=now,
        reason=reason,
        step_done=None,
    )
    return Decision(action=Action.ADVANCE, reason=reason, state=fresh, log_e=worst_e(fresh)[1], log_limit=plan.log_limit)


def _promote(plan: Plan, state: State, reason: str) -> Decision:
    kept = (*state.evidence, state.counts) if state.counts else state.evidence
    ready = replace(state, phase=Phase.PROMOTING, outcome=Outcome.PASS, reason=reason, baseline=None, counts=None, evidence=kept)
    return Decision(
        action=Action.PROMOTE, reason=reason, state=replace(ready, pause=None), log_e=worst_e(ready)[1], log_limit=plan.log_limit
    )


def _back(plan: Plan, state: State, outcome: Outcome, reason: str) -> Decision:
    back = give_up(state, outcome, reason)
    return Decision(action=Action.ROLL_BACK, reason=reason, state=back, log_e=worst_e(back)[1], log_limit=plan.log_limit)


def _wait(plan: Plan, state: State, reason: str, now: float) -> Decision:
    return Decision(action=Action.WAIT, reason=reason, state=state, log_e=worst_e(state)[1], log_limit=plan.log_limit, until=now + TICK_S)


def _watch(plan: Plan, state: State, observation: Observation, now: float) -> Decision:
    """One look at a rollout that is under way: back by evidence first, then a person's word, then the step's own end."""
    state, sound = _looked(state, plan.steps[state.step], observation, now)
    step = plan.steps[state.step]
    if state.pause is not None and state.pause.withdrawn:
        return _paused(plan, state, state.pause, now)
    signal, evidence = worst_e(state, step)
    if evidence >= plan.log_limit:
        return _failed(plan, state, failed_words(step, state, signal, evidence, plan))
    if state.override is not None:
        return _promote(plan, state, state.override)
    if state.pause is not None:
        return _paused(plan, state, state.pause, now)
    if plan.deadline_s is not None and state.elapsed >= plan.deadline_s:
        return _back(plan, state, Outcome.INCONCLUSIVE, f"{step.name}: the rollout has lasted its {plan.deadline_s:g} s")
    if step.judges:
        return _judge(plan, step, state, sound, observation.frozen, now)
    return _attend(plan, step, state, observation.frozen, now)


def _looked(state: State, step: Step, observation: Observation, now: float) -> tuple[State, bool]:
    """The state after a look, and whether this step's counts are sound and of this moment."""
    passed = max(0.0, now - state.seen) if state.seen is not None else 0.0
    times = {name: getattr(state, name) + passed for name in ("baked", "waited", "elapsed")}
    mirrored = observation.pairs if step.mirrors and observation.pairs else state.mirrored
    state = replace(state, **times, seen=now, pairs=observation.pairs, mirrored=mirrored)
    if state.pause is not None:
        state = replace(state, pause=replace(state.pause, waited=state.pause.waited + passed))
    counters = observation.counters
    if counters is None:
        return state, False
    base = state.baseline
    if base is not None and base.boot == counters.boot:
        seen = Evidence(
            step=step.exposure, name=step.name, champion=counters.champion - base.champion, challenger=counters.challenger - base.challenger
        )
        if _grew(state.counts, seen):
            return replace(state, counts=seen), True
    # Counters began again: what was seen stays evidence against the challenger, and nothing of it is evidence for it.
    kept = (*state.evidence, state.counts) if state.counts else state.evidence
    return replace(state, evidence=kept, baseline=counters, counts=None, baked=0.0), False


def _grew(before: Evidence | None, after: Evidence) -> bool:
    start = before or Evidence(step=after.step)
    return (after.champion - start.champion).possible and (after.challenger - start.challenger).possible


def _judge(plan: Plan, step: Step, state: State, sound: bool, frozen: str | None, now: float) -> Decision:
    """The end of a step that ends by evidence: every ceiling kept, one surely not, or the limits of patience."""
    counts = state.counts or Evidence(step=step.exposure, name=step.name)
    if sound and counts.challenger.requests >= step.min_requests and state.baked >= (step.seconds or 0.0):
        findings = list(weigh(plan, state, counts))
        outcome, words = sum_up(findings)
        if outcome is Outcome.FAIL:
            return _failed(plan, state, words)
        if outcome is Outcome.PASS:
            return _passed(plan, state, _completed(counts, findings), words or f"{step.name}: nothing is asked of it", frozen, now)
        if _patience_is_over(step, state, counts):
            return _undecided(plan, state, f"{words}; undecided")
    if state.waited >= step.deadline_s:
        seen = f"{counts.challenger.requests} requests seen, {step.min_requests} are the least"
        return _undecided(plan, state, f"{step.name}: no decision within {step.deadline_s:g} s; {seen}")
    return _wait(plan, state, _waiting_words(step, state, counts, sound), now)


def _patience_is_over(step: Step, state: State, counts: Evidence) -> bool:
    """Whether more of the same would not decide it: enough requests, and enough answers compared, where they are."""
    compared = state.pairs is not None and state.pairs.asked >= step.min_requests
    needed = step.ceilings.shift is not None or (step.mirrors and step.ceilings.disagreement is not None)
    return counts.challenger.requests >= UNDECIDED_AFTER * step.min_requests and (compared or not needed)


def _completed(counts: Evidence, findings: list[Finding]) -> Evidence:
    bound = next((finding.bound for finding in findings if finding.bound is not None), None)
    return replace(counts, complete=True, bound=bound, words=tuple(finding.words for finding in findings))


def _passed(plan: Plan, state: State, counts: Evidence, reason: str, frozen: str | None, now: float) -> Decision:
    if frozen is not None:
        return _wait(plan, state, f"{reason}; {frozen}", now)
    return _go_on(plan, replace(state, evidence=(*state.evidence, counts), counts=None), reason, now)


def _go_on(plan: Plan, state: State, reason: str, now: float) -> Decision:
    """The next step; after the last one the challenger is promoted, or has only been watched."""
    if state.step + 1 < len(plan.steps):
        return _enter(plan, state, state.step + 1, reason, now)
    if plan.promotes:
        return _promote(plan, state, reason)
    return _back(plan, state, Outcome.PASS, f"{reason}; {plan.strategy} promotes nobody")


def _attend(plan: Plan, step: Step, state: State, frozen: str | None, now: float) -> Decision:
    """A step that ends by time (pause) or by a person (pause without a length, approve)."""
    kept = replace(state, evidence=(*state.evidence, state.counts) if state.counts else state.evidence, counts=None)
    if step.kind == "approve" and state.grant is not None and frozen is None:
        used = replace(kept, approval=state.grant.words, used=(*state.used, state.grant.nonce), grant=None)
        return _go_on(plan, used, f"approved by {state.grant.words}", now)
    if step.kind == "pause" and state.step_done is not None and frozen is None:
        return _go_on(plan, kept, f"resumed by {state.step_done}", now)
    if step.kind == "pause" and step.seconds is not None and state.waited >= step.seconds and frozen is None:
        return _go_on(plan, kept, f"{step.name}: paused for {step.seconds:g} s", now)
    if step.seconds is None and state.waited >= plan.hold_deadline_s:
        return _back(plan, state, Outcome.INCONCLUSIVE, f"{step.name}: nobody spoke within {plan.hold_deadline_s:g} s")
    words = f"{state.waited:.0f} of {step.seconds:g} s" if step.seconds is not None else "waits for a person"
    return _wait(plan, state, frozen or f"{step.name}: {words}", now)


def _failed(plan: Plan, state: State, reason: str) -> Decision:
    return _hold(plan, state, Outcome.FAIL, reason) if plan.on_fail == "hold" else _back(plan, state, Outcome.FAIL, reason)


def _undecided(plan: Plan, state: State, reason: str) -> Decision:
    hold = plan.on_inconclusive == "hold"
    return _hold(plan, state, Outcome.INCONCLUSIVE, reason) if hold else _back(plan, state, Outcome.INCONCLUSIVE, reason)


def _hold(plan: Plan, state: State, outcome: Outcome, reason: str) -> Decision:
    """Stop advancing and ask a person; after a failure all traffic is on the champion meanwhile."""
    held = replace(state, pause=Pause(reason=reason, outcome=outcome), reason=reason)
    return Decision(action=Action.ADVANCE, reason=f"held: {reason}", state=held, log_e=worst_e(held)[1], log_limit=plan.log_limit)


def _paused(plan: Plan, state: State, pause: Pause, now: float) -> Decision:
    if pause.waited >= plan.hold_deadline_s:
        outcome = pause.outcome or Outcome.INCONCLUSIVE
        return _back(plan, state, outcome, f"{pause.reason}; nobody spoke within {plan.hold_deadline_s:g} s")
    return _wait(plan, state, f"{'held' if pause.outcome else 'paused'}: {pause.reason}", now)


def _waiting_words(step: Step, state: State, counts: Evidence, sound: bool) -> str:
    seen = counts.challenger.requests
    if not sound:
        return f"{step.name}: no sound telemetry yet"
    if seen < step.min_requests:
        return f"{step.name}: {seen} of {step.min_requests} requests"
    if state.baked < (step.seconds or 0.0):
        return f"{step.name}: baked {state.baked:.0f} of {step.seconds:g} s"
    if step.mirrors and (state.pairs is None or state.pairs.asked < step.min_requests):
        return f"mirror: {state.pairs.asked if state.pairs else 0} of {step.min_requests} answers compared with the champion's"
    return f"{step.name}: {seen} requests, not decided yet"
