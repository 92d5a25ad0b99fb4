"""The guardian's patience; what it does with real processes is in tests/contract/test_processes.py."""

import os
import subprocess
import sys

import pytest

from seatrial.adapters.supervisor import alive, wait_until
from seatrial.guardian import LASTING_S, Backoff, guardian_pid, without_guardian


def test_the_first_restart_comes_at_once_and_the_next_ones_wait_longer_up_to_a_minute():
    backoff = Backoff()
    assert [backoff.delay(0.5) for _ in range(9)] == [0, 1, 2, 4, 8, 16, 32, 60, 60]


@pytest.mark.parametrize(("lasted", "delay"), [(LASTING_S - 1, 2.0), (LASTING_S, 0.0), (LASTING_S + 1, 0.0)])
def test_a_supervisord_that_lasted_is_restarted_at_once(lasted, delay):
    backoff = Backoff()
    backoff.delay(0)
    backoff.delay(0)
    assert backoff.delay(lasted) == delay


def test_a_lock_that_names_another_process_is_no_guardian(tmp_path):
    assert guardian_pid(tmp_path) is None
    (tmp_path / "endpoint").mkdir()
    (tmp_path / "endpoint/guardian.lock").write_text(str(os.getpid()))
    assert guardian_pid(tmp_path) is None


def test_a_guardian_that_gave_its_lock_back_is_waited_for_until_it_is_gone(tmp_path):
    (tmp_path / "endpoint").mkdir()
    line = [sys.executable, "-c", "import time; time.sleep(0.7)", "seatrial.guardian", str(tmp_path)]
    ending = subprocess.Popen(line)
    (tmp_path / "endpoint/guardian.lock").write_text(str(ending.pid))
    assert wait_until(lambda: guardian_pid(tmp_path) == ending.pid, 5)
    with without_guardian(tmp_path):
        pass
    ended = not alive(ending.pid)
    ending.wait()
    assert ended
    assert not (tmp_path / "endpoint/guardian.lock").exists()
