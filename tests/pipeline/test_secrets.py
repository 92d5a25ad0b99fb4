"""Twenty secrets in the environment of a whole chain, and none of them anywhere afterwards."""

import contextlib
import secrets
import threading
from urllib.parse import quote, urlsplit

import psutil
import psycopg2
import pytest

from tests.mlflow_server import ADMIN, PASSWORD
from tests.pipeline.projects import SmallProject

pytestmark = pytest.mark.slow
VARIABLES = (
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AZURE_CLIENT_SECRET", "AZURE_STORAGE_KEY", "CI_JOB_TOKEN",
    "DATABRICKS_TOKEN", "GH_TOKEN", "GITHUB_TOKEN", "GITLAB_TOKEN", "GOOGLE_API_KEY", "HF_TOKEN", "MLFLOW_FLASK_SERVER_SECRET_KEY",
    "PGPASSWORD", "SEATRIAL_ENDPOINT_TOKEN", "SEATRIAL_TESTER_TOKEN",
)  # fmt: skip
NOTIFIERS = "json://ann:{}@127.0.0.1:1/{} xml://127.0.0.1:1/?+token={}"


def planted():
    """Each secret, and the environment that holds them."""
    values = {name: f"planted{secrets.token_hex(12)}" for name in VARIABLES}
    told = [f"planted{secrets.token_hex(12)}" for _ in range(3)]
    return [*values.values(), *told, PASSWORD], {**values, "SEATRIAL_NOTIFY_URLS": NOTIFIERS.format(*told)}


class Watch:
    """Reads the command line of every process, again and again, while a block runs."""

    def __init__(self, wanted):
        self.wanted, self.seen, self.found, self.over = wanted, set(), set(), threading.Event()

    def look(self):
        while not self.over.wait(0.05):
            for one in psutil.process_iter(["pid", "cmdline"]):
                self.seen.add(one.info["pid"])
                line = " ".join(one.info["cmdline"] or [])
                self.found |= {(secret, line[:200]) for secret in self.wanted if secret in line}

    def __enter__(self):
        self.thread = threading.Thread(target=self.look)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def test_no_secret_is_said_written_or_shown(mlflow_server, tmp_path):
    wanted, env = planted()
    assert len(set(wanted)) == 20
    address = urlsplit(mlflow_server.address)
    env["MLFLOW_TRACKING_URI"] = f"http://{ADMIN}:{quote(PASSWORD)}@{address.netloc}"
    for name in ("home", "tmp"):
        (tmp_path / name).mkdir()
    env |= {"HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "tmp")}
    project = SmallProject(tmp_path / "loans")
    project.change("loan-default", f"secret-{secrets.token_hex(4)}")
    project.change("environments:", "notify: {events: [promoted, rolled_back, error], timeout_s: 5}\nenvironments:")
    said = []
    with Watch(wanted) as watch:
        try:
            for command, code in CHAIN:
                said.append(project.run(*command, expect=code, **env))
            assert {path.stat().st_mode & 0o077 for path in in_files(wanted, tmp_path)} == {0}
            assert {path.name for path in in_files(wanted, tmp_path)} == {"listeners.json"}  # the endpoint's own tokens, while it serves
        finally:
            said.append(project.run("down", **env))
    assert "address 2 (XML) did not take it" in (project.root / ".seatrial/notify.log").read_text()
    assert len(watch.seen) > 10
    assert watch.found == set()
    assert [secret for secret in wanted if secret in "".join(said)] == []
    assert list(in_files(wanted, tmp_path)) == []
    assert list(in_database(wanted, mlflow_server.database)) == []
    bodies = {name: mlflow_server.store.get_object(Bucket="models", Key=name)["Body"].read() for name in mlflow_server.names()}
    assert [name for name, body in bodies.items() if any(secret.encode() in body for secret in wanted)] == []


CHAIN = (
    (["contract", "infer"], 0),
    (["train", "--shared"], 0),
    (["gate", "--shared"], 0),
    (["deploy", "--shared"], 0),
    (["status", "--json"], 0),
    (["history"], 0),
    (["history", "--shared", "--registry"], 0),
    (["monitor", "--shared", "--open"], 3),
)


def in_files(wanted, folder):
    """Each file below a folder that holds a secret."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            if any(secret.encode() in data for secret in wanted):
                yield path


def in_database(wanted, database):
    """Each table of MLflow's database that holds a secret."""
    home = database.partition("?host=")[2]
    with contextlib.closing(psycopg2.connect(host=home, user="seatrial", dbname="mlflow")) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT t::text FROM "{table}" AS t')
            rows = "".join(row for (row,) in cursor.fetchall())
            if any(secret in rows for secret in wanted):
                yield table
