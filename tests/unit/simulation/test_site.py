"""The scratch project is a copy that leads nowhere else: no remote, no registry, no notifier, no other port."""

import subprocess

import pytest

from seatrial.commands.simulate import write_docs
from seatrial.contract import load_contract
from seatrial.errors import DataError, ParamsError, PipelineError
from seatrial.params import load_settings
from seatrial.pipeline import has_remote
from seatrial.project import Project
from seatrial.scratch import plain_environment
from seatrial.simulation.report import END, START, Simulated
from seatrial.simulation.site import Site, copy_project, simulated_settings
from tests.simulations import CONTRACT, STORY, seen, settings, told

PARAMS = """\
model: {name: leavers}
data: {raw: data/raw, target: left, positive: "Yes", id: client, pattern: "*.csv"}
rollout: {host: 0.0.0.0, replay: null, approval: true, access_log: none}
monitor: {log: {uri: "s3://bucket/log", sample: 0.5, drop: [age]}, history: "s3://bucket/history"}
notify: {events: [alert]}
environments:
  production: {rollout: {approval: true}}
"""


@pytest.fixture
def project(tmp_path):
    root = tmp_path / "leavers"
    files = {
        "params.yaml": PARAMS,
        "data/contract.yaml": CONTRACT,
        "data/raw/a.csv": "client\n",
        "dvc.yaml": "stages: {}\n",
        "dvc.lock": "stages: {}\n",
        "metrics/evaluation.json": "{}",
        ".dvc/config": "['remote \"there\"']\n    url = s3://bucket\n",
        ".gitignore": "secret\n",
        "secret": "token",
        "src/own.py": "x = 1\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    return Project.find(root, env={"PATH": "/usr/bin:/bin", "SEATRIAL_HOME": "/live", "MLFLOW_TRACKING_URI": "http://shared"})


def test_what_git_would_take_is_copied_but_for_data_results_and_remotes(project, tmp_path):
    target = tmp_path / "copy"
    copy_project(project, target)
    found = {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file() and ".git/" not in path.as_posix()}
    assert found == {".dvc/config", ".gitignore", "data/contract.yaml", "dvc.yaml", "src/own.py"}
    assert has_remote(project.root)
    assert not has_remote(target)


def test_a_project_outside_of_git_is_refused(tmp_path):
    (tmp_path / "params.yaml").write_text(PARAMS)
    alone = Project(root=tmp_path, env={})
    with pytest.raises(PipelineError, match="is not a git repository"):
        copy_project(alone, tmp_path / "copy")


def test_whatever_project_and_story_say_a_site_keeps_to_itself(project, tmp_path):
    text = STORY.replace(
        "chapters:", "params: {notify: {events: [alert]}, rollout: {approval: true}, monitor: {window_hours: 700}}\nchapters:"
    )
    found, values = simulated_settings(project, told(tmp_path, text))
    assert (found.notify.events, found.rollout.approval, found.rollout.host, found.rollout.access_log) == ((), False, "127.0.0.1", "all")
    assert (found.monitor.log.uri, found.monitor.history, found.monitor.log.sample, found.monitor.log.drop) == (None, None, 1.0, ())
    assert found.rollout.replay is not None
    assert (found.monitor.window_hours, found.data.raw, found.data.pattern) == (700, "data/raw/simulation.parquet", None)
    copy_project(project, tmp_path / "project")
    made = Site(tmp_path, values, project.env)
    assert load_settings(made.root / "params.yaml").rollout.port != project.settings.rollout.port
    assert made.desk.home != made.live.home
    for one in (made.desk, made.live):
        assert one.home.is_relative_to(tmp_path)
        assert one.tracking_uri == f"sqlite:///{made.root}/mlflow.db"


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ("{monitor: {window_hour: 3}}", "story.yaml:6: params.monitor.window_hour: unknown key (value 3); did you mean 'window_hours'?"),
        ("{data: {target: age}}", "story.yaml:6: params.data: a story may not change 'data'"),
        ("{gate: {metrics: {f3: {floor: 0.1}}}}", "story.yaml:6: params.gate.metrics.f3: 'f3' is no metric"),
    ],
)
def test_params_of_a_story_are_checked_with_its_lines(project, tmp_path, params, words):
    with pytest.raises(ParamsError) as refused:
        simulated_settings(project, told(tmp_path, STORY.replace("chapters:", f"params: {params}\nchapters:")))
    assert words in str(refused.value)


def test_a_person_lets_a_column_hold_more(project, tmp_path):
    copy_project(project, tmp_path / "project")
    made = Site(tmp_path, simulated_settings(project, told(tmp_path))[1], project.env)
    made.allow({"plan": ["gold", "plus"]})
    assert list(load_contract(made.desk.contract).columns["plan"].allowed) == ["basic", "plus", "gold"]
    assert list(load_contract(made.desk.contract).columns["left"].allowed) == ["No", "Yes"]


def test_nothing_of_the_environment_leads_elsewhere():
    given = {"PATH": "p", "SEATRIAL_HOME": "h", "MLFLOW_TRACKING_URI": "u", "DVC_CACHE_DIR": "c"}
    assert plain_environment(given) == {"PATH": "p"}


def test_the_docs_are_renewed_between_their_marks_or_left_alone(tmp_path):
    found = Simulated(story=told(tmp_path).story, settings=settings(), year=(seen(1),))
    page = tmp_path / "docs/operations.md"
    with pytest.raises(DataError, match=r"docs/operations\.md has no place"):
        write_docs(tmp_path, found)
    page.parent.mkdir()
    page.write_text(f"# Operations\n\n{START}\n{END}\n\nProse\n")
    write_docs(tmp_path, found)
    assert "| 1 | stable | Nothing happens. | none |" in page.read_text()
    assert page.read_text().endswith(f"{END}\n\nProse\n")
    assert (tmp_path / "docs/simulation.svg").read_text().startswith("<svg")
