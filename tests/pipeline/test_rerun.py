"""The same commit on a laptop and in CI, cancelled and asked again: the same bundle, the same verdict, and nothing left behind."""

import json
import os
import signal
import sys

import psutil
import pytest

from seatrial.adapters.registry import find_version
from seatrial.project import Project
from tests.pipeline.projects import SmallProject

pytestmark = pytest.mark.slow
LAPTOP = {"HOME": "/tmp", "TZ": "Asia/Kolkata", "LANG": "de_DE.UTF-8", "LC_ALL": "C.UTF-8", "OMP_NUM_THREADS": "1", "CI": ""}
RUNNER = {"HOME": "/", "TZ": "America/St_Johns", "LANG": "C", "LC_ALL": "C", "OMP_NUM_THREADS": "2", "CI": "true", "PYTHONHASHSEED": "7"}


@pytest.fixture(scope="module")
def laptop(tmp_path_factory):
    """A project that was trained and committed."""
    project = SmallProject(tmp_path_factory.mktemp("a laptop") / "loans")
    project.run("contract", "infer", **LAPTOP)
    commit(project)
    old = os.umask(0o077)
    try:
        project.run("train", **LAPTOP)
    finally:
        os.umask(old)
    assert "logged before" in project.run("train", **LAPTOP)
    commit(project)
    return project


def commit(project):
    project.git("add", "--all")
    project.git("-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "--quiet", "-m", "more")


@pytest.mark.skipif(sys.platform != "linux", reason="needs the parent-death signal")
def test_a_gate_that_was_cancelled_leaves_nothing_and_is_asked_again(laptop, tmp_path):
    points = ((signal.SIGTERM, "scoring them again"), (signal.SIGINT, "running the model test suite"), (signal.SIGKILL, "timing"))
    for number, words in points:
        process = laptop.start("gate", **LAPTOP, TMPDIR=str(tmp_path))
        assert any(words in line for line in process.stdout)
        process.send_signal(number)
        process.communicate(timeout=60)
        assert process.returncode == (-number if number == signal.SIGKILL else 130)
        assert not at_work(laptop.root)
        assert not (laptop.root / "metrics/gate.json").exists()
        assert number == signal.SIGKILL or not list(tmp_path.iterdir())
    assert "registered version 1" in laptop.run("gate", **LAPTOP)
    version = find_version(Project.find(laptop.root, env={}), laptop.verdict("gate")["subject"]["bundle"])
    assert version.version == 1
    assert "registered" not in laptop.run("gate", **LAPTOP)


def at_work(folder):
    """The processes that have to do with a folder, once those that were told to end had their time."""
    own = [one for one in psutil.process_iter(["cmdline", "cwd"]) if str(folder) in f"{one.info['cwd']} {one.info['cmdline']}"]
    return psutil.wait_procs(own, timeout=10)[1]


def test_a_commit_gives_the_same_bundle_and_verdict_on_a_laptop_and_in_ci(laptop):
    laptop.run("gate", **LAPTOP)
    path = laptop.root / "metrics/run.json"
    recorded = json.loads(path.read_bytes())
    assert recorded["changed"] == []
    assert recorded["gate"]["outcome"] == "pass"
    assert str(laptop.root) not in path.read_text()
    before = files(laptop.root)

    said = laptop.run("rerun", **RUNNER)
    assert f"the same · bundle {recorded['bundle'][:19]}" in said
    after = files(laptop.root)
    assert {one.name for one in after.keys() ^ before.keys()} == {"rerun.lock"}
    assert {one for one in before if after[one] != before[one]} == set()


def files(root):
    """All that a project holds, caches of Python left out."""
    kept = (one for one in sorted(root.rglob("*")) if one.is_file() and not {".git", "__pycache__"} & set(one.parts))
    return {one: one.read_bytes() for one in kept}
