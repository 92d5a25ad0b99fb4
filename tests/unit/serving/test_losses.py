import json
import subprocess
import sys
from dataclasses import replace

import pytest

from seatrial.serving import losses
from seatrial.serving.losses import LOSSES, RUNNING, Counters, log_losses, opened, settle

NOW = 1_900_000_000.0


def ended(folder, run="3-17-aa", *, count=lambda counters: None):
    """A server that counted, and ended."""
    with opened(folder, version="3", run=run) as counters:
        count(counters)


def three_answered_two_written(counters):
    for rows in (10, 1, 4):
        counters.answered(rows)
        counters.sent(rows)
    counters.writing("date=2026-11-23/p.parquet", 11, 2)
    counters.wrote()


def test_what_was_answered_and_not_written_is_a_loss_that_is_written_down_once(tmp_path):
    ended(tmp_path, count=three_answered_two_written)
    (seen,) = log_losses(tmp_path, now=NOW)
    assert (seen.rows, seen.requests, seen.unsent, seen.dropped, seen.exact, seen.version) == (4, 1, 0, 0, True, "3")
    assert not (tmp_path / LOSSES).exists(), "who only asks writes nothing"
    assert settle(tmp_path, now=NOW) == (seen,)
    assert settle(tmp_path, now=NOW + 1) == ()
    assert log_losses(tmp_path) == (seen,)
    assert list((tmp_path / RUNNING).glob("[!.]*")) == []


def test_a_server_that_wrote_everything_leaves_nothing(tmp_path):
    def count(counters):
        counters.answered(5)
        counters.writing("p", 5, 1)
        counters.wrote()

    ended(tmp_path, count=count)
    assert settle(tmp_path, now=NOW) == ()
    assert list((tmp_path / RUNNING).glob("[!.]*")) == []
    assert not (tmp_path / LOSSES).exists()


@pytest.mark.parametrize(("there", "rows"), [(True, 0), (False, 6)])
def test_a_part_that_was_about_to_appear_counts_where_it_is_there(tmp_path, there, rows):
    def count(counters):
        counters.answered(6)
        counters.writing("date=2026-11-23/p.parquet", 6, 1)

    ended(tmp_path, count=count)
    if there:
        (tmp_path / "date=2026-11-23").mkdir()
        (tmp_path / "date=2026-11-23/p.parquet").touch()
    assert sum(loss.rows for loss in log_losses(tmp_path)) == rows


def test_a_part_that_could_not_be_written_is_forgotten_by_the_next(tmp_path):
    def count(counters):
        for _ in range(2):
            counters.answered(3)
            counters.writing("p", 3, 1)
        counters.wrote()

    ended(tmp_path, count=count)
    assert [(loss.rows, loss.requests) for loss in log_losses(tmp_path)] == [(3, 1)]


def test_rows_that_were_being_answered_and_rows_that_were_given_up_are_named(tmp_path):
    def count(counters):
        counters.answered(2)
        counters.sent(2)
        counters.answered(3)
        counters.dropped(3)

    ended(tmp_path, count=count)
    (loss,) = log_losses(tmp_path)
    assert (loss.rows, loss.unsent, loss.dropped) == (5, 3, 3)
    assert "5 rows of 2 answered requests" in str(loss)
    assert "3 of them were being answered" in str(loss)
    assert "3 of them it had given up" in str(loss)


def test_a_server_that_runs_is_left_alone(tmp_path):
    with opened(tmp_path, version="3", run="r") as counters:
        counters.answered(1)
        assert settle(tmp_path, now=NOW) == log_losses(tmp_path) == ()
    assert len(log_losses(tmp_path)) == 1


def test_after_a_power_failure_the_number_is_about(tmp_path, monkeypatch):
    ended(tmp_path, count=lambda counters: counters.answered(7))
    monkeypatch.setattr(losses, "machine_boot", lambda: "another")
    (loss,) = settle(tmp_path, now=NOW)
    assert not loss.exact
    assert "about 7 rows" in str(loss)


def test_killed_between_writing_it_down_and_removing_it_a_loss_counts_once(tmp_path):
    ended(tmp_path, count=lambda counters: counters.answered(2))
    page = (tmp_path / RUNNING / "3-17-aa").read_bytes()
    (loss,) = settle(tmp_path, now=NOW)
    (tmp_path / RUNNING / "3-17-aa").write_bytes(page)
    assert log_losses(tmp_path) == (loss,)
    assert settle(tmp_path, now=NOW) == ()
    assert log_losses(tmp_path) == (loss,)


def test_a_torn_line_hides_no_other(tmp_path):
    ended(tmp_path, "a", count=lambda counters: counters.answered(2))
    settle(tmp_path, now=NOW)
    with (tmp_path / LOSSES).open("ab") as stream:
        stream.write(b'{"run": "b", "ver')
    ended(tmp_path, "c", count=lambda counters: counters.answered(4))
    settle(tmp_path, now=NOW)
    assert [(loss.run, loss.rows) for loss in log_losses(tmp_path)] == [("a", 2), ("c", 4)]


@pytest.mark.parametrize("page", [b"", b"x" * 100, b"\0" * 4096, b"\xff" * 4096])
def test_a_file_that_is_no_page_of_a_server_is_removed_and_no_loss(tmp_path, page):
    (tmp_path / RUNNING).mkdir()
    (tmp_path / RUNNING / "x").write_bytes(page)
    assert settle(tmp_path, now=NOW) == ()
    assert list((tmp_path / RUNNING).glob("[!.]*")) == []


def test_kill_9_leaves_what_was_counted_by_then(tmp_path):
    code = """
import os, signal, sys
from pathlib import Path
from seatrial.serving.losses import opened
with opened(Path(sys.argv[1]), version="9", run="r") as counters:
    for _ in range(1000):
        counters.answered(3)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    ended_ = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert ended_.returncode == -9
    (loss,) = log_losses(tmp_path)
    assert (loss.rows, loss.requests, loss.version, loss.unsent) == (3000, 1000, "9", 3000)


def test_where_nothing_can_be_written_counting_goes_on_without_a_file(tmp_path):
    (tmp_path / "log").write_text("in the way")
    with pytest.raises(NotADirectoryError), opened(tmp_path / "log", version="3", run="r"):
        pass
    Counters().answered(1)
    assert log_losses(tmp_path / "log") == settle(tmp_path / "log", now=NOW) == ()


def test_a_line_says_all_that_is_known(tmp_path):
    ended(tmp_path, count=lambda counters: counters.answered(2))
    (loss,) = settle(tmp_path, now=NOW)
    line = json.loads((tmp_path / LOSSES).read_text())
    assert replace(loss, **line) == loss
    assert line["found"] == NOW
