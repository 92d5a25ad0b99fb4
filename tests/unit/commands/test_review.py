"""`seatrial review` in a real DVC repository: what the comment says, and what it says where something is missing."""

import argparse
import os
import sys
from dataclasses import replace

import polars as pl
import pytest

from seatrial.commands.review import review, run
from seatrial.errors import PipelineError
from seatrial.project import Project
from seatrial.review import MARKER
from seatrial.verdict import Check, Outcome, Verdict
from tests.bundles import TARGET, make_bundle, make_rows, make_targets
from tests.unit.commands.test_diff import shell

PARAMS = """\
model: {{name: m, primary: roc_auc}}
data: {{raw: t.csv, target: left, positive: "Yes", id: client, groups: [member], contract: contract.yaml}}
train: {{max_iter: {}}}
"""
CONTRACT = "columns:\n  age: {{type: integer, range: [0, {}]}}\n  left: {{type: string}}\n"
STAGE = """\
import json, shutil, yaml
from pathlib import Path
value = yaml.safe_load(open("params.yaml"))["train"]["max_iter"] / 10
shutil.copytree(f"made/{value}", "artifacts/model")
json.dump({"roc_auc": value, "log_loss": 1 - value}, open("evaluation.json", "w"))
Path("metrics/plots").mkdir(parents=True, exist_ok=True)
Path("metrics/plots/roc.csv").write_text(f"false_positive_rate,true_positive_rate\\n0,0\\n0.5,{value}\\n1,1\\n")
"""
PIPELINE = """\
stages:
  evaluate:
    cmd: python stage.py
    params: [train.max_iter]
    deps: [data/processed/test.parquet]
    metrics: [evaluation.json: {cache: false}]
    outs: [artifacts/model, metrics/plots/roc.csv: {cache: false}]
"""


def commit(root, max_iter, oldest, weight):
    make_bundle(root / f"made/{max_iter / 10}", weight=weight)
    (root / "params.yaml").write_text(PARAMS.format(max_iter))
    (root / "contract.yaml").write_text(CONTRACT.format(oldest))
    shell(root, sys.executable, "-m", "dvc", "repro", "--quiet")
    save(root, f"max_iter {max_iter}")


def save(root, message):
    shell(root, "git", "add", "-A")
    shell(root, "git", "commit", "--quiet", "--message", message)


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """`main` with a good model, and `feature`, checked out, with a worse one and a narrower contract; main has gone on since."""
    root = tmp_path_factory.mktemp("review") / "work"
    (root / "data/processed").mkdir(parents=True)
    shell(root, "git", "init", "--quiet", "--initial-branch", "main")
    shell(root, sys.executable, "-m", "dvc", "init", "--quiet")
    rows = make_rows(600, seed=3)
    pl.DataFrame(rows).with_columns(pl.Series(TARGET.name, make_targets(rows, seed=3))).write_parquet(root / "data/processed/test.parquet")
    (root / "stage.py").write_text(STAGE)
    (root / "dvc.yaml").write_text(PIPELINE)
    (root / ".gitignore").write_text("/reports\n/metrics/*.json\n/made\n/artifacts\n")
    save(root, "start")
    shell(root, "git", "tag", "start")
    commit(root, 5, 120, 1.0)
    shell(root, "git", "checkout", "--quiet", "-b", "feature")
    shell(root, "git", "checkout", "--quiet", "main")
    (root / "params.yaml").write_text(PARAMS.format(7))
    save(root, "main goes on")
    shell(root, "git", "checkout", "--quiet", "feature")
    commit(root, 3, 99, -1.0)
    return root


@pytest.fixture
def project(repository):
    return Project(root=repository, env=dict(os.environ) | {"GITHUB_BASE_REF": ""})


def options(**changes):
    return argparse.Namespace(**{"base": None, "post": None, "pull_request": None} | changes)


def text_of(project):
    return project.report("review.md").read_text()


def cells(text):
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line.startswith("|")]


