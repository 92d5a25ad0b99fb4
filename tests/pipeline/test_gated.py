"""From a passed gate to live traffic and back. The model is trained once, and each test finds it as the gate left it."""

import signal
import socket

import psutil
import pytest

from tests.dvc_projects import wait_for
from tests.pipeline.projects import ROW, SmallProject

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def gated(tmp_path_factory):
    made = SmallProject(tmp_path_factory.mktemp("gated") / "loans")
    for command in (["contract", "infer"], ["train"], ["gate"]):
        made.run(*command)
    made.keep()
    return made


@pytest.fixture
def project(gated):
    gated.put_back()
    yield gated
    gated.run("down")


def test_down_leaves_nothing_and_up_brings_back_what_was_live(project):
    project.run("deploy")
    project.run("down")
    assert project.status()["phase"] == "down"
    assert not [one for one in psutil.process_iter(["cmdline"]) if str(project.root) in " ".join(one.info["cmdline"] or [])]
    with pytest.raises(OSError, match="refused"):
        project.ask(ROW)
    project.run("up")
    assert project.ask(ROW)[1]["x-seatrial-version"] == "1"


def test_a_taken_port_is_said_before_anything_starts(project):
    with socket.create_server(("127.0.0.1", project.port)):
        output = project.run("deploy", expect=2)
    assert str(project.port) in output
    assert "rollout.port" in output
    project.run("deploy")


def test_deploy_refuses_a_bundle_that_the_gate_did_not_see(project):
    project.change("max_iter: 30", "max_iter: 35")
    project.run("train")
    assert "refused" in project.run("deploy", expect=1)


def test_deploy_refuses_a_bundle_with_a_changed_byte(project):
    model = project.root / "artifacts/model/model.onnx"
    data = bytearray(model.read_bytes())
    model.unlink()  # DVC links it read-only to its cache
    data[-1] ^= 1
    model.write_bytes(bytes(data))
    output = project.run("deploy", expect=1)
    assert "model.onnx" in output


def test_ctrl_c_during_a_rollout_returns_all_traffic_to_the_champion(project):
    project.run("deploy")
    project.change("max_iter: 30", "max_iter: 40")
    project.change("min_requests: 30", "min_requests: 100000")
    project.run("train")
    project.run("gate")
    process = project.start("deploy")
    wait_for(lambda: project.status()["rollout"])
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    status = project.status()
    first = status["variants"][0]
    assert (first["role"], first["version"], first["weight"]) == ("champion", 1, 100)
    assert status["rollout"] is None
    assert not project.processes("seatrial replay")
