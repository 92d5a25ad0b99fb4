"""What a run was made from is written in the same bytes wherever it was made, and read back whole or refused."""

import json
import shutil
import subprocess

import pytest

from seatrial.errors import VerdictError
from seatrial.project import Project
from seatrial.run_manifest import RunManifest, changed_at, record_run
from seatrial.verdict import Check, Outcome, Verdict
from tests.bundles import make_bundle

PARAMS = """\
model: {name: leavers}
data: {raw: data/raw.csv, target: left}
"""
LOCK = """\
schema: '2.0'
stages:
  preprocess:
    deps: [{path: data/raw.csv, hash: md5, md5: abc}]
"""
CHECKS = (Check(name="a", outcome=Outcome.PASS, message="is"), Check(name="t", outcome=Outcome.PASS, message="50 ms", volatile=True))


def git(root, *arguments):
    subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments], cwd=root, check=True, capture_output=True)


@pytest.fixture
def project(tmp_path):
    root = tmp_path / "project"
    root.mkdir()
    for name, text in {
        "params.yaml": PARAMS,
        "dvc.lock": LOCK,
        "requirements.lock": "a==1\n",
        ".gitignore": "artifacts\nmetrics\n",
    }.items():
        (root / name).write_text(text)
    git(root, "init", "--quiet")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "-m", "start")
    make_bundle(root / "artifacts/model")
    return Project(root=root, env={})


def judged(project, **subject):
    return Verdict(kind="gate", subject={"bundle": project.bundle.name, "champion": None, **subject}, checks=CHECKS)


def test_a_run_is_read_back_as_it_was_written(project):
    written = record_run(project, judged(project))
    assert RunManifest.load(project.verdict("run")) == written
    assert (written.changed, written.data, written.environment) == ((), "md5:abc", "local")
    assert [check.name for check in written.gate.checks] == ["a"]
    assert set(written.files) == {"model.onnx", "golden.json"}


def test_another_clone_of_the_commit_writes_the_same_bytes(project, tmp_path):
    record_run(project)
    git(tmp_path, "clone", "--quiet", "project", "clone")
    other = Project(root=tmp_path / "clone", env={"HOME": "/nowhere"})
    shutil.copytree(project.bundle, other.bundle)
    record_run(other)
    assert other.verdict("run").read_bytes() == project.verdict("run").read_bytes()


def test_files_that_no_commit_holds_are_named(project):
    (project.root / "params.yaml").write_text(PARAMS + "# changed\n")
    (project.root / "new file.py").write_text("")
    assert record_run(project).changed == ("new file.py", "params.yaml")
    assert changed_at(project.root) == ["new file.py", "params.yaml"]


def test_outside_git_there_is_no_commit(project):
    shutil.rmtree(project.root / ".git")
    assert record_run(project).commit is None


def test_the_champion_itself_was_not_judged(project):
    bundle = record_run(project).bundle
    assert record_run(project, judged(project, champion=bundle)).gate is None
    assert record_run(project, judged(project, champion="sha256:other")).gate is not None


@pytest.mark.parametrize("change", [lambda value: "[]", lambda value: "{", lambda value: json.dumps({**value, "kind": "gate"}),
                                    lambda value: json.dumps({**value, "extra": 1}), lambda value: json.dumps({**value, "gate": {}}) + "x",
                                    lambda value: json.dumps({name: value[name] for name in value if name != "bundle"})])  # fmt: skip
def test_what_is_no_manifest_of_a_run_is_refused(project, change):
    record_run(project)
    path = project.verdict("run")
    path.write_text(change(json.loads(path.read_bytes())))
    with pytest.raises(VerdictError, match="no manifest of a run"):
        RunManifest.load(path)


def test_a_manifest_that_is_not_there_says_what_to_do(tmp_path):
    with pytest.raises(VerdictError, match="nox -s train gate"):
        RunManifest.load(tmp_path / "run.json")
