"""Who may begin a rollout: the bundle that the gate passed, byte for byte, against the champion that it was compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.errors import BundleError, RefusedError, VerdictError
from seatrial.handover import refuse_other_bytes
from seatrial.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from seatrial.adapters.registry import RegisteredVersion
    from seatrial.control import Registry
    from seatrial.project import Project
    from seatrial.rollout_state import State


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
    """The digest of the bundle in `artifacts/model`, every byte hashed; RefusedError unless verdict and handover name it."""
    from seatrial.bundle import read_digest

    try:
        digest = read_digest(project.bundle)
    except BundleError as error:
        raise RefusedError(f"artifacts/model does not hold the bundle that the gate passed: {error.message}", hint=error.hint) from None
    refuse_other_bytes(project.env, digest)
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


def refuse_repetition(state: State, version: RegisteredVersion, champion: RegisteredVersion | None, retry: str | None) -> None:
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
