"""`seatrial ci` on a small repository: real clones, a real nox, jobs that hand each other what real ones do."""

import dataclasses
import importlib.metadata
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml

from seatrial.ci.github import read_workflow
from seatrial.ci.gitlab import EVENTS, read_gitlab
from seatrial.ci.source import Source, _Loader
from seatrial.cli import main

NOXFILE = """\
import os, pathlib, nox

nox.options.default_venv_backend = "none"


@nox.session
def gate(session):
    pathlib.Path("artifacts/model").mkdir(parents=True)
    pathlib.Path("artifacts/model/manifest.json").write_text("{}")
    pathlib.Path("reports").mkdir()
    pathlib.Path("reports/bundle.env").write_text("SEATRIAL_BUNDLE=sha256:ab\\n")
    if output := os.environ.get("GITHUB_OUTPUT"):
        pathlib.Path(output).write_text("bundle=sha256:ab\\n")
        pathlib.Path(os.environ["GITHUB_STEP_SUMMARY"]).write_text("## Gated\\n")


@nox.session
def deploy(session):
    seen = {name: os.environ.get(name) for name in ("SEATRIAL_BUNDLE", "SEATRIAL_ENV", "SEATRIAL_HOME", "MLFLOW_TRACKING_URI")}
    print("seen:", seen, pathlib.Path("artifacts/model/manifest.json").exists(), pathlib.Path("draft.txt").exists())
    if session.posargs:
        session.error("told to fail")


@nox.session
def wait(session):
    session.run("sh", "-c", "echo $$ > waiting.pid; exec sleep 60", external=True, interrupt_timeout=None)
"""
NOX = f'pip install "nox[uv]=={importlib.metadata.version("nox")}"'
WORKFLOW = f"""\
on: [push]
jobs:
  gate:
    outputs: {{bundle: "${{{{ steps.gate.outputs.bundle }}}}"}}
    steps:
      - {{uses: "actions/checkout@0"}}
      - {{uses: "actions/setup-python@0", with: {{python-version: "9.9"}}}}
      - {{uses: "somebody/else@0", name: Else}}
      - {{run: '{NOX}'}}
      - {{id: gate, run: nox -s gate}}
      - {{uses: "actions/upload-artifact@0", with: {{name: gated, path: artifacts/model}}}}
  deploy:
    needs: gate
    environment: production
    env:
      SEATRIAL_BUNDLE: "${{{{ needs.gate.outputs.bundle }}}}"
      SEATRIAL_ENV: production
      MLFLOW_TRACKING_URI: https://registry
    steps:
      - {{uses: "actions/checkout@0"}}
      - {{uses: "actions/download-artifact@0", with: {{name: gated, path: artifacts/model}}}}
      - {{run: '{NOX}'}}
      - {{name: Fail, if: vars.FAIL != '', run: nox -s deploy -- fail}}
      - {{name: Deploy, run: nox -s deploy}}
      - {{name: Mourn, if: failure(), run: nox -s deploy}}
"""
WAITING = f"""\
on: [push]
jobs:
  wait:
    steps:
      - {{uses: "actions/checkout@0"}}
      - {{run: '{NOX}'}}
      - {{run: nox -s wait}}
"""
GITLAB = f"""\
stages: [train, deploy]
default: {{before_script: ['{NOX}']}}
gate:
  stage: train
  script: [nox -s gate]
  artifacts: {{paths: [artifacts/model], reports: {{dotenv: reports/bundle.env}}}}
deploy:
  stage: deploy
  variables: {{SEATRIAL_BUNDLE: "", UV_CACHE_DIR: $CI_PROJECT_DIR/.cache}}
  script: [nox -s deploy]
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    root = tmp_path_factory.mktemp("ci")
    for name, text in {
        "noxfile.py": NOXFILE,
        "params.yaml": "model: {name: m}\ndata: {raw: t.csv, target: y}\n",
        ".github/workflows/deploy.yml": WORKFLOW,
        ".github/workflows/wait.yml": WAITING,
        ".gitlab-ci.yml": GITLAB,
        ".gitignore": ".seatrial\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for command in (
        ["init", "-q", "-b", "main"],
        ["add", "-A"],
        ["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "start"],
    ):
        subprocess.run(["git", *command], cwd=root, check=True)
    return root


def ci(root, monkeypatch, capfd, *arguments):
    """Exit code and output."""
    monkeypatch.chdir(root)
    with pytest.raises(SystemExit) as ended:
        main(["ci", *arguments])
    said = capfd.readouterr()
    return ended.value.code, said.err + said.out


def test_a_job_of_an_environment_stays_out_and_is_said(repository, monkeypatch, capfd):
    code, text = ci(repository, monkeypatch, capfd, "deploy.yml")
    assert code == 0
    assert "gate: success" in text
    assert "Else: skipped: somebody/else has no stand-in here" in text
    assert "it asks for 9.9" in text
    assert "deploy: skipped: it acts on the environment 'production'" in text
    assert text.splitlines()[-1].startswith("ci: pass · .github/workflows/deploy.yml · 1 of 2 jobs ran")
    run = repository / ".seatrial/ci/deploy"
    assert (run / "artifacts/gated/manifest.json").read_text() == "{}"
    assert (run / "summary.md").read_text() == "## Gated\n\n"
    assert sorted(path.name for path in run.iterdir()) == ["artifacts", "summary.md"]


def test_a_rehearsal_gets_the_digest_and_the_artifact_and_leads_nowhere_else(repository, monkeypatch, capfd):
    (repository / "draft.txt").write_text("not committed")
    code, text = ci(repository, monkeypatch, capfd, "deploy.yml", "--ephemeral")
    (repository / "draft.txt").unlink()
    assert code == 0
    assert "not committed, so not in the clones: draft.txt" in text
    (line,) = [one for one in text.splitlines() if one.startswith("seen:")]
    assert "'SEATRIAL_BUNDLE': 'sha256:ab'" in line
    assert "'SEATRIAL_ENV': 'ephemeral'" in line
    assert "'MLFLOW_TRACKING_URI': None" in line
    assert line.endswith("True False")
    assert f"'SEATRIAL_HOME': '{repository}/.seatrial/ci/deploy/home'" in line


def test_a_rehearsal_s_state_is_left_for_the_next_one_where_it_is_asked_to(repository, tmp_path, monkeypatch, capfd):
    code, text = ci(repository, monkeypatch, capfd, "deploy.yml", "--ephemeral", "--state", str(tmp_path / "state"))
    assert code == 0
    assert f"'SEATRIAL_HOME': '{tmp_path}/state'" in text


def test_the_first_failure_decides_and_what_is_for_failures_still_runs(repository, monkeypatch, capfd):
    code, text = ci(repository, monkeypatch, capfd, "deploy.yml", "--allow", "production", "--var", "FAIL=yes")
    assert code == 1
    assert "Deploy: skipped: a step before it failed" in text
    assert "Mourn: done" in text
    assert "'SEATRIAL_ENV': 'production'" in text
    assert "ci: fail (deploy)" in text.splitlines()[-1]


def test_gitlab_s_jobs_hand_on_digest_and_artifact_too(repository, monkeypatch, capfd):
    code, text = ci(repository, monkeypatch, capfd, ".gitlab-ci.yml")
    assert code == 0
    assert "'SEATRIAL_BUNDLE': 'sha256:ab'" in text
    assert "True False" in text
    assert "2 of 2 jobs ran" in text.splitlines()[-1]


def test_an_interrupted_run_leaves_no_process_and_no_clone(repository):
    run = repository / ".seatrial/ci/wait"
    process = subprocess.Popen(
        [sys.executable, "-m", "seatrial", "ci", "wait.yml"], cwd=repository, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        pid = run / "clones/wait/waiting.pid"
        while not (pid.exists() and pid.read_text()):
            assert process.poll() is None
            time.sleep(0.05)
        sleeper = psutil.Process(int(pid.read_text()))
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130
    assert b"interrupted" in said
    assert not sleeper.is_running() or sleeper.status() == psutil.STATUS_ZOMBIE
    assert list(run.iterdir()) == []


def test_without_a_name_the_pipelines_are_listed(repository, monkeypatch, capfd):
    code, text = ci(repository, monkeypatch, capfd)
    assert code == 0
    assert [line.strip() for line in text.splitlines()[1:]] == ["deploy.yml", "wait.yml", ".gitlab-ci.yml"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["deplay.yml"], "did you mean"),
        (["deploy.yml", "--job", "nobody"], "has no job 'nobody'"),
        (["deploy.yml", "--var", "x"], "no NAME=VALUE"),
        (["deploy.yml", "--allow", "production", "--state", "x"], "--state goes with --ephemeral"),
        (["deploy.yml", "--event", "schedule"], "does not run on 'schedule'"),
    ],
)
def test_what_cannot_be_run_is_said_before_anything_is(repository, monkeypatch, capfd, arguments, words):
    code, text = ci(repository, monkeypatch, capfd, *arguments)
    assert code == 2
    assert words in text


def test_the_repository_s_own_pipelines_can_all_be_read():
    root = Path(__file__).parents[3]
    source = Source(head="a", base="b", branch="main", default_branch="main", slug="o/n", actor="ann")
    for path in sorted((root / ".github/workflows").glob("*.yml")):
        assert read_workflow(path.name, yaml.safe_load(path.read_text()), source).jobs
    for event in EVENTS:
        of_event = dataclasses.replace(source, event=event)
        assert read_gitlab("x", yaml.load((root / ".gitlab-ci.yml").read_text(), Loader=_Loader), of_event).jobs
