"""A rollout's verdict: what each step saw, and why the challenger was promoted or sent back."""

from __future__ import annotations

from seatrial.judge import worst_e
from seatrial.plan import Plan, Step
from seatrial.rollout_state import Evidence, Phase, State
from seatrial.verdict import Check, Outcome, Verdict


def rollout_verdict(plan: Plan, state: State) -> Verdict:
    """The verdict on a rollout that has ended; `state` is the one in which it ended, promoting or rolling back."""
    checks = [
        _smoke(state),
        *_steps(plan, state),
        _e_value(plan, state),
        _unchecked(plan),
        _override(state),
        _source(state),
        _decision(state),
    ]
    return Verdict(kind="rollout", subject=subject_of(state), checks=tuple(check for check in checks if check is not None))


def subject_of(state: State) -> dict[str, str | None]:
    """What a rollout's verdict is about."""
    return {
        "bundle": state.challenger.digest if state.challenger else None,
        "champion": state.champion.digest if state.champion else None,
        "plan": state.plan,
        "gate": state.gate,
    }


def _smoke(state: State) -> Check | None:
    smoke = state.smoke
    if smoke is None:
        return None
    outcome = Outcome.PASS if smoke.problem is None else Outcome.FAIL
    message = smoke.problem or f"{smoke.rows} golden rows answered as the bundle promises"
    return Check(name="smoke.golden", outcome=outcome, message=message, observed=smoke.worst)


def _steps(plan: Plan, state: State) -> list[Check]:
    """One check for each step's last evidence, in the plan's order; a step that was never reached has none."""
    found = {part.name: part for part in state.evidence}
    skipped = state.override is not None
    checks = [_step(step, found[step.name], skipped=skipped) for step in plan.steps if step.judges and step.name in found]
    return [*checks, *_mirrored(plan, state)]


def _mirrored(plan: Plan, state: State) -> list[Check]:
    step, pairs = next((step for step in plan.steps if step.mirrors), None), state.mirrored
    if pairs is None or step is None or step.ceilings.disagreement is None:
        return []
    share, limit = pairs.differing / max(1, pairs.asked), step.ceilings.disagreement
    outcome = Outcome.INCONCLUSIVE if pairs.asked < step.min_requests else Outcome.PASS if share <= limit else Outcome.FAIL
    message = f"{pairs.differing} of {pairs.asked} mirrored requests got another label than the champion's"
    return [Check(name="mirror.disagreement", outcome=outcome, observed=share, limit=limit, message=message)]


def _step(step: Step, part: Evidence, *, skipped: bool) -> Check:
    name = "step." + ("mirror" if step.mirrors else f"{step.weight:03d}") + (".bake" if step.kind == "bake" else "")
    seen = (
        f"{part.challenger.requests} requests, {part.challenger.failures} failures; "
        f"champion {part.champion.requests}, {part.champion.failures}"
    )
    limit = step.ceilings.increase
    if not part.complete:
        return Check(name=name, outcome=Outcome.INCONCLUSIVE, limit=limit, message=f"{seen}; not completed", advisory=skipped)
    if part.bound is None or limit is None:
        return Check(name=name, outcome=Outcome.PASS, message=f"{seen}; how often it fails is not asked about")
    message = f"{seen}; it fails at most {part.bound:.2%} more often (95 %), allowed is {limit:.2%}"
    return Check(name=name, outcome=Outcome.PASS, observed=part.bound, limit=limit, message=message)


def _unchecked(plan: Plan) -> Check | None:
    if not plan.allow_unchecked:
        return None
    message = "rollout.allow_unchecked is set: a rollout without any ceiling would be let through"
    return Check(name="rollout.unchecked", outcome=Outcome.INCONCLUSIVE, message=message, advisory=True)


def _e_value(plan: Plan, state: State) -> Check | None:
    if not state.evidence:
        return None
    signal, found = worst_e(state)
    outcome = Outcome.FAIL if found >= plan.log_limit else Outcome.PASS
    counted = sum(getattr(part.challenger, signal) for part in state.evidence)
    what = {"failures": "failures", "slow": "slow answers", "broken": "broken answers"}[signal]
    message = f"{counted} {what} of the challenger: logarithm of the e-value {found:.2f}, it goes back at {plan.log_limit:.2f}"
    return Check(name="rollout.log_e_value", outcome=outcome, observed=found, limit=plan.log_limit, message=message)


def _override(state: State) -> Check | None:
    """A person's word in place of the steps that were left: they are shown, and do not decide."""
    return Check(name="rollout.override", outcome=Outcome.PASS, message=state.override) if state.override else None


def _source(state: State) -> Check:
    words = "replayed requests (simulated: yes)" if state.simulated else "the endpoint's own traffic (simulated: no)"
    return Check(
        name="rollout.traffic", outcome=Outcome.PASS, observed="simulated" if state.simulated else "live", message=f"judged on {words}"
    )


def _decision(state: State) -> Check:
    outcome = state.outcome or Outcome.INCONCLUSIVE
    words = "promoted" if state.phase is Phase.PROMOTING else "withdrawn" if outcome is Outcome.PASS else "rolled back"
    return Check(name="rollout.decision", outcome=outcome, message=f"{words}: {state.reason}")
