import datetime as dt
import os
import re
import resource
import shutil
import signal
import subprocess
import time
from types import SimpleNamespace

import msgspec
import polars as pl
import pytest

from seatrial.bundle import Input
from seatrial.errors import DataError
from seatrial.serving import predictions
from seatrial.serving.compaction import FEWEST, MERGED, compact, start_compaction
from seatrial.serving.losses import log_losses, opened
from seatrial.serving.predictions import OWN_COLUMNS, LogSettings, PredictionLog, parts, read_log, remove_old_parts
from tests.bundles import make_bundle, make_rows
from tests.dvc_projects import wait_for
from tests.entries import make_entry

NOON = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("bundle") / "model").manifest


def make_log(folder, manifest, **settings):
    """A log whose thread is not started: `flush` is called by hand."""
    return PredictionLog(LogSettings(folder=folder, **settings), manifest, version="3", digest="sha256:1", clock=NOON.timestamp)


def entry(manifest, rows, *, at=NOON, **given):
    return make_entry(manifest, rows, at=at, **given)


def test_the_log_holds_what_was_asked_and_answered(tmp_path, manifest):
    log = make_log(tmp_path, manifest)
    rows = make_rows(11)
    log.append(entry(manifest, rows[:1], simulated=True))
    log.append(entry(manifest, rows[1:], request_id="r2", variant="mirror", at=NOON + dt.timedelta(seconds=1)))
    log.flush()
    frame = read_log(tmp_path)
    assert frame.columns == [*OWN_COLUMNS, "amount", "visits", "member", "colour", "plan"]
    asked = frame.select(pl.col("id").alias("client"), "amount", "visits", "member", "colour", "plan")
    assert asked.to_dicts() == rows
    assert frame["request_id"].to_list() == ["r1"] + ["r2"] * 10
    assert frame["time"][0] == NOON
    assert frame.row(0, named=True) | {"variant": "champion", "simulated": True, "version": "3", "digest": "sha256:1"} == frame.row(
        0, named=True
    )
    assert frame["variant"].to_list() == ["champion"] + ["mirror"] * 10
    assert (frame["label"].unique().item(), frame["probability"].unique().item(), frame["latency_ms"].unique().item()) == ("Yes", 0.75, 0.5)
    assert (log.written, log.lost) == (11, 0)


def test_column_types_are_those_of_the_inputs_even_for_one_row_of_nulls(tmp_path, manifest):
    log = make_log(tmp_path, manifest)
    row = {"amount": None, "visits": 3.0, "member": 1, "colour": None, "plan": "plus"}
    log.append(entry(manifest, [row]))
    log.flush()
    types = read_log(tmp_path).schema
    assert [types[name] for name in ("amount", "visits", "member", "colour")] == [pl.Float64, pl.Int64, pl.Boolean, pl.String]
    assert types["time"] == pl.Datetime("us", "UTC")


def test_parts_lie_under_their_day_named_by_version_process_and_sequence(tmp_path, manifest):
    log = make_log(tmp_path, manifest)
    for at in (NOON, NOON + dt.timedelta(days=1)):
        log.append(entry(manifest, make_rows(1), at=at))
    log.flush()
    log.append(entry(manifest, make_rows(1)))
    log.flush()
    names = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.parquet"))
    pattern = rf"date=2026-11-(\d\d)/3-{os.getpid()}-([0-9a-f]{{12}})-(\d{{6}})\.parquet"
    found = [re.fullmatch(pattern, name).groups() for name in names]
    assert [(day, number) for day, _, number in found] == [("23", "000000"), ("23", "000002"), ("24", "000001")]
    assert len({run for _, run, _ in found}) == 1


def test_a_process_with_the_id_of_an_older_one_does_not_touch_its_parts_merged_or_not(tmp_path, manifest):
    for turn in (1, 2, 3):
        log = make_log(tmp_path, manifest)
        for _ in range(2):
            log.append(entry(manifest, make_rows(2)))
            log.flush()
        assert read_log(tmp_path).height == 4 * turn
        (day,) = tmp_path.glob("date=*")
        assert compact(day, now=time.time(), fewest=2, settled=0.0) == 2
        assert read_log(tmp_path).height == 4 * turn


