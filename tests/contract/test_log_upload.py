"""The prediction log in S3, against a real S3 protocol server: kept whole whatever dies in the middle."""

import datetime as dt
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path, PurePath

import pytest

from seatrial.errors import DataError
from seatrial.project import Project
from seatrial.serving.compaction import claim_of, compact
from seatrial.serving.log_store import LogStore, log_store, open_store
from seatrial.serving.predictions import LogSettings, PredictionLog, parts, read_log
from seatrial.serving.upload import access, upload, upload_state, waiting
from tests.bundles import make_bundle, make_rows
from tests.dvc_projects import wait_for
from tests.entries import make_entry
from tests.stores import Door, s3_server

pytestmark = pytest.mark.slow
URI = "s3://logs/models/leavers"


@pytest.fixture(scope="module")
def server():
    with s3_server() as found:
        yield found


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("bundle") / "model").manifest


@pytest.fixture
def door(server, monkeypatch, tmp_path):
    """A way to the store with this test's environment; the bucket is empty at first."""
    address, client = server
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    opened = Door(address)
    made = {"AWS_ENDPOINT_URL": opened.address, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}
    for name, value in {**made, "AWS_EC2_METADATA_DISABLED": "true", "HOME": str(tmp_path / "home")}.items():
        monkeypatch.setenv(name, value)
    for item in client.list_objects_v2(Bucket="logs").get("Contents", []):
        client.delete_object(Bucket="logs", Key=item["Key"])
    yield opened
    opened.close()


@pytest.fixture
def store(door):
    return open_store(URI)


class Writer:
    """A log that is written as a server does; it knows the ids of all requests that it was given."""

    def __init__(self, folder, manifest, version="3", at=None):
        self.log = PredictionLog(LogSettings(folder=folder), manifest, version=version, digest="sha256:1")
        self.manifest, self.at, self.version, self.ids = manifest, at, version, []

    def part(self, requests=2):
        for _ in range(requests):
            self.ids.append(f"{self.version}-{len(self.ids)}")
            at = dt.datetime.fromtimestamp(self.at or time.time(), dt.UTC)
            self.log.append(make_entry(self.manifest, make_rows(1), at=at, request_id=self.ids[-1]))
        self.log.flush()


def found(folder, store):
    return sorted(read_log(folder, store=store)["request_id"])


def later(seconds=3600.0):
    return time.time() + seconds


def test_settled_parts_are_merged_taken_and_later_leave_the_disk(tmp_path, manifest, store):
    writer = Writer(tmp_path, manifest)
    for _ in range(5):
        writer.part()
    assert upload(tmp_path, store, now=time.time()) == 0, "nothing has settled yet"
    assert upload(tmp_path, store, now=later(120)) == 1
    assert (len(store.parts()), len(list(tmp_path.glob("*/*.parquet"))), waiting(tmp_path)) == (1, 1, 0)
    assert found(tmp_path, store) == sorted(writer.ids)
    writer.part()
    assert found(tmp_path, store) == sorted(writer.ids), "what is in the store and what is still on the disk"
    assert upload(tmp_path, store, now=later(8000)) == 1
    assert list(tmp_path.glob("*/*.parquet")) == []
    assert list(tmp_path.glob("*/.*.claimed")) == []
    assert found(tmp_path, store) == sorted(writer.ids)


def test_each_version_has_parts_of_its_own_and_days_can_be_chosen(tmp_path, manifest, store):
    day = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
    for version, at in (("3", day), ("4", day), ("4", day - dt.timedelta(days=2))):
        Writer(tmp_path, manifest, version, at.timestamp()).part()
    upload(tmp_path, store, now=later(), keep_local=0)
    assert [part.parent.name for part in parts(tmp_path, store=store)] == ["date=2026-11-21", *["date=2026-11-23"] * 2]
    assert all(not isinstance(part, Path) for part in parts(tmp_path, store=store))
    assert read_log(tmp_path, store=store, since=day).height == 4


@pytest.mark.parametrize(("keep", "left"), [(1, 1), (2, 2), (3, 2)])
def test_old_days_leave_the_store_and_nothing_else_does(tmp_path, manifest, store, server, keep, left):
    today = dt.datetime.now(dt.UTC)
    for age in (0, 2):
        Writer(tmp_path, manifest, str(age + 1), (today - dt.timedelta(days=age)).timestamp()).part()
    upload(tmp_path, store, now=later(), keep_local=0)
    server[1].put_object(Bucket="logs", Key="models/leavers/date=2000-01-01/notes.txt", Body=b"mine")
    server[1].put_object(Bucket="logs", Key="models/other/date=2000-01-01/1.parquet", Body=b"another's")
    store.remove_before(today.date() - dt.timedelta(days=keep))
    assert len(store.parts()) == left
    keys = [item["Key"] for item in server[1].list_objects_v2(Bucket="logs")["Contents"]]
    assert len(keys) == left + 2


