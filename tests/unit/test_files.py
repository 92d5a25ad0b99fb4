"""Bytes on disk: one value, one text; a write is whole or not there; a lock is held by one."""

import errno
import hashlib
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial import files
from seatrial.files import (
    canonical_json,
    locked,
    md5_of,
    pretty_json,
    sha256_bytes,
    sha256_json,
    sha256_of_tree,
    shown_path,
    write_atomic,
)

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inside: st.lists(inside) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inside),
    max_leaves=8,
)


@given(VALUES)
def test_canonical_json_reads_back_and_is_the_same_again(value):
    data = canonical_json(value)
    assert json.loads(data) == value
    assert canonical_json(json.loads(data)) == data


def test_the_order_of_keys_does_not_matter():
    assert canonical_json({"b": 1, "a": [1, 2]}) == canonical_json({"a": [1, 2], "b": 1}) == b'{"a":[1,2],"b":1}'
    assert sha256_json({"b": 1, "a": 2}) == sha256_json({"a": 2, "b": 1})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_refused_in_json(value):
    for encode in (canonical_json, pretty_json):
        with pytest.raises(ValueError, match="JSON compliant"):
            encode({"value": value})


def test_digests_carry_the_name_of_their_hash():
    assert sha256_bytes(b"x") == f"sha256:{hashlib.sha256(b'x').hexdigest()}"


def test_a_file_s_md5_is_the_one_that_dvc_knows(tmp_path):
    (tmp_path / "a").write_bytes(b"bytes")
    assert md5_of(tmp_path / "a") == f"md5:{hashlib.md5(b'bytes').hexdigest()}"


@pytest.mark.parametrize("change", ["content", "name", "more"])
def test_a_folder_s_hash_sees_each_change_below_it(tmp_path, change):
    (tmp_path / "below").mkdir()
    (tmp_path / "below/a").write_bytes(b"1")
    before = md5_of(tmp_path), sha256_of_tree(tmp_path)
    match change:
        case "content":
            (tmp_path / "below/a").write_bytes(b"2")
        case "name":
            (tmp_path / "below/a").rename(tmp_path / "below/b")
        case "more":
            (tmp_path / "b").touch()
    after = md5_of(tmp_path), sha256_of_tree(tmp_path)
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_what_python_compiled_and_other_suffixes_are_no_part_of_a_tree(tmp_path):
    (tmp_path / "a.py").write_text("1")
    before = sha256_of_tree(tmp_path, suffixes=(".py",))
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__/a.py").write_text("compiled")
    (tmp_path / "notes.txt").write_text("notes")
    assert sha256_of_tree(tmp_path, suffixes=(".py",)) == before


def test_a_write_makes_its_folder_and_leaves_nothing_beside(tmp_path):
    write_atomic(tmp_path / "new/file", b"bytes", mode=0o600)
    assert (tmp_path / "new/file").read_bytes() == b"bytes"
    assert (tmp_path / "new/file").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file"]


@pytest.mark.parametrize("step", ["fsync", "rename"])
def test_a_write_that_fails_leaves_the_old_bytes_and_no_temporary_file(tmp_path, monkeypatch, step):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(*{"fsync": (files.os, "fsync", full), "rename": (type(path), "replace", full)}[step])
    with pytest.raises(OSError, match="No space left"):
        write_atomic(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


DIE = """\
import os, pathlib, sys
import seatrial.files as files
files.os.fsync = lambda *_: os.kill(os.getpid(), 9)
files.write_atomic(pathlib.Path(sys.argv[1]), b"new")
"""


def test_a_process_that_dies_while_it_writes_leaves_the_old_bytes(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", DIE, str(path)], check=False)
    assert done.returncode == -9
    assert path.read_bytes() == b"old"


HOLD = """\
import pathlib, sys
from seatrial.files import locked
with locked(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_is_held_by_one_and_dropped_by_the_kernel_when_its_holder_dies(tmp_path):
    path = tmp_path / "lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(BlockingIOError), locked(path, wait=False):
            pass
    finally:
        holder.kill()
        holder.communicate()
    with locked(path, wait=False):
        assert path.exists()


def test_a_lock_can_be_taken_again_after_an_exception(tmp_path):
    with pytest.raises(KeyError), locked(tmp_path / "lock"):
        raise KeyError
    with locked(tmp_path / "lock", wait=False):
        assert os.path.lexists(tmp_path / "lock")


def test_a_path_is_shown_from_where_people_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shown_path(tmp_path / "data/contract.yaml") == "data/contract.yaml"
    assert shown_path(Path("data/contract.yaml")) == "data/contract.yaml"
    assert shown_path(tmp_path.parent / "elsewhere/contract.yaml") == "contract.yaml"
