"""The same commit on a laptop and in CI: the same bundle, the same verdict; and the project is left as it was."""

import json
import os

import pytest

from tests.pipeline.projects import SmallProject

pytestmark = pytest.mark.slow
LAPTOP = {"HOME": "/tmp", "TZ": "Asia/Kolkata", "LANG": "de_DE.UTF-8", "LC_ALL": "C.UTF-8", "OMP_NUM_THREADS": "1"}
RUNNER = {"HOME": "/", "TZ": "America/St_Johns", "LANG": "C", "LC_ALL": "C", "OMP_NUM_THREADS": "2", "CI": "true", "PYTHONHASHSEED": "7"}


def test_a_commit_gives_the_same_bundle_and_verdict_on_a_laptop_and_in_ci(tmp_path):
    project = SmallProject(tmp_path / "a laptop" / "loans")
    project.run("contract", "infer", **LAPTOP)
    project.git("add", "--all")
    project.git("-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "--quiet", "-m", "contract")
    old = os.umask(0o077)
    try:
        laptop = {**LAPTOP, "CI": ""}
        project.run("train", **laptop)
        assert "logged before" in project.run("train", **laptop)
        project.git("add", "--all")
        project.git("-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "--quiet", "-m", "trained")
        project.run("gate", **laptop)
    finally:
        os.umask(old)
    path = project.root / "metrics/run.json"
    recorded = json.loads(path.read_bytes())
    assert recorded["changed"] == []
    assert recorded["gate"]["outcome"] == "pass"
    assert str(tmp_path) not in path.read_text()
    before = files(project.root)

    said = project.run("rerun", **RUNNER)
    assert f"the same · bundle {recorded['bundle'][:19]}" in said
    after = files(project.root)
    assert {one.name for one in after.keys() ^ before.keys()} == {"rerun.lock"}
    assert {one for one in before if after[one] != before[one]} == set()


def files(root):
    """All that a project holds, caches of Python left out."""
    kept = (one for one in sorted(root.rglob("*")) if one.is_file() and not {".git", "__pycache__"} & set(one.parts))
    return {one: one.read_bytes() for one in kept}