@pytest.fixture
def many_parts(tmp_path, manifest):
    """A log of so many small parts, of an hour ago, that they are worth merging."""
    log = make_log(tmp_path, manifest)
    for _ in range(FEWEST):
        log.append(entry(manifest, make_rows(1)))
        log.flush()
    for path in parts(tmp_path):
        os.utime(path, (time.time() - 3600,) * 2)
    return tmp_path


def test_small_parts_are_merged_beside_the_log_which_goes_on(many_parts, manifest):
    log = make_log(many_parts, manifest)
    log.start()
    wait_for(lambda: len(parts(many_parts)) == 1)
    log.append(entry(manifest, make_rows(2)))
    log.close()
    assert [MERGED in path.name for path in parts(many_parts)] == [False, True]
    assert read_log(many_parts).height == FEWEST + 2
    assert log._compaction.returncode is not None


def test_what_cannot_be_merged_is_named_and_the_other_days_are(many_parts, capfd):
    (day,) = many_parts.glob("date=*")
    broken = shutil.copytree(day, many_parts / "date=2026-11-01")
    first = min(broken.glob("*.parquet"))
    first.write_bytes(b"PAR1")
    os.utime(first, (time.time() - 3600,) * 2)
    process = start_compaction(many_parts)
    assert process.wait(60) == 0
    assert "the parts of date=2026-11-01 are not merged" in capfd.readouterr().err
    assert [len(parts(many_parts, since=NOON)), len(list(broken.glob("*.parquet")))] == [1, FEWEST]


def test_a_log_that_is_closed_ends_the_merging(tmp_path, manifest, monkeypatch):
    sleeping = subprocess.Popen(["sleep", "60"])
    monkeypatch.setattr(predictions, "start_compaction", lambda _: sleeping)
    log = make_log(tmp_path, manifest)
    log._keep_house()
    log._next_housekeeping = 0.0
    monkeypatch.setattr(predictions, "start_compaction", lambda _: pytest.fail("one is enough"))
    log._keep_house()
    log.start()
    log.close()
    assert sleeping.poll() == -signal.SIGTERM


def test_a_machine_that_starts_no_process_keeps_its_small_parts(many_parts, manifest, monkeypatch, capsys):
    def refused(folder):
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(predictions, "start_compaction", refused)
    log = make_log(many_parts, manifest)
    log._keep_house()
    assert "its parts are not merged: no more processes" in capsys.readouterr().err
    log.append(entry(manifest, make_rows(2)))
    log.flush()
    assert read_log(many_parts).height == FEWEST + 2


def test_nothing_asked_writes_nothing(tmp_path, manifest):
    make_log(tmp_path, manifest).flush()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("waiting", "kept"), [(4, 5), (5, 5)])
def test_a_full_buffer_drops_and_counts(tmp_path, manifest, waiting, kept):
    log = make_log(tmp_path, manifest, max_rows=5)
    log.append(entry(manifest, make_rows(waiting)))
    log.append(entry(manifest, make_rows(1)))
    log.flush()
    assert (read_log(tmp_path).height, log.lost) == (kept, waiting + 1 - kept)
    log.append(entry(manifest, make_rows(5)))
    assert log.dropped == waiting + 1 - kept, "after the flush there is room again"


def test_the_buffer_is_bounded_in_bytes_too(tmp_path, manifest):
    log = make_log(tmp_path, manifest, max_bytes=250)
    for _ in range(3):
        log.append(entry(manifest, make_rows(1)))
    assert log.dropped == 1


@pytest.mark.parametrize(("drop", "gone"), [("colour", ["colour"]), ("client", ["id"]), ("id", ["id"]), ("unknown", [])])
def test_columns_can_be_left_out(tmp_path, manifest, drop, gone):
    log = make_log(tmp_path, manifest, drop=(drop,))
    log.append(entry(manifest, make_rows(3)))
    log.flush()
    frame = read_log(tmp_path)
    for name in ("colour", "id"):
        present = name in frame.columns and frame[name].null_count() < 3
        assert present == (name not in gone)


def test_an_input_named_as_a_column_of_the_log_keeps_its_name(tmp_path, manifest):
    own = msgspec.structs.replace(manifest, inputs=(Input(name="time", type="number", nullable=False),), id=None)
    log = make_log(tmp_path, own)
    log.append(entry(own, [{"time": 4.5}]))
    log.flush()
    frame = read_log(tmp_path, since=NOON)
    assert (frame["time"].to_list(), frame["seatrial_time"].to_list()) == ([4.5], [NOON])