@pytest.mark.parametrize("mode", ["busy", "torn", "mute"])
def test_a_store_that_fails_in_the_middle_loses_nothing_and_doubles_nothing(tmp_path, manifest, store, door, mode):
    writers = [Writer(tmp_path, manifest, version) for version in ("1", "2", "3")]
    for writer in writers:
        writer.part()
    ids = sorted(one for writer in writers for one in writer.ids)
    real, calls = LogStore.write, []

    def write(self, part, data):
        calls.append(part)
        door.mode = mode if len(calls) == 2 else "open"
        real(self, part, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LogStore, "write", write)
        with pytest.raises(DataError, match="the prediction log at s3://logs/models/leavers cannot be used"):
            upload(tmp_path, store, now=later())
    door.mode = "open"
    assert waiting(tmp_path) == 2
    assert found(tmp_path, store) == ids
    for folder in tmp_path.glob("date=*"):
        assert compact(folder, now=later(), fewest=2, settled=0) == 0, "what is claimed is not merged"
    upload(tmp_path, store, now=later(), keep_local=0)
    assert found(tmp_path, store) == ids
    assert len(store.parts()) == 3


def test_rows_are_written_and_read_from_the_disk_while_the_store_is_away(tmp_path, manifest, door):
    writer = Writer(tmp_path, manifest)
    writer.part()
    door.close()
    away = open_store(URI)
    with pytest.raises(DataError, match="check the network, and AWS_ENDPOINT_URL"):
        upload(tmp_path, away, now=later())
    writer.part()
    assert found(tmp_path, None) == sorted(writer.ids)
    with pytest.raises(DataError, match="cannot be used"):
        read_log(tmp_path, store=away)


def test_what_somebody_removed_from_the_store_is_taken_again_before_it_leaves_the_disk(tmp_path, manifest, store, server):
    writer = Writer(tmp_path, manifest)
    writer.part()
    upload(tmp_path, store, now=later())
    (part,) = store.parts()
    server[1].delete_object(Bucket="logs", Key=f"models/leavers/{part.as_posix()}")
    upload(tmp_path, store, now=later(9000))
    assert (waiting(tmp_path), found(tmp_path, store)) == (1, sorted(writer.ids))
    upload(tmp_path, store, now=later(9000), keep_local=0)
    assert (store.parts(), list(tmp_path.glob("*/*.parquet"))) == ([part], [])


def test_bytes_that_arrive_otherwise_are_not_taken_for_the_part(tmp_path, manifest, store, server):
    writer = Writer(tmp_path, manifest)
    writer.part()
    upload(tmp_path, store, now=later())
    (part,) = store.parts()
    data = store.read(part)
    assert store.holds(part, data)
    server[1].put_object(Bucket="logs", Key=f"models/leavers/{part.as_posix()}", Body=data[:-1] + b"x")
    assert not store.holds(part, data)
    assert store.read(PurePath("date=2026-11-23/none.parquet")) is None


def test_wrong_credentials_are_named_with_what_to_check(tmp_path, manifest, server, door):
    Writer(tmp_path, manifest).part()
    address = server[0]

    def checking(after):
        asked = urllib.request.Request(f"{address}/moto-api/reset-auth", data=after, headers={"content-type": "text/plain"}, method="POST")
        urllib.request.urlopen(asked).read()

    checking(b"0")
    try:
        with pytest.raises(DataError) as raised:
            upload(tmp_path, open_store(URI), now=later())
    finally:
        checking(b"inf")
    assert "refuses the credentials" in str(raised.value)
    assert "AWS_ACCESS_KEY_ID" in str(raised.value)
    assert waiting(tmp_path) == 1


def test_no_credentials_no_bucket_and_no_profile_are_named(tmp_path, manifest, door, monkeypatch):
    Writer(tmp_path, manifest).part()
    with pytest.raises(DataError, match="no such bucket"):
        upload(tmp_path, open_store("s3://elsewhere"), now=later())
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(DataError, match="there are no credentials"):
        upload(tmp_path, open_store(URI), now=later())
    with pytest.raises(DataError, match="cannot be opened"):
        open_store(URI, {"profile": "nobody"})


