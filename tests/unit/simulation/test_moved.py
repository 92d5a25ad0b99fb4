"""What the endpoint logged lies at the desk with simulated times, whole and in order."""

import datetime as dt
import json

import pytest

from seatrial.errors import EndpointError
from seatrial.live_health import requests_of
from seatrial.live_rows import Selection, read_answers
from seatrial.simulation import moved
from seatrial.simulation.moved import keep_requests, keep_rows, logged, requested, times_in
from seatrial.windows import Window
from tests.bundles import ID
from tests.sites import NOON, Site, fresh

WINDOW = Window(since=dt.datetime(2025, 1, 1, tzinfo=dt.UTC), until=dt.datetime(2025, 1, 31, tzinfo=dt.UTC))


def test_moments_are_spread_evenly_inside_the_window():
    found = times_in(WINDOW, 30)
    assert found[0] == WINDOW.since + dt.timedelta(hours=12)
    assert found[-1] == WINDOW.until - dt.timedelta(hours=12)


def test_rows_lie_at_their_moments_whatever_the_order_of_the_answers(tmp_path):
    site = Site(tmp_path)
    rows = fresh(60)
    site.asked(rows[::-1])
    manifest = site.bundle.manifest
    found = logged(site.project.home / "log", since=NOON, rows=60)
    ids = [row[ID] for row in rows]
    desk = Site(tmp_path_of(tmp_path, "desk"))
    keep_rows(desk.project.home / "log", found, manifest, ids, WINDOW)
    answers = read_answers(desk.project, manifest, site.bundle.digest, Selection(since=WINDOW.since, until=WINDOW.until)).sort("time")
    assert answers["key"].to_list() == ids
    assert answers["time"].to_list() == times_in(WINDOW, 60)
    assert answers.height == 60


def tmp_path_of(folder, name):
    (folder / name).mkdir()
    return folder / name


def test_rows_that_do_not_come_are_an_error_and_not_waited_for_for_ever(tmp_path, monkeypatch):
    site = Site(tmp_path)
    site.asked(fresh(10))
    monkeypatch.setattr(moved, "PATIENCE_S", 0.0)
    with pytest.raises(EndpointError, match="10 of 11 answered rows"):
        logged(site.project.home / "log", since=NOON, rows=11)


def test_requests_of_the_month_move_and_those_before_and_torn_lines_stay(tmp_path, monkeypatch):
    source, target = tmp_path / "access.log", tmp_path / "desk/access.log"
    line = {"method": "POST", "path": "/invocations"}
    times = [NOON - dt.timedelta(minutes=1), NOON, NOON, NOON]
    lines = [
        json.dumps(line | {"time": f"{one:%Y-%m-%dT%H:%M:%S}.000Z", "status": status})
        for one, status in zip(times, (200, 200, 503, 200), strict=True)
    ]
    source.write_text("\n".join([*lines, json.dumps(line | {"method": "GET", "time": f"{NOON.isoformat()}", "status": 200}), '{"torn']))
    found = requested(source, since=NOON, requests=3)
    keep_requests(target, found, WINDOW)
    shown = requests_of(target, WINDOW, now=WINDOW.until + dt.timedelta(hours=1))
    assert (shown.requests, shown.errors) == (3, 1)
    later = Window(since=WINDOW.until, until=WINDOW.until + dt.timedelta(days=30))
    keep_requests(target, found, later)
    assert requests_of(target, WINDOW, now=later.until).requests == 3
    assert requests_of(target, later, now=later.until).requests == 3
    monkeypatch.setattr(moved, "PATIENCE_S", 0.0)
    with pytest.raises(EndpointError, match="3 of 4 requests are in the access log"):
        requested(source, since=NOON, requests=4)
