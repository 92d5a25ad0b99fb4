"""Which jobs and steps run here, and why the others do not: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from seatrial.ci.expressions import STATUS
from seatrial.ci.pipeline import Context, ExpressionError, Job, Language, Step

SUCCESS, FAILURE, SKIPPED = "success", "failure", "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """What may act on the world: environments, rights to write and manual jobs by name; `ephemeral` rehearses environments instead.

    `only` names the jobs that are asked for, all where it is empty.
    """

    names: frozenset[str] = frozenset()
    ephemeral: bool = False
    only: frozenset[str] = frozenset()


def why_no_job(job: Job, language: Language, context: Context, *, results: Mapping[str, str], allowed: Allowed) -> str:
    """Why a job does not run here; empty where it runs. `results` has how the jobs before it ended."""
    if allowed.only and job.id not in allowed.only:
        return "it was not asked for"
    if job.why_not:
        return job.why_not
    if acts := _acts(job, allowed):
        return acts
    undone = [need for need in job.needs if results.get(need) != SUCCESS]
    waits = bool(undone) and not any(f"{name}(" in job.condition for name in STATUS)
    if waits:
        return f"it needs {undone[0]!r}, which " + ("failed" if results.get(undone[0]) == FAILURE else "did not run")
    return _condition(job.condition, language, context, failed=any(results.get(need) == FAILURE for need in job.needs))


def why_no_step(step: Step, language: Language, context: Context, *, failed: bool) -> str:
    """Why a step does not run; empty where it runs."""
    if failed and not step.condition:
        return "a step before it failed"
    return _condition(step.condition, language, context, failed=failed)


def _acts(job: Job, allowed: Allowed) -> str:
    """Why a job that changes something outside is left out, unless it was asked for."""
    if job.environment and not allowed.ephemeral and job.environment not in allowed.names:
        return f"it acts on the environment {job.environment!r}: --allow {job.environment} runs it, --ephemeral rehearses it"
    if job.manual and not allowed.ephemeral and not allowed.names & {job.id, job.environment}:
        return f"a person starts it: --allow {job.id}"
    refused = [right for right in job.writes if right not in allowed.names]
    return f"it may write {refused[0]!r} at the forge: --allow {refused[0]} runs it" if refused else ""


def _condition(condition: str, language: Language, context: Context, *, failed: bool) -> str:
    try:
        holds = language.holds(condition, context, failed=failed)
    except ExpressionError as error:
        return f"its condition cannot be evaluated here: {error}"
    return "" if holds else f"its condition does not hold: {' '.join(condition.split())}" if condition else "something before it failed"
