"""Who acts is named as the forge knows them, and elsewhere as this machine does; and replayed requests that end say why."""

import getpass
import os

import pytest

from seatrial.project import Project
from seatrial.tools import ReplaySource, who


@pytest.mark.parametrize(
    ("env", "name"),
    [
        ({"GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "ann", "GITHUB_TRIGGERING_ACTOR": "bob"}, "bob"),
        ({"GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "ann"}, "ann"),
        ({"GITLAB_CI": "true", "GITLAB_USER_LOGIN": "cleo"}, "cleo"),
        ({"GITHUB_ACTOR": "ann", "GITLAB_USER_LOGIN": "cleo"}, getpass.getuser()),
        ({"GITHUB_ACTIONS": "true"}, getpass.getuser()),
    ],
)
def test_the_person_behind_a_job_is_the_one_that_the_forge_names(env, name):
    assert who(env) == name


def test_replayed_requests_that_cannot_be_made_say_why_and_what_to_do(tmp_path):
    (tmp_path / "params.yaml").write_text("model: {name: m}\ndata: {raw: a.csv, target: y}\n")
    project = Project.find(tmp_path, env={"PATH": os.environ["PATH"]})
    project.home.mkdir()
    source = ReplaySource(project, rate=10)
    source.start()
    try:
        source._process.wait(60)
        said = source.problem()
    finally:
        source.stop()
    assert said.startswith("the replayed requests ended: error: data/processed/test.parquet cannot be read")
    assert said.endswith("→ make it: nox -s train")
