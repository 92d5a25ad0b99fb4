import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from seatrial.adapters.leash import leashed

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]
PARENT = """
import subprocess, sys
from pathlib import Path
from seatrial.adapters.leash import leashed
child = subprocess.Popen(leashed(Path(sys.argv[1]), [sys.executable, "-c", "print('up', flush=True); import time; time.sleep(60)"]))
print(child.pid, flush=True)
child.wait()
"""


def test_a_leashed_program_runs_and_ends_as_itself(tmp_path):
    ended = subprocess.run(leashed(tmp_path / "parent", [sys.executable, "-c", "raise SystemExit(7)"]), check=False)
    assert ended.returncode == 7
    assert (tmp_path / "parent").read_text() == str(os.getpid())


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
def test_a_parent_that_is_killed_takes_its_program_along(tmp_path):
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path / "parent")], stdout=subprocess.PIPE, text=True)
    try:
        lines = {parent.stdout.readline().strip(), parent.stdout.readline().strip()}
        child = int(next(line for line in lines if line != "up"))
        assert psutil.pid_exists(child)
        parent.send_signal(signal.SIGKILL)
        parent.wait(10)
        end = time.monotonic() + 10
        while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE and time.monotonic() < end:
            time.sleep(0.02)
        assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE
    finally:
        parent.kill()
        parent.wait(10)


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
def test_a_program_whose_parent_is_another_one_does_not_start(tmp_path):
    command = leashed(tmp_path / "parent", SLEEPER)
    Path(tmp_path / "parent").write_text("1")
    ended = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode == 1
    assert "does not name my parent" in ended.stderr
