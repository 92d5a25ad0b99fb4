"""`seatrial diff` on a small DVC repository with two commits: what it shows, and what its exit code says of tolerances."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest

from seatrial.cli import main
from seatrial.commands.diff import diff, run
from seatrial.errors import PipelineError, UsageError
from seatrial.project import Project

PARAMS = "model: {{name: m}}\ndata: {{raw: t.csv, target: bought}}\ntrain: {{max_iter: {}}}\n"
TOLERANCE = "diff: {tolerances: {roc_auc: {absolute: 0.1, direction: lower}}}\n"
STAGE = """\
import json, yaml
value = yaml.safe_load(open("params.yaml"))["train"]["max_iter"] / 10
json.dump({"roc_auc": value}, open("evaluation.json", "w"))
open("roc.csv", "w").write(f"x,y\\n0,0\\n1,{value}\\n")
"""
PIPELINE = """\
stages:
  evaluate:
    cmd: python stage.py
    params: [train.max_iter]
    metrics: [evaluation.json: {cache: false}]
    outs: [roc.csv: {cache: false}]
plots:
  - roc: {x: x, y: {roc.csv: y}}
"""


def shell(root, *command):
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    author = {f"GIT_{who}_{what}": "a@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    env = {"PATH": path, "HOME": str(root), "DVC_NO_ANALYTICS": "true", "GIT_CONFIG_GLOBAL": os.devnull, **author}
    done = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def commit(root, max_iter):
    (root / "params.yaml").write_text(PARAMS.format(max_iter) + TOLERANCE)
    shell(root, sys.executable, "-m", "dvc", "repro", "--quiet")
    shell(root, "git", "add", "-A")
    shell(root, "git", "commit", "--quiet", "--message", f"max_iter {max_iter}")


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """Three commits: no metrics yet (`start`), max_iter 3 (`main`), max_iter 5 (`feature`, checked out)."""
    root = tmp_path_factory.mktemp("diff")
    shell(root, "git", "init", "--quiet", "--initial-branch", "main")
    shell(root, sys.executable, "-m", "dvc", "init", "--quiet")
    (root / "stage.py").write_text(STAGE)
    (root / "dvc.yaml").write_text(PIPELINE)
    (root / ".gitignore").write_text("/reports\n")
    (root / "params.yaml").write_text(PARAMS.format(3))
    shell(root, "git", "add", "-A")
    shell(root, "git", "commit", "--quiet", "--message", "start")
    shell(root, "git", "tag", "start")
    commit(root, 3)
    shell(root, "git", "checkout", "--quiet", "-b", "feature")
    commit(root, 5)
    return root


@pytest.fixture
def project(repository):
    return Project(root=repository, env=dict(os.environ) | {"GITHUB_BASE_REF": ""})


def options(**changes):
    return argparse.Namespace(**{"base": None, "post": None, "pull_request": None} | changes)


def test_a_branch_shows_what_it_changed_since_it_left_main(project, capsys):
    assert run(project, options()) == 1
    shown = capsys.readouterr().out
    written = project.report("diff.md").read_text()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in written.splitlines()]
    assert ["`evaluation.json`", "`roc_auc`", "0.3", "0.5", "+0.2"] in cells
    assert ["`params.yaml`", "`train.max_iter`", "3", "5"] in cells
    assert written.partition("\n")[2] in shown
    words = "roc_auc (evaluation.json) went from 0.3 to 0.5 (+0.2): 0.1 is tolerated"
    assert shown.splitlines()[-1] == f"diff: fail · 1 of 1 tolerances not kept, first {words} · reports/diff.md"
    assert "could not be compared" not in written
    page = (project.root / "reports/plots/index.html").read_text()
    assert "0.3" in page
    assert "0.5" in page
    assert shell(project.root, "git", "status", "--porcelain") == ""


def test_a_base_without_metrics_is_said_and_decides_nothing(project):
    assert run(project, options(base="start")) == 3
    assert "The base has no value for `roc_auc`" in project.report("diff.md").read_text()


def test_where_head_is_the_base_there_is_nothing_to_compare(project, capsys):
    project.report("diff.md").parent.mkdir(exist_ok=True)
    project.report("diff.md").write_text("about another commit")
    assert diff(project, base="HEAD") == ("", ())
    assert "nothing to compare" in capsys.readouterr().out
    assert not project.report("diff.md").exists()


@pytest.fixture
def torn(project, request):
    """One file of the repository with other bytes, as long as the test lasts."""
    name, text = request.param
    path = project.root / name
    original = path.read_text()
    path.write_text(text)
    yield project
    path.write_text(original)


@pytest.mark.parametrize("torn", [("dvc.yaml", "stages: ["), ("evaluation.json", '{"roc_auc":')], indirect=True)
def test_a_workspace_that_dvc_cannot_read_is_said_with_what_to_do(torn):
    assert "The workspace has no value for `roc_auc`: run `nox -s train`." in diff(torn)[0]


@pytest.mark.parametrize("torn", [("evaluation.json", '{"roc_auc": NaN}')], indirect=True)
def test_a_metric_that_is_no_number_is_an_error_that_says_what_to_mend(torn, capsys):
    assert run(torn, options()) == 2
    assert "roc_auc (evaluation.json) is nan in the workspace, no finite number: mend the evaluation" in capsys.readouterr().out
    assert "`roc_auc` is no finite number in the workspace" in torn.report("diff.md").read_text()


@pytest.mark.parametrize("torn", [(".dvc/config", "[core\n")], indirect=True)
def test_a_dvc_that_cannot_answer_is_an_error_with_its_reason(torn):
    with pytest.raises(PipelineError, match=r"`dvc metrics diff .*` failed: ERROR"):
        diff(torn)
    assert not torn.report("diff.md").exists()


def test_without_git_the_command_exits_2_and_says_so(tmp_path, monkeypatch, capsys):
    (tmp_path / "params.yaml").write_text(PARAMS.format(3))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["diff"])
    assert ended.value.code == 2
    assert "is not a git repository" in capsys.readouterr().err


def test_without_dvc_the_command_says_how_to_begin(tmp_path):
    (tmp_path / "params.yaml").write_text(PARAMS.format(3))
    shell(tmp_path, "git", "init", "--quiet")
    with pytest.raises(PipelineError, match="not a DVC repository"):
        diff(Project(root=tmp_path, env={}))


@pytest.mark.parametrize("half", [{"post": Path("diff.md")}, {"pull_request": "12"}])
def test_a_file_without_a_place_and_a_place_without_a_file_are_refused(tmp_path, half):
    with pytest.raises(UsageError, match="belong together"):
        run(Project(root=tmp_path, env={}), options(**half))


def test_a_text_that_is_not_there_is_refused_before_anything_is_asked(tmp_path):
    with pytest.raises(UsageError, match=r"diff\.md: cannot be read"):
        run(Project(root=tmp_path, env={}), options(post=tmp_path / "diff.md", pull_request="12"))


def test_a_link_is_not_posted_because_it_may_lead_to_a_secret(tmp_path):
    (tmp_path / "secret").write_text("token")
    (tmp_path / "diff.md").symlink_to(tmp_path / "secret")
    with pytest.raises(UsageError, match=r"diff\.md: is a link"):
        run(Project(root=tmp_path, env={}), options(post=tmp_path / "diff.md", pull_request="12"))
