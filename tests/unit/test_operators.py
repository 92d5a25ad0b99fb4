"""What a person says to a rollout, heard by the controller that is at work or by nobody, and what it may not do."""

import json
from dataclasses import replace

import pytest
import yaml

from seatrial.commands.abort import abort
from seatrial.deploy import deploy
from seatrial.errors import BusyError, RefusedError, UsageError
from seatrial.journal import controller
from seatrial.look import stop_the_line
from seatrial.operators import Word, folder, speak
from seatrial.project import Project
from seatrial.rollout_state import Phase
from seatrial.verdict import Outcome
from tests.rollouts import gate, released, route_of, state, without


def ruled(world, **rollout):
    """The same project with other rules for its rollouts."""
    path = world.project.root / "params.yaml"
    values = yaml.safe_load(path.read_text())
    values["rollout"] |= rollout
    values["data"]["snapshot"] = str(values["data"]["snapshot"])
    path.write_text(yaml.safe_dump(values))
    world.project = Project(root=world.project.root, environment=world.project.environment, env={})


def at(world, condition, act):
    """Do something once, while the controller sleeps and `condition` holds."""
    done = []

    def hook(seconds):
        if not done and condition():
            done.append(world.clock.now)
            act()

    world.clock.on_sleep.append(hook)
    return done


def said_to(world, word, reason="because", who="bob"):
    """A word that lies there for the controller; as `speak` leaves it, for it would wait in the controller's own thread here."""
    path = folder(world.project.home) / f"{world.clock.now:.6f}-{word}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps({"word": word, "who": who, "reason": reason, "time": world.clock.wall(), "nonce": f"{word}-{world.clock.now}"})
    )
    return path.with_suffix(".answer")


def weight_is(world, weight):
    return lambda: world.endpoint.current is not None and world.endpoint.current.weight == weight


def test_a_paused_rollout_is_watched_and_does_not_advance_until_it_is_resumed(world):
    released(world)
    gate(world, 1)
    paused = at(world, weight_is(world, 25), lambda: said_to(world, "pause", "a customer calls"))
    at(world, lambda: paused and world.clock.now > paused[0] + 100, lambda: said_to(world, "resume"))
    assert deploy(world.project, world.tools).exit_code == 0
    assert world.clock.now > paused[0] + 100
    assert world.weights() == [0, "mirror", 5, 25, 50, 100, 0]
    assert any("paused: bob: a customer calls" in decision.reason for decision in world.decisions)


def test_a_paused_challenger_that_misbehaves_goes_back_all_the_same(world):
    released(world)
    gate(world, 1)
    at(world, weight_is(world, 25), lambda: (said_to(world, "pause"), world.endpoint.error_rates.update({2: 0.5})))
    assert deploy(world.project, world.tools).exit_code == 1
    assert world.endpoint.current == route_of(1)


def test_a_pause_that_nobody_ends_returns_to_the_champion(world):
    ruled(world, hold_deadline_s=30)
    released(world)
    gate(world, 1)
    at(world, weight_is(world, 25), lambda: said_to(world, "pause"))
    done = deploy(world.project, world.tools)
    assert (done.exit_code, world.endpoint.current) == (3, route_of(1))
    assert "nobody spoke within 30 s" in done.message


def test_an_approve_step_waits_with_the_traffic_it_has_and_uses_the_approval_once(world):
    ruled(world, steps=["mirror", 25, "approve", 100])
    released(world)
    version = gate(world, 1)
    waits = at(world, lambda: "waits for a person" in str(world.decisions[-1:]), lambda: said_to(world, "approve", "looked at it"))
    assert deploy(world.project, world.tools).exit_code == 0
    assert waits
    assert world.weights() == [0, "mirror", 25, 25, 100, 0]
    assert world.registry.ledger[-1]["approval"] == "bob: looked at it"
    assert (version.version, state(world).grant) == (2, None)


def test_an_approval_that_nobody_gives_returns_to_the_champion(world):
    ruled(world, steps=["mirror", "approve", 100], hold_deadline_s=60)
    released(world)
    gate(world, 1)
    assert deploy(world.project, world.tools).exit_code == 3
    assert world.endpoint.current == route_of(1)


def test_with_four_eyes_who_started_it_does_not_approve_it(world):
    ruled(world, steps=["mirror", "approve", 100], four_eyes=True)
    released(world)
    gate(world, 1)
    answers = []
    at(world, lambda: "waits for a person" in str(world.decisions[-1:]), lambda: answers.append(said_to(world, "approve", who="ann")))
    at(world, lambda: bool(answers) and answers[0].exists(), lambda: said_to(world, "approve", who="bob"))
    assert deploy(world.project, world.tools).exit_code == 0
    assert "ann started this rollout" in json.loads(answers[0].read_bytes())["refused"]
    assert world.registry.ledger[-1]["approval"] == "bob: because"


