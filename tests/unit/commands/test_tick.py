"""A rollout taken on by single ticks, as cron does it."""

import pytest

from seatrial.commands.tick import tick
from seatrial.deploy import deploy
from seatrial.errors import RefusedError
from seatrial.rollout_state import Phase
from tests.rollouts import gate, released, route_of, state
from tests.unit.test_operators import ruled


class Died(BaseException):
    """The controller is gone, and had no time to say goodbye."""


def interrupted(world):
    """A rollout whose first controller died when it began to mirror."""
    released(world)
    gate(world, 1)
    route = world.endpoint.route

    def fatal(wanted):
        route(wanted)
        if wanted.mirror:
            world.endpoint.route = route
            raise Died

    world.endpoint.route = fatal
    with pytest.raises(Died):
        deploy(world.project, world.tools)


def ticks(world, every, most=500):
    for _ in range(most):
        code, words = tick(world.project, world.tools)
        if code != 3 or state(world).phase is Phase.IDLE:
            return code, words
        world.clock.sleep(every)
    return None


def test_ticks_take_a_rollout_to_its_end(world):
    interrupted(world)
    code, words = ticks(world, 5)
    assert (code, world.registry.aliases["champion"]) == (0, 2)
    assert words.startswith("version 2 serves")


def test_time_between_ticks_bakes_only_while_the_lease_holds(world):
    ruled(world, bake_seconds=10, lease_s=15)
    interrupted(world)
    assert ticks(world, 20, most=30) is None
    assert ticks(world, 5, most=30)[0] == 0


def test_ticks_roll_back_what_misbehaves(world):
    interrupted(world)
    world.endpoint.error_rates = {2: 0.5}
    assert ticks(world, 5)[0] == 1
    assert world.endpoint.current == route_of(1)


def test_another_plan_than_the_rollout_s_is_refused(world):
    interrupted(world)
    ruled(world, alpha=0.02)
    with pytest.raises(RefusedError, match="another plan"):
        tick(world.project, world.tools)


def test_without_a_rollout_there_is_nothing_to_tick(world):
    released(world)
    assert tick(world.project, world.tools) == (0, "no rollout is under way")
