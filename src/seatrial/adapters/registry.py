"""The model registry (MLflow): light reading of aliases and versions, writing through MLflow's own client.

The registry is a name service: it says which digest is meant, never which bytes. A version carries its bundle's digest and
its gate verdict's digest as tags; aliases `challenger`, `champion` and `previous` are pointers. Reading goes by a read-only
query (sqlite) or one REST call, because MLflow's client costs seconds of imports and migrations for each process.
"""

from __future__ import annotations

import json
import re
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seatrial.adapters.registry_doors import (
    BEATS_TAG,
    DIGEST_TAG,
    GATE_TAG,
    TEST_DATA_TAG,
    RegisteredVersion,
    RestDoor,
    SqliteDoor,
    get,
    shown,
    unreachable,
)
from seatrial.errors import BytesGoneError, RegistryError
from seatrial.files import locked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seatrial.bundle import Bundle
    from seatrial.project import Project

__all__ = [
    "BEATS_TAG",
    "DIGEST_TAG",
    "GATE_TAG",
    "TEST_DATA_TAG",
    "RegisteredVersion",
    "check_reachable",
    "digests_judged_on",
    "ensure_experiment",
    "fetch_bundle",
    "find_version",
    "move_aliases",
    "read_alias",
    "read_version",
    "record_rollout",
    "register_version",
    "registry_uri",
    "shown",
    "tracking_client",
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


def check_reachable(uri: str) -> None:
    """Raise RegistryError where a tracking server does not answer; a database file is there once it is needed."""
    if not uri.startswith(("http://", "https://")):
        return
    import urllib.error

    try:
        get(uri, "/health", {})
    except urllib.error.HTTPError:
        return  # it answers, if only to say that it has no such page
    except (OSError, ValueError) as error:
        raise unreachable(uri, error) from None


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

    `gate` is the verdict's digest, `verdict` its JSON, kept beside the run. The same bundle is registered once; a new
    verdict about it replaces the tag. Raises RegistryError where the read-back differs.
    """
    client = tracking_client(registry_uri(project))
    model = project.settings.registered_model
    with locked(project.home / "registry.lock"), _translated("register the version"):
        _ensure_model(client, model)
        client.log_text(run_id, verdict, f"verdicts/gate-{gate.removeprefix('sha256:')[:16]}.json")
        known = find_version(project, bundle.digest)
        complete = {**tags, DIGEST_TAG: bundle.digest, GATE_TAG: gate}
        if known is None:
            source = f"{client.get_run(run_id).info.artifact_uri}/model"
            version = int(client.create_model_version(model, source=source, run_id=run_id, tags=complete).version)
        else:
            version = known.version
            for key, value in complete.items():
                client.set_model_version_tag(model, str(version), key, value)
        client.set_registered_model_alias(model, "challenger", str(version))
    found = read_alias(project, "challenger")
    if found is None or (found.version, found.digest, found.gate) != (version, bundle.digest, gate):
        raise RegistryError(f"registered version {version} of {model!r}, but `challenger` reads back as {found}", hint="gate again")
    return found


def _ensure_model(client: Any, model: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.get_registered_model(model)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        client.create_registered_model(model)


def move_aliases(project: Project, *, expected: Mapping[str, int | None], to: Mapping[str, int | None]) -> None:
    """Move aliases to versions (None removes one), comparing the expected holders first and reading back after.

    Raises RegistryError where a holder is not the expected one: somebody else moved it, and nothing is changed.
    """
    client = tracking_client(registry_uri(project))
    model = project.settings.registered_model
    with locked(project.home / "registry.lock"), _translated("move aliases"):
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
    """Append one run to the ledger, the experiment `<registered model>.rollouts`: strings as tags, all of it as a file."""
    client = tracking_client(registry_uri(project))
    with _translated("write the ledger"):
        experiment = ensure_experiment(client, project, f"{project.settings.registered_model}.rollouts")
        tags = {f"seatrial.{key}": str(value)[:5000] for key, value in record.items() if isinstance(value, str | int | float | bool)}
        run = client.create_run(experiment, tags=tags, run_name=str(record.get("outcome", "rollout")))
        client.log_text(run.info.run_id, json.dumps(record, indent=2, sort_keys=True, default=str), "rollout.json")
        client.set_terminated(run.info.run_id)


def ensure_experiment(client: Any, project: Project, name: str) -> str:
    """The id of the experiment with this name, made where it is missing; a sqlite registry keeps its files in the project."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    place = (project.root / "mlartifacts" / name).as_uri() if project.tracking_uri.startswith("sqlite:") else None
    try:
        return str(client.create_experiment(name, artifact_location=place))
    except MlflowException:
        again = client.get_experiment_by_name(name)  # another process was first
        if again is None:
            raise
        return str(again.experiment_id)


def fetch_bundle(project: Project, version: RegisteredVersion, store: Path) -> Path:
    """The folder of a version's bundle in the content store, its digest checked; fetched from the registry where the store lost it.

    Raises BytesGoneError where the bytes are nowhere, BundleError where they are not those of the digest.
    """
    from seatrial.store import folder_of, open_stored

    folder = folder_of(version.digest, store)
    damaged = folder.exists()
    open_stored(version.digest, store, source=lambda: _download(project, version), report=print if damaged else lambda words: None)
    return folder


def _download(project: Project, version: RegisteredVersion) -> Bundle:
    import tempfile

    from seatrial.bundle import MLFLOW_FILES, load_bundle

    client = tracking_client(registry_uri(project))
    from mlflow.exceptions import MlflowException

    with tempfile.TemporaryDirectory() as scratch:
        try:
            folder = client.download_artifacts(version.run_id, "model", scratch)
        except (MlflowException, OSError) as error:
            raise BytesGoneError(
                f"the bytes of version {version.version} ({version.digest}) are gone from {shown(version.source)}: {error}"
            ) from None
        return load_bundle(Path(folder), expected=version.digest, beside=MLFLOW_FILES)


def tracking_client(uri: str) -> Any:
    """MLflow's client for an address, with short waits; RegistryError where the server does not answer."""
    import logging
    import os

    check_reachable(uri)
    for name, value in {
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    }.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    logging.getLogger("mlflow").setLevel(logging.WARNING)  # after the import, which sets its own
    logging.getLogger("alembic").setLevel(logging.WARNING)
    with _alone_at(uri), _translated("open the registry"):
        return MlflowClient(tracking_uri=uri, registry_uri=uri)


def _alone_at(uri: str) -> AbstractContextManager[None]:
    """MLflow makes and migrates its tables when a client is made; two at once in one file would stumble over each other."""
    if not uri.startswith("sqlite:///"):
        return nullcontext()
    path = Path(uri.removeprefix("sqlite:///"))
    return locked(path.with_name(f"{path.name}.lock"))


class _translated:  # noqa: N801 - reads as a word in a with statement
    """Turns what MLflow and its database raise into RegistryError."""

    def __init__(self, doing: str) -> None:
        self.doing = doing

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if kind is None or error is None or not isinstance(error, Exception) or isinstance(error, RegistryError):
            return
        words = re.sub(r"//[^/@\s]+@", "//***@", str(error))[:300]
        raise RegistryError(f"could not {self.doing}: {kind.__name__}: {words}", hint="run the same command again") from error
