"""What nobody sits beside: a detached rollout, an endpoint in the foreground. Everything is real but the registry."""

import os
import signal
import subprocess
import sys
import time

import pytest

from seatrial.adapters.supervisor import alive, wait_until
from seatrial.drill.examine import examine, torn_down
from seatrial.drill.rig import rig
from seatrial.journal import holder_pid, journal_path, read_records
from tests.pipeline.test_drills import LINUX, project_in

pytestmark = [pytest.mark.slow, pytest.mark.timed, LINUX]
PATIENCE = 30


@pytest.fixture
def scratch(tmp_path):
    """A rig with version 1 live and version 2 gated."""
    with rig(project_in(tmp_path)) as made:
        made.plan(steps=["mirror", 50, 100], bake_seconds=1)
        made.release()
        yield made


def detached(made):
    """Hand the rollout of version 2 to supervisord, as `deploy --detach` does."""
    command = [sys.executable, "-m", "seatrial.drill.desk", "deploy"]
    made.endpoint.supervise(command, folder=made.root, env={**made.env, "SEATRIAL_DETACHED": "1"})
    assert wait_until(lambda: holder_pid(made.home) != os.getpid() and working(made), PATIENCE)
    return holder_pid(made.home)


def working(made):
    pid = holder_pid(made.home)
    return pid is not None and alive(pid) and any(one.name == "controller" and one.pid for one in made.inspect().programs)


def controllers(made):
    """The tokens of those who wrote the last rollout into the journal."""
    last = made.state().id
    return {record.token for record in read_records(journal_path(made.home)) if record.state.get("id") == last}


def test_a_detached_rollout_goes_on_after_its_controller_was_killed_and_ends_with_nothing_left(scratch):
    client = scratch.client()
    first = detached(scratch)
    scratch.until(lambda: str(scratch.state().phase) == "canary", what="the canary")
    os.kill(first, signal.SIGKILL)
    scratch.until(lambda: str(scratch.state().phase) == "idle", what="the end")
    assert scratch.state().champion.version == 2
    assert len(controllers(scratch)) == 2, "one that was killed, and one that went on"
    # The rollout is over; what is left to do without it (the challenger's name, the page) the controller does before it ends.
    assert wait_until(lambda: not any(one.name == "controller" for one in scratch.inspect().programs), PATIENCE)
    assert list(examine(scratch, client.stop())) == []
    file = scratch.home / "endpoint/controller.json"
    assert wait_until(lambda: not file.exists(), PATIENCE), "the file with its environment goes with it"
    assert list(torn_down(scratch)) == []


def test_a_detached_rollout_is_ended_by_a_rollback_and_its_environment_is_private(scratch):
    client = scratch.client()
    detached(scratch)
    assert (scratch.home / "endpoint/controller.json").stat().st_mode & 0o777 == 0o600
    scratch.until(lambda: str(scratch.state().phase) == "canary", what="the canary")
    busy = scratch.control("deploy").wait()
    assert (busy.code, "another controller is at work" in busy.output) == (2, True)
    assert scratch.control("rollback").wait().code == 0
    scratch.until(lambda: str(scratch.state().phase) == "idle", what="the end")
    assert scratch.state().champion.version == 1
    assert list(examine(scratch, client.stop())) == []


def foreground(made):
    """`seatrial up --foreground` of the scratch project, and what it prints."""
    log = made.root / "foreground.log"
    with log.open("w") as stream:
        command = [sys.executable, "-m", "seatrial", "up", "--foreground"]
        return subprocess.Popen(command, cwd=made.root, env=made.env, stdout=stream, stderr=stream), log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_in_the_foreground_it_restores_what_was_live_and_stops_it_when_told(scratch, number):
    scratch.down()
    process, log = foreground(scratch)
    try:
        assert wait_until(lambda: scratch.inspect().route is not None, PATIENCE), log.read_text()
        assert wait_until(lambda: "version 1 serves on" in log.read_text(), PATIENCE)
        process.send_signal(number)
        assert process.wait(PATIENCE) == 0
        assert "stopped; nothing runs any more" in log.read_text()
        assert list(torn_down(scratch)) == []
    finally:
        process.kill()


def test_in_the_foreground_it_waits_for_the_first_deployment(scratch):
    scratch.nothing()
    process, log = foreground(scratch)
    try:
        assert wait_until(lambda: "waits for the first deployment" in log.read_text(), PATIENCE)
        scratch.deploy()
        time.sleep(1)
        assert process.poll() is None
        process.terminate()
        assert process.wait(PATIENCE) == 0
        assert list(torn_down(scratch)) == []
    finally:
        process.kill()
