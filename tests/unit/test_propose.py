"""The decision about a training, told to a forge that writes down what it is told."""

import subprocess

import pytest

from seatrial.errors import PipelineError
from seatrial.project import Project
from seatrial.propose import propose, tell
from seatrial.retrain import Reason
from seatrial.retrain_report import MARKER
from seatrial.verdict import Verdict

OWN = "<!-- seatrial retrain m-production -->"


class Forge:
    def __init__(self):
        self.told, self.withdrawn, self.proposed = [], [], []

    def tell(self, title, text, *, marker):
        self.told.append((title, text, marker))
        return "u/1"

    def withdraw(self, words, *, marker):
        self.withdrawn.append((words, marker))
        return "u/1"

    def propose(self, change):
        self.proposed.append(change)
        return "u/2"


@pytest.fixture
def project(tmp_path):
    """A repository with a trained bundle whose lock differs from HEAD."""
    (tmp_path / "params.yaml").write_text("model: {name: m}\ndata: {raw: t.csv, target: y}\nenvironments: {production: {}}\n")
    (tmp_path / "dvc.lock").write_text("old")
    (tmp_path / "gone.csv").write_text("x")
    (tmp_path / ".gitignore").write_text("reports\nartifacts\n")
    for command in (
        ["init", "-q", "-b", "trunk"],
        ["add", "-A"],
        ["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "start"],
    ):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    made = Project(root=tmp_path, environment="production", env={})
    for path, text in ((made.report("retrain.md"), f"{MARKER}\n## Train m again?\n"), (made.bundle / "manifest.json", "{}")):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return made


def verdict(*reasons):
    return Verdict(kind="retrain", subject={"bundle": "b", "reasons": list(reasons), "policy": "p"}, checks=())


def test_what_is_asked_for_is_one_issue_of_this_model_and_environment(project):
    forge = Forge()
    assert tell(project, verdict("drift", "data"), forge) == "a person decides: u/1"
    ((title, text, marker),) = forge.told
    assert (title, marker) == ("Train m again? drift, data", OWN)
    assert text.startswith(f"{OWN}\n## Train m again?")
    assert text.count("<!--") == 1


def test_what_is_not_asked_for_any_more_is_closed(project):
    forge = Forge()
    assert "u/1 is closed" in tell(project, verdict(), forge)
    assert forge.withdrawn[0][1] == OWN
    assert forge.told == []


def test_a_training_is_proposed_with_the_files_that_it_changed(project):
    (project.root / "dvc.lock").write_text("new")
    (project.root / "gone.csv").unlink()
    (project.root / "unknown.txt").write_text("not in git")
    project.report("gate.md").write_text("## Gate")
    forge = Forge()
    assert propose(project, (Reason.DRIFT,), forge) == "proposed: u/2"
    (change,) = forge.proposed
    assert dict(change.files) == {"dvc.lock": b"new", "gone.csv": None}
    assert (change.target, change.title) == ("trunk", "Train m again: drift")
    assert change.branch.startswith("retrain/m-")
    assert "## Gate" in change.text
    assert len(change.base) == 40
    assert "u/2" in forge.withdrawn[0][0]


def test_a_training_that_changed_nothing_is_not_proposed(project):
    forge = Forge()
    assert "nothing to propose" in propose(project, (Reason.DATA,), forge)
    assert forge.proposed == []


def test_outside_of_git_it_is_said(tmp_path):
    with pytest.raises(PipelineError, match="says no"):
        propose(Project(root=tmp_path, env={"GIT_CEILING_DIRECTORIES": str(tmp_path)}), (Reason.DATA,), Forge())
