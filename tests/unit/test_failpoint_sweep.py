"""A whole rollout in memory, broken at every failpoint that it passes: the next `deploy` always brings it to a sound end."""

from collections import Counter

import pytest

from seatrial.commands.rollback import rollback
from seatrial.deploy import deploy
from seatrial.errors import SeatrialError
from seatrial.failpoints import FailpointError, Fault, armed
from seatrial.invariants import journal_problems
from seatrial.journal import controller, journal_path
from seatrial.project import Project
from seatrial.rollout_state import Phase
from tests.rollouts import World, gate, route_of, state

PARAMS = """
model: {name: logistic}
data: {raw: data/raw.csv, target: left, positive: "Yes", id: client}
rollout:
  {steps: [mirror, 50, 100], min_requests: 20, bake_seconds: 0.2, max_increase: 0.4, max_slow: 0.4, max_broken: 0.4, replay: {rate: 100}}
"""
NAMED = {"lock.taken", "lock.named", "journal.append", "journal.written", "journal.synced", "store.put", "store.stored", "store.publish"}
NAMED |= {"store.published", "alias.move", "alias.moved", "ledger.write", "ledger.written", "pending.done", "pending.settled"}
NAMED |= {"verdict.save", "verdict.saved"}


class Killed(BaseException):
    """Stands for the death of the process: nobody catches it."""


def die():
    raise Killed


@pytest.fixture
def make_world(tmp_path, bundles):
    made = []

    def make():
        root = tmp_path / f"{len(made)}"
        root.mkdir()
        (root / "params.yaml").write_text(PARAMS)
        world = World(Project.find(root, env={}))
        world.endpoint.rate = 100
        world.bundles, world.folder = bundles
        made.append(world)
        return world

    return make


def ready(world):
    """Version 1 is champion and version 2 is gated."""
    gate(world, 0)
    assert deploy(world.project, world.tools).exit_code == 0
    gate(world, 1)


def passed_by(world, act):
    """The failpoints that an act passes when nothing goes wrong, each with its number."""
    with armed() as clean:
        act(world)
    counted = Counter()
    for name in clean.passed:
        counted[name] += 1
        yield name, counted[name]


def roll_out(world):
    return deploy(world.project, world.tools)


def go_back(world):
    rollback(world.project, world.tools, reason="a test")


def broken(world, act, fault):
    """The act with a fault in it; whether the fault ended it."""
    with armed(fault, die=die):
        try:
            act(world)
        except (Killed, FailpointError, SeatrialError, OSError):
            return True
    return False


def sound(world):
    """What must hold between rollouts, as sentences where it does not."""
    found, champion = state(world), state(world).champion
    if found.phase is not Phase.IDLE or found.pending:
        yield f"phase {found.phase}, pending {found.pending}"
    if champion is None or world.endpoint.current != route_of(champion.version):
        yield f"the route is {world.endpoint.current}, the champion {champion}"
    if world.registry.aliases.get("champion") != (champion.version if champion else None):
        yield f"the registry says {world.registry.aliases}"
    yield from journal_problems(journal_path(world.project.home).read_bytes())
    with controller(world.project.home, "test"):
        pass  # the lock is free


@pytest.mark.parametrize("action", ["kill", "raise"])
def test_a_rollout_that_breaks_at_any_failpoint_is_brought_to_an_end_by_the_next_deploy(make_world, action):
    world = make_world()
    ready(world)
    points = list(passed_by(world, roll_out))
    assert {name for name, _ in points} >= NAMED
    problems = []
    for name, nth in points:
        world = make_world()
        ready(world)
        broken(world, roll_out, Fault(name=name, nth=nth, action=action))
        done = roll_out(world)
        problems += [f"{name}#{nth}: {problem}" for problem in sound(world)]
        if done.exit_code != 0 or state(world).champion.version != 2:
            problems.append(f"{name}#{nth}: {done.message}")
    assert problems == []


@pytest.mark.parametrize("action", ["kill", "raise"])
def test_a_way_back_that_breaks_at_any_failpoint_is_finished_by_the_next_one(make_world, action):
    world = make_world()
    ready(world)
    assert roll_out(world).exit_code == 0
    points = list(passed_by(world, go_back))
    problems = []
    for name, nth in points:
        world = make_world()
        ready(world)
        roll_out(world)
        broken(world, go_back, Fault(name=name, nth=nth, action=action))
        go_back(world)
        problems += [f"{name}#{nth}: {problem}" for problem in sound(world)]
        if state(world).champion.version != 1:
            problems.append(f"{name}#{nth}: version {state(world).champion.version} is champion")
    assert problems == []


def test_a_disk_that_fills_up_at_any_moment_and_is_emptied_again_leaves_nothing_torn(make_world):
    world = make_world()
    ready(world)
    total = len(list(passed_by(world, roll_out)))
    problems = []
    for nth in range(1, total + 1):
        world = make_world()
        ready(world)
        assert broken(world, roll_out, Fault(name="any", nth=nth, on=True, action="enospc"))
        done = roll_out(world)
        problems += [f"{nth}: {problem}" for problem in sound(world)]
        if done.exit_code != 0:
            problems.append(f"{nth}: {done.message}")
    assert problems == []