def test_the_comment_shows_metrics_contract_params_and_models_against_the_merge_base(project, capsys, tmp_path):
    summary = tmp_path / "summary"
    assert run(replace(project, env={**project.env, "GITHUB_STEP_SUMMARY": str(summary)}), options()) == 0
    text = text_of(project)
    assert text.startswith(f"{MARKER}\n## 🟡 m: inconclusive · `roc_auc` 0.500 → 0.300 (worse)\n")
    rows = cells(text)
    assert [row[-1] for row in rows if row[:3] == ["`roc_auc`", "0.5000", "0.3000"]] == ["🔴\xa0worse"]
    assert ["`train.max_iter`", "5", "3"] in rows
    assert ["🔴\xa0breaking", "`columns.age.range`", r"\[0, 120\]", r"\[0, 99\]", "what was accepted may be refused now"] in rows
    assert "of 600 rows" in text
    assert "`member = True`" in text
    assert "xychart-beta" in text
    assert summary.read_text() == f"{text}\n"
    assert "review: inconclusive · reports/review.md" in capsys.readouterr().out
    assert "main has gone on by 1 commit since" in text
    assert "of which 1 change params, pipeline, contract or reference: merge it, train and ask again." in text
    assert "No gate: gate.json: there is no gate verdict yet. What to do: run: nox -s gate" in text
    assert (project.root / "reports/review.html").is_file()
    assert shell(project.root, "git", "status", "--porcelain") == ""


def test_a_base_without_metrics_model_and_contract_is_said_with_what_to_do(project):
    assert run(project, options(base="start")) == 0
    text = text_of(project)
    assert "The base has no value for `log_loss`, `roc_auc`: nothing to compare with until the base commits its metrics" in text
    assert "🟠\xa0not\xa0comparable" in text
    assert "The base has no contract.yaml, so every rule of the contract is new." in text


@pytest.fixture
def spoilt(project):
    """The repository with a metric that is no number, without the base's model in the cache, and with verdicts about other things."""
    evaluation, cache = project.root / "evaluation.json", project.root / ".dvc/cache"
    original = evaluation.read_text()
    evaluation.write_text('{"roc_auc": NaN, "log_loss": 0.7}')
    cache.rename(project.root / ".dvc/tmp/elsewhere")
    check = Check(name="a", outcome=Outcome.PASS, message="fine")
    Verdict(kind="gate", subject={"bundle": "sha256:0"}, checks=(check,)).save(project.verdict("gate"))
    Verdict(kind="validation", subject={"contract": "sha256:0"}, checks=(check,)).save(project.verdict("validation"))
    yield project
    (project.root / ".dvc/tmp/elsewhere").rename(cache)
    evaluation.write_text(original)
    project.verdict("gate").unlink()
    project.verdict("validation").unlink()


def test_what_is_missing_or_no_number_is_said_and_the_rest_is_shown(spoilt):
    assert review(spoilt)
    text = text_of(spoilt)
    assert "`roc_auc` is no finite number in the workspace: mend what the evaluation computes, then `nox -s train`." in text
    assert "Without intervals: the base's model cannot be asked (the object" in text
    assert "is not in DVC's cache)" in text
    assert "The gate's verdict is about another bundle than the one in artifacts/model. What to do: nox -s gate" in text
    assert "The validation's verdict is about another contract than the one here, so it is left out." in text
    assert "`train.max_iter`" in text


def test_without_a_common_commit_the_comment_says_so_and_the_exit_code_is_2(project):
    shell(project.root, "git", "checkout", "--quiet", "--orphan", "alone")
    shell(project.root, "git", "commit", "--quiet", "--message", "alone")
    try:
        assert run(project, options()) == 2
    finally:
        shell(project.root, "git", "checkout", "--quiet", "feature")
    assert "No comparison: HEAD and main have no common commit here. What to do: rebase it, or name a commit" in text_of(project)


def test_a_shallow_clone_says_how_to_complete_it_and_the_exit_code_is_2(project, tmp_path):
    shell(tmp_path, "git", "clone", "--quiet", "--depth", "1", "--no-single-branch", f"file://{project.root}", "shallow")
    shallow = Project(root=tmp_path / "shallow", env=project.env | {"GITHUB_BASE_REF": "main"})
    assert run(shallow, options()) == 2
    text = text_of(shallow)
    assert "(the clone is shallow: its history was not fetched). What to do: git fetch --unshallow" in text
    assert "No gate" in text


def test_an_earlier_text_does_not_outlive_a_failure(project):
    project.report("review.md").parent.mkdir(exist_ok=True)
    project.report("review.md").write_text("about another commit")
    config = project.root / ".dvc/config"
    original = config.read_text()
    config.write_text("[core\n")
    try:
        with pytest.raises(PipelineError, match=r"`dvc metrics diff .*` failed"):
            review(project)
    finally:
        config.write_text(original)
    assert not project.report("review.md").exists()
