"""From one environment to another: the same bytes, with the verdict and the rollout that speak for them.

Both environments are registered models of one MLflow server, so version and run are the same bundle's; what moves is the right to ask
for traffic. `objection` and `stands` decide, `transfer` acts.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seatrial.adapters.registry_doors import FROM_TAG
from seatrial.errors import BytesGoneError, RefusedError, RegistryError, UsageError
from seatrial.files import canonical_json, sha256_json
from seatrial.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from seatrial.adapters.registry import RegisteredVersion
    from seatrial.project import Project

PROMOTED = "promoted"
EVIDENCE_TAG, BY_TAG, AT_TAG = "seatrial.transferred_evidence", "seatrial.transferred_by", "seatrial.transferred_at"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What the environment of origin says of a version: its gate's verdict, and the newest rollout about its bundle."""

    environment: str
    version: RegisteredVersion
    verdict: Verdict | None
    rollout: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transferred:
    """Where a version went: its number there, whether something changed, and whether it may be deployed without another gate."""

    version: int
    fresh: bool
    stands: bool


def objection(origin: Origin) -> str | None:
    """Why a version may not leave its environment; None where nothing speaks against it."""
    version, rollout, verdict = origin.version, origin.rollout, origin.verdict
    who = f"version {version.version} of {origin.environment!r}"
    if verdict is None:
        return f"{who}: the gate's verdict {version.gate[:19] or 'none'} is not kept beside its run"
    if verdict.digest != version.gate or verdict.subject.get("bundle") != version.digest or verdict.outcome is not Outcome.PASS:
        return f"{who}: the kept verdict is no pass of this bundle under the digest of its tag"
    if rollout is None:
        return f"{who} was never taken live there"
    if rollout.get("bundle") != version.digest:
        return f"{who}: its rollout is about another bundle, {rollout.get('bundle')}"
    if rollout.get("event") != PROMOTED:
        return f"{who} went back: {rollout.get('reason') or 'no reason is recorded'}"
    if rollout.get("simulated") is not False:
        return f"{who} was judged on replayed traffic (simulated), which says nothing about another environment"
    return None


def stands(verdict: Verdict, *, policy: str, champion: str | None, anchor: str | None) -> bool:
    """Whether a verdict answers what another environment would ask: the same policy, against the same champion and anchor."""
    asked = {"policy": policy, "champion": champion, "anchor": anchor}
    return all(verdict.subject.get(name) == value for name, value in asked.items())


def transfer(source: Project, target: Project, *, number: int | None, who: str, now: dt.datetime) -> Transferred:
    """Bring the champion of `source`, or the version `number`, into the registered model of `target`.

    The bytes are fetched from the registry and hashed. `challenger` moves to the version where its verdict stands in `target` too;
    otherwise the gate has to be asked there. Done twice it is as done once. Raises RefusedError where the evidence does not carry,
    RegistryError or BundleError where something cannot be had.
    """
    from seatrial.adapters import registry
    from seatrial.store import store_bundle

    _check_pair(source, target)
    version = registry.champion_of(source) if number is None else registry.version_of(source, number)
    origin = Origin(environment=source.environment, version=version, verdict=_verdict(source, version), rollout=_rollout(source, version))
    reason = objection(origin)
    if reason is not None or origin.verdict is None:
        raise RefusedError(f"not transferred: {reason}", hint=f"take it live in {source.environment!r}, or name another with --version")
    bundle = registry.download_bundle(source, version)
    store_bundle(bundle, target.home / "store")
    holds = _stands(source, target, origin.verdict)
    found = registry.find_version(target, version.digest)
    if found is not None and found.gate and found.gate != version.gate:
        holds = False  # it was gated there, and that verdict is the one that counts
    fresh, there = _put(target, origin, holds=holds, who=who, now=now)
    if holds:
        origin.verdict.save(target.verdict("gate"))
    return Transferred(version=there.version, fresh=fresh, stands=holds)


def _check_pair(source: Project, target: Project) -> None:
    from seatrial.adapters.registry import registry_uri, shown

    if source.environment == target.environment:
        raise UsageError(f"--from and --to are both {source.environment!r}")
    for project in (source, target):
        if project.environment == "ephemeral":
            raise UsageError("what is ephemeral is judged on replayed traffic and forgotten: nothing is transferred from or to it")
    here, there = registry_uri(source), registry_uri(target)
    if here != there:
        raise UsageError(
            f"{source.environment!r} is registered in {shown(here)}, {target.environment!r} in {shown(there)}; a transfer knows one"
        )


def _verdict(project: Project, version: RegisteredVersion) -> Verdict | None:
    from seatrial.adapters.inventory import kept_verdict
    from seatrial.adapters.registry import registry_uri, tracking_client

    return kept_verdict(tracking_client(registry_uri(project)), version.run_id, version.gate)


def _rollout(project: Project, version: RegisteredVersion) -> Mapping[str, Any] | None:
    from seatrial.adapters.ledger import last_record

    try:
        return last_record(project, version.digest)
    except BytesGoneError as error:
        raise RegistryError(f"the ledger names a rollout of version {version.version}, but {error.message}") from None


def _stands(source: Project, target: Project, verdict: Verdict) -> bool:
    """Whether `target` would ask the very question that was answered: its own policy, in the name of the source."""
    from seatrial.adapters.registry import read_alias
    from seatrial.commands.gate import policy_of

    champion, anchor = read_alias(target, "champion"), read_alias(target, "anchor")
    return stands(
        verdict,
        policy=policy_of(target, environment=source.environment),
        champion=champion.digest if champion else None,
        anchor=anchor.digest if anchor else None,
    )


def _put(target: Project, origin: Origin, *, holds: bool, who: str, now: dt.datetime) -> tuple[bool, RegisteredVersion]:
    """Register what came, with its evidence beside the run; nothing is written where it is all there."""
    from seatrial.adapters import registry

    evidence = {"from": origin.environment, "gate": origin.version.gate, "rollout": dict(origin.rollout or {})}
    tags = {FROM_TAG: f"{origin.environment} version {origin.version.version}", EVIDENCE_TAG: sha256_json(evidence)}
    return registry.receive_version(
        target,
        origin.version,
        tags=tags,
        first={BY_TAG: who, AT_TAG: now.isoformat(timespec="seconds")},
        evidence=(f"evidence/{tags[EVIDENCE_TAG].removeprefix('sha256:')[:16]}.json", canonical_json(evidence).decode()),
        gated=holds,
    )
