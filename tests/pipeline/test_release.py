"""From another table to live traffic and back, by the same commands, without touching Python."""

import signal
import socket
import time

import psutil
import pytest

from tests.pipeline.projects import ROW, SmallProject

pytestmark = pytest.mark.slow


@pytest.fixture
def project(tmp_path):
    made = SmallProject(tmp_path / "loans")
    yield made
    made.run("down")


def test_another_table_goes_live_is_replaced_refused_and_rolled_back(project):
    project.run("contract", "infer")
    assert "validate: pass" in project.run("validate")
    project.run("train")
    assert "5 trainings" in project.run("noise")
    first = project.run("gate")
    assert "registered version 1" in first
    assert project.verdict("gate")["subject"]["champion"] is None
    assert {"noise.roc_auc", "noise.log_loss"} < {check["name"] for check in project.verdict("gate")["checks"]}

    project.run("deploy")
    assert project.verdict("rollout")["outcome"] == "pass"
    answer, headers = project.ask(ROW)
    assert answer["predictions"][0]["label"] in ("0", "1")
    assert 0 <= answer["predictions"][0]["probability"] <= 1
    assert headers["x-seatrial-version"] == "1"
    served = headers["x-seatrial-digest"]
    assert served == project.verdict("gate")["subject"]["bundle"]
    assert "already champion" in project.run("deploy")

    assert "by version 1" in project.run("predict", "data/raw/loans.csv", "--output", "scores.csv")
    assert (project.root / "scores.csv").read_text().count("\n") == 1501
    assert "no version 9" in project.run("predict", "data/raw/loans.csv", "--output", "x.csv", "--version", "9", expect=2)

    project.change("max_iter: 30", "max_iter: 40")
    project.run("train")
    project.run("gate")
    assert project.verdict("gate")["subject"]["champion"] == project.verdict("gate")["subject"]["anchor"] == served
    checks = {check["name"]: check for check in project.verdict("gate")["checks"]}
    assert {"slices.purpose.car", "anchor.better"} < set(checks)
    assert checks["test.looks"]["observed"] == 2
    shown = project.run("deploy")
    assert "mirror" in shown
    assert "20 %" in shown
    status = project.status()
    assert [(one["role"], one["version"], one["weight"]) for one in status["variants"]] == [("champion", 2, 100), ("previous", 1, 0)]
    assert project.ask(ROW)[1]["x-seatrial-version"] == "2"

    project.change("max_iter: 40", "max_iter: 1")
    project.run("train")
    project.run("gate", expect=1)
    assert "refused" in project.run("deploy", expect=1)
    assert project.ask(ROW)[1]["x-seatrial-version"] == "2"

    project.run("rollback", "--reason", "a person wants it")
    assert project.ask(ROW)[1]["x-seatrial-version"] == "1"
    assert "nothing to roll back" in project.run("rollback")
    assert "audit: pass" in project.run("audit")
    assert project.status()["variants"][0]["digest"] == served


def test_down_leaves_nothing_and_up_brings_back_what_was_live(project):
    for command in (["contract", "infer"], ["train"], ["gate"], ["deploy"]):
        project.run(*command)
    project.run("down")
    assert project.status()["phase"] == "down"
    assert not [one for one in psutil.process_iter(["cmdline"]) if str(project.root) in " ".join(one.info["cmdline"] or [])]
    with pytest.raises(OSError, match="refused"):
        project.ask(ROW)
    project.run("up")
    assert project.ask(ROW)[1]["x-seatrial-version"] == "1"


def test_a_taken_port_is_said_before_anything_starts(project):
    for command in (["contract", "infer"], ["train"], ["gate"]):
        project.run(*command)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", project.port))
        taken.listen()
        output = project.run("deploy", expect=2)
    assert str(project.port) in output
    assert "rollout.port" in output
    project.run("deploy")


def test_deploy_refuses_a_bundle_that_the_gate_did_not_see(project):
    for command in (["contract", "infer"], ["train"], ["gate"]):
        project.run(*command)
    project.change("max_iter: 30", "max_iter: 35")
    project.run("train")
    assert "refused" in project.run("deploy", expect=1)


def test_deploy_refuses_a_bundle_with_a_changed_byte(project):
    for command in (["contract", "infer"], ["train"], ["gate"]):
        project.run(*command)
    model = project.root / "artifacts/model/model.onnx"
    data = bytearray(model.read_bytes())
    model.unlink()  # DVC links it read-only to its cache
    data[-1] ^= 1
    model.write_bytes(bytes(data))
    output = project.run("deploy", expect=1)
    assert "model.onnx" in output


def test_without_git_train_says_what_to_do(tmp_path):
    project = SmallProject(tmp_path / "loans", git=False)
    project.run("contract", "infer")
    assert "git init" in project.run("train", expect=2)


def test_an_unreachable_registry_is_exit_2_and_loses_nothing(tmp_path):
    project = SmallProject(tmp_path / "loans")
    project.run("contract", "infer")
    address = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    assert "keeps out of the shared registry" in project.run("train", expect=2, **address)
    assert "does not answer" in project.run("train", "--shared", expect=2, **address)
    assert (project.root / "artifacts/model/manifest.json").exists()
    assert "(logged)" in project.run("train")
    assert "keeps out of the shared registry" in project.run("gate", expect=2, **address)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("max_iter: 30", "max_itr: 30", "did you mean 'max_iter'"),
        ("max_iter: 30", "max_iter: many", "found 'many'"),
        ("target: defaulted", "target: nowhere", "nowhere"),
        ("loans.csv", "nothing.csv", "nothing.csv"),
    ],
)
def test_a_mistake_in_params_is_said_before_any_work(tmp_path, old, new, message):
    project = SmallProject(tmp_path / "loans")
    project.run("contract", "infer")
    project.change(old, new)
    assert message in project.run("train", expect=2)
    assert not (project.root / "artifacts").exists()


def test_ctrl_c_during_training_stops_the_stage_and_exits_130(tmp_path):
    project = SmallProject(tmp_path / "loans")
    project.run("contract", "infer")
    project.change("max_iter: 30", "max_iter: 20000")
    process = project.start("train")
    trainer = _wait_for(lambda: _processes(project, "churn.train"))
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert not psutil.pid_exists(trainer[0].pid) or not trainer[0].is_running()
    project.change("max_iter: 20000", "max_iter: 20")
    project.run("train")


def test_ctrl_c_during_a_rollout_returns_all_traffic_to_the_champion(project):
    for command in (["contract", "infer"], ["train"], ["gate"], ["deploy"]):
        project.run(*command)
    project.change("max_iter: 30", "max_iter: 40")
    project.change("min_requests: 30", "min_requests: 100000")
    project.run("train")
    project.run("gate")
    process = project.start("deploy")
    _wait_for(lambda: project.status()["rollout"])
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    status = project.status()
    first = status["variants"][0]
    assert (first["role"], first["version"], first["weight"]) == ("champion", 1, 100)
    assert status["rollout"] is None
    assert not _processes(project, "seatrial replay")


def _processes(project, words):
    found = []
    for one in psutil.process_iter(["cmdline", "cwd"]):
        line = " ".join(one.info["cmdline"] or [])
        if words in line and one.info["cwd"] == str(project.root):
            found.append(one)
    return found


def _wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError(f"did not happen within {seconds} s")
