"""Where things lie, and which environment is meant."""

from pathlib import Path

import pytest

from seatrial.errors import ParamsError, UsageError
from seatrial.project import Project

SMALL = "model: {name: m}\ndata: {raw: raw/t.csv, target: bought}\ntracking: {experiment: mine}\nenvironments: {production: {}}\n"


@pytest.fixture
def root(tmp_path):
    folder = (tmp_path / "project").resolve()
    (folder / "src/deep").mkdir(parents=True)
    (folder / "params.yaml").write_text(SMALL)
    return folder


def test_the_project_is_found_from_any_folder_below_it(root):
    assert Project.find(root / "src/deep", env={}).root == root
    assert Project.find(root, env={}).root == root


def test_where_there_is_no_project_the_message_says_what_to_do():
    with pytest.raises(UsageError, match=r"no params\.yaml in .* or above it\n.*write a params\.yaml"):
        Project.find(Path("/"), env={})


@pytest.mark.parametrize(
    ("option", "env", "chosen"),
    [
        (None, {}, "local"),
        (None, {"SEATRIAL_ENV": ""}, "local"),
        (None, {"SEATRIAL_ENV": "production"}, "production"),
        ("local", {"SEATRIAL_ENV": "production"}, "local"),
        ("production", {}, "production"),
    ],
)
def test_the_option_goes_before_the_variable_and_local_is_the_rest(root, option, env, chosen):
    project = Project.find(root, environment=option, env=env)
    assert project.settings.environment == chosen


def test_an_environment_that_does_not_exist_is_refused_when_settings_are_read(root):
    with pytest.raises(UsageError, match="no environment 'staging'"):
        _ = Project.find(root, environment="staging", env={}).settings


def test_a_mistake_in_the_file_is_said_when_settings_are_read(root):
    (root / "params.yaml").write_text(SMALL + "zzz: 1\n")
    with pytest.raises(ParamsError, match="zzz"):
        _ = Project.find(root, env={}).settings


def test_state_lies_in_the_project_or_where_the_variable_says(root, tmp_path):
    assert Project(root=root, env={}).home == root / ".seatrial"
    assert Project(root=root, env={"SEATRIAL_HOME": str(tmp_path / "state")}).home == tmp_path / "state"
    assert Project(root=root, env={"SEATRIAL_HOME": "state"}).home == root / "state"


def test_registry_and_experiment_come_from_variables_first(root):
    bare, told = Project(root=root, env={}), Project(root=root, env={"MLFLOW_TRACKING_URI": "http://x", "MLFLOW_EXPERIMENT_NAME": "theirs"})
    assert (bare.tracking_uri, bare.experiment) == (f"sqlite:///{root / 'mlflow.db'}", "mine")
    assert (told.tracking_uri, told.experiment) == ("http://x", "theirs")


def test_files_lie_below_the_root(root):
    project = Project(root=root, env={})
    assert project.raw == root / "raw/t.csv"
    assert project.contract == root / "data/contract.yaml"
    assert project.reference == root / "data/reference.json"
    assert project.bundle == root / "artifacts/model"
    assert project.verdict("gate") == root / "metrics/gate.json"
    assert project.report("diff.md") == root / "reports/diff.md"


def test_secrets_of_the_environment_are_not_in_the_project_s_text(root):
    assert "hidden" not in repr(Project(root=root, env={"MLFLOW_TRACKING_PASSWORD": "hidden"}))


def test_the_search_ends_at_the_repository_s_root(tmp_path):
    (tmp_path / "params.yaml").write_text("somebody else's")
    (tmp_path / "clone/.git").mkdir(parents=True)
    (tmp_path / "clone/src").mkdir()
    with pytest.raises(UsageError, match=r"no params\.yaml"):
        Project.find(tmp_path / "clone/src", env={})
