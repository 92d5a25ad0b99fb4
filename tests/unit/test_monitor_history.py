import datetime as dt

from seatrial.monitor_history import History, Measure
from tests.monitors import START, record
from tests.stores import s3_server

NOW = dt.datetime(2026, 9, 1, tzinfo=dt.UTC)


def days(history):
    return [(one.window.since - START).days for one in history.records()]


def test_records_come_back_as_they_were_oldest_first(tmp_path):
    history = History(tmp_path)
    made = [record(2, failing=("drift.columns",), metric=0.8), record(1, rows=12.0)]
    history.add(made, now=NOW)
    assert history.records() == [made[1], made[0]]
    assert made[0].find("metric", "roc_auc").low == 0.8 - 0.03
    assert History(tmp_path / "none").records() == []


def test_of_a_window_measured_twice_the_last_record_holds(tmp_path):
    history = History(tmp_path)
    first = record(1)
    again = type(first)(
        **{name: getattr(first, name) for name in first.__slots__} | {"recorded": NOW, "measures": (Measure(name="rows", value=3.0),)}
    )
    history.add([again], now=NOW)
    history.add([first], now=NOW + dt.timedelta(seconds=1))
    (found,) = history.records()
    assert found == again


def test_versions_of_one_window_stand_beside_each_other(tmp_path):
    history = History(tmp_path)
    history.add([record(1), record(1, digest="sha256:" + "b" * 64, version=4)], now=NOW)
    assert [one.version for one in history.records()] == [3, 4]


def test_many_parts_of_a_month_become_one_and_nothing_is_lost(tmp_path):
    history = History(tmp_path)
    for day in range(31):
        history.add([record(day)], now=NOW + dt.timedelta(seconds=day))
    assert days(history) == list(range(31))
    assert len(list((tmp_path / "date=2026-08-01").glob("*.parquet"))) < 10


def test_a_merge_that_was_killed_leaves_every_record_once(tmp_path):
    history = History(tmp_path)
    for day in range(29):
        history.add([record(day)], now=NOW + dt.timedelta(seconds=day))
    month = tmp_path / "date=2026-08-01"
    before = {path.name: path.read_bytes() for path in month.glob("h-*.parquet")}
    history.add([record(29)], now=NOW + dt.timedelta(seconds=29))
    for name, data in before.items():  # the merged part was written, the others were not removed yet
        (month / name).write_bytes(data)
    assert days(history) == list(range(30))


def test_what_the_store_did_not_take_goes_there_with_the_next_run(tmp_path, monkeypatch):
    from seatrial.serving.log_store import open_store

    with s3_server() as (address, client):
        keys = {"AWS_ENDPOINT_URL": address, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}
        for name, value in keys.items():
            monkeypatch.setenv(name, value)
        History(tmp_path / "a").add([record(0)], now=NOW)
        store = open_store("s3://logs/kept", what="the history")
        History(tmp_path / "a", store).add([], now=NOW)
        assert client.list_objects_v2(Bucket="logs", Prefix="kept/")["KeyCount"] == 1
        other = History(tmp_path / "b", store)
        assert days(other) == [0]
        for day in range(1, 40):
            other.add([record(day)], now=NOW + dt.timedelta(seconds=day))
        assert days(History(tmp_path / "c", store)) == list(range(40))
        assert client.list_objects_v2(Bucket="logs", Prefix="kept/")["KeyCount"] < 30
        assert days(History(tmp_path / "a", store)) == list(range(40))