def program(folder, *options):
    command = [sys.executable, "-m", "seatrial.serving.upload", "--log", str(folder), "--uri", URI, *options]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def test_killed_at_any_moment_and_started_again_every_row_is_there_once(tmp_path, manifest, store, door):
    """Three writers go on, servers merge too, the uploader dies again and again, and the store hiccups."""
    writers = [Writer(tmp_path, manifest, version) for version in ("1", "2", "3")]
    draw, stop = random.Random(7), threading.Event()

    def write(writer):
        while not stop.is_set():
            writer.part(requests=1)
            time.sleep(0.1)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in writers]
    for thread in threads:
        thread.start()
    try:
        for turn in range(8):
            passed = door.passed
            process = program(tmp_path, "--every", "0.05", "--settled-seconds", "0.1", "--keep-local-seconds", "0.3")
            wait_for(lambda: door.passed > passed)  # noqa: B023
            time.sleep(draw.uniform(0, 0.5))
            door.mode = draw.choice(["open", "mute", "busy"]) if turn % 2 else "open"
            for folder in tmp_path.glob("date=*"):
                compact(folder, now=time.time(), fewest=2, settled=0.1)
            time.sleep(0.2)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            door.mode = "open"
            before = {one for writer in writers for one in list(writer.ids)[:-1]}
            read = found(tmp_path, store)
            assert len(read) == len(set(read))
            assert before <= set(read)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    upload(tmp_path, store, now=later(), keep_local=0)
    assert len(store.parts()) > 8, "it was taken while it was written"
    assert list(tmp_path.glob("*/*.parquet")) == []
    assert found(tmp_path, store) == sorted(one for writer in writers for one in writer.ids)


def test_the_program_says_what_is_wrong_once_and_how_it_stands_and_ends_on_sigterm(tmp_path, manifest, door, store):
    Writer(tmp_path, manifest).part()
    door.mode = "busy"
    process = program(tmp_path, "--every", "0.05", "--settled-seconds", "0")
    wait_for(lambda: (state := upload_state(tmp_path)) is not None and state.problem)
    assert (upload_state(tmp_path).waiting, upload_state(tmp_path).done) == (1, None)
    door.mode = "open"
    wait_for(lambda: upload_state(tmp_path).problem is None)
    assert upload_state(tmp_path).waiting == 0
    process.terminate()
    said = process.communicate(timeout=20)[1]
    assert process.returncode == 0
    assert "Traceback" not in said
    assert said.splitlines()[-1] == f"prediction log: parts go to {URI} again"


def test_only_one_program_uploads_a_log(tmp_path, door):
    first = program(tmp_path, "--every", "60")
    wait_for(lambda: upload_state(tmp_path) is not None)
    second = program(tmp_path, "--once")
    assert "another program uploads" in second.communicate(timeout=30)[1]
    assert second.returncode == 2
    first.kill()
    first.communicate()


def test_the_file_of_access_has_awss_variables_and_no_other_secret(tmp_path, door):
    env = {"AWS_ACCESS_KEY_ID": "key", "MLFLOW_TRACKING_TOKEN": "secret", "HTTPS_PROXY": "http://proxy", "PATH": "/bin"}
    written = access(tmp_path, URI, env).decode()
    assert "key" in written
    assert "proxy" in written
    assert "secret" not in written
    assert "/bin" not in written


def test_a_projects_store_is_the_one_of_its_params_with_its_dvc_remotes_settings(tmp_path, door, monkeypatch, manifest):
    (tmp_path / "params.yaml").write_text("model: {name: m}\ndata: {raw: t.csv, target: a}\nmonitor: {log: {uri: 's3://logs/m'}}\n")
    (tmp_path / ".dvc").mkdir()
    keys = "access_key_id = key\n    secret_access_key = secret\n    region = us-east-1"
    remote = f"url = s3://logs\n    endpointurl = {door.address}\n    {keys}"
    (tmp_path / ".dvc/config").write_text(f"['remote \"r\"']\n    {remote}\n")
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    found_store = log_store(Project(root=tmp_path, env={}))
    Writer(tmp_path / "log", manifest).part()
    assert upload(tmp_path / "log", found_store, now=later()) == 1
    assert claim_of(next((tmp_path / "log").glob("*/*.parquet"))).read_bytes() == b"stored"


def test_without_an_address_there_is_no_store(tmp_path):
    (tmp_path / "params.yaml").write_text("model: {name: m}\ndata: {raw: t.csv, target: a}\n")
    assert log_store(Project(root=tmp_path, env={})) is None
