"""The rollout as a state machine: plan, state, observation and time go in, a decision with its reason in words comes out.

Pure: no process, file or clock is touched here. `advance` gives the next state with each decision; the controller saves that
state before it acts on it, so that it may die at any instant. Every doubt leads back to the champion.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

from seatrial.rollout_state import Counts, Evidence, Observation, Phase, Plan, State, Step, give_up
from seatrial.verdict import Outcome

TICK_S = 0.2
CONFIDENCE = 0.95
UNDECIDED_AFTER = 3
"""A step that has seen so many times `min_requests` without a decision is inconclusive."""
EXCUSED = 0.1
"""The champion's failures excuse the challenger's up to this rate: a champion that crashes promotes nobody."""


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


def log_e(state: State) -> float:
    """Logarithm of the e-value over all steps that both sides had a share of."""
    from seatrial.statistics import log_e_value

    seen = [*state.evidence, *([state.counts] if state.counts else [])]
    steps = [(part.share, part.champion.failures, part.challenger.failures) for part in seen if part.share < 1]
    return log_e_value(steps) if any(champion + challenger for _, champion, challenger in steps) else 0.0


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
            return _started(plan, replace(state, smoke=observation.smoke or state.smoke), now)
        case Phase.MIRROR | Phase.CANARY:
            return _judge(plan, *_looked(state, plan.steps[state.step], observation, now), now)
        case Phase.PROMOTING:
            return Decision(action=Action.PROMOTE, reason=state.reason, state=state)
        case Phase.ROLLING_BACK:
            return Decision(action=Action.ROLL_BACK, reason=state.reason, state=state)


def _held(state: State) -> Decision:
    if state.approval is None:
        reason = "held: this environment needs a person's approval"
        return Decision(action=Action.HOLD, reason=reason, state=replace(state, reason=reason))
    return Decision(action=Action.START, reason=f"approved by {state.approval}", state=replace(state, phase=Phase.STARTING))


def _started(plan: Plan, state: State, now: float) -> Decision:
    smoke = state.smoke
    if smoke is None:
        return Decision(action=Action.START, reason="start the challenger's servers and ask them the golden rows", state=state)
    if smoke.problem is not None:
        return _back(plan, state, Outcome.FAIL, f"smoke test: {smoke.problem}")
    if log_e(state) >= plan.log_limit:
        return _back(plan, state, Outcome.FAIL, "the evidence of its earlier rollout is against it")
    if state.champion is None:
        return _promote(plan, state, "first release: the smoke test passed, and there is no champion to compare with")
    return _enter(plan, state, 0, f"smoke test: {smoke.rows} golden rows answered as promised", now)


def _enter(plan: Plan, state: State, index: int, reason: str, now: float) -> Decision:
    phase = Phase.MIRROR if plan.steps[index] == "mirror" else Phase.CANARY
    fresh = replace(state, phase=phase, step=index, baseline=None, counts=None, baked=0.0, waited=0.0, seen=now, reason=reason)
    return Decision(action=Action.ADVANCE, reason=reason, state=fresh, log_e=log_e(fresh), log_limit=plan.log_limit)


def _promote(plan: Plan, state: State, reason: str) -> Decision:
    ready = replace(state, phase=Phase.PROMOTING, outcome=Outcome.PASS, reason=reason, baseline=None, counts=None)
    return Decision(action=Action.PROMOTE, reason=reason, state=ready, log_e=log_e(ready), log_limit=plan.log_limit)


def _back(plan: Plan, state: State, outcome: Outcome, reason: str) -> Decision:
    back = give_up(state, outcome, reason)
    return Decision(action=Action.ROLL_BACK, reason=reason, state=back, log_e=log_e(back), log_limit=plan.log_limit)


def _looked(state: State, step: Step, observation: Observation, now: float) -> tuple[State, bool]:
    """The state after a look, and whether this step's counts are sound and of this moment."""
    passed = max(0.0, now - state.seen) if state.seen is not None else 0.0
    state = replace(state, baked=state.baked + passed, waited=state.waited + passed, seen=now, pairs=observation.pairs)
    counters = observation.counters
    if counters is None:
        return state, False
    base = state.baseline
    if base is not None and base.boot == counters.boot:
        counts = Evidence(step=step, champion=counters.champion - base.champion, challenger=counters.challenger - base.challenger)
        if _grew(state.counts, counts):
            return replace(state, counts=counts), True
    # Counters began again: what was seen stays evidence against the challenger, and nothing of it is evidence for it.
    kept = (*state.evidence, state.counts) if state.counts else state.evidence
    return replace(state, evidence=kept, baseline=counters, counts=None, baked=0.0), False


def _grew(before: Evidence | None, after: Evidence) -> bool:
    start = before or Evidence(step=after.step)
    return (after.champion - start.champion).possible and (after.challenger - start.challenger).possible


