"""One look: the calendar, the stopped line, and what a histogram says about slow answers."""

import datetime as dt

import pytest

from seatrial.located import PlacedError
from seatrial.look import frozen_words, slower_than, stop_the_line, within
from seatrial.params_rollout import Freeze
from seatrial.project import Project

WEEKEND = Freeze(since="Fri 16:00", until="Mon 08:00", zone="Europe/Zurich")
TIMES = ((100.0, 50), (500.0, 90), (1000.0, 100))


@pytest.mark.parametrize(
    ("moment", "frozen"),
    [
        ("2026-11-20T14:59:59+00:00", False),
        ("2026-11-20T15:00:00+00:00", True),
        ("2026-11-22T12:00:00+00:00", True),
        ("2026-11-23T06:59:59+00:00", True),
        ("2026-11-23T07:00:00+00:00", False),
        ("2026-07-24T14:00:00+00:00", True),
    ],
)
def test_a_frozen_part_of_the_week_is_meant_in_its_time_zone(moment, frozen):
    assert within(WEEKEND, dt.datetime.fromisoformat(moment)) is frozen


def test_an_empty_window_freezes_nothing():
    same = Freeze(since="Tue 10:00", until="Tue 10:00")
    assert not within(same, dt.datetime.fromisoformat("2026-11-24T10:00:00+00:00"))


@pytest.mark.parametrize("wrong", [{"since": "Friday 16:00"}, {"since": "Fri 24:00"}, {"zone": "Mars/Olympus"}])
def test_a_window_that_is_none_is_refused(wrong):
    import msgspec

    with pytest.raises((PlacedError, msgspec.ValidationError)):
        msgspec.convert({"since": "Fri 16:00", "until": "Mon 08:00", **wrong}, Freeze)


def test_a_stopped_line_freezes_whatever_the_calendar_says(tmp_path):
    (tmp_path / "params.yaml").write_text("model: {name: m}\ndata: {raw: t.csv, target: y}\n")
    project = Project.find(tmp_path, env={})
    assert frozen_words(project, "2026-11-22T12:00:00+00:00") is None
    stop_the_line(project.home).parent.mkdir(parents=True)
    stop_the_line(project.home).write_text("incident 12\n")
    assert "incident 12" in frozen_words(project, "2026-11-22T12:00:00+00:00")


@pytest.mark.parametrize(("limit", "slow"), [(100, 50), (500, 10), (501, 0), (5000, 0)])
def test_slow_answers_are_counted_from_the_next_bound_on(limit, slow):
    assert slower_than(TIMES, limit) == slow
    assert slower_than((), limit) == 0
