"""The watchdog: a silent controller loses the challenger's traffic, a route that is not the journal's is put right."""

import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from seatrial.adapters.envoy import Route
from seatrial.adapters.supervisor import alive
from seatrial.control import state_of
from seatrial.errors import EndpointError
from seatrial.journal import Journal, controller, journal_path, read_last
from seatrial.rollout_state import Lease, Phase, Pin, State
from seatrial.verdict import Outcome
from seatrial.watchdog import SILENT, Watch, expired, look_after
from tests.rollouts import MemoryClock

OLD, NEW, BEFORE = Pin(version=1, digest="sha256:a"), Pin(version=2, digest="sha256:b"), Pin(version=3, digest="sha256:c")
CANARY = State(phase=Phase.CANARY, champion=OLD, challenger=NEW, lease=Lease(boot="boot-1", until=1010.0))


class Endpoint:
    """A route in memory; `dead` answers nothing."""

    def __init__(self, live):
        self.live, self.dead, self.running = live, False, {1, 2, 3}

    def live_route(self):
        return None if self.dead else self.live

    def route(self, route):
        if self.dead:
            raise EndpointError("nobody answers")
        self.live = route

    def serves(self, version):
        return version in self.running

    def retire(self, version):
        self.running.discard(version)

    def mend(self):
        return False


class Scene:
    def __init__(self, home, state, live):
        self.home, self.clock, self.endpoint, self.said = home, MemoryClock(), Endpoint(live), []
        self.write(state)
        self.watch = Watch(home=home, endpoint=self.endpoint, clock=self.clock, say=self.said.append)

    def write(self, state):
        Journal(journal_path(self.home)).append("test", state.to_dict(), time=self.clock.wall() if hasattr(self, "clock") else "now")

    @property
    def state(self):
        return state_of(read_last(journal_path(self.home)).record.state)


SPLIT = Route(champion=1, challenger=2, weight=25)


@pytest.mark.parametrize(("now", "over"), [(1009.9, False), (1010.0, True), (1010.1, True)])
def test_a_lease_ends_at_its_time(now, over):
    assert expired(CANARY, boot="boot-1", now=now) is over


def test_a_lease_of_another_boot_is_over_and_one_without_exposure_does_not_matter():
    assert expired(CANARY, boot="boot-2", now=0.0)
    for phase in (Phase.IDLE, Phase.HELD, Phase.STARTING, Phase.PROMOTING):
        assert not expired(replace(CANARY, phase=phase), boot="boot-2", now=9e9)


def test_a_controller_that_speaks_in_time_is_left_alone(tmp_path):
    scene = Scene(tmp_path, CANARY, SPLIT)
    scene.clock.now = 1009.0
    assert look_after(scene.watch) is False
    assert (scene.endpoint.live, scene.state.phase) == (SPLIT, Phase.CANARY)


@pytest.mark.parametrize("phase", [Phase.MIRROR, Phase.CANARY, Phase.ROLLING_BACK])
def test_a_silent_controller_loses_the_challenger_s_traffic_and_it_is_written_down_first(tmp_path, phase):
    scene = Scene(tmp_path, replace(CANARY, phase=phase), SPLIT)
    scene.clock.now = 1010.0
    assert look_after(scene.watch) is True
    assert scene.endpoint.live == Route(champion=1)
    assert scene.state.phase is Phase.ROLLING_BACK
    if phase is not Phase.ROLLING_BACK:
        assert (scene.state.outcome, scene.state.reason) == (Outcome.INCONCLUSIVE, SILENT)
    assert look_after(scene.watch) is False


def test_an_endpoint_that_does_not_answer_now_is_asked_again(tmp_path):
    scene = Scene(tmp_path, CANARY, SPLIT)
    scene.clock.now, scene.endpoint.dead = 2000.0, True
    with pytest.raises(EndpointError):
        look_after(scene.watch)
    scene.endpoint.dead = False
    assert look_after(scene.watch) is True
    assert scene.endpoint.live == Route(champion=1)


def test_a_controller_that_hangs_is_ended_before_its_traffic_is_taken(tmp_path):
    scene = Scene(tmp_path, CANARY, SPLIT)
    scene.clock.now = 2000.0
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom seatrial.journal import controller\n"
        f"with controller(Path({str(tmp_path)!r}), 'deploy'):\n    print('held', flush=True)\n    time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout.readline() == b"held\n"
            os.kill(holder.pid, signal.SIGSTOP)
            assert look_after(scene.watch) is True
            assert not alive(holder.pid)
            assert scene.endpoint.live == Route(champion=1)
        finally:
            holder.kill()


def test_a_command_at_work_is_left_alone_where_the_champion_has_all_traffic(tmp_path):
    scene = Scene(tmp_path, replace(CANARY, phase=Phase.ROLLING_BACK), Route(champion=1))
    scene.clock.now = 2000.0
    with controller(tmp_path, "rollback"):
        assert look_after(scene.watch) is False
    assert scene.said == []


def test_a_route_that_is_not_the_journal_s_is_put_right_unless_somebody_is_at_work(tmp_path):
    scene = Scene(tmp_path, State(champion=OLD), SPLIT)
    with controller(tmp_path, "deploy"):
        assert look_after(scene.watch) is False
    assert look_after(scene.watch) is True
    assert scene.endpoint.live == Route(champion=1)
    assert "not the journal's" in scene.said[0]


def test_a_previous_version_is_stopped_once_when_its_warm_time_is_over(tmp_path):
    scene = Scene(tmp_path, State(champion=OLD, previous=BEFORE, warm_until="2026-11-01T00:01:00+00:00"), Route(champion=1))
    scene.clock.now = 1059.0
    assert look_after(scene.watch) is False
    scene.clock.now = 1060.0
    assert look_after(scene.watch) is True
    assert scene.endpoint.running == {1, 2}
    assert look_after(scene.watch) is False


def test_an_empty_home_is_nothing_to_look_after(tmp_path):
    watch = Watch(home=tmp_path, endpoint=Endpoint(None), clock=MemoryClock(), say=print)
    assert look_after(watch) is False
