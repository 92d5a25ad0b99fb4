"""The model registry (MLflow): light reading of aliases and versions, writing through MLflow's own client.

The registry is a name service: it says which digest is meant, never which bytes. A version carries its bundle's digest and
its gate verdict's digest as tags; aliases `challenger`, `champion` and `previous` are pointers. Reading goes by a read-only
query (sqlite) or one REST call, because MLflow's client costs seconds of imports and migrations for each process.
"""

from __future__ import annotations

import json
import re
import sqlite3
import urllib.parse
from base64 import b64encode
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seatrial.errors import BytesGoneError, RegistryError
from seatrial.files import locked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seatrial.bundle import Bundle
    from seatrial.project import Project

DIGEST_TAG = "seatrial.digest"
GATE_TAG = "seatrial.gate"
BEATS_TAG = "seatrial.beats"
TEST_DATA_TAG = "seatrial.test_data"
TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredVersion:
    """One version: its number, its bundle's digest, its gate verdict's digest, where its files lie, the run behind it.

    `beats` is the digest of the anchor that it was shown to be better than, empty where that was not shown.
    """

    version: int
    digest: str
    gate: str
    source: str
    run_id: str
    beats: str = ""


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


def digests_judged_on(project: Project, test_data: str) -> frozenset[str]:
    """Digests of the registered bundles that passed on these held-out rows, by the rows' hash."""
    return frozenset(_door(project).judged_on(project.settings.registered_model, test_data))


def check_reachable(uri: str) -> None:
    """Raise RegistryError where a tracking server does not answer; a database file is there once it is needed."""
    if not uri.startswith(("http://", "https://")):
        return
    import urllib.error

    try:
        _get(uri, "/health", {})
    except urllib.error.HTTPError:
        return  # it answers, if only to say that it has no such page
    except (OSError, ValueError) as error:
        raise _unreachable(uri, error) from None


def shown(uri: str) -> str:
    """An address without the user and password that may stand in it."""
    parts = urllib.parse.urlsplit(uri)
    return uri if "@" not in parts.netloc else parts._replace(netloc="***@" + parts.netloc.rsplit("@", 1)[1]).geturl()


def _unreachable(uri: str, error: Exception) -> RegistryError:
    reason = getattr(error, "reason", error)
    return RegistryError(
        f"the MLflow server at {shown(uri)} does not answer ({reason})",
        hint="start it, mend MLFLOW_TRACKING_URI, or unset it to use the sqlite file of this project",
    )