def test_a_log_that_cannot_be_written_counts_its_rows_and_goes_on(tmp_path, manifest, capsys):
    folder = tmp_path / "log"
    folder.write_text("a file is in the way")
    log = make_log(folder, manifest)
    for _ in range(2):
        log.append(entry(manifest, make_rows(3)))
        log.flush()
    assert (log.written, log.lost) == (0, 6)
    assert capsys.readouterr().err.count("3 rows lost") == 1, "said once, not every second"
    folder.unlink()
    log.append(entry(manifest, make_rows(2)))
    log.flush()
    assert (log.written, log.lost) == (2, 6)


def test_a_disk_that_fills_up_while_a_part_is_written_leaves_no_part(tmp_path, manifest, capsys):
    log = make_log(tmp_path, manifest)
    log.append(entry(manifest, make_rows(50)))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        log.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "50 rows lost" in capsys.readouterr().err
    assert (log.lost, read_log(tmp_path).height, list(tmp_path.rglob("*.tmp"))) == (50, 0, [])


def test_the_thread_writes_when_it_is_closed(tmp_path, manifest):
    log = make_log(tmp_path, manifest, flush_seconds=3600)
    log.start()
    log.append(entry(manifest, make_rows(3)))
    log.close()
    assert read_log(tmp_path).height == 3


@pytest.fixture
def rests(monkeypatch):
    """How long the log rested, each time; it does not really."""
    found = []
    monkeypatch.setattr(predictions, "time", SimpleNamespace(sleep=found.append, time=time.time, monotonic=time.monotonic))
    return found


@pytest.mark.parametrize(("spread", "pause"), [(1.0, 0.005), (0.003, 0.0001)])
def test_requests_go_first_after_each_column_that_was_made(tmp_path, manifest, rests, spread, pause):
    log = make_log(tmp_path, manifest)
    log.append(entry(manifest, make_rows(1)))
    log.append(entry(manifest, make_rows(2)))
    log.flush(spread=spread)
    assert len(rests) == 1 + 2 * (len(OWN_COLUMNS) + 5) + 1
    assert rests[:-1] == pytest.approx([pause] * (len(rests) - 1))
    assert rests[-1] == pytest.approx(min(0.005, spread / 2))


def test_a_log_that_falls_behind_does_not_rest(tmp_path, manifest, rests):
    log = make_log(tmp_path, manifest, flush_rows=2)
    for _ in range(4):
        log.append(entry(manifest, make_rows(1)))
    log.flush(spread=1.0)
    assert rests == [0.005]  # when nothing waits any more
    assert log.written == 4


def test_a_log_that_is_closed_does_not_rest(tmp_path, manifest, rests):
    log = make_log(tmp_path, manifest, flush_seconds=60)
    log.start()
    log.append(entry(manifest, make_rows(1)))
    log.close()
    assert (rests, log.written) == ([], 1)


@pytest.mark.parametrize(("rows", "waits"), [(0, True), (2, True), (3, False)])
def test_a_part_is_made_when_enough_rows_wait_and_not_because_of_those_of_the_part_before(tmp_path, manifest, rows, waits):
    log = make_log(tmp_path, manifest, flush_rows=3)
    for _ in range(rows):
        log.append(entry(manifest, make_rows(1)))
    log._wake.set()  # as the rows of a part do that is being written
    began = time.monotonic()
    log._await(0.2 if waits else 60)
    assert (time.monotonic() - began >= 0.2) == waits
    assert not log._wake.is_set()


def test_requests_go_before_the_thread_that_writes(tmp_path, manifest):
    log = make_log(tmp_path, manifest)
    log.start()
    log.append(entry(manifest, make_rows(1)))
    own = os.getpriority(os.PRIO_PROCESS, 0)
    wait_for(lambda: os.getpriority(os.PRIO_PROCESS, log._thread.native_id) == min(19, own + predictions.NICE))
    log.close()
    assert os.getpriority(os.PRIO_PROCESS, 0) == own


