"""Reading MLflow's registry without MLflow: a query of its sqlite tables, or one short REST call.

Its client costs seconds of imports and migrations for each process. A contract test holds what is read here to what the client
reads.
"""

from __future__ import annotations

import json
import sqlite3
import urllib.parse
from base64 import b64encode
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seatrial.errors import RegistryError

DIGEST_TAG = "seatrial.digest"
GATE_TAG = "seatrial.gate"
BEATS_TAG = "seatrial.beats"
TEST_DATA_TAG = "seatrial.test_data"
RECORD_TAG = "seatrial.record"
FROM_TAG = "seatrial.transferred_from"
TIMEOUT_S = 5.0
SIGN_IN = "give who you are: MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"


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


def shown(uri: str) -> str:
    """An address without the user and password that may stand in it."""
    parts = urllib.parse.urlsplit(uri)
    return uri if "@" not in parts.netloc else parts._replace(netloc="***@" + parts.netloc.rsplit("@", 1)[1]).geturl()


def unreachable(uri: str, error: Exception) -> RegistryError:
    """What to raise where a server does not answer."""
    reason = getattr(error, "reason", error)
    return RegistryError(
        f"the MLflow server at {shown(uri)} does not answer ({'not within ' + f'{TIMEOUT_S:g} s' if _is_slow(error) else reason})",
        hint="start it, mend MLFLOW_TRACKING_URI, or unset it to use the sqlite file of this project",
    )


def _is_slow(error: Exception) -> bool:
    return isinstance(getattr(error, "reason", error), TimeoutError)


_KEPT = "(name, version) IN (SELECT name, version FROM model_versions WHERE current_stage <> 'Deleted_Internal')"
"""MLflow keeps the rows of a version that was deleted, under this mark."""


class SqliteDoor:
    """Reads MLflow's tables without MLflow, and never writes."""

    def __init__(self, uri: str) -> None:
        self.path = Path(uri.removeprefix("sqlite:///"))

    def alias(self, model: str, alias: str) -> RegisteredVersion | None:
        """The version that an alias points at, or None."""
        rows = self._query("SELECT version FROM registered_model_aliases WHERE name = ? AND alias = ?", (model, alias))
        return self._version(model, rows[0][0]) if rows else None

    def by_digest(self, model: str, digest: str) -> RegisteredVersion | None:
        """The version of a bundle, the lowest where two machines registered it at the same time; or None."""
        sql = f"SELECT MIN(version) FROM model_version_tags WHERE name = ? AND key = ? AND value = ? AND {_KEPT}"  # noqa: S608 - a constant
        rows = self._query(sql, (model, DIGEST_TAG, digest))
        return self._version(model, rows[0][0]) if rows and rows[0][0] is not None else None

    def by_number(self, model: str, number: int) -> RegisteredVersion | None:
        """A version by its number, or None."""
        sql = f"SELECT version FROM model_versions WHERE name = ? AND version = ? AND {_KEPT}"  # noqa: S608 - a constant
        rows = self._query(sql, (model, number))
        return self._version(model, rows[0][0]) if rows else None

    def judged_on(self, model: str, test_data: str) -> list[str]:
        """Digests of the versions that passed on these held-out rows."""
        both = "model_version_tags AS data JOIN model_version_tags AS digest USING (name, version)"
        wanted = f"name = ? AND data.key = ? AND data.value = ? AND digest.key = ? AND {_KEPT}"
        sql = f"SELECT digest.value FROM {both} WHERE {wanted}"  # noqa: S608 - constants
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


class RestDoor:
    """Reads through MLflow's REST interface, one short call at a time."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def alias(self, model: str, alias: str) -> RegisteredVersion | None:
        """The version that an alias points at, or None."""
        found = self._call("registered-models/alias", {"name": model, "alias": alias})
        return _from_rest(model, found["model_version"]) if found else None

    def by_digest(self, model: str, digest: str) -> RegisteredVersion | None:
        """The version of a bundle, the lowest where two machines registered it at the same time; or None."""
        wanted = f"name='{model}' and tags.`{DIGEST_TAG}`='{digest}'"
        found = self._call("model-versions/search", {"filter": wanted, "order_by": "version_number ASC", "max_results": "1"})
        versions = (found or {}).get("model_versions") or []
        return _from_rest(model, versions[0]) if versions else None

    def by_number(self, model: str, number: int) -> RegisteredVersion | None:
        """A version by its number, or None."""
        found = self._call("model-versions/get", {"name": model, "version": str(number)})
        return _from_rest(model, found["model_version"]) if found else None

    def judged_on(self, model: str, test_data: str) -> list[str]:
        """Digests of the versions that passed on these held-out rows."""
        wanted = f"name='{model}' and tags.`{TEST_DATA_TAG}`='{test_data}'"
        found = self._call("model-versions/search", {"filter": wanted, "max_results": "1000"})
        return [_from_rest(model, version).digest for version in (found or {}).get("model_versions") or []]

    def _call(self, path: str, query: Mapping[str, str]) -> Any:
        import urllib.error

        try:
            return json.loads(get(self.uri, f"/api/2.0/mlflow/{path}", query))
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            body = error.read(500).decode(errors="replace")
            if "RESOURCE_DOES_NOT_EXIST" in body or (error.code == 400 and "alias" in body):
                return None
            hint = SIGN_IN if error.code in (401, 403) else "run the same command again once it is well"
            raise RegistryError(f"the MLflow server at {shown(self.uri)} answers {error.code}: {body[:200]}", hint=hint) from None
        except (OSError, ValueError) as error:
            raise unreachable(self.uri, error) from None


def get(uri: str, path: str, query: Mapping[str, str]) -> bytes:
    """One GET with a short timeout, with the credentials of MLflow's variables or of the address; raises what urllib raises."""
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

    user = urllib.parse.unquote(parts.username or "") or os.environ.get("MLFLOW_TRACKING_USERNAME")
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    if user:
        password = urllib.parse.unquote(parts.password or "") or os.environ.get("MLFLOW_TRACKING_PASSWORD", "")
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
