"""A rollout's verdict: what each step saw, and why the challenger was promoted or sent back."""

from __future__ import annotations

from seatrial.rollout import log_e
from seatrial.rollout_state import Evidence, Plan, State
from seatrial.verdict import Check, Outcome, Verdict


def rollout_verdict(plan: Plan, state: State) -> Verdict:
    """The verdict on a rollout that has ended; `state` is the one in which it ended, promoting or rolling back."""
    checks = [_smoke(state), *_steps(plan, state), _e_value(plan, state), _source(state), _decision(state)]
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
    found = {part.step: part for part in state.evidence}
    checks = [_step(plan, found[step]) for step in plan.steps if step in found]
    if state.pairs is not None and "mirror" in plan.steps:
        share = state.pairs.differing / max(1, state.pairs.asked)
        enough = state.pairs.asked >= plan.min_requests
        outcome = Outcome.INCONCLUSIVE if not enough else Outcome.PASS if share <= plan.max_disagreement else Outcome.FAIL
        message = f"{state.pairs.differing} of {state.pairs.asked} mirrored requests got another label than the champion's"
        checks.append(Check(name="mirror.disagreement", outcome=outcome, observed=share, limit=plan.max_disagreement, message=message))
    return checks


def _step(plan: Plan, part: Evidence) -> Check:
    name = "step.mirror" if part.step == "mirror" else f"step.{part.step:03d}"
    seen = (
        f"{part.challenger.requests} requests, {part.challenger.failures} failures; "
        f"champion {part.champion.requests}, {part.champion.failures}"
    )
    if part.complete and part.bound is not None:
        message = f"{seen}; it fails at most {part.bound:.2%} more often (95 %), allowed is {plan.max_increase:.2%}"
        return Check(name=name, outcome=Outcome.PASS, observed=part.bound, limit=plan.max_increase, message=message)
    return Check(name=name, outcome=Outcome.INCONCLUSIVE, limit=plan.max_increase, message=f"{seen}; not completed")


def _e_value(plan: Plan, state: State) -> Check | None:
    if not state.evidence:
        return None
    found = log_e(state)
    outcome = Outcome.FAIL if found >= plan.log_limit else Outcome.PASS
    failures = sum(part.challenger.failures for part in state.evidence)
    message = f"{failures} failures of the challenger: logarithm of the e-value {found:.2f}, it goes back at {plan.log_limit:.2f}"
    return Check(name="rollout.log_e_value", outcome=outcome, observed=found, limit=plan.log_limit, message=message)


def _source(state: State) -> Check:
    words = "replayed requests (simulated: yes)" if state.simulated else "the endpoint's own traffic (simulated: no)"
    return Check(
        name="rollout.traffic", outcome=Outcome.PASS, observed="simulated" if state.simulated else "live", message=f"judged on {words}"
    )


def _decision(state: State) -> Check:
    outcome = state.outcome or Outcome.INCONCLUSIVE
    words = "promoted" if outcome is Outcome.PASS else "rolled back"
    return Check(name="rollout.decision", outcome=outcome, message=f"{words}: {state.reason}")
