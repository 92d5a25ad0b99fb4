"""`status`: what runs, by what is running; what is going on, by the journal."""

import json
from argparse import Namespace
from pathlib import Path

import pytest

from seatrial.adapters.endpoint import Inspection, Route
from seatrial.commands import status as command
from seatrial.commands.status import status
from seatrial.plan import Plan
from seatrial.project import Project
from seatrial.rollout_state import Counts, Evidence, Phase, Pin, State

OLD, NEW = Pin(version=1, digest="sha256:old"), Pin(version=2, digest="sha256:new")
PARAMS = Path(__file__).parents[3] / "params.yaml"


@pytest.fixture
def project(tmp_path):
    (tmp_path / "params.yaml").write_text(PARAMS.read_text())
    return Project.find(tmp_path, env={})


def test_before_anything_was_live_it_is_down(project, capsys):
    assert command.run(project, Namespace(json=True)) == 0
    assert json.loads(capsys.readouterr().out) == {"url": "http://127.0.0.1:8080", "phase": "down", "variants": [], "rollout": None}


def test_what_was_live_is_named_while_everything_is_down(project):
    found = status(project, State(champion=OLD), Inspection())
    assert found["phase"] == "down"
    assert found["variants"] == [{"role": "champion", "version": 1, "digest": "sha256:old", "weight": 0, "pids": []}]


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
