"""`seatrial review` on a small DVC repository: what the comment says, and what it says where something is missing."""

import argparse
import os
import sys

import pytest

from seatrial.commands.review import review, run
from seatrial.project import Project
from seatrial.review import MARKER
from tests.unit.commands.test_diff import PARAMS, PIPELINE, shell

PARAMS_OF = PARAMS.replace("m}}", "m, primary: roc_auc}}").replace("bought", "bought, contract: contract.yaml")
CONTRACT = "columns:\n  age: {{type: integer, range: [0, {}]}}\n  bought: {{type: string}}\n"
STAGE = """\
import json, yaml
value = yaml.safe_load(open("params.yaml"))["train"]["max_iter"] / 10
json.dump({"roc_auc": value, "log_loss": 1 - value}, open("evaluation.json", "w"))
open("roc.csv", "w").write(f"x,y\\n0,0\\n1,{value}\\n")
"""


def commit(root, max_iter, oldest):
    (root / "params.yaml").write_text(PARAMS_OF.format(max_iter))
    (root / "contract.yaml").write_text(CONTRACT.format(oldest))
    shell(root, sys.executable, "-m", "dvc", "repro", "--quiet")
    shell(root, "git", "add", "-A")
    shell(root, "git", "commit", "--quiet", "--message", f"max_iter {max_iter}")


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """`main` with max_iter 5, and `feature`, checked out, with max_iter 3 and a narrower contract."""
    root = tmp_path_factory.mktemp("review")
    shell(root, "git", "init", "--quiet", "--initial-branch", "main")
    shell(root, sys.executable, "-m", "dvc", "init", "--quiet")
    (root / "stage.py").write_text(STAGE)
    (root / "dvc.yaml").write_text(PIPELINE)
    (root / ".gitignore").write_text("/reports\n/metrics\n")
    commit(root, 5, 120)
    shell(root, "git", "checkout", "--quiet", "-b", "feature")
    commit(root, 3, 99)
    return root


@pytest.fixture
def project(repository):
    return Project(root=repository, env=dict(os.environ) | {"GITHUB_BASE_REF": ""})


def options(**changes):
    return argparse.Namespace(**{"base": None, "post": None, "pull_request": None} | changes)


def cells(text):
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line.startswith("|")]


def test_the_comment_shows_metrics_contract_and_params_against_the_merge_base(project, capsys, tmp_path):
    summary = tmp_path / "summary"
    project = Project(root=project.root, env={**project.env, "GITHUB_STEP_SUMMARY": str(summary)})
    assert run(project, options()) == 0
    text = project.report("review.md").read_text()
    assert text.startswith(MARKER)
    rows = cells(text)
    assert ["`roc_auc`", "0.5", "0.3", "-0.2"] in rows
    assert ["`train.max_iter`", "5", "3"] in rows
    assert ["🔴 breaking", "`columns.age.range`", r"\[0, 120\]", r"\[0, 99\]", "what was accepted may be refused now"] in rows
    assert "1 breaking change of the data contract" in text
    assert summary.read_text().startswith(text)
    assert "review: inconclusive · reports/review.md" in capsys.readouterr().out


def test_without_a_gate_the_comment_says_so_and_what_to_do(project):
    review(project)
    text = project.report("review.md").read_text()
    assert "No gate" in text
    assert "nox -s gate" in text


def test_without_a_common_commit_the_comment_says_so_and_the_exit_code_is_2(project):
    shell(project.root, "git", "checkout", "--quiet", "--orphan", "alone")
    shell(project.root, "git", "commit", "--quiet", "--message", "alone")
    try:
        assert run(project, options()) == 2
    finally:
        shell(project.root, "git", "checkout", "--quiet", "feature")
    assert "HEAD and main have no common commit here" in project.report("review.md").read_text()
