"""`status`: what runs, by what is running; what is going on, by the journal."""

import json
from argparse import Namespace
from pathlib import Path

import pytest

from seatrial.adapters.endpoint import Inspection, Route
from seatrial.adapters.programs import Seen
from seatrial.commands import status as command
from seatrial.commands.status import status
from seatrial.plan import Plan
from seatrial.project import Project
from seatrial.rollout_state import Counts, Evidence, Grant, Pause, Phase, Pin, State
from seatrial.verdict import Outcome

OLD, NEW = Pin(version=1, digest="sha256:old"), Pin(version=2, digest="sha256:new")
PARAMS = Path(__file__).parents[3] / "params.yaml"


@pytest.fixture
def project(tmp_path):
    (tmp_path / "params.yaml").write_text(PARAMS.read_text())
    return Project.find(tmp_path, env={})


def test_before_anything_was_live_it_is_down(project, capsys):
    assert command.run(project, Namespace(json=True)) == 0
    found = json.loads(capsys.readouterr().out)
    assert {**found, "processes": None} == {
        "url": "http://127.0.0.1:8080",
        "phase": "down",
        "variants": [],
        "rollout": None,
        "processes": None,
        "log": {"lost_rows": 0, "upload": None},
    }
    assert {one["state"] for one in found["processes"]} == {"stopped"}


def test_what_was_live_is_named_while_everything_is_down(project):
    found = status(project, State(champion=OLD), Inspection())
    assert found["phase"] == "down"
    assert found["variants"] == [{"role": "champion", "version": 1, "digest": "sha256:old", "weight": 0, "pids": [], "processes": []}]


def test_a_champion_and_its_warm_predecessor(project):
    seen = Inspection(supervisord=1, envoy=2, variants={2: (11, 12), 1: (10,)}, route=Route(champion=2))
    found = status(project, State(champion=NEW, previous=OLD), seen)
    assert (found["phase"], found["rollout"]) == ("idle", None)
    assert [(one["role"], one["version"], one["weight"], one["pids"]) for one in found["variants"]] == [
        ("champion", 2, 100, [11, 12]),
        ("previous", 1, 0, [10]),
    ]


def test_a_rollout_shows_weights_and_evidence(project, capsys):
    plan = Plan.of(project.settings.rollout)
    counts = Evidence(step=25, champion=Counts(requests=900, failures=9), challenger=Counts(requests=300, failures=3))
    state = State(champion=OLD, challenger=NEW, phase=Phase.CANARY, step=2, plan=plan.digest, counts=counts, reason="5 %: passed")
    seen = Inspection(supervisord=1, envoy=2, variants={1: (10,), 2: (11,)}, route=Route(champion=1, challenger=2, weight=25))
    found = status(project, state, seen)
    assert [one["weight"] for one in found["variants"]] == [75, 25]
    rollout = found["rollout"]
    assert (rollout["step"], rollout["requests"], rollout["failures"], rollout["reason"]) == (25, 300, 3, "5 %: passed")
    assert rollout["log_e"] < rollout["log_limit"]
    assert json.loads(json.dumps(found)) == found


def test_a_mirror_gets_no_weight(project):
    state = State(champion=OLD, challenger=NEW, phase=Phase.MIRROR, plan=Plan.of(project.settings.rollout).digest)
    seen = Inspection(supervisord=1, envoy=2, variants={1: (10,), 2: (11,)}, route=Route(champion=1, challenger=2, mirror=True))
    found = status(project, state, seen)
    assert [one["weight"] for one in found["variants"]] == [100, 0]
    assert found["rollout"]["step"] == "mirror"


def test_people_read_one_line_for_each_variant(project, capsys):
    command.run(project, Namespace(json=False))
    assert capsys.readouterr().out.splitlines()[0] == "http://127.0.0.1:8080 · down"


def program(state, **more):
    given = {"group": "version-1", "name": "version-1-0", "pid": 0, "since": 1_800_000_000, "restarts": 0, "log": ""}
    return Seen(**{**given, "state": state, "log_file": Path("log"), **more})


