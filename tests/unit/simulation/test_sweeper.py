"""Whatever happens to a simulation, nothing of it stays: no process and no folder."""

import subprocess
import sys
import time

import pytest

from seatrial.adapters.supervisor import alive, wait_until

OWNER = """
import subprocess, sys, time
from pathlib import Path
from seatrial.simulation.site import _swept
folder = Path(sys.argv[1])
with _swept(folder):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", str(folder)], start_new_session=True)
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], cwd=folder, start_new_session=True)
    print(child.pid, other.pid, flush=True)
    time.sleep(float(sys.argv[2]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads working directories from /proc")
@pytest.mark.parametrize("killed", [True, False])
def test_what_runs_in_the_folder_ends_with_its_owner(tmp_path, killed):
    folder = tmp_path / "site"
    folder.mkdir()
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(folder), "600" if killed else "0.1"], stdout=subprocess.PIPE, text=True)
    pids = [int(one) for one in owner.stdout.readline().split()]
    if killed:
        assert all(map(alive, pids))
        owner.kill()
    owner.wait(30)
    assert wait_until(lambda: not folder.exists() and not any(map(alive, pids)), 30)
    time.sleep(0)
