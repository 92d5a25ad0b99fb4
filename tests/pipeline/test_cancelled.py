"""A job that is cancelled, at any point, leaves nothing behind, and the same command again does what it would have done."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="needs the parent-death signal")]
ROOT = Path(__file__).parents[2]
NOXFILE = """\
import sys
from pathlib import Path

import nox

sys.path.insert(0, {root!r})
from tasks import environment

environment.install, environment.VENV = lambda session: None, Path({prefix!r})
nox.options.default_venv_backend = "none"


@nox.session
def watch(session):
    environment.run(session, "seatrial", "status", "--watch")
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_when_nox_is_killed_its_command_ends_too(tmp_path, number):
    (tmp_path / "params.yaml").write_text("model: {name: leavers}\ndata: {raw: a.csv, target: left}\n")
    (tmp_path / "noxfile.py").write_text(NOXFILE.format(root=str(ROOT), prefix=sys.prefix))
    env = {name: value for name, value in os.environ.items() if not name.startswith("SEATRIAL_")}
    nox = subprocess.Popen(
        [sys.executable, "-m", "nox", "-s", "watch"], cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert nox.stdout.readline()  # the command is at work
    (command,) = psutil.Process(nox.pid).children()
    nox.send_signal(number)
    assert nox.wait(20) == -number
    gone, alive = psutil.wait_procs([command], timeout=20)
    for left in alive:
        left.kill()
    assert gone == [command]