def _judge(plan: Plan, state: State, sound: bool, now: float) -> Decision:
    """A step's decision: the e-process first, then the advance rule, then the limits of patience."""
    evidence = log_e(state)
    if evidence >= plan.log_limit:
        return _back(plan, state, Outcome.FAIL, _failed_words(plan, state, evidence))
    counts = state.counts or Evidence(step=plan.steps[state.step])
    enough = sound and counts.challenger.requests >= plan.min_requests and state.baked >= plan.bake_seconds
    if enough:
        decision = _weigh(plan, state, counts, now)
        if decision is not None:
            return decision
    if state.waited >= plan.step_deadline_s:
        seen = counts.challenger.requests
        reason = (
            f"{_name(counts.step)}: no decision within {plan.step_deadline_s:g} s; {seen} requests seen, {plan.min_requests} are the least"
        )
        return _back(plan, state, Outcome.INCONCLUSIVE, reason)
    words = _waiting_words(plan, state, counts, sound)
    return Decision(action=Action.WAIT, reason=words, state=state, log_e=evidence, log_limit=plan.log_limit, until=now + TICK_S)


def _weigh(plan: Plan, state: State, counts: Evidence, now: float) -> Decision | None:
    """The decision that a step's counts allow; None where they leave it open."""
    challenger, champion = counts.challenger, _champion_side(plan, state, counts)
    increase = _bound(challenger, champion, CONFIDENCE)
    if counts.step == "mirror" and (decision := _disagree(plan, state)) is not None:
        return decision
    agreed = counts.step != "mirror" or (state.pairs is not None and state.pairs.asked >= plan.min_requests)
    if increase < plan.max_increase and agreed:
        return _passed_step(plan, state, replace(counts, complete=True, bound=increase), now)
    if counts.step == 100 and -_bound(champion, challenger, 1 - plan.alpha / 3) > plan.max_increase:
        return _back(plan, state, Outcome.FAIL, f"{_rates(counts, champion)}: it fails more than {plan.max_increase:.1%} more often")
    if challenger.requests >= UNDECIDED_AFTER * plan.min_requests and agreed:
        reason = f"{_rates(counts, champion)}: the increase may be {increase:.2%}, allowed is {plan.max_increase:.2%}; undecided"
        return _back(plan, state, Outcome.INCONCLUSIVE, reason)
    return None


def _passed_step(plan: Plan, state: State, counts: Evidence, now: float) -> Decision:
    done = replace(state, evidence=(*state.evidence, counts), counts=None)
    reason = (
        f"{_rates(counts, _champion_side(plan, state, counts))}: the increase is below {counts.bound:.2%} (allowed {plan.max_increase:.2%})"
    )
    if state.step + 1 == len(plan.steps):
        return _promote(plan, done, reason)
    return _enter(plan, done, state.step + 1, reason, now)


def _disagree(plan: Plan, state: State) -> Decision | None:
    pairs = state.pairs
    if pairs is None or pairs.asked < plan.min_requests or pairs.differing <= plan.max_disagreement * pairs.asked:
        return None
    reason = (
        f"mirror: {pairs.differing} of {pairs.asked} requests got another label than the champion's (allowed {plan.max_disagreement:.0%})"
    )
    return _back(plan, state, Outcome.FAIL, reason)


def _champion_side(plan: Plan, state: State, counts: Evidence) -> Counts:
    """What the challenger is compared with.

    The champion in the same step; where that saw too little (at weight 100 nothing), all steps of this rollout together;
    where that is too little too, a champion that never failed. Its failures count up to the rate EXCUSED.
    """
    found = counts.champion
    if found.requests < plan.min_requests:
        found = sum((part.champion for part in state.evidence if part.complete), found)
    if found.requests < plan.min_requests:
        found = Counts(requests=max(found.requests, counts.challenger.requests), failures=0)
    return replace(found, failures=min(found.failures, math.floor(EXCUSED * found.requests)))


def _bound(one: Counts, other: Counts, confidence: float) -> float:
    """One-sided upper bound of `one`'s failure rate minus `other`'s."""
    from seatrial.statistics import increase_upper_bound

    return increase_upper_bound(
        min(one.failures, one.requests), one.requests, min(other.failures, other.requests), other.requests, confidence
    )


def _name(step: Step) -> str:
    return "mirror" if step == "mirror" else f"{step} %"


def _rates(counts: Evidence, champion: Counts) -> str:
    challenger = counts.challenger
    return (
        f"{_name(counts.step)}: {challenger.failures} of {challenger.requests} requests failed, "
        f"{champion.failures} of {champion.requests} of the champion's"
    )


def _failed_words(plan: Plan, state: State, evidence: float) -> str:
    counts = state.counts or Evidence(step=plan.steps[state.step])
    return f"{_rates(counts, counts.champion)}: e-value {_e(evidence)} against a limit of {_e(plan.log_limit)}"


def _e(logarithm: float) -> str:
    """An e-value in words, from its logarithm."""
    return f"{math.exp(logarithm):.3g}" if logarithm < 30 else f"10^{logarithm / math.log(10):.0f}"


def _waiting_words(plan: Plan, state: State, counts: Evidence, sound: bool) -> str:
    if not sound:
        return f"{_name(counts.step)}: no sound telemetry yet"
    seen = counts.challenger.requests
    if seen < plan.min_requests:
        return f"{_name(counts.step)}: {seen} of {plan.min_requests} requests"
    if state.baked < plan.bake_seconds:
        return f"{_name(counts.step)}: baked {state.baked:.0f} of {plan.bake_seconds:g} s"
    if counts.step == "mirror" and (state.pairs is None or state.pairs.asked < plan.min_requests):
        return f"mirror: {state.pairs.asked if state.pairs else 0} of {plan.min_requests} answers compared with the champion's"
    return f"{_name(counts.step)}: {seen} requests, not decided yet"
