"""`seatrial diff` on a small DVC repository with two commits, and its posting through a stand-in for `gh`."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from seatrial.cli import main
from seatrial.commands.diff import diff, run
from seatrial.diff import MARKER
from seatrial.errors import PipelineError, UsageError
from seatrial.project import Project

PARAMS = "model: {{name: m}}\ndata: {{raw: t.csv, target: bought}}\ntrain: {{max_iter: {}}}\n"
STAGE = """\
import json, yaml
value = yaml.safe_load(open("params.yaml"))["train"]["max_iter"] / 10
json.dump({"auc": value}, open("evaluation.json", "w"))
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
    (root / "params.yaml").write_text(PARAMS.format(max_iter))
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
    assert run(project, options()) == 0
    shown = capsys.readouterr().out
    written = project.report("diff.md").read_text()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in written.splitlines()]
    assert ["`evaluation.json`", "`auc`", "0.3", "0.5", "+0.2"] in cells
    assert ["`params.yaml`", "`train.max_iter`", "3", "5"] in cells
    assert written.partition("\n")[2] in shown
    assert "could not be compared" not in written
    page = (project.root / "reports/plots/index.html").read_text()
    assert "0.3" in page
    assert "0.5" in page
    assert shell(project.root, "git", "status", "--porcelain") == ""


def test_a_base_without_metrics_is_said_and_not_hidden(project):
    assert "The base has no value for `auc`" in diff(project, base="start")[0]


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


@pytest.mark.parametrize("torn", [("dvc.yaml", "stages: ["), ("evaluation.json", '{"auc":')], indirect=True)
def test_a_workspace_that_dvc_cannot_read_is_said_with_what_to_do(torn):
    assert "The workspace has no value for `auc`: run `nox -s train`." in diff(torn)[0]


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


GH = """\
#!{python}
import json, pathlib, sys
here = pathlib.Path(__file__).parent
with (here / "calls").open("a") as calls:
    calls.write(json.dumps({{"arguments": sys.argv[1:], "input": sys.stdin.read()}}) + "\\n")
if (here / "refuses").exists():
    print("HTTP 403: Resource not accessible", file=sys.stderr)
    sys.exit(1)
if sys.argv[1:3] == ["pr", "view"]:
    print(12)
elif "--paginate" in sys.argv:
    print((here / "known").read_text())
else:
    print("https://example.org/comment")
"""


@pytest.fixture
def forge(tmp_path):
    """A project whose `gh` writes down what it is asked."""
    (tmp_path / "params.yaml").write_text(PARAMS.format(3))
    program = tmp_path / "gh"
    program.write_text(GH.format(python=sys.executable))
    program.chmod(0o755)
    (tmp_path / "known").write_text("")
    (tmp_path / "diff.md").write_text(f"{MARKER}\n## Metrics and params\n")
    return Project(root=tmp_path, env={"PATH": str(tmp_path)})


def calls(project):
    return [json.loads(line) for line in (project.root / "calls").read_text().splitlines()]


def post(project, monkeypatch, text=None):
    if text is not None:
        (project.root / "diff.md").write_text(text)
    monkeypatch.setenv("PATH", str(project.root))
    return run(project, options(post=project.root / "diff.md", pull_request="somebody:branch"))


def test_the_first_comment_is_written_anew(forge, monkeypatch, capsys):
    assert post(forge, monkeypatch) == 0
    view, _, written = calls(forge)
    assert view["arguments"][-2:] == ["--", "somebody:branch"]
    assert written["arguments"][1:4] == ["--method", "POST", "repos/{owner}/{repo}/issues/12/comments"]
    assert written["input"].startswith(MARKER)
    assert "https://example.org/comment" in capsys.readouterr().out


def test_the_comment_of_an_earlier_run_is_replaced(forge, monkeypatch):
    (forge.root / "known").write_text("77\n78\n")
    post(forge, monkeypatch)
    assert calls(forge)[-1]["arguments"][1:4] == ["--method", "PATCH", "repos/{owner}/{repo}/issues/comments/77"]


@pytest.mark.parametrize(("length", "cut"), [(59_000, False), (80_000, True)])
def test_a_text_longer_than_github_takes_is_cut_and_says_so(forge, monkeypatch, length, cut):
    post(forge, monkeypatch, "x" * length)
    sent = calls(forge)[-1]["input"]
    assert sent.startswith(MARKER)
    assert len(sent) < 65_536
    assert ("cut here" in sent) is cut


def test_a_refusal_of_github_is_told_with_its_reason(forge, monkeypatch):
    (forge.root / "refuses").touch()
    with pytest.raises(PipelineError, match="HTTP 403"):
        post(forge, monkeypatch)


def test_without_gh_the_message_says_so(forge, monkeypatch):
    (forge.root / "gh").unlink()
    with pytest.raises(PipelineError, match="`gh` is not installed"):
        post(forge, monkeypatch)


def test_a_text_that_is_not_there_is_refused_before_anything_is_asked(forge, monkeypatch):
    (forge.root / "diff.md").unlink()
    with pytest.raises(UsageError, match=r"diff\.md: cannot be read"):
        post(forge, monkeypatch)
    assert not (forge.root / "calls").exists()


@pytest.mark.parametrize("half", [{"post": "diff.md"}, {"pull_request": "12"}])
def test_a_file_without_a_place_and_a_place_without_a_file_are_refused(forge, half):
    with pytest.raises(UsageError, match="belong together"):
        run(forge, options(**half))
