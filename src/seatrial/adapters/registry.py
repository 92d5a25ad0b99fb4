"""The model registry (MLflow): light reading of aliases and versions, writing through MLflow's own client.

The registry is a name service: it says which digest is meant, never which bytes. A version carries its bundle's digest and
its gate verdict's digest as tags; aliases `challenger`, `champion` and `previous` are pointers. Reading goes by a read-only
query (sqlite) or one REST call, because MLflow's client costs seconds of imports and migrations for each process.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from seatrial.adapters.mlflow_client import download, ensure_experiment, tracking_client, translated
from seatrial.adapters.one_run import ATTEMPT, claim_run
from seatrial.adapters.registry_doors import (
    BEATS_TAG,
    DIGEST_TAG,
    FROM_TAG,
    GATE_TAG,
    RECORD_TAG,
    TEST_DATA_TAG,
    RegisteredVersion,
    RestDoor,
    SqliteDoor,
    shown,
)
from seatrial.errors import BytesGoneError, RegistryError
from seatrial.files import locked, sha256_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seatrial.bundle import Bundle
    from seatrial.project import Project

__all__ = [
    "BEATS_TAG",
    "DIGEST_TAG",
    "FROM_TAG",
    "GATE_TAG",
    "TEST_DATA_TAG",
    "RegisteredVersion",
    "digests_judged_on",
    "download_bundle",
    "ensure_experiment",
    "fetch_bundle",
    "find_version",
    "move_aliases",
    "read_alias",
    "read_version",
    "receive_version",
    "record_rollout",
    "register_version",
    "registry_uri",
    "shown",
    "tracking_client",
    "verdict_file",
]


def read_alias(project: Project, alias: str) -> RegisteredVersion | None:
    """The version that `alias` points at in this environment's registered model, or None.

    Raises RegistryError where the registry cannot be reached, or where the version carries no digest.
    """
    return _door(project).alias(project.settings.registered_model, alias)


def find_version(project: Project, digest: str) -> RegisteredVersion | None:
    """The version of a bundle in this environment's registered model, or None."""
    return _door(project).by_digest(project.settings.registered_model, digest)


def read_version(project: Project, number: int) -> RegisteredVersion | None:
    """A version by its number, or None."""
    return _door(project).by_number(project.settings.registered_model, number)


def champion_of(project: Project) -> RegisteredVersion:
    """The champion; RegistryError where there is none yet."""
    champion = read_alias(project, "champion")
    if champion is None:
        raise RegistryError(f"{project.settings.registered_model!r} has no champion yet", hint="take one live: nox -s gate deploy")
    return champion


def version_of(project: Project, number: int) -> RegisteredVersion:
    """A version by its number; RegistryError where there is none of it."""
    version = read_version(project, number)
    if version is None:
        name = project.settings.registered_model
        raise RegistryError(f"{name!r} has no version {number}", hint="seatrial audit lists what the registry holds")
    return version


def digests_judged_on(project: Project, test_data: str) -> frozenset[str]:
    """Digests of the registered bundles that passed on these held-out rows, by the rows' hash."""
    return frozenset(_door(project).judged_on(project.settings.registered_model, test_data))


def _door(project: Project) -> SqliteDoor | RestDoor:
    uri = registry_uri(project)
    if uri.startswith("sqlite:///"):
        return SqliteDoor(uri)
    if uri.startswith(("http://", "https://")):
        return RestDoor(uri)
    raise RegistryError(
        f"MLFLOW_TRACKING_URI is {shown(uri)!r}: Seatrial reads registries by http(s) and sqlite",
        hint="run `mlflow server` in front of that store and give its address",
    )


def registry_uri(project: Project) -> str:
    """The registry's address, by the environment's rules.

    `local` writes to a shared server only when told so by --shared, `ephemeral` never; the other environments need one to be named.
    """
    given = project.env.get("MLFLOW_TRACKING_URI")
    name = project.settings.environment
    if name not in ("local", "ephemeral") and not given:
        raise RegistryError(f"the environment {name!r} needs a registry", hint="set MLFLOW_TRACKING_URI to the MLflow server's address")
    if name == "local" and given and not given.startswith("sqlite:") and not project.shared:
        raise RegistryError(
            f"the environment 'local' keeps out of the shared registry at {shown(given)}",
            hint="add --shared to mean it, choose another environment with --env, or unset MLFLOW_TRACKING_URI",
        )
    return project.tracking_uri


