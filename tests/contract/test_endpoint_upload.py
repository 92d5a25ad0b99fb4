"""The endpoint's own program that takes the prediction log to a store: started, changed, killed, and no server knows its keys."""

import os
import signal
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from seatrial.adapters.endpoint import LocalEndpoint, Variant, inspect
from seatrial.adapters.supervisor import wait_until
from seatrial.params import Log, Rollout
from seatrial.serving.upload import upload_state
from tests.bundles import make_bundle
from tests.stores import s3_server

pytestmark = pytest.mark.slow
URI = "s3://logs/leavers"


@pytest.fixture(scope="module")
def store():
    with s3_server() as (address, _):
        yield address


@pytest.fixture
def variant(tmp_path):
    made = make_bundle(tmp_path / "bundle")
    return Variant(version=3, digest=made.digest, bundle=tmp_path / "bundle")


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "h"
    yield folder
    LocalEndpoint(folder, Rollout(port=1)).down()


@pytest.fixture
def start(home, store, variant):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    keys = {"AWS_ENDPOINT_URL": store, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "the-secret", "AWS_REGION": "us-east-1"}

    def started(uri=URI, **more):
        env = {**{name: value for name, value in os.environ.items() if not name.startswith("AWS_")}, **keys, **more}
        endpoint = LocalEndpoint(home, Rollout(port=port), log=Log(uri=uri), env=env)
        endpoint.ensure((variant,))
        return endpoint

    return started


def uploaders(home):
    ended = subprocess.run(["pgrep", "-f", f"seatrial.serving.upload --log {home}"], capture_output=True, text=True, check=False)
    return [int(pid) for pid in ended.stdout.split()]


def test_it_runs_with_the_keys_that_no_other_program_gets(start, home):
    start()
    assert wait_until(lambda: (state := upload_state(home / "log")) is not None and state.done, 60)
    assert upload_state(home / "log").problem is None
    access = home / "endpoint/log-upload.json"
    assert stat.S_IMODE(access.stat().st_mode) == 0o600
    seen = inspect(home)
    for pid in (seen.supervisord, seen.envoy, *seen.variants[3]):
        assert b"the-secret" not in Path(f"/proc/{pid}/environ").read_bytes()
    holding = [path for path in (home / "endpoint").rglob("*") if path.is_file() and b"the-secret" in path.read_bytes()]
    assert holding == [access]
    assert set(seen.variants) == {3}


def test_it_is_left_alone_while_nothing_changes_and_started_again_where_keys_or_address_do(start, home):
    start()
    (first,) = uploaders(home)
    start()
    assert uploaders(home) == [first]
    start(AWS_ACCESS_KEY_ID="other")
    (second,) = uploaders(home)
    assert second != first
    start(uri="s3://logs/elsewhere")
    assert wait_until(lambda: (state := upload_state(home / "log")) is not None and state.uri == "s3://logs/elsewhere", 60)
    start(uri=None)
    assert uploaders(home) == []
    assert not (home / "endpoint/log-upload.json").exists()


def test_it_is_started_again_when_it_is_killed_and_down_leaves_nothing(start, home):
    endpoint = start()
    (pid,) = uploaders(home)
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: uploaders(home) not in ([], [pid]), 20)
    endpoint.down()
    assert uploaders(home) == []
    assert not (home / "endpoint/log-upload.json").exists()
