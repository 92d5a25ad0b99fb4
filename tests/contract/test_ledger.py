"""The history that a real MLflow registry tells, line by line as rollouts wrote it."""

from pathlib import Path
from uuid import uuid4

import pytest

from seatrial.adapters import registry
from seatrial.cli import main
from seatrial.commands.history import ledger_history
from seatrial.project import Project
from tests import journals

pytestmark = pytest.mark.slow
PARAMS = Path(__file__).parents[2] / "params.yaml"


def record(event, version, champion, seconds, **more):
    digests = {"bundle": journals.pin(version)["digest"], "champion": journals.pin(champion)["digest"] if champion else None}
    return {
        "event": event, "rollout": f"{version}-{journals.at(seconds)}", "outcome": "pass" if event == "promoted" else "fail",
        "reason": "5 %: fine", "version": version, "champion_version": champion, "plan": journals.PLAN, "gate": journals.GATE,
        "environment": "local", "simulated": True, "approval": None, "who": "ann", "when": journals.at(seconds + 30), **digests, **more,
    }  # fmt: skip


@pytest.fixture(params=["sqlite", "rest"])
def project(request, tmp_path, monkeypatch):
    """A project whose ledger is in a file of its own, or on a server."""
    (tmp_path / "params.yaml").write_text(PARAMS.read_text().replace("churn-predictor", f"model-{uuid4().hex[:12]}"))
    if request.param == "sqlite":
        request.getfixturevalue("with_tables")(tmp_path)
    uri = request.getfixturevalue("signed_in").address if request.param == "rest" else f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    return Project.find(tmp_path, shared=True)


def test_the_ledger_is_read_back_as_rollouts_wrote_it(project, monkeypatch, capsys):
    assert ledger_history(project).rollouts == ()
    for told in (record("promoted", 1, None, 0), record("promoted", 2, 1, 100, approval="eve: reviewed"), record("rolled back", 3, 2, 200)):
        registry.record_rollout(project, record=told)
    past = ledger_history(project)
    assert [(one.version, one.how, one.champion and one.champion.version) for one in past.rollouts] == [
        (1, "promoted", None),
        (2, "promoted", 1),
        (3, "rolled back", 2),
    ]
    second = past.rollouts[1]
    assert (second.started, second.ended, second.who, second.approval) == (journals.at(100), journals.at(130), "ann", "eve: reviewed")
    assert (second.simulated, second.gate.verdict, second.plan) == (True, journals.GATE, journals.PLAN)
    assert [reign.champion.version for reign in past.reigns] == [1, 2]

    monkeypatch.chdir(project.root)
    with pytest.raises(SystemExit) as ended:
        main(["history", "--shared", "--registry", "--at", "2026-11-20T10:03"])
    assert ended.value.code == 0
    assert "version 2 was champion" in capsys.readouterr().out


def test_a_registry_that_does_not_answer_is_an_error_and_the_journal_still_answers(tmp_path, monkeypatch, capsys):
    (tmp_path / "params.yaml").write_text(PARAMS.read_text())
    journals.write(tmp_path / ".seatrial", journals.promoted())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    for options, code in ((["--shared", "--registry"], 2), ([], 0)):
        with pytest.raises(SystemExit) as ended:
            main(["history", *options])
        assert ended.value.code == code
    assert "champion is version 2" in capsys.readouterr().out