def register_version(
    project: Project, bundle: Bundle, *, run_id: str, gate: str, verdict: str, tags: Mapping[str, str]
) -> RegisteredVersion:
    """Record a bundle that passed as a version, move `challenger` to it, and read both back.

    `gate` is the verdict's digest, `verdict` its JSON, kept beside the run. The same bundle is registered once, by other
    machines at the same time too; a new verdict about it replaces the tag. Raises RegistryError where the read-back differs.
    """
    client = tracking_client(registry_uri(project))
    model = project.settings.registered_model
    with locked(project.home / "registry.lock"), translated("register the version"):
        client.log_text(run_id, verdict, verdict_file(gate))
        version = _put_version(client, project, bundle.digest, run_id, {**tags, GATE_TAG: gate})
        client.set_registered_model_alias(model, "challenger", str(version))
    found = read_alias(project, "challenger")
    if found is None or (found.version, found.digest, found.gate) != (version, bundle.digest, gate):
        raise RegistryError(f"registered version {version} of {model!r}, but `challenger` reads back as {found}", hint="gate again")
    return found


def receive_version(
    project: Project,
    origin: RegisteredVersion,
    *,
    tags: Mapping[str, str],
    first: Mapping[str, str],
    evidence: tuple[str, str],
    gated: bool,
) -> tuple[bool, RegisteredVersion]:
    """Register another environment's version here, on the same run; gives whether something was written, and the version.

    `tags` name where it came from, `first` who brought it when, `evidence` is a file's name and text, kept beside the run. With
    `gated` it carries its gate's verdict and is `challenger` here, unless it is champion.
    """
    client, model = tracking_client(registry_uri(project)), project.settings.registered_model
    with locked(project.home / "registry.lock"), translated("register the version"):
        wanted = dict(tags) | ({GATE_TAG: origin.gate} if gated else {})
        known, champion = find_version(project, origin.digest), read_alias(project, "champion")
        kept = client.get_model_version(model, str(known.version)).tags if known else {}
        fresh = any(kept.get(key) != value for key, value in wanted.items())
        if fresh:
            client.log_text(origin.run_id, evidence[1], evidence[0])
            _put_version(
                client, project, origin.digest, origin.run_id, _brought(client, project, origin, kept, gated) | dict(first) | wanted
            )
        here = find_version(project, origin.digest)
        if here is None:
            raise RegistryError(f"{origin.digest} was registered in {model!r}, and is not there", hint="run the same command again")
        if gated and (champion is None or champion.digest != origin.digest):
            fresh |= read_alias(project, "challenger") != here
            client.set_registered_model_alias(model, "challenger", str(here.version))
    return fresh, here


def _brought(client: Any, project: Project, origin: RegisteredVersion, kept: Mapping[str, str], gated: bool) -> dict[str, str]:
    """The tags that a version brings from its run's first registration; what its own gate said is left out where it does not count here."""
    if kept:
        return {}
    runs = client.search_model_versions(f"run_id = '{origin.run_id}'")
    theirs: Mapping[str, str] = next((version.tags for version in runs if version.tags.get(DIGEST_TAG) == origin.digest), {})
    left = {ATTEMPT, GATE_TAG} if gated else {ATTEMPT, GATE_TAG, BEATS_TAG}
    return {key: value for key, value in theirs.items() if key not in left}


def _put_version(client: Any, project: Project, digest: str, run_id: str, tags: Mapping[str, str]) -> int:
    """The number of a bundle's version, made or found, with these tags."""
    model, complete = project.settings.registered_model, {**tags, DIGEST_TAG: digest}
    _ensure_model(client, model)
    known = find_version(project, digest)
    if known is None:
        return _new_version(client, model, run_id, complete)
    for key, value in complete.items():
        client.set_model_version_tag(model, str(known.version), key, value)
    return known.version


def verdict_file(gate: str) -> str:
    """Where the gate's verdict of a digest is kept beside the run."""
    return f"verdicts/gate-{gate.removeprefix('sha256:')[:16]}.json"


