"""What goes wrong before there is a model: it is said, and the same command again does the rest."""

import signal

import psutil
import pytest

from tests.dvc_projects import wait_for
from tests.pipeline.projects import SmallProject

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def drafted(tmp_path_factory):
    made = SmallProject(tmp_path_factory.mktemp("drafted") / "loans")
    made.run("contract", "infer")
    made.keep()
    return made


@pytest.fixture
def project(drafted):
    """With a contract; nothing is trained yet."""
    drafted.put_back()
    return drafted


def test_without_git_train_says_what_to_do(tmp_path):
    project = SmallProject(tmp_path / "loans", git=False)
    project.run("contract", "infer")
    assert "git init" in project.run("train", expect=2)


def test_an_unreachable_registry_is_exit_2_and_loses_nothing(project):
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
def test_a_mistake_in_params_is_said_before_any_work(project, old, new, message):
    project.change(old, new)
    assert message in project.run("train", expect=2)
    assert not (project.root / "artifacts").exists()


def test_ctrl_c_during_training_stops_the_stage_and_exits_130(project):
    project.change("max_iter: 30", "max_iter: 20000")
    process = project.start("train")
    trainer = wait_for(lambda: project.processes("churn.train"))
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert not psutil.pid_exists(trainer[0].pid) or not trainer[0].is_running()
    project.change("max_iter: 20000", "max_iter: 20")
    project.run("train")