class _Sqlite:
    """Reads MLflow's tables without MLflow, and never writes."""

    def __init__(self, uri: str) -> None:
        self.path = Path(uri.removeprefix("sqlite:///"))

    def alias(self, model: str, alias: str) -> RegisteredVersion | None:
        rows = self._query("SELECT version FROM registered_model_aliases WHERE name = ? AND alias = ?", (model, alias))
        return self._version(model, rows[0][0]) if rows else None

    def by_digest(self, model: str, digest: str) -> RegisteredVersion | None:
        sql = "SELECT MAX(version) FROM model_version_tags WHERE name = ? AND key = ? AND value = ?"
        rows = self._query(sql, (model, DIGEST_TAG, digest))
        return self._version(model, rows[0][0]) if rows and rows[0][0] is not None else None

    def by_number(self, model: str, number: int) -> RegisteredVersion | None:
        rows = self._query("SELECT version FROM model_versions WHERE name = ? AND version = ?", (model, number))
        return self._version(model, rows[0][0]) if rows else None

    def judged_on(self, model: str, test_data: str) -> list[str]:
        sql = (
            "SELECT digest.value FROM model_version_tags AS data JOIN model_version_tags AS digest USING (name, version) "
            "WHERE name = ? AND data.key = ? AND data.value = ? AND digest.key = ?"
        )
        return [str(digest) for (digest,) in self._query(sql, (model, TEST_DATA_TAG, test_data, DIGEST_TAG))]

    def _version(self, model: str, version: int) -> RegisteredVersion:
        tags = dict(self._query("SELECT key, value FROM model_version_tags WHERE name = ? AND version = ?", (model, version)))
        rows = self._query("SELECT storage_location, run_id FROM model_versions WHERE name = ? AND version = ?", (model, version))
        source, run_id = rows[0] if rows else ("", "")
        return _from_tags(model, version, tags, source or "", run_id or "")

    def _query(self, sql: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        if not self.path.exists():
            return []
        try:
            with closing(sqlite3.connect(f"file:{urllib.parse.quote(str(self.path))}?mode=ro", uri=True, timeout=TIMEOUT_S)) as connection:
                return connection.execute(sql, values).fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return []
            raise RegistryError(f"the registry {self.path.name} cannot be read ({error})") from None
        except sqlite3.DatabaseError as error:
            raise RegistryError(f"the registry {self.path.name} is not a database of MLflow ({error})") from None


class _Rest:
    """Reads through MLflow's REST interface, one short call at a time."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def alias(self, model: str, alias: str) -> RegisteredVersion | None:
        found = self._call("registered-models/alias", {"name": model, "alias": alias})
        return _from_rest(model, found["model_version"]) if found else None

    def by_digest(self, model: str, digest: str) -> RegisteredVersion | None:
        wanted = f"name='{model}' and tags.`{DIGEST_TAG}`='{digest}'"
        found = self._call("model-versions/search", {"filter": wanted, "order_by": "version_number DESC", "max_results": "1"})
        versions = (found or {}).get("model_versions") or []
        return _from_rest(model, versions[0]) if versions else None

    def by_number(self, model: str, number: int) -> RegisteredVersion | None:
        found = self._call("model-versions/get", {"name": model, "version": str(number)})
        return _from_rest(model, found["model_version"]) if found else None

    def judged_on(self, model: str, test_data: str) -> list[str]:
        wanted = f"name='{model}' and tags.`{TEST_DATA_TAG}`='{test_data}'"
        found = self._call("model-versions/search", {"filter": wanted, "max_results": "1000"})
        return [_from_rest(model, version).digest for version in (found or {}).get("model_versions") or []]

    def _call(self, path: str, query: Mapping[str, str]) -> Any:
        import urllib.error

        try:
            return json.loads(_get(self.uri, f"/api/2.0/mlflow/{path}", query))
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            body = error.read(500).decode(errors="replace")
            if "RESOURCE_DOES_NOT_EXIST" in body or (error.code == 400 and "alias" in body):
                return None
            raise RegistryError(f"the MLflow server at {shown(self.uri)} answers {error.code}: {body[:200]}") from None
        except (OSError, ValueError) as error:
            raise _unreachable(self.uri, error) from None


def _door(project: Project) -> _Sqlite | _Rest:
    uri = registry_uri(project)
    if uri.startswith("sqlite:///"):
        return _Sqlite(uri)
    if uri.startswith(("http://", "https://")):
        return _Rest(uri)
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


def _get(uri: str, path: str, query: Mapping[str, str]) -> bytes:
    import urllib.request

    parts = urllib.parse.urlsplit(uri)
    address = parts._replace(
        netloc=parts.netloc.rsplit("@", 1)[-1], path=parts.path.rstrip("/") + path, query=urllib.parse.urlencode(query)
    )
    request = urllib.request.Request(address.geturl(), headers=_credentials(parts))  # noqa: S310 - http or https, checked above
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
        data: bytes = answer.read()
        return data


def _credentials(parts: urllib.parse.SplitResult) -> dict[str, str]:
    import os

    user = parts.username or os.environ.get("MLFLOW_TRACKING_USERNAME")
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    if user:
        password = parts.password or os.environ.get("MLFLOW_TRACKING_PASSWORD", "")
        return {"Authorization": f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"}
    return {"Authorization": f"Bearer {token}"} if token else {}


def _from_rest(model: str, found: Mapping[str, Any]) -> RegisteredVersion:
    tags = {tag["key"]: tag.get("value", "") for tag in found.get("tags", [])}
    return _from_tags(model, int(found["version"]), tags, found.get("source", ""), found.get("run_id", ""))


def _from_tags(model: str, version: int, tags: Mapping[str, str], source: str, run_id: str) -> RegisteredVersion:
    if DIGEST_TAG not in tags:
        raise RegistryError(
            f"version {version} of {model!r} carries no {DIGEST_TAG}: it was not registered by a gate",
            hint="move the alias back to a version that was, and gate again",
        )
    return RegisteredVersion(
        version=version,
        digest=tags[DIGEST_TAG],
        gate=tags.get(GATE_TAG, ""),
        source=source,
        run_id=run_id,
        beats=tags.get(BEATS_TAG, ""),
    )


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
