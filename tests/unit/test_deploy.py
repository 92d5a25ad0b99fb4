"""A deployment from its preconditions to its verdict, with endpoint, registry and clock in memory."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

from seatrial.commands.down import down
from seatrial.commands.rollback import rollback
from seatrial.commands.up import up
from seatrial.deploy import deploy
from seatrial.errors import BundleError, BusyError, EndpointError, RefusedError, RegistryError, UsageError
from seatrial.journal import controller, journal_path
from seatrial.look import stop_request
from seatrial.project import Project
from seatrial.rollout_state import Pairs, Phase, Pin, Smoke
from seatrial.verdict import Outcome, Verdict
from tests.rollouts import gate, released, route_of, state, without


def recorded(world):
    return Verdict.load(world.project.verdict("rollout"), kind="rollout")


def test_a_first_release_goes_live_after_its_smoke_test(world):
    version = gate(world, 0)
    done = deploy(world.project, world.tools)
    assert (done.exit_code, done.verdict.outcome) == (0, Outcome.PASS)
    assert world.endpoint.current == route_of(version.version)
    assert world.registry.aliases == {"champion": 1, "anchor": 1}
    assert recorded(world).subject["champion"] is None
    assert [check.name for check in recorded(world).checks] == ["smoke.golden", "rollout.traffic", "rollout.decision"]
    assert not world.source.started


def test_a_first_release_that_answers_wrongly_leaves_nothing_running(world):
    gate(world, 0)
    world.smoke = Smoke(rows=16, problem="golden row 3: answered 0.1, promised 0.9")
    done = deploy(world.project, world.tools)
    assert (done.exit_code, world.endpoint.running, world.registry.aliases) == (1, {}, {})
    assert world.endpoint.routes == []
    assert "golden row 3" in done.message


def test_a_challenger_climbs_the_plan_and_becomes_champion(world):
    released(world)
    gate(world, 1)
    done = deploy(world.project, world.tools)
    assert done.exit_code == 0
    assert world.weights() == [0, "mirror", 5, 25, 50, 100, 0]
    assert world.registry.aliases == {"champion": 2, "previous": 1, "anchor": 1}
    assert set(world.endpoint.running) == {1, 2}
    assert world.clock.now - 1000 < 90
    assert [entry["outcome"] for entry in world.registry.ledger] == ["pass", "pass"]
    assert (world.registry.ledger[-1]["who"], world.registry.ledger[-1]["simulated"]) == ("ann", True)
    assert world.source.stopped


def test_the_verdict_tells_each_step(world):
    released(world)
    version = gate(world, 1)
    deploy(world.project, world.tools)
    verdict = recorded(world)
    names = [check.name for check in verdict.checks]
    assert names[1:7] == ["step.mirror", "step.005", "step.025", "step.050", "step.100", "mirror.disagreement"]
    assert verdict.subject["bundle"] == version.digest
    assert verdict.subject["gate"] == version.gate
    assert verdict.subject["plan"].startswith("sha256:")
    assert any("simulated: yes" in check.message for check in verdict.checks)


def test_a_regression_goes_back_and_the_reason_is_written_down(world):
    released(world)
    gate(world, 1)
    world.endpoint.error_rates = {1: 0.01, 2: 0.4}
    done = deploy(world.project, world.tools)
    assert (done.exit_code, recorded(world).outcome) == (1, Outcome.FAIL)
    assert world.endpoint.current == route_of(1)
    assert set(world.endpoint.running) == {1}
    assert world.registry.aliases == {"champion": 1, "anchor": 1}
    assert "e-value" in done.message
    assert world.weights() == [0, "mirror", 0]


def test_another_label_for_too_many_requests_goes_back_before_any_weight(world):
    released(world)
    gate(world, 1)
    world.pairs = Pairs(asked=1000, differing=600)
    assert deploy(world.project, world.tools).exit_code == 1
    assert world.weights() == [0, "mirror", 0]


@pytest.fixture
def impatient(world):
    """A step waits for two minutes there, and not for an hour."""
    path = world.project.root / "params.yaml"
    path.write_text(path.read_text().replace("rollout:\n", "rollout:\n  step_deadline_s: 120\n", 1))
    world.project = Project.find(path.parent, env={})
    assert world.project.settings.rollout.step_deadline_s == 120
    return world


def test_no_traffic_is_undecided(impatient):
    world = impatient
    released(world)
    gate(world, 1)
    world.endpoint.rate = 0
    done = deploy(world.project, world.tools)
    assert (done.exit_code, recorded(world).outcome, world.endpoint.current) == (3, Outcome.INCONCLUSIVE, route_of(1))


def test_dead_telemetry_never_advances(impatient):
    world = impatient
    released(world)
    gate(world, 1)
    world.endpoint.blind = True
    assert deploy(world.project, world.tools).exit_code == 3
    assert world.weights() == [0, "mirror", 0]


def test_requests_that_end_are_undecided_at_once(world):
    released(world)
    gate(world, 1)
    world.source.broken = "the replayed requests ended: no held-out rows"
    done = deploy(world.project, world.tools)
    assert (done.exit_code, done.message) == (3, f"version 1 serves · {world.source.broken}")


def test_the_evidence_against_a_bundle_stands_until_a_person_says_otherwise(world):
    released(world)
    gate(world, 1)
    world.endpoint.error_rates = {2: 0.4}
    deploy(world.project, world.tools)
    world.endpoint.error_rates = {}
    world.endpoint.routes.clear()
    with pytest.raises(RefusedError, match="evidence still stands"):
        deploy(world.project, world.tools)
    assert world.endpoint.routes == []
    assert deploy(world.project, world.tools, retry="the disk was full").exit_code == 0


@pytest.mark.parametrize("outcome", [Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.ERROR])
def test_a_gate_that_did_not_pass_is_refused_while_a_champion_serves(world, outcome):
    released(world)
    gate(world, 1, outcome=outcome)
    with pytest.raises(RefusedError, match=f"verdict is {outcome.value}") as refused:
        deploy(world.project, world.tools)
    assert (refused.value.exit_code, world.endpoint.routes, set(world.endpoint.running)) == (1, [], {1})


def test_a_champion_in_place_does_not_excuse_a_failed_gate(world):
    released(world)
    gate(world, 0, outcome=Outcome.FAIL)
    with pytest.raises(RefusedError):
        deploy(world.project, world.tools)


@pytest.mark.parametrize("content", [None, b"{", b'{"kind": "drift", "outcome": "pass", "subject": {}, "checks": []}'])
def test_without_a_gate_verdict_nothing_goes_live(world, content):
    released(world)
    path = world.project.verdict("gate")
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(RefusedError, match="without a passing gate"):
        deploy(world.project, world.tools)


def test_a_verdict_about_another_bundle_is_refused(world):
    gate(world, 0)
    shutil.rmtree(world.project.bundle)
    shutil.copytree(world.folder / "1", world.project.bundle)
    with pytest.raises(RefusedError, match="the gate passed"):
        deploy(world.project, world.tools)


def test_a_file_that_was_swapped_after_the_gate_is_refused(world):
    gate(world, 0)
    shutil.copy(world.folder / "1" / "model.onnx", world.project.bundle / "model.onnx")
    with pytest.raises(RefusedError, match=r"model\.onnx is not the file"):
        deploy(world.project, world.tools)
    assert world.endpoint.running == {}


def test_a_gate_against_another_champion_has_to_be_asked_again(world):
    released(world)
    gate(world, 1, champion="sha256:gone")
    with pytest.raises(RefusedError, match="champion is") as refused:
        deploy(world.project, world.tools)
    assert "gate again" in refused.value.hint


def test_a_bundle_that_is_registered_under_another_verdict_is_refused(world):
    version = gate(world, 0)
    world.registry.versions[1] = replace(version, gate="sha256:other")
    with pytest.raises(RefusedError, match="another verdict"):
        deploy(world.project, world.tools)


def test_the_live_champion_is_nothing_to_deploy(world):
    released(world)
    before = journal_path(world.project.home).read_bytes()
    done = deploy(world.project, world.tools)
    assert (done.exit_code, done.message) == (0, "already champion: version 1 serves; nothing to deploy")
    assert (world.endpoint.routes, journal_path(world.project.home).read_bytes()) == ([], before)


def test_a_champion_that_does_not_run_is_brought_up(world):
    released(world)
    world.endpoint.down()
    done = deploy(world.project, world.tools)
    assert (done.exit_code, world.endpoint.current) == (0, route_of(1))
    assert "bringing it up" in world.said[0]


def test_a_champion_that_was_moved_elsewhere_is_brought_up_beside_what_served(world):
    promoted(world)
    gate(world, 0)
    world.registry.aliases["champion"] = 3
    assert deploy(world.project, world.tools).exit_code == 0
    assert (world.endpoint.current, set(world.endpoint.running)) == (route_of(3), {2, 3})


def test_a_rollout_against_a_champion_that_was_moved_elsewhere_begins_there(world):
    promoted(world)
    world.registry.aliases["champion"] = 1
    gate(world, 2)
    assert deploy(world.project, world.tools).exit_code == 0
    assert world.weights() == [0, "mirror", 5, 25, 50, 100, 0]
    assert {route.champion for route in world.endpoint.routes[:-1]} == {1}


def test_up_does_not_start_a_challenger_that_is_held(world, tmp_path):
    world.project, tools = Project(root=tmp_path, environment="production", env={}), without(world.tools, source=None)
    gate(world, 0)
    assert deploy(world.project, tools, approve="the first").exit_code == 0
    gate(world, 1)
    assert deploy(world.project, tools).exit_code == 3
    world.endpoint.down()
    up(world.project, world.tools)
    assert set(world.endpoint.running) == {1}


def test_an_endpoint_serves_one_environment_and_another_is_refused(world, tmp_path):
    released(world)
    world.project = Project(root=tmp_path, environment="production", env={})
    gate(world, 1)
    with pytest.raises(UsageError, match="serves the environment 'local', not 'production'"):
        deploy(world.project, without(world.tools, source=None), approve="ticket 12")
    assert world.endpoint.running.keys() == {1}


def renamed(world, tmp_path):
    text = (tmp_path / "params.yaml").read_text()
    assert "name: " in text
    (tmp_path / "params.yaml").write_text(re.sub(r"name: [\w-]+", "name: another", text, count=1))
    world.project = Project(root=tmp_path, env={})


def test_while_another_model_serves_here_this_one_is_refused(world, tmp_path):
    released(world)
    renamed(world, tmp_path)
    gate(world, 1)
    with pytest.raises(UsageError, match=r"serves the model '[^']+', not 'another'"):
        deploy(world.project, world.tools)
    with pytest.raises(UsageError, match="not 'another'"):
        rollback(world.project, world.tools, reason="wrong")
    assert world.endpoint.running.keys() == {1}


def test_where_another_model_serves_no_more_this_one_begins_anew(world, tmp_path):
    released(world)
    world.endpoint.down()
    renamed(world, tmp_path)
    world.registry.versions.clear()
    world.registry.aliases.clear()
    gate(world, 1)
    done = deploy(world.project, world.tools)
    assert done.exit_code == 0
    assert len(world.endpoint.running) == 1
    assert any("begins anew" in words for words in world.said)


def test_what_a_person_rolled_back_does_not_return_by_the_same_line(world):
    released(world)
    gate(world, 1)
    assert deploy(world.project, world.tools).exit_code == 0
    rollback(world.project, world.tools, reason="customers complain")
    gate(world, 1)
    with pytest.raises(RefusedError, match="customers complain"):
        deploy(world.project, world.tools)
    assert deploy(world.project, world.tools, retry="it was the network").exit_code == 0


def test_production_is_held_until_a_person_approves(world, tmp_path):
    world.project = Project(root=tmp_path, environment="production", env={})
    gate(world, 0)
    tools = without(world.tools, source=None)
    done = deploy(world.project, tools)
    assert (done.exit_code, world.endpoint.running) == (3, {})
    assert "held" in done.message
    assert state(world).phase is Phase.HELD
    done = deploy(world.project, tools, approve="ticket 12")
    assert done.exit_code == 0
    assert world.registry.ledger[-1]["approval"] == "ann: ticket 12"
    assert world.registry.ledger[-1]["simulated"] is False


class Died(BaseException):
    """The controller is gone, and had no time to say goodbye."""


def die_at(world, weight):
    """The controller dies right after it moved traffic to `weight`."""
    route = world.endpoint.route

    def fatal(wanted):
        route(wanted)
        if wanted.weight == weight and wanted.challenger:
            world.endpoint.route = route
            raise Died

    world.endpoint.route = fatal


def interrupted_at(world, weight):
    released(world)
    gate(world, 1)
    die_at(world, weight)
    with pytest.raises(Died):
        deploy(world.project, world.tools)
    assert state(world).phase is Phase.CANARY


def test_an_interrupted_rollout_goes_on_where_it_was(world):
    interrupted_at(world, 25)
    world.endpoint.routes.clear()
    assert deploy(world.project, world.tools).exit_code == 0
    assert world.weights() == [25, 50, 100, 0]
    assert any("resuming" in text for text in world.said)
    assert [check.name for check in recorded(world).checks if check.name.startswith("step")][:2] == ["step.mirror", "step.005"]


def test_an_interrupted_rollout_of_another_bundle_returns_first(world):
    interrupted_at(world, 25)
    gate(world, 2)
    world.endpoint.routes.clear()
    assert deploy(world.project, world.tools).exit_code == 0
    assert world.weights() == [0, 0, "mirror", 5, 25, 50, 100, 0]
    assert world.registry.aliases == {"champion": 3, "previous": 1, "anchor": 1}


def test_a_refused_deploy_does_not_leave_an_interrupted_rollout_half(world):
    interrupted_at(world, 25)
    gate(world, 2, outcome=Outcome.FAIL)
    with pytest.raises(RefusedError):
        deploy(world.project, world.tools)
    assert (world.endpoint.current, state(world).phase) == (route_of(1), Phase.IDLE)


def test_a_promotion_that_died_before_its_route_is_finished(world):
    released(world)
    gate(world, 1)
    switch = world.endpoint.route

    def fatal(wanted):
        if wanted == route_of(2):
            world.endpoint.route = switch
            raise Died
        switch(wanted)

    world.endpoint.route = fatal
    with pytest.raises(Died):
        deploy(world.project, world.tools)
    assert (state(world).phase, world.registry.aliases["champion"]) == (Phase.PROMOTING, 2)
    assert deploy(world.project, world.tools).exit_code == 0
    assert (world.endpoint.current, state(world).champion.version, state(world).phase) == (route_of(2), 2, Phase.IDLE)


def test_a_promotion_that_died_before_its_aliases_is_finished(world):
    released(world)
    gate(world, 1)
    move = world.registry.move_aliases

    def fatal(project, **options):
        world.registry.move_aliases = move
        raise Died

    world.registry.move_aliases = fatal
    with pytest.raises(Died):
        deploy(world.project, world.tools)
    assert deploy(world.project, world.tools).exit_code == 0
    assert world.registry.aliases == {"champion": 2, "previous": 1, "anchor": 1}


def test_a_registry_that_does_not_answer_promotes_nobody(world):
    released(world)
    gate(world, 1)
    world.registry.failing = True
    done = deploy(world.project, world.tools)
    assert (done.exit_code, recorded(world).outcome) == (2, Outcome.ERROR)
    assert world.endpoint.current == route_of(1)
    assert world.registry.aliases["champion"] == 1


def test_ctrl_c_returns_all_traffic(world):
    released(world)
    gate(world, 1)

    def interrupt(seconds):
        if world.endpoint.current.weight == 25:
            raise KeyboardInterrupt

    world.clock.on_sleep.append(interrupt)
    with pytest.raises(KeyboardInterrupt):
        deploy(world.project, world.tools)
    assert (world.endpoint.current, set(world.endpoint.running), state(world).phase) == (route_of(1), {1}, Phase.IDLE)
    assert world.said[-1] == "all traffic is on version 1"
    assert recorded(world).outcome is Outcome.INCONCLUSIVE


def test_a_challenger_that_does_not_start_harms_nobody(world):
    released(world)
    gate(world, 1)
    world.endpoint.broken = {2}
    with pytest.raises(EndpointError, match="does not start"):
        deploy(world.project, world.tools)
    assert (world.endpoint.current, state(world).phase, recorded(world).outcome) == (route_of(1), Phase.IDLE, Outcome.ERROR)


def test_a_second_controller_is_refused_and_changes_nothing(world):
    released(world)
    gate(world, 1)
    before = dict(world.endpoint.running)
    with controller(world.project.home, "deploy"), pytest.raises(BusyError, match="another controller"):
        deploy(world.project, world.tools)
    assert world.endpoint.running == before


def promoted(world):
    released(world)
    gate(world, 1)
    deploy(world.project, world.tools)
    world.endpoint.routes.clear()


def test_rollback_returns_to_the_previous_champion_and_twice_is_once(world):
    promoted(world)
    assert rollback(world.project, world.tools, reason="complaints") == "done; all traffic is on version 1"
    assert (world.endpoint.current, world.registry.aliases) == (route_of(1), {"champion": 1, "anchor": 1})
    assert (world.registry.ledger[-1]["event"], world.registry.ledger[-1]["reason"]) == ("rolled back", "asked for by ann: complaints")
    again = rollback(world.project, world.tools, reason="again")
    assert "nothing to roll back" in again
    assert (world.endpoint.current, len(world.registry.ledger)) == (route_of(1), 3)


def test_rollback_moves_traffic_while_the_registry_is_down_and_tells_it_later(world):
    promoted(world)
    world.registry.down = True
    rollback(world.project, world.tools, reason="complaints")
    assert (world.endpoint.current, world.registry.aliases["champion"]) == (route_of(1), 2)
    assert "pending at the registry" in world.said[-1]
    assert (state(world).phase, state(world).champion.version) == (Phase.IDLE, 1)
    with pytest.raises(RegistryError):
        deploy(world.project, world.tools)
    world.registry.down = False
    up(world.project, world.tools)
    assert world.registry.aliases == {"champion": 1, "anchor": 1}
    assert state(world).pending == ()


def test_an_alias_that_somebody_else_moved_meanwhile_is_left_alone(world):
    promoted(world)
    world.registry.down = True
    rollback(world.project, world.tools, reason="complaints")
    world.registry.down = False
    gate(world, 2)
    world.registry.aliases["champion"] = 3
    up(world.project, world.tools)
    assert world.registry.aliases["champion"] == 3
    assert any("moved by somebody else" in text for text in world.said)


def third(world):
    """Versions 1, 2 and 3 were promoted one after the other."""
    promoted(world)
    gate(world, 2)
    assert deploy(world.project, world.tools).exit_code == 0
    world.endpoint.routes.clear()


def test_a_way_back_may_lead_to_any_earlier_champion_and_twice_is_once(world):
    third(world)
    assert rollback(world.project, world.tools, reason="older", to=1) == "done; all traffic is on version 1"
    assert (world.endpoint.current, world.registry.aliases["champion"]) == (route_of(1), 1)
    assert set(world.endpoint.running) == {1}
    assert "nothing to do" in rollback(world.project, world.tools, reason="older", to=1)
    assert rollback(world.project, world.tools, reason="and forth", to=3) == "done; all traffic is on version 3"
    assert (world.endpoint.current, world.registry.aliases["champion"]) == (route_of(3), 3)


def test_an_earlier_champion_is_reached_while_the_registry_is_down(world):
    third(world)
    world.registry.down = True
    rollback(world.project, world.tools, reason="older", to=1)
    assert (world.endpoint.current, world.registry.aliases["champion"]) == (route_of(1), 3)
    world.registry.down = False
    up(world.project, world.tools)
    assert (world.registry.aliases["champion"], state(world).pending) == (1, ())


def test_a_rollout_under_way_ends_before_traffic_goes_to_an_earlier_champion(world):
    promoted(world)
    gate(world, 2)
    die_at(world, 50)
    with pytest.raises(Died):
        deploy(world.project, world.tools)
    assert rollback(world.project, world.tools, reason="older", to=1) == "done; all traffic is on version 1"
    assert (state(world).phase, state(world).champion.version, state(world).challenger) == (Phase.IDLE, 1, None)


def test_only_what_was_champion_here_may_be_gone_back_to(world):
    promoted(world)
    gate(world, 2)
    with pytest.raises(UsageError, match=r"version 3 was never champion here.*champions were: 1, 2"):
        rollback(world.project, world.tools, reason="no", to=3)
    assert world.endpoint.routes == []


def test_an_earlier_champion_whose_bytes_are_gone_is_refused_before_anything_is_done(world):
    third(world)
    shutil.rmtree(world.project.home / "store" / state_of_version(world, 1))
    with pytest.raises(BundleError):
        rollback(world.project, world.tools, reason="no", to=1)
    assert (world.endpoint.routes, state(world).champion.version) == ([], 3)


def state_of_version(world, version):
    return world.registry.versions[version].digest.removeprefix("sha256:")


def test_inputs_that_do_not_fit_are_refused_unless_a_person_says_so(world, monkeypatch):
    third(world)
    monkeypatch.setattr("seatrial.fit.misfits", lambda now, then: iter(["it needs column 'age', which clients do not send"]))
    with pytest.raises(UsageError, match="version 1 does not fit what clients send: it needs column 'age'"):
        rollback(world.project, world.tools, reason="no", to=1)
    assert (world.endpoint.routes, state(world).champion.version) == ([], 3)
    assert rollback(world.project, world.tools, reason="all the same", to=1, force=True) == "done; all traffic is on version 1"


def test_rollback_works_while_the_previous_version_is_not_warm(world):
    promoted(world)
    world.endpoint.down()
    rollback(world.project, world.tools, reason="complaints")
    assert world.endpoint.current == route_of(1)


def test_rollback_ends_an_interrupted_rollout(world):
    interrupted_at(world, 50)
    assert rollback(world.project, world.tools, reason="enough") == "done; all traffic is on version 1"
    assert (state(world).phase, set(world.endpoint.running)) == (Phase.IDLE, {1})


def test_rollback_asks_a_running_controller_to_end(world):
    released(world)
    gate(world, 1)
    asked = []

    def ask(seconds):
        if world.endpoint.current.weight == 25 and not asked:
            asked.append(world.clock.now)
            stop_request(world.project.home).write_text(json.dumps({"who": "bob", "reason": "enough"}))

    world.clock.on_sleep.append(ask)
    done = deploy(world.project, world.tools)
    assert (done.exit_code, done.message) == (3, "version 1 serves · asked for by bob: enough")
    assert world.endpoint.current == route_of(1)
    assert world.clock.now - asked[0] < 1
    assert not stop_request(world.project.home).exists()


def test_rollback_leaves_its_wish_to_a_controller_that_does_not_listen(world):
    released(world)
    with controller(world.project.home, "deploy"), pytest.raises(BusyError):
        rollback(world.project, world.tools, reason="enough")
    assert json.loads(stop_request(world.project.home).read_bytes()) == {"who": "ann", "reason": "enough"}


def test_down_and_up_bring_back_what_was_live(world):
    promoted(world)
    down(world.project, world.tools)
    down(world.project, world.tools)
    assert world.endpoint.running == {}
    assert up(world.project, world.tools).startswith("version 2 serves")
    assert (world.endpoint.current, set(world.endpoint.running)) == (route_of(2), {1, 2})


def test_up_before_anything_was_live_says_what_to_do(world):
    with pytest.raises(UsageError, match="nothing was live"):
        up(world.project, world.tools)


def test_acting_twice_is_harmless(world):
    """Dying right after each act, and then going on, ends where one clean run ends."""
    released(world)
    gate(world, 1)
    acts, rounds = [], 0
    for name in ("ensure", "route"):
        setattr(world.endpoint, name, _dying(getattr(world.endpoint, name), acts))
    for name in ("move_aliases", "record_rollout"):
        setattr(world.registry, name, _dying(getattr(world.registry, name), acts))
    while rounds < 60:
        rounds += 1
        try:
            done = deploy(world.project, world.tools)
            break
        except Died:
            continue
    assert done.exit_code == 0
    assert rounds > 5
    assert (world.endpoint.current, world.registry.aliases) == (route_of(2), {"champion": 2, "previous": 1, "anchor": 1})
    assert state(world).champion == Pin(version=2, digest=world.bundles[1].digest)


def _dying(act, acts):
    """`act`, but the first call with each set of arguments is the last thing that its controller does."""

    def once(*values, **options):
        answer = act(*values, **options)
        key = (act.__name__, str([str(value) for value in values if not isinstance(value, Project)]), str(options.get("to")))
        if key not in acts:
            acts.append(key)
            raise Died
        return answer

    return once


def test_an_answer_that_needs_no_action_imports_nothing_heavy(world):
    gate(world, 0, outcome=Outcome.FAIL)
    code = (
        "import sys\nsys.argv=['seatrial','deploy']\nfrom seatrial.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    print(end.code)\n"
        "print(sorted({'numpy','polars','mlflow','rich','onnx','pyarrow','aiohttp','pandas'} & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=world.project.root, capture_output=True, text=True, check=False)
    assert ended.stdout.split("\n")[:2] == ["1", "[]"], ended.stderr