def test_without_parts_the_log_is_an_empty_frame(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        frame = read_log(folder, since=NOON)
        assert frame.is_empty()
        assert frame.columns == list(OWN_COLUMNS)


@pytest.mark.parametrize(("second", "found"), [(9, 1), (10, 1), (11, 0)])
def test_the_log_is_read_from_a_moment_on(tmp_path, manifest, second, found):
    log = make_log(tmp_path, manifest)
    log.append(entry(manifest, make_rows(1), at=NOON - dt.timedelta(days=2)))
    log.append(entry(manifest, make_rows(1), at=NOON + dt.timedelta(seconds=10)))
    log.flush()
    assert read_log(tmp_path, since=NOON + dt.timedelta(seconds=second)).height == found
    assert len(parts(tmp_path)) == 2


def test_versions_with_other_inputs_are_read_together(tmp_path, manifest):
    other = msgspec.structs.replace(manifest, inputs=(Input(name="tenure", type="number", nullable=False),))
    for one, row in ((manifest, make_rows(1)[0]), (other, {"tenure": 4})):
        log = make_log(tmp_path, one)
        log.append(entry(one, [row]))
        log.flush()
    frame = read_log(tmp_path)
    assert (frame.height, frame["tenure"].null_count(), frame["visits"].null_count()) == (2, 1, 1)


def test_half_written_parts_are_not_read(tmp_path, manifest):
    log = make_log(tmp_path, manifest)
    log.append(entry(manifest, make_rows(1)))
    log.flush()
    day = tmp_path / "date=2026-11-23"
    (day / ".3-1-000009.parquet.1.tmp").write_bytes(b"PAR1 and then the power went")
    assert read_log(tmp_path).height == 1


def test_a_part_that_is_no_parquet_is_named(tmp_path):
    day = tmp_path / "date=2026-11-23"
    day.mkdir()
    (day / "3-1-000009.parquet").write_bytes(b"not Parquet")
    with pytest.raises(DataError, match=r"3-1-000009\.parquet"):
        read_log(tmp_path)


@pytest.mark.parametrize(("keep_days", "left"), [(3, 1), (4, 2), (5, 2)])
def test_days_older_than_keep_days_are_removed(tmp_path, keep_days, left):
    for day in ("2026-11-19", "2026-11-23"):
        folder = tmp_path / f"date={day}"
        folder.mkdir()
        (folder / "3-1-000000.parquet").write_bytes(b"")
        (folder / ".3-1-000001.parquet.1.tmp").write_bytes(b"")
    (tmp_path / "date=unknown").mkdir()
    remove_old_parts(tmp_path, today=NOON.date(), keep_days=keep_days)
    assert len(list(tmp_path.glob("date=2026*"))) == left
    assert len(list(tmp_path.glob("*/.*.tmp"))) == 1, "only today's, which somebody may be writing"


@pytest.mark.parametrize("share", [0.01, 0.3, 1.0])
def test_a_sample_keeps_its_share_of_the_requests(tmp_path, manifest, share):
    log = make_log(tmp_path, manifest, sample=share)
    kept = sum(log.keeps(b"request-%d" % number) for number in range(20_000))
    assert kept / 20_000 == pytest.approx(share, abs=0.012)


def test_a_request_is_sampled_alike_by_every_server_and_more_where_more_is_kept(tmp_path, manifest):
    few, again, more = (make_log(tmp_path, manifest, sample=share) for share in (0.2, 0.2, 0.6))
    ids = [b"request-%d" % number for number in range(500)]
    assert [few.keeps(one) for one in ids] == [again.keeps(one) for one in ids]
    assert all(more.keeps(one) for one in ids if few.keeps(one))


def test_housekeeping_writes_down_what_was_lost_before_it_merges_or_removes_parts(tmp_path, manifest, capsys):
    with opened(tmp_path, version="2", run="2-17-aa") as counters:
        counters.answered(3)
    log = make_log(tmp_path, manifest)
    log._keep_house()
    assert log.lost_before == 3
    assert "3 rows of 1 answered requests" in capsys.readouterr().err


def test_a_log_that_lost_rows_itself_says_so_when_it_ends(tmp_path, manifest, capsys):
    log = make_log(tmp_path, manifest, max_rows=5, flush_seconds=3600)
    log.start()
    log.append(entry(manifest, make_rows(5)))
    log.append(entry(manifest, make_rows(4)))
    log.close()
    assert "4 rows of 1 answered requests" in capsys.readouterr().err
    assert [(loss.rows, loss.dropped) for loss in log_losses(tmp_path)] == [(4, 4)]
