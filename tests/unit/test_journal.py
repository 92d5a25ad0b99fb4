"""The journal: whole records or none, one writer."""

import json
import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.errors import BusyError
from seatrial.journal import Journal, controller, journal_path, read_last, read_records, read_rollout


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "journal.jsonl")


def write(journal, count):
    for number in range(count):
        journal.append("tick", {"step": number}, time="now")


def test_a_journal_that_is_not_there_has_no_record(tmp_path):
    found = read_last(tmp_path / "journal.jsonl")
    assert (found.record, found.torn) == (None, False)


def test_the_last_record_is_the_state(tmp_path, journal):
    write(journal, 3)
    found = read_last(tmp_path / "journal.jsonl")
    assert (found.record.number, found.record.state, found.torn) == (3, {"step": 2}, False)


@settings(deadline=None)
@given(cut=st.integers(1, 400))
def test_a_journal_cut_anywhere_reads_to_its_last_whole_record_and_says_so(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("cut") / "journal.jsonl"
    write(Journal(path), 3)
    data = path.read_bytes()
    path.write_bytes(data[: max(0, len(data) - cut)])
    found = read_last(path)
    whole = path.read_bytes().count(b"\n")
    assert (found.record.number if found.record else 0) == whole
    assert found.torn == (path.read_bytes() != b"" and not path.read_bytes().endswith(b"\n"))


def test_a_torn_tail_is_cut_off_by_the_next_record(tmp_path, journal):
    write(journal, 2)
    path = tmp_path / "journal.jsonl"
    with path.open("ab") as stream:
        stream.write(b'{"number": 3, "torn')
    again = Journal(path)
    assert (again.torn, again.last.number) == (True, 2)
    again.append("after", {"step": 9}, time="now")
    assert [json.loads(line)["number"] for line in path.read_bytes().splitlines()] == [1, 2, 3]
    assert not read_last(path).torn


def test_a_record_whose_bytes_changed_is_not_believed(tmp_path, journal):
    write(journal, 2)
    path = tmp_path / "journal.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"step":1', b'"step":7'))
    found = read_last(path)
    assert (found.record.number, found.torn) == (1, True)


def test_a_long_journal_is_read_from_its_end(tmp_path, monkeypatch, journal):
    write(journal, 50)
    monkeypatch.setattr("seatrial.journal.TAIL_BYTES", 700)
    path = tmp_path / "journal.jsonl"
    found = read_last(path)
    assert (found.record.number, found.end) == (50, path.stat().st_size)


def test_a_controller_that_lost_the_journal_to_another_writes_nothing(tmp_path):
    path = tmp_path / "journal.jsonl"
    old = Journal(path)
    write(old, 1)
    new = Journal(path)
    write(new, 1)
    before = path.read_bytes()
    with pytest.raises(BusyError, match="another controller"):
        old.append("late", {}, time="now")
    assert path.read_bytes() == before
    assert new.token == old.token + 1


def test_a_second_controller_is_told_who_is_the_first(tmp_path):
    code = (
        "import sys, pathlib\nfrom seatrial.journal import controller\n"
        "with controller(pathlib.Path(sys.argv[1]), 'deploy'):\n    print('held', flush=True)\n    sys.stdin.read()"
    )
    first = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert first.stdout.readline() == "held\n"
        with pytest.raises(BusyError, match=rf"process {first.pid} on .* \(deploy\)"), controller(tmp_path, "rollback"):
            pass
    finally:
        first.stdin.close()
        first.wait(10)
        first.stdout.close()
    with controller(tmp_path, "rollback") as journal:
        assert journal.last is None
    assert str(os.getpid()) in (tmp_path / "controller.lock").read_text()


def test_the_journal_lies_in_the_home(tmp_path):
    with controller(tmp_path, "up") as journal:
        journal.append("up", {"a": 1}, time="now")
    assert read_last(journal_path(tmp_path)).record.state == {"a": 1}


def test_all_records_are_read_and_what_is_torn_among_them_is_left_out(tmp_path, journal):
    write(journal, 3)
    path = tmp_path / "journal.jsonl"
    first, second, third = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + second[:-9] + b"\n" + b"\x00\xff\n" + third + third[:20])
    assert [record.number for record in read_records(path)] == [1, 3]
    assert list(read_records(tmp_path / "none.jsonl")) == []


@pytest.mark.parametrize(("room", "found"), [(-1, [2]), (0, [1, 2]), (1, [1, 2])])
def test_a_line_longer_than_the_limit_is_no_record(tmp_path, monkeypatch, journal, room, found):
    path = tmp_path / "journal.jsonl"
    journal.append("tick", {"words": "x" * 300}, time="now")
    journal.append("tick", {}, time="now")
    monkeypatch.setattr("seatrial.journal.TAIL_BYTES", len(path.read_bytes().splitlines(keepends=True)[0]) + room)
    assert [record.number for record in read_records(path)] == found


def test_one_rollout_is_read_with_the_record_that_ended_it(tmp_path, journal):
    for state in ({"id": ""}, {"id": "a"}, {"id": "a"}, {"id": ""}, {"id": "b"}, {"id": ""}, {"id": ""}):
        journal.append("tick", state, time="now")
    assert [record.number for record in read_rollout(tmp_path / "journal.jsonl", "a")] == [2, 3, 4]
    assert [record.number for record in read_rollout(tmp_path / "journal.jsonl", "b")] == [5, 6]
    assert list(read_rollout(tmp_path / "journal.jsonl", "c")) == []


def test_the_end_of_a_line_that_is_too_long_is_no_record_either(tmp_path, monkeypatch, journal):
    write(journal, 1)
    path = tmp_path / "journal.jsonl"
    monkeypatch.setattr("seatrial.journal.TAIL_BYTES", 1000)
    path.write_bytes(b"x" * 1000 + path.read_bytes() + path.read_bytes())
    assert [record.number for record in read_records(path)] == [1]
