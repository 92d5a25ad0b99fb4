"""Game day in short, with everything real but the registry; what is promised in seconds is measured by `seatrial drill`."""

import os
import sys
from argparse import Namespace
from dataclasses import replace

import pytest

from seatrial.commands import drill as command
from seatrial.drill.drills import Drill, Happened, Promise, broken_promises
from seatrial.drill.examine import torn_down
from seatrial.drill.game_day import DRILLS
from seatrial.drill.report import Drilled, as_json, drill_page, sweep_words
from seatrial.drill.rig import rig
from seatrial.drill.sweep import Point, Result, at_random, break_at, count, prepare
from seatrial.errors import EndpointError, UsageError
from seatrial.project import Project
from tests.bundles import make_bundle

PARAMS = """
model: {name: logistic}
data: {raw: data/raw.csv, target: left, positive: "Yes", id: client}
"""
PATIENCE_S = 30.0
pytestmark = pytest.mark.timed
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="needs the parent-death signal")


def project_in(folder):
    (folder / "params.yaml").write_text(PARAMS)
    project = Project.find(folder, env=dict(os.environ))
    make_bundle(project.bundle)
    return project


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    """A rig with version 1 live and version 2 gated, shared by the drills; nothing of it is left at the end."""
    with rig(project_in(tmp_path_factory.mktemp("project"))) as made:
        prepare(made)
        yield made
        assert list(torn_down(made)) == []


@pytest.mark.slow
@LINUX
@pytest.mark.parametrize("name", command.SHORT)
def test_a_drill_of_each_kind_keeps_its_promise(scratch, name):
    drill = next(one for one in DRILLS if one.name == name)
    patient = replace(drill.promise, safe_s=None if drill.promise.safe_s is None else max(PATIENCE_S, drill.promise.safe_s))
    assert broken_promises(patient, drill.run(scratch)) == ()


@pytest.mark.slow
@LINUX
def test_a_controller_that_is_killed_at_some_of_its_steps_is_followed_by_one_that_ends_well(scratch):
    points = list(count(scratch))
    assert len(points) > 150
    assert {point.scenario for point in points} == {"release", "rollout", "way back"}
    for point in [*points[3::60], *at_random(2, seconds=3, seed=5)]:
        result = break_at(scratch, point)
        assert (result.problems, result.harmed) == ((), 0), point.words
        assert result.reached or point.after is not None, point.words


@pytest.mark.slow
@LINUX
@pytest.mark.parametrize("action", ["raise", "enospc"])
def test_a_step_that_fails_is_told_and_done_by_the_next_command(scratch, action):
    result = break_at(scratch, Point(scenario="rollout", name="journal.append", nth=4, action=action))
    assert (result.reached, result.problems, result.harmed) == (True, (), 0)


@pytest.mark.slow
@LINUX
def test_a_drill_sees_what_reaches_clients(scratch):
    """Nobody rescues a champion: held to what is promised of a challenger, its crash is harm, and the rollout does not end as it should."""
    crash, champion = (next(one for one in DRILLS if one.name == name) for name in ("crash", "champion-crash"))
    happened = champion.run(scratch)
    assert happened.harmed > 0
    found = broken_promises(crash.promise, happened)
    assert any("had no 2xx" in text for text in found)
    assert any("ended with exit code" in text for text in found)


KEPT = Happened(requests=100, harmed=2, safe_s=5.0, exposure=50, outcome=1)


@pytest.mark.parametrize(
    ("promise", "words"),
    [
        (Promise(harmed=2, safe_s=5.0, exposure=50, outcome=1), None),
        (Promise(harmed=3, safe_s=5.1, exposure=51), None),
        (Promise(harmed=1), "2 of 100 requests had no 2xx; 1 are allowed"),
        (Promise(harmed=None, safe_s=4.9), "safe after 5.00 s; 4.9 s are allowed"),
        (Promise(harmed=None, exposure=49), "the challenger had 50 % of the traffic; 49 % are allowed"),
        (Promise(harmed=None, outcome=0), "ended with exit code 1, not 0"),
    ],
)
def test_a_promise_is_kept_up_to_its_limit(promise, words):
    found = broken_promises(promise, KEPT)
    assert (found == ()) if words is None else (len(found) == 1 and words in found[0])


def test_a_way_back_that_never_came_breaks_its_promise():
    assert "safe never" in broken_promises(Promise(safe_s=10), replace(KEPT, harmed=0, safe_s=None))[0]
    assert broken_promises(Promise(harmed=None), replace(KEPT, problems=("I3: they differ",))) == ("I3: they differ",)


def test_the_record_and_the_page_say_what_was_not_kept():
    drill = Drill(name="bad <b>", fault="x & y", promise=Promise(), run=lambda _: KEPT)
    drilled = [Drilled(drill=drill, happened=KEPT), Drilled(drill=drill, error="no room")]
    found = as_json(drilled)
    assert found["kept"] is False
    assert [one["problems"] for one in found["drills"]] == [["2 of 100 requests had no 2xx; 0 are allowed"], ["not carried out: no room"]]
    page = drill_page(drilled)
    assert "bad &lt;b&gt;" in page
    assert "2 promises broken" in page


def test_a_sweep_is_one_sentence():
    point = Point(scenario="rollout", name="lock.taken")
    good = Result(point=point, reached=True, requests=1200, harmed=0, agreed_s=1.25, problems=())
    bad = replace(good, reached=False, harmed=3, agreed_s=None, problems=("I1: lost",))
    assert sweep_words([good, bad]) == (
        "2 runs, 1 of them broken where they should be: 3 of 2,400 requests without a 2xx, "
        "everything agreed again after 1.2 s at the latest, 1 with a problem"
    )


def asked(**options):
    given = {"list": False, "only": None, "short": False, "sweep": False, "random": None, "action": "kill", "every": 1, "seed": 0}
    return Namespace(**{**given, **options})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"only": ["hnag"]}, "did you mean 'hang'"),
        ({"sweep": True, "short": True}, "leave one of them out"),
        ({"sweep": True, "random": 3}, "two sweeps"),
        ({"random": 0}, "count from 1"),
        ({"every": 0, "sweep": True}, "count from 1"),
    ],
)
def test_what_cannot_be_drilled_is_refused_before_anything_runs(tmp_path, options, words):
    with pytest.raises(UsageError) as refused:
        command.run(project_in(tmp_path), asked(**options))
    assert words in f"{refused.value} {refused.value.hint}"


def test_without_a_bundle_there_is_nothing_to_drill_with(tmp_path):
    (tmp_path / "params.yaml").write_text(PARAMS)
    with pytest.raises(UsageError, match="no bundle"):
        command.run(Project.find(tmp_path, env={}), asked())


def test_the_drills_are_listed(tmp_path, capsys):
    assert command.run(project_in(tmp_path), asked(list=True)) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [drill.name for drill in DRILLS]


def test_a_controller_that_ends_too_early_is_an_error_with_its_words(tmp_path):
    with rig(project_in(tmp_path)) as made, pytest.raises(EndpointError, match="the drill could not be prepared"):
        made.deploy()
