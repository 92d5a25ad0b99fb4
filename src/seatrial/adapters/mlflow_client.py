"""MLflow's own client, for what is written and what is long: with short waits, and with its faults as RegistryError.

A server that is down, slow or broken costs a command one wait, never minutes: MLflow by itself would try for a quarter of an hour.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seatrial.adapters.registry_doors import SIGN_IN, get, unreachable
from seatrial.errors import BytesGoneError, RegistryError, SeatrialError
from seatrial.files import locked

if TYPE_CHECKING:
    from seatrial.project import Project

DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",  # a busy proxy may ask for an hour
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # a password may stand in it
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
"""MLflow's variables, where the user has not set them: no call takes longer than 45 s."""


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


def tracking_client(uri: str) -> Any:
    """MLflow's client for an address; RegistryError where the server does not answer."""
    import logging

    check_reachable(uri)
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)  # after the import, which sets its own
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # each retry would be a warning: what is wrong is said once, at the end
    with _alone_at(uri), translated("open the registry"):
        return MlflowClient(tracking_uri=uri, registry_uri=uri)


def _alone_at(uri: str) -> AbstractContextManager[None]:
    """MLflow makes and migrates its tables when a client is made; two at once in one file would stumble over each other."""
    if not uri.startswith("sqlite:///"):
        return nullcontext()
    path = Path(uri.removeprefix("sqlite:///"))
    return locked(path.with_name(f"{path.name}.lock"))


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


def download(client: Any, run_id: str, path: str, into: str | Path) -> Path:
    """A run's artifact, a file or a folder, fetched below `into`.

    Raises BytesGoneError where the run has no such artifact any more, RegistryError where that cannot be known now.
    """
    from mlflow.artifacts import download_artifacts  # the client's own method hides why it fails

    with translated(f"fetch {path} of run {run_id[:8]}"):
        folder = path.rpartition("/")[0] or None
        if path not in {one.path for one in client.list_artifacts(run_id, folder)}:
            raise BytesGoneError(f"run {run_id[:8]} holds no {path} any more")
        source = f"{client.get_run(run_id).info.artifact_uri}/{path}"
        return Path(download_artifacts(artifact_uri=source, dst_path=str(into), tracking_uri=client.tracking_uri))


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn what MLflow, its database and its artifact store raise into RegistryError; `doing` completes "could not …"."""
    try:
        yield
    except SeatrialError:
        raise
    except Exception as error:
        denied = re.search(r"error code (401|403)|\b(401|403) (Client )?Error", str(error))
        hint = SIGN_IN if denied else "run the same command again: what is there already is not made twice"
        raise RegistryError(f"could not {doing}: {_reason(error)}", hint=hint) from error


def _reason(error: BaseException) -> str:
    """What went wrong, in words; else MLflow's own, the first 300 characters, without a password that may stand in them."""
    text = re.sub(r"//[^/@\s]+@", "//***@", str(error))
    names = {type(one).__name__ for one in _chain(error)}
    if names & _SLOW or "timed out" in text:
        return f"the MLflow server did not answer within {os.environ.get('MLFLOW_HTTP_REQUEST_TIMEOUT')} s (MLFLOW_HTTP_REQUEST_TIMEOUT)"
    if code := re.search(r"too many (\d+) error|error code (5\d\d)|\b(5\d\d) Server Error", text):
        return f"the MLflow server answers {next(filter(None, code.groups()))}"
    if names & _LOST or "Connection" in text:
        return "the MLflow server does not answer: the connection was refused or lost"
    return f"{type(error).__name__}: {text[:300]}"


_SLOW = {"Timeout", "ReadTimeout", "ConnectTimeout", "ReadTimeoutError"}
_LOST = {"ConnectionError", "NewConnectionError", "ProtocolError", "ConnectionResetError", "ConnectionRefusedError"}


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception and those behind it."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__
