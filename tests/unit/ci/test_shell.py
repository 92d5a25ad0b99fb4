"""What a step says by its files, and what of this machine it sees."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from seatrial.ci.shell import machine_variables, read_settings
from seatrial.errors import UsageError


def test_settings_have_one_line_or_many(tmp_path):
    (tmp_path / "output").write_text("bundle=sha256:a=b\ntext<<END\none\n\ntwo=2\nEND\nempty=\n")
    assert read_settings(tmp_path / "output") == {"bundle": "sha256:a=b", "text": "one\n\ntwo=2", "empty": ""}
    assert read_settings(tmp_path / "gone") == {}


@pytest.mark.parametrize("text", ["no sign", "text<<END\nopen"])
def test_what_is_no_setting_is_refused(tmp_path, text):
    (tmp_path / "output").write_text(text)
    with pytest.raises(UsageError):
        read_settings(tmp_path / "output")


def test_nothing_that_steers_a_session_comes_from_this_machine(tmp_path):
    own = str(Path(sys.executable).parent)
    environ = {
        "PATH": os.pathsep.join([own, "/usr/bin"]),
        "HOME": "/h",
        "UV_CACHE_DIR": "/c",
        "SEATRIAL_ENV": "production",
        "MLFLOW_TRACKING_URI": "x",
        "GITHUB_TOKEN": "secret",
        "AWS_ACCESS_KEY_ID": "secret",
        "VIRTUAL_ENV": own,
    }
    seen = machine_variables(environ, tmp_path)
    assert seen == {"PATH": f"{tmp_path / 'bin'}{os.pathsep}/usr/bin", "HOME": "/h", "UV_CACHE_DIR": "/c", "SHELL": "/bin/bash"}


INTERRUPTED = """\
import sys
from pathlib import Path
from seatrial.ci.shell import run_command
folder = Path(sys.argv[1])
run_command(f"echo $$ > {folder}/pid; {sys.argv[2]}", folder=folder, env={"PATH": "/usr/bin:/bin"}, leash=folder / "parent")
"""


def started(folder, command):
    """A process that runs a command as a step, and the process group of what it runs."""
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED, str(folder), command], stderr=subprocess.DEVNULL)
    while not (folder / "pid").exists() or not (folder / "pid").read_text():
        assert process.poll() is None
        time.sleep(0.02)
    return process, int((folder / "pid").read_text())


def test_an_interruption_ends_what_a_step_started(tmp_path):
    process, group = started(tmp_path, "sleep 60 & wait")
    try:
        process.send_signal(signal.SIGINT)
        process.wait(20)
    finally:
        process.kill()
    assert alive_in(group) == []


@pytest.mark.skipif(sys.platform != "linux", reason="needs the parent-death signal")
def test_a_killed_run_takes_its_step_along(tmp_path):
    process, group = started(tmp_path, "exec sleep 60")
    process.kill()
    process.wait()
    end = time.monotonic() + 10
    while alive_in(group) and time.monotonic() < end:
        time.sleep(0.02)
    left = alive_in(group)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert left == []


def alive_in(group):
    """The processes of a group that still run."""
    every = psutil.process_iter(["status"])
    return [one.pid for one in every if one.info["status"] != psutil.STATUS_ZOMBIE and group_of(one.pid) == group]


def group_of(pid):
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None
