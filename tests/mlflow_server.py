"""An MLflow server as a team has one: PostgreSQL behind it, artifacts in an object store, a password in front of it.

Where PostgreSQL is missing the tests skip with that reason, but never in CI.
"""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.stores import s3_server

ADMIN, PASSWORD = "admin", "a-long-password-of-the-tests"
QUIET = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "listen_addresses=", "shared_buffers=32MB")
AUTH = "[mlflow]\ndefault_permission = READ\nadmin_username = {user}\ndatabase_uri = {store}\nauth_cache_ttl_seconds = 600\n"
AUTH += "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"


@dataclass(frozen=True, kw_only=True)
class Served:
    """Where it answers, where its database is, and the client of its object store."""

    address: str
    database: str
    store: object

    @property
    def env(self):
        """What somebody who may write sets."""
        return {"MLFLOW_TRACKING_URI": self.address, "MLFLOW_TRACKING_USERNAME": ADMIN, "MLFLOW_TRACKING_PASSWORD": PASSWORD}

    def names(self):
        """The names of what the object store holds."""
        pages = self.store.get_paginator("list_objects_v2").paginate(Bucket="models")
        return [one["Key"] for page in pages for one in page.get("Contents", [])]


@pytest.fixture(scope="session")
def mlflow_server():
    """One server for all tests of a process."""
    with tempfile.TemporaryDirectory(prefix="mlflow-", ignore_cleanup_errors=True) as folder, s3_server() as (objects, client):
        client.create_bucket(Bucket="models")
        with postgres(Path(folder)) as database, served(Path(folder), database, objects) as address:
            yield Served(address=address, database=database, store=client)


@pytest.fixture
def signed_in(mlflow_server, monkeypatch):
    """The server, with user and password in the environment, where MLflow's client reads them."""
    for name, value in mlflow_server.env.items():
        if name != "MLFLOW_TRACKING_URI":
            monkeypatch.setenv(name, value)
    return mlflow_server


@contextlib.contextmanager
def postgres(folder):
    """SQLAlchemy's address of a cluster of its own on a unix socket below `folder`; another user runs it where root may not."""
    programs, home = _programs(), folder / "postgres"
    home.mkdir(mode=0o700)
    as_other = []
    if os.getuid() == 0:
        other = pwd.getpwnam("nobody")
        folder.chmod(0o711)
        os.chown(home, other.pw_uid, other.pw_gid)
        as_other = ["setpriv", f"--reuid={other.pw_uid}", f"--regid={other.pw_gid}", "--clear-groups"]
    data, log = home / "data", (folder / "postgres.log").open("w")
    made = ["--pgdata", data, "--username=seatrial", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"]
    subprocess.run([*as_other, programs / "initdb", *made], cwd=home, stdout=log, stderr=log, check=True)
    options = [part for setting in (*QUIET, f"unix_socket_directories={home}") for part in ("-c", setting)]
    process = subprocess.Popen([*as_other, programs / "postgres", "-D", data, *options], cwd=home, stdout=log, stderr=log)
    try:
        _wait(lambda: _made(home, "mlflow") and _made(home, "auth"), process, folder / "postgres.log")
        yield f"postgresql+psycopg2://seatrial@/mlflow?host={home}"
    finally:
        process.send_signal(2)  # a fast shutdown
        process.wait(20)
        log.close()


def _made(home, name):
    """Whether there is a database of that name now."""
    import psycopg2

    with (
        contextlib.suppress(psycopg2.OperationalError),
        contextlib.closing(psycopg2.connect(host=home, user="seatrial", dbname="postgres")) as connection,
    ):
        connection.autocommit = True
        connection.cursor().execute(f"CREATE DATABASE {name}")
        return True
    return False


def _programs():
    """The folder of PostgreSQL's own programs, which Debian keeps off the path."""
    found = [Path(path).resolve().parent for path in [shutil.which("initdb")] if path]
    found += sorted((path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")), reverse=True)
    if not found:
        absent(os.environ)
    return found[0]


def absent(environ):
    """Skips, and fails where CI=true."""
    if environ.get("CI") == "true":
        pytest.fail("no PostgreSQL is installed; in CI no test may skip")
    pytest.skip("no PostgreSQL is installed (apt-get install postgresql)")


@contextlib.contextmanager
def served(folder, database, objects):
    """The address of `mlflow server` with basic auth; artifacts go through it, so that no client needs a key of the store."""
    port, log = free_port(), folder / "server.log"
    (folder / "auth.ini").write_text(AUTH.format(user=ADMIN, store=database.replace("/mlflow?", "/auth?")))
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "AWS_"))} | {
        "MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"),
        "MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORD,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "a key of the tests",
        "MLFLOW_S3_ENDPOINT_URL": objects,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    command = [sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--backend-store-uri", database, "--artifacts-destination", "s3://models/mlflow"]
    with log.open("w") as said:
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=said, stderr=said, start_new_session=True)
    try:
        _wait(lambda: _answers(f"http://127.0.0.1:{port}/health"), process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 15)
        process.wait(20)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _answers(url):
    with contextlib.suppress(OSError):
        return urllib.request.urlopen(url, timeout=1).status == 200
    return False


def _wait(condition, process, log, seconds=240):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.05)
