"""A noted hash is believed while nothing about the file changed, and no longer."""

import os

import pytest
from dvc.fs import localfs
from dvc_data.hashfile.hash import hash_file

from seatrial.noted_hashes import NotedHashes


@pytest.fixture
def noted(tmp_path):
    """A file, and the place of the notes about it."""
    file, notes = tmp_path / "file", tmp_path / "notes.json"
    file.write_bytes(b"one")
    state = NotedHashes(notes)
    hash_file(str(file), localfs, "md5", state)
    state.write()
    return file, notes


def known(file, notes):
    return NotedHashes(notes).get(str(file), localfs)[1]


def test_what_did_not_change_is_believed(noted):
    file, notes = noted
    assert known(file, notes).value == "f97c5d29941bfb1b2fdab0874906ab82"  # md5 of `one`
    again = NotedHashes(notes)
    again.get(str(file), localfs)
    again.write()
    assert known(file, notes) is not None


def test_a_byte_that_changed_while_the_time_was_set_back_is_seen(noted):
    file, notes = noted
    before = file.stat()
    with file.open("r+b") as stream:
        stream.write(b"t")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = file.stat()
    assert (before.st_ino, before.st_size, before.st_mtime_ns) == (after.st_ino, after.st_size, after.st_mtime_ns)
    assert known(file, notes) is None


@pytest.mark.parametrize("text", ["", "[]", "{", "null"])
def test_notes_that_cannot_be_read_are_none(noted, text):
    file, notes = noted
    notes.write_text(text)
    assert known(file, notes) is None


def test_what_was_not_asked_for_is_forgotten(noted):
    file, notes = noted
    NotedHashes(notes).write()
    assert known(file, notes) is None