def held(world, **rules):
    """A challenger that waits for approval before anything of it starts."""
    ruled(world, approval=True, **rules)
    gate(world, 0)
    assert deploy(world.project, world.tools, approve="the first").exit_code == 0
    gate(world, 1)
    assert deploy(world.project, world.tools).exit_code == 3
    assert state(world).phase is Phase.HELD


def test_an_approval_of_a_held_challenger_is_used_by_the_next_deploy_and_no_other(world):
    held(world)
    assert "go on with: nox -s deploy" in speak(world.project, without(world.tools, who="bob"), Word.APPROVE, "ticket 7")
    assert deploy(world.project, world.tools).exit_code == 0
    assert world.registry.ledger[-1]["approval"] == "bob: ticket 7"
    gate(world, 2)
    assert deploy(world.project, world.tools).exit_code == 3


def test_an_approval_binds_the_bundle_and_ends(world):
    held(world, approval_hours=1)
    speak(world.project, without(world.tools, who="bob"), Word.APPROVE, "ticket 7")
    gate(world, 2)
    assert deploy(world.project, world.tools).exit_code == 3
    gate(world, 1)
    assert deploy(world.project, world.tools).exit_code == 3
    speak(world.project, without(world.tools, who="bob"), Word.APPROVE, "ticket 7")
    world.clock.now += 3601
    assert deploy(world.project, world.tools).exit_code == 3
    assert world.endpoint.current == route_of(1)


def test_four_eyes_hold_for_an_approval_by_deploy_too(world):
    ruled(world, approval=True, four_eyes=True)
    gate(world, 0)
    with pytest.raises(RefusedError, match="another person"):
        deploy(world.project, world.tools, approve="me")
    assert deploy(world.project, world.tools).exit_code == 3
    with pytest.raises(RefusedError, match="ann started this rollout"):
        speak(world.project, world.tools, Word.APPROVE, "me")
    speak(world.project, without(world.tools, who="bob"), Word.APPROVE, "fine")
    assert deploy(world.project, world.tools).exit_code == 0


def test_promoting_now_skips_the_steps_that_are_left_and_says_who_in_the_ledger(world):
    released(world)
    gate(world, 1)
    at(world, weight_is(world, 5), lambda: said_to(world, "promote", "the old one leaks"))
    assert deploy(world.project, world.tools).exit_code == 0
    assert world.weights() == [0, "mirror", 5, 0]
    assert world.registry.ledger[-1]["override"] == "promoted at once by bob: the old one leaks"
    assert world.registry.aliases["champion"] == 2


def test_promoting_now_does_not_outrun_the_evidence(world):
    released(world)
    gate(world, 1)
    at(world, weight_is(world, 5), lambda: (world.endpoint.error_rates.update({2: 1.0}), None))
    at(world, lambda: world.endpoint.live.get(2) is not None and world.endpoint.live[2].failures > 20, lambda: said_to(world, "promote"))
    assert deploy(world.project, world.tools).exit_code == 1
    assert world.registry.aliases["champion"] == 1


def test_a_failure_is_held_without_traffic_where_the_plan_says_so(world):
    ruled(world, on_fail="hold", hold_deadline_s=60)
    released(world)
    gate(world, 1)
    world.endpoint.error_rates = {2: 0.4}
    answers = []
    at(world, lambda: state(world).pause is not None, lambda: answers.append(said_to(world, "resume")))
    done = deploy(world.project, world.tools)
    assert (done.exit_code, done.verdict.outcome) == (1, Outcome.FAIL)
    assert world.weights() == [0, "mirror", 0, 0]
    assert "held because it failed" in json.loads(answers[0].read_bytes())["refused"]


def test_an_undecided_step_is_held_with_its_traffic_and_begins_anew_when_resumed(world):
    ruled(world, on_inconclusive="hold", max_shift=0.2)
    released(world)
    gate(world, 1)
    world.pairs = replace(world.pairs, shift=0.3, slack=0.2)
    at(
        world,
        lambda: state(world).pause is not None,
        lambda: (said_to(world, "resume"), setattr(world, "pairs", replace(world.pairs, shift=0.1))),
    )
    assert deploy(world.project, world.tools).exit_code == 0
    assert any(decision.reason.startswith("held: mirror") for decision in world.decisions)


def test_a_stopped_line_begins_nothing_and_advances_nothing_but_goes_back(world):
    released(world)
    gate(world, 1)
    line = stop_the_line(world.project.home)
    line.write_text("incident 12")
    done = deploy(world.project, world.tools)
    assert (done.exit_code, "incident 12" in done.message, world.weights()) == (3, True, [])
    line.unlink()
    stopped = at(world, weight_is(world, 25), lambda: line.write_text("incident 13"))
    at(world, lambda: stopped and world.clock.now > stopped[0] + 50, lambda: world.endpoint.error_rates.update({2: 0.5}))
    assert deploy(world.project, world.tools).exit_code == 1
    assert world.weights() == [0, "mirror", 5, 25, 0]