def _new_version(client: Any, model: str, run_id: str, tags: Mapping[str, str]) -> int:
    """A bundle's new version; where another machine was first, or MLflow's client asked twice, the lowest number stays."""
    source, attempt = f"{client.get_run(run_id).info.artifact_uri}/model", uuid4().hex
    client.create_model_version(model, source=source, run_id=run_id, tags={**tags, ATTEMPT: attempt})
    found = client.search_model_versions(f"name = '{model}' and tags.`{DIGEST_TAG}` = '{tags[DIGEST_TAG]}'")
    first, *others = sorted(found, key=lambda version: int(version.version))
    for other in others:
        if other.tags.get(ATTEMPT) == attempt:
            client.delete_model_version(model, other.version)
    return int(first.version)


def _ensure_model(client: Any, model: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.get_registered_model(model)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        try:
            client.create_registered_model(model)
        except MlflowException as again:
            if again.error_code != "RESOURCE_ALREADY_EXISTS":  # another machine was first
                raise


def move_aliases(project: Project, *, expected: Mapping[str, int | None], to: Mapping[str, int | None]) -> None:
    """Move aliases to versions (None removes one), comparing the expected holders first and reading back after.

    Raises RegistryError where a holder is not the expected one: somebody else moved it, and nothing is changed.
    """
    client = tracking_client(registry_uri(project))
    model = project.settings.registered_model
    with locked(project.home / "registry.lock"), translated("move aliases"):
        _compare(project, expected, "is held by another version than expected; nothing was moved")
        for alias, version in to.items():
            if version is None:
                if read_alias(project, alias) is not None:
                    client.delete_registered_model_alias(model, alias)
            else:
                client.set_registered_model_alias(model, alias, str(version))
        _compare(project, to, "does not read back as it was set")


def _compare(project: Project, wanted: Mapping[str, int | None], problem: str) -> None:
    for alias, version in wanted.items():
        found = read_alias(project, alias)
        holder = found.version if found else None
        if holder != version:
            model = project.settings.registered_model
            raise RegistryError(
                f"alias {alias!r} of {model!r} {problem}: found {holder or 'none'}, expected {version or 'none'}",
                hint="seatrial status shows who holds what; gate again",
            )


def record_rollout(project: Project, *, record: Mapping[str, Any]) -> None:
    """Append one run to the ledger, the experiment `<registered model>.rollouts`: strings as tags, all of it as a file.

    The same record is written once, however often it is told.
    """
    client = tracking_client(registry_uri(project))
    with translated("write the ledger"):
        experiment = ensure_experiment(client, project, f"{project.settings.registered_model}.rollouts")
        tags = {f"seatrial.{key}": str(value)[:5000] for key, value in record.items() if isinstance(value, str | int | float | bool)}
        run = claim_run(client, experiment, {RECORD_TAG: sha256_json(record)}, tags, str(record.get("outcome", "rollout")))
        if run.info.status != "FINISHED":
            client.log_text(run.info.run_id, json.dumps(record, indent=2, sort_keys=True), "rollout.json")
            client.set_terminated(run.info.run_id)


def fetch_bundle(project: Project, version: RegisteredVersion, store: Path) -> Path:
    """The folder of a version's bundle in the content store, its digest checked; fetched from the registry where the store lost it.

    Raises BytesGoneError where the bytes are nowhere, BundleError where they are not those of the digest.
    """
    from seatrial.store import folder_of, open_stored

    folder = folder_of(version.digest, store)
    damaged = folder.exists()
    open_stored(version.digest, store, source=lambda: download_bundle(project, version), report=print if damaged else lambda words: None)
    return folder


def download_bundle(project: Project, version: RegisteredVersion) -> Bundle:
    """A version's bundle from the registry, every byte hashed; BytesGoneError or BundleError where it is not what the digest says."""
    import tempfile

    from seatrial.bundle import MLFLOW_FILES, load_bundle

    client = tracking_client(registry_uri(project))
    with tempfile.TemporaryDirectory() as scratch:
        try:
            folder = download(client, version.run_id, "model", scratch)
        except BytesGoneError as error:
            who = f"version {version.version} ({version.digest})"
            raise BytesGoneError(f"the bytes of {who} are gone from {shown(version.source)}: {error.message}") from None
        return load_bundle(folder, expected=version.digest, beside=MLFLOW_FILES)
