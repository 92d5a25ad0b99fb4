"""From another table to live traffic and back, by the same commands, without touching Python."""

import pytest

from tests.pipeline.projects import ROW, SmallProject

pytestmark = pytest.mark.slow


@pytest.fixture
def project(tmp_path):
    made = SmallProject(tmp_path / "loans")
    yield made
    made.run("down")


def test_another_table_goes_live_is_replaced_refused_and_rolled_back(project):
    project.run("contract", "infer")
    assert "validate: pass" in project.run("validate")
    project.run("train")
    assert "5 trainings" in project.run("noise")
    first = project.run("gate")
    assert "registered version 1" in first
    assert project.verdict("gate")["subject"]["champion"] is None
    assert {"noise.roc_auc", "noise.log_loss"} < {check["name"] for check in project.verdict("gate")["checks"]}

    project.run("deploy")
    assert project.verdict("rollout")["outcome"] == "pass"
    answer, headers = project.ask(ROW)
    assert answer["predictions"][0]["label"] in ("0", "1")
    assert 0 <= answer["predictions"][0]["probability"] <= 1
    assert headers["x-seatrial-version"] == "1"
    served = headers["x-seatrial-digest"]
    assert served == project.verdict("gate")["subject"]["bundle"]
    assert "already champion" in project.run("deploy")

    assert "by version 1" in project.run("predict", "data/raw/loans.csv", "--output", "scores.csv")
    assert (project.root / "scores.csv").read_text().count("\n") == 1501
    assert "no version 9" in project.run("predict", "data/raw/loans.csv", "--output", "x.csv", "--version", "9", expect=2)

    project.change("max_iter: 30", "max_iter: 40")
    project.run("train")
    project.run("gate")
    assert project.verdict("gate")["subject"]["champion"] == project.verdict("gate")["subject"]["anchor"] == served
    checks = {check["name"]: check for check in project.verdict("gate")["checks"]}
    assert {"slices.purpose.car", "anchor.better"} < set(checks)
    assert checks["test.looks"]["observed"] == 2
    shown = project.run("deploy")
    assert "mirror" in shown
    assert "20 %" in shown
    status = project.status()
    assert [(one["role"], one["version"], one["weight"]) for one in status["variants"]] == [("champion", 2, 100), ("previous", 1, 0)]
    assert project.ask(ROW)[1]["x-seatrial-version"] == "2"

    project.change("max_iter: 40", "max_iter: 1")
    project.run("train")
    project.run("gate", expect=1)
    assert "refused" in project.run("deploy", expect=1)
    assert project.ask(ROW)[1]["x-seatrial-version"] == "2"

    project.run("rollback", "--reason", "a person wants it")
    assert project.ask(ROW)[1]["x-seatrial-version"] == "1"
    assert "nothing to roll back" in project.run("rollback")
    assert "audit: pass" in project.run("audit")
    assert project.status()["variants"][0]["digest"] == served
