"""`seatrial.base_files`: an earlier commit's folder, from DVC's cache or from its remote."""

import os
import shutil
import sys

import pytest

from seatrial.base_files import base_files, folder_md5
from seatrial.dvc_lock import read_lock
from seatrial.errors import DataError
from tests.unit.commands.test_diff import shell

PIPELINE = "stages:\n  make:\n    cmd: mkdir out && cp in.txt out/a && echo two > out/b\n    deps: [in.txt]\n    outs: [out]\n"


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A first commit, tagged `base` and pushed to a remote, with the folder `out`, and an empty cache since."""
    root = tmp_path_factory.mktemp("base") / "work"
    root.mkdir()
    shell(root, "git", "init", "--quiet")
    shell(root, sys.executable, "-m", "dvc", "init", "--quiet")
    (root / ".dvc/config").write_text(f"[core]\n    remote = store\n['remote \"store\"']\n    url = {root.parent / 'remote'}\n")
    (root / "dvc.yaml").write_text(PIPELINE)
    (root / "in.txt").write_text("one\n")
    shell(root, sys.executable, "-m", "dvc", "repro", "--quiet")
    shell(root, "git", "add", "-A")
    shell(root, "git", "commit", "--quiet", "--message", "base")
    shell(root, "git", "tag", "base")
    shell(root, sys.executable, "-m", "dvc", "push", "--quiet")
    return root


def asked(root):
    locked = read_lock((root / "dvc.lock").read_bytes())["out"]
    return base_files(root, dict(os.environ), commit="base", path="out", locked=locked)


def test_the_cache_answers_first_and_the_remote_where_it_has_nothing(repository):
    assert asked(repository) == {"a": b"one\n", "b": b"two\n"}
    shutil.rmtree(repository / ".dvc/cache")
    assert asked(repository) == {"a": b"one\n", "b": b"two\n"}
    shutil.rmtree(repository / ".dvc/cache", ignore_errors=True)
    (repository.parent / "remote").rename(repository.parent / "gone")
    with pytest.raises(DataError, match="neither DVC's cache nor its remote has it"):
        asked(repository)


def test_a_folder_s_hash_is_dvc_s_own(repository):
    locked = read_lock((repository / "dvc.lock").read_bytes())["out"]
    assert folder_md5({"b": b"two\n", "a": b"one\n"}) == locked.md5
    assert folder_md5({"a": b"one\n"}) != locked.md5
