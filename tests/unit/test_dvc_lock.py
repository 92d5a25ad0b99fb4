"""`seatrial.dvc_lock`: what a real dvc.lock names, and files out of DVC's own cache."""

import subprocess
import sys

import pytest

from seatrial.dvc_lock import Locked, cache_of, cached_files, read_lock
from seatrial.errors import DataError

PIPELINE = "stages:\n  make:\n    cmd: mkdir -p out && echo one > out/a && echo two > out/b\n    deps: [in.txt]\n    outs: [out]\n"


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A DVC repository without git, whose one stage gave the folder `out`; its cache lies elsewhere."""
    root = tmp_path_factory.mktemp("lock")
    (root / "dvc.yaml").write_text(PIPELINE)
    (root / "in.txt").write_text("in")
    for arguments in (["init", "--no-scm", "--quiet"], ["cache", "dir", "../shared"], ["repro", "--quiet"]):
        subprocess.run(
            [sys.executable, "-m", "dvc", *arguments], cwd=root / ".", check=True, env={"PATH": "/usr/bin:/bin", "HOME": str(root)}
        )
    return root


@pytest.fixture
def locked(repository):
    return read_lock((repository / "dvc.lock").read_bytes())


def test_the_lock_names_what_a_stage_takes_and_gives(locked):
    assert set(locked) == {"in.txt", "out"}
    assert locked["in.txt"].size == 2
    assert locked["out"].md5.endswith(".dir")


def test_a_folder_s_files_come_out_of_the_configured_cache(repository, locked):
    assert cached_files(cache_of(repository), locked["out"]) == {"a": b"one\n", "b": b"two\n"}


def test_without_a_configuration_that_can_be_read_the_cache_is_dvc_s_own(tmp_path):
    assert cache_of(tmp_path) == tmp_path / ".dvc/cache"
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core")
    assert cache_of(tmp_path) == tmp_path / ".dvc/cache"


def test_a_file_is_no_folder(repository, locked):
    with pytest.raises(DataError, match="no folder"):
        cached_files(cache_of(repository), locked["in.txt"])


def test_an_object_that_is_not_there_is_named(repository):
    with pytest.raises(DataError, match="the object abcdef01 is not in DVC's cache"):
        cached_files(cache_of(repository), Locked(md5="abcdef0123456789.dir"))


def test_a_damaged_object_is_refused(repository, locked):
    path = next(path for path in (cache_of(repository) / "files/md5").rglob("*") if path.is_file() and path.read_bytes() == b"two\n")
    mode = path.stat().st_mode
    path.chmod(0o644)
    path.write_bytes(b"2\n")
    try:
        with pytest.raises(DataError, match="is damaged"):
            cached_files(cache_of(repository), locked["out"])
    finally:
        path.write_bytes(b"two\n")
        path.chmod(mode)


@pytest.mark.parametrize("raw", [b"", b"stages: [", b"\xff", b"stages: {a: 3}", b"- 1"])
def test_what_is_no_lock_names_nothing(raw):
    assert read_lock(raw) == {}