@pytest.mark.parametrize(
    ("state", "routed", "said"),
    [
        ("running", True, None),
        ("starting", True, None),
        ("backoff", True, "longer and longer pauses"),
        ("fatal", True, "every minute, because requests go to it"),
        ("fatal", False, "not tried again by itself"),
    ],
)
def test_a_program_in_trouble_is_shown_with_the_end_of_its_log_and_what_to_do(project, capsys, state, routed, said):
    one = program(state, restarts=3, log="    the reason")
    seen = Inspection(supervisord=1, envoy=2, guardian=3, programs=(one,), route=Route(champion=1 if routed else 9))
    found = status(project, State(champion=OLD), seen)
    shown = found["variants"][0]["processes"][0]
    assert (shown["state"], shown["restarts"], shown["since"]) == (state, 3, "2027-01-15T08:00:00Z")
    assert (shown["advice"] or "None").find(said or "None") >= 0
    text = "\n".join(command._lines(found))
    assert f"version-1-0: {state} since 2027-01-15T08:00:00Z (restarted 3 times)" in text
    assert ("the reason" in text) == (said is not None)


def test_envoy_guardian_and_watchdog_are_shown(project):
    programs = (program("running", group="envoy", name="envoy", pid=2), program("fatal", group="watchdog", name="watchdog"))
    found = status(project, State(champion=OLD), Inspection(supervisord=1, envoy=2, guardian=3, programs=programs))
    assert {one["name"]: one["state"] for one in found["processes"]} == {
        "supervisord": "running",
        "guardian": "running",
        "envoy": "running",
        "watchdog": "fatal",
    }
    assert found["variants"][0]["pids"] == []


def test_watching_prints_what_changes_and_nothing_else(project):
    down = status(project, State(champion=OLD), Inspection())
    up = status(project, State(champion=OLD), Inspection(supervisord=1, envoy=2, variants={1: (10,)}, route=Route(champion=1)))
    lines = list(command.changes(iter([down, down, up, up]), as_json=False))
    assert len([line for line in lines if "pids: does not run" in line]) == 1
    assert len([line for line in lines if "pids: 10" in line]) == 1
    assert len(list(command.changes(iter([down, down, up, up]), as_json=True))) == 2


def serving(state):
    programs = (program(state, group="version-1", name="version-1-0", pid=10),)
    route = Route(champion=1)
    return Inspection(supervisord=1, envoy=2, variants={1: (10,)}, states={1: ("RUNNING",)}, route=route, programs=programs)


@pytest.mark.parametrize(("seen", "code"), [(serving("running"), 0), (serving("backoff"), 1), (Inspection(), 1)])
def test_whether_all_is_well_is_an_exit_code(project, monkeypatch, seen, code):
    monkeypatch.setattr(command, "_now", lambda project: status(project, State(champion=OLD), seen))
    assert command.run(project, Namespace(json=True, healthy=True)) == code
    assert command.run(project, Namespace(json=True, healthy=False)) == 0


def test_who_waits_for_whom_is_shown(project):
    grant = Grant(bundle="sha256:new", gate="g", environment="local", who="ada", reason="looked at it", until="2026-11-24", nonce="n")
    held = State(
        champion=OLD, challenger=NEW, phase=Phase.CANARY, pause=Pause(reason="5 %: 9 of 10 failed", outcome=Outcome.FAIL), grant=grant
    )
    text = "\n".join(command._lines(status(project, held, Inspection())))
    assert "waits for a person: 5 %: 9 of 10 failed; all traffic is on the champion meanwhile" in text
    assert "approved by ada: looked at it (until 2026-11-24)" in text
    assert "waits for" not in "\n".join(
        command._lines(status(project, State(champion=OLD, challenger=NEW, phase=Phase.CANARY), Inspection()))
    )


def test_a_log_that_is_not_in_its_store_is_shown(project):
    folder = project.home / "log"
    folder.mkdir(parents=True)
    said = {"uri": "s3://bucket/log", "done": None, "waiting": 7, "problem": "the bucket does not answer"}
    (folder / ".upload.json").write_text(json.dumps(said))
    found = status(project, State(champion=OLD), Inspection())
    assert found["log"] == {"lost_rows": 0, "upload": said}
    assert "  prediction log: 7 parts wait for s3://bucket/log: the bucket does not answer" in command._lines(found)
    (folder / ".upload.json").write_text(json.dumps({**said, "waiting": 0, "problem": None}))
    assert not [line for line in command._lines(status(project, State(champion=OLD), Inspection())) if "prediction log" in line]