def test_blue_green_moves_all_traffic_at_once_after_a_look_at_copies(world):
    ruled(world, strategy="blue_green", steps=["mirror", "approve", 100])
    released(world)
    gate(world, 1)
    at(world, lambda: "waits for a person" in str(world.decisions[-1:]), lambda: said_to(world, "approve"))
    assert deploy(world.project, world.tools).exit_code == 0
    assert world.weights() == [0, "mirror", "mirror", 100, 0]
    assert set(world.endpoint.running) == {1, 2}


def test_shadow_only_watches_and_promotes_nobody(world):
    released(world)
    ruled(world, strategy="shadow_only", steps=None)
    gate(world, 1)
    done = deploy(world.project, world.tools)
    assert (done.exit_code, done.verdict.outcome) == (0, Outcome.PASS)
    assert (world.weights(), world.registry.aliases["champion"], set(world.endpoint.running)) == ([0, "mirror", 0], 1, {1})
    assert "promotes nobody" in done.message


def test_a_whole_rollout_has_a_deadline_too(world):
    ruled(world, deadline_s=20, bake_seconds=8)
    released(world)
    gate(world, 1)
    done = deploy(world.project, world.tools)
    assert (done.exit_code, "has lasted its 20 s" in done.message) == (3, True)


def test_a_pause_in_the_plan_ends_by_itself_or_by_a_person(world):
    ruled(world, steps=["mirror", 25, {"pause": 40}, "pause", 100])
    released(world)
    gate(world, 1)
    began = world.clock.now
    at(world, lambda: "pause at 25 %: waits" in str(world.decisions[-1:]), lambda: said_to(world, "resume", "go on"))
    assert deploy(world.project, world.tools).exit_code == 0
    assert world.clock.now - began > 40
    assert world.weights() == [0, "mirror", 25, 25, 25, 100, 0]


@pytest.mark.parametrize("word", list(Word))
def test_without_a_rollout_every_word_is_refused(world, word):
    with pytest.raises(RefusedError, match="no rollout is under way"):
        speak(world.project, world.tools, word, "because")
    assert "no rollout is under way" in abort(world.project, world.tools, reason="because")


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_word_needs_a_reason(world, reason):
    with pytest.raises(UsageError, match="needs a reason"):
        speak(world.project, world.tools, Word.PAUSE, reason)


def test_a_controller_that_does_not_hear_is_named_and_the_word_is_taken_back(world):
    released(world)
    with controller(world.project.home, "deploy"), pytest.raises(BusyError, match="deploy"):
        speak(world.project, world.tools, Word.PAUSE, "because")
    assert list(folder(world.project.home).glob("*")) == []


def test_a_word_that_is_none_is_answered_and_changes_nothing(world):
    released(world)
    gate(world, 1)
    strange = folder(world.project.home) / "1.json"
    strange.parent.mkdir(parents=True)
    strange.write_text('{"word": "explode"}')
    assert deploy(world.project, world.tools).exit_code == 0
    assert "no word that this version understands" in json.loads(strange.with_suffix(".answer").read_bytes())["refused"]


def test_a_newer_challenger_supersedes_or_waits_where_the_plan_says_so(world):
    ruled(world, on_newer="supersede")
    released(world)
    gate(world, 1)
    home, asked = world.project.home, []
    with controller(home, "deploy") as journal:
        running = {**state(world).to_dict(), "phase": "canary", "challenger": {"version": 9, "digest": "sha256:other"}}
        journal.append("test", running, time="2026-11-01T00:00:00+00:00")
        world.clock.on_sleep.append(lambda seconds: asked.append((home / "stop.json").exists()))
        ruled(world, on_newer="supersede", hold_deadline_s=1)
        with pytest.raises(BusyError):
            deploy(world.project, world.tools)
        assert all(asked)
        asked.clear()
        (home / "stop.json").unlink()
        ruled(world, on_newer="queue", hold_deadline_s=1)
        with pytest.raises(BusyError):
            deploy(world.project, world.tools)
        assert asked
        assert not any(asked)


def test_the_previous_version_is_stopped_when_its_warm_time_is_over(world):
    ruled(world, keep_previous_s=100)
    released(world)
    gate(world, 1)
    deploy(world.project, world.tools)
    assert set(world.endpoint.running) == {1, 2}
    world.clock.now += 101
    gate(world, 2)
    deploy(world.project, world.tools)
    assert {variant for route in world.endpoint.routes for variant in route.versions} >= {2, 3}
    assert set(world.endpoint.running) == {2, 3}
