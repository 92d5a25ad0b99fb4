"""Two simulated months of another table, through a real scratch endpoint; and what cannot be simulated is refused before anything runs."""

import json
import tempfile
from pathlib import Path

import pytest

from seatrial.scratch import processes_in
from tests.pipeline.projects import SmallProject, write_table

STORY = """\
start: 2025-01-01
months: 3
history: 0.7
delay_days: 3
params:
  monitor: {window_hours: 720, drift: {min_rows: 200}}
  retrain: {data: false}
  gate: {latency: {requests: 400, rate: 1600, ratio: advisory}}
chapters:
  - name: new purpose
    months: [1]
    words: People borrow for what nobody has borrowed for, and somebody asks for a training before the contract knows it.
    world: [{column: purpose, value: boat, share: 0.2}]
    fires: {monitor.unseen: [1], drift.columns: [1], retrain: [1]}
    may: {drift.prediction: [1, 2]}
  - name: broken wire
    months: [2]
    words: Half of the incomes do not arrive, and a debt here and there, without which the model cannot answer.
    wire: [{column: income, missing: true, share: 0.5}, {column: debt, missing: true, share: 0.05}]
    fires: {drift.missing: [2]}
    may: {drift.columns: [2], monitor.performance.roc_auc: [2], monitor.performance.log_loss: [2]}
acts:
  - {month: 1, request: boats are the future}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    made = SmallProject(tmp_path_factory.mktemp("simulated") / "loans")
    table = made.root / "data/raw/loans.csv"
    write_table(table, rows=4000)
    head, *lines = table.read_text().splitlines()
    table.write_text("\n".join([f"loan,{head}", *(f"L{number},{line}" for number, line in enumerate(lines))]) + "\n")
    made.change("id: null", "id: loan")
    made.change("max_depth: 3", "max_depth: 2")
    made.run("contract", "infer")
    (made.root / "data/story.yaml").write_text(STORY)
    return made


def left_behind():
    return [path for path in Path(tempfile.gettempdir()).glob("seatrial-simulate-*") if processes_in(path)]


@pytest.mark.slow
def test_two_months_go_through_a_scratch_endpoint_and_leave_the_project_alone(project):
    before = set(left_behind())
    said = project.run("simulate", "--months", "2")
    assert "simulate: pass · simulation: " in said
    found = json.loads((project.root / "metrics/simulate.json").read_bytes())
    first, second = found["months"]
    assert found["simulation"] is True
    assert first["failed"] == second["failed"] == 0
    assert (first["rows"], first["refused"]) == (400, 0)
    assert second["rows"] + second["refused"] == 400
    assert 5 < second["refused"] < 40
    assert set(first["alarms"]) == {"monitor.unseen", "drift.columns"}
    assert "boat" not in json.dumps(second["alarms"])
    assert "income" in second["alarms"]["drift.missing"]
    assert first["training"]["reasons"] == ["request"]
    assert first["training"]["words"].startswith("validate ended with 1: validate: fail")
    assert first["then"]["low"] < first["then"]["value"] < first["then"]["high"]
    assert first["later"] is not None
    assert "Simulation" in (project.root / "reports/simulate.html").read_text()
    assert not [name for name in ("mlflow.db", "artifacts", "dvc.lock") if (project.root / name).exists()]
    assert [path.name for path in (project.root / ".seatrial").iterdir()] == ["summaries"]  # of `contract infer`
    assert set(left_behind()) <= before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--months", "0"], "'0' is no number of months"),
        (["--months", "abc"], "'abc' is no number of months"),
        (["--months", "100"], "the story of story.yaml has 3 months"),
        (["--months", "2", "--write"], "leave out --months"),
        (["--story", "none.yaml"], "there is no such file"),
    ],
)
def test_what_makes_no_simulation_is_refused(project, arguments, words):
    assert words in project.run("simulate", *arguments, expect=2)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("column: purpose, value", "column: purpos, value", "story.yaml:13: chapters.0.world.0.column: the table has no column 'purpos'"),
        ("min_rows: 200", "min_row: 200", "did you mean 'min_rows'?"),
        ("retrain: {data", "data: {raw: x}\n  retrain: {data", "a story may not change 'data'"),
        ("months: [2]", "months: [2, 5]", "month 5 comes after the story's last, month 3"),
        ("chapters:", "chapters: [", "not valid YAML"),
        ("history: 0.7", "history: 0.99", "13 rows of the sample's 4,000"),
    ],
)
def test_a_broken_story_is_refused_with_its_line(project, tmp_path, old, new, words):
    assert old in STORY
    (tmp_path / "story.yaml").write_text(STORY.replace(old, new, 1))
    assert words in project.run("simulate", "--story", str(tmp_path / "story.yaml"), expect=2)


def test_without_data_or_an_id_there_is_nothing_to_replay(project):
    raw = project.root / "data/raw/loans.csv"
    kept = raw.rename(raw.with_suffix(".away"))
    assert "loans.csv" in project.run("simulate", expect=2)
    kept.rename(raw)
    project.change("id: loan", "id: null")
    assert "data.id of params.yaml is null" in project.run("simulate", expect=2)
    project.change("id: null", "id: loan")
