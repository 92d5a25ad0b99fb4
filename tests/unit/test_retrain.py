import datetime as dt

import pytest

from seatrial.errors import ParamsError
from seatrial.params_retrain import Retrain, Windows
from seatrial.retrain import Day, Event, Facts, Reason, decide

START = dt.datetime(2026, 8, 1, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def days(text, *, performance=""):
    """One window a letter: x failed, . passed, ? could not be asked."""
    told = {"x": True, ".": False, "?": None}
    other = performance.ljust(len(text), "?")
    return [Day(until=START + at * DAY, drift=told[one], performance=told[other[at]]) for at, one in enumerate(text)]


def facts(text="", *, performance="", events=(), trained=START, data="md5:1", trained_on="md5:1"):
    return Facts(windows=days(text, performance=performance), trained=trained, data=data, trained_on=trained_on, events=tuple(events))


def asked(found, *, policy=None, now=None):
    when = now or START + len(found.windows) * DAY
    return decide(policy or Retrain(), found, now=when)


def declined(*reasons, at, data="md5:1"):
    return Event(kind="declined", time=START + at * DAY, reasons=reasons, by="ann", data=data)


def started(at, *reasons):
    return Event(kind="started", time=START + at * DAY, reasons=reasons or (Reason.DRIFT,), by="ann", data="md5:1")


@pytest.mark.parametrize(
    ("windows", "wanted"),
    [
        ("", False),
        ("xx", False),
        ("xxx", True),
        ("x.x.x", True),
        ("xxx.", False),  # the newest is well again
        ("xx..x", True),
        ("xx...x", False),  # the first two are too long ago
        ("x.?x?x", True),  # what could not be asked is no window
        (".....", False),
    ],
)
def test_drift_asks_with_three_of_five_windows_and_the_newest_failing(windows, wanted):
    assert asked(facts(windows)).reasons == ((Reason.DRIFT,) if wanted else ())


def test_performance_has_windows_of_its_own():
    assert asked(facts(".....", performance="..x?x")).reasons == (Reason.PERFORMANCE,)
    assert asked(facts(".....", performance="....x")).reasons == ()


def test_a_reason_that_was_answered_rests_until_it_was_gone():
    assert asked(facts("xxxx", events=[declined(Reason.DRIFT, at=2)]), now=START + 30 * DAY).reasons == ()
    flapping = facts("xxx.x.xx", events=[declined(Reason.DRIFT, at=2)])
    assert asked(flapping, now=START + 30 * DAY).findings[2].resting
    again = facts("xxx..xxx", events=[declined(Reason.DRIFT, at=2)])
    assert asked(again, now=START + 30 * DAY).reasons == (Reason.DRIFT,)


def test_cool_down_holds_back_what_has_a_reason():
    found = facts("xxx..", performance=".xx..xx", events=[started(2)])
    later = Facts(
        windows=days("xxx..xxx", performance=".xx..xxx"), trained=START, data="a", trained_on="a", events=(started(2), started(6))
    )
    assert asked(found).reasons == ()
    decision = decide(Retrain(), later, now=START + 8 * DAY)
    assert (decision.wanted, decision.reasons) == (False, (Reason.PERFORMANCE,))
    assert "the next may be at 2026-08-10 00:00Z" in decision.held_back
    assert decide(Retrain(), later, now=START + 9 * DAY).wanted


def test_the_budget_bounds_trainings_in_thirty_days_also_those_that_people_ask_for():
    request = Event(kind="requested", time=START + 25 * DAY, reasons=(Reason.REQUEST,), by="ann", words="new tariff")
    events = [started(at) for at in (1, 6, 12, 18)] + [request]
    decision = asked(facts(events=events), now=START + 26 * DAY)
    assert decision.reasons == (Reason.REQUEST,)
    assert "4 trainings began" in decision.held_back
    assert asked(facts(events=events), now=START + 32 * DAY).wanted


def test_a_person_s_request_holds_once_and_needs_no_cool_down():
    request = Event(kind="requested", time=START + 2 * DAY, reasons=(Reason.REQUEST,), by="ann", words="new tariff")
    found = asked(facts(events=[started(1), request]), now=START + 2 * DAY)
    assert (found.wanted, found.reasons) == (True, (Reason.REQUEST,))
    assert "ann asked for it: new tariff" in found.findings[-1].message
    assert not asked(facts(events=[request, started(3, Reason.REQUEST)]), now=START + 9 * DAY).wanted


def test_new_data_asks_once_for_each_version_of_it():
    assert asked(facts(data="md5:2")).reasons == (Reason.DATA,)
    assert asked(facts(data="md5:2", events=[declined(Reason.DATA, at=0, data="md5:2")]), now=START + 9 * DAY).reasons == ()
    assert asked(facts(data="md5:3", events=[declined(Reason.DATA, at=0, data="md5:2")]), now=START + 9 * DAY).reasons == (Reason.DATA,)
    assert asked(facts(data="md5:2", trained_on=None)).reasons == ()
    assert asked(facts(data="md5:2"), policy=Retrain(data=False)).reasons == ()


def test_a_schedule_asks_when_it_is_due_and_rests_for_as_long_after_an_answer():
    policy = Retrain(every_days=30)
    assert asked(facts(), policy=policy, now=START + 29 * DAY).reasons == ()
    assert asked(facts(), policy=policy, now=START + 30 * DAY).reasons == (Reason.SCHEDULE,)
    answered = facts(events=[declined(Reason.SCHEDULE, at=31)])
    assert asked(answered, policy=policy, now=START + 40 * DAY).reasons == ()
    assert asked(answered, policy=policy, now=START + 62 * DAY).reasons == (Reason.SCHEDULE,)
    assert asked(facts(trained=None), policy=policy, now=START + 300 * DAY).reasons == ()


def test_no_windows_ask_for_nothing_where_that_is_the_policy():
    policy = Retrain(drift=Windows(failing=1, of=0))
    assert asked(facts("xxxxx"), policy=policy).reasons == ()


def test_more_failures_than_windows_are_refused(tmp_path):
    from seatrial.params import load_settings

    text = "model: {name: m}\ndata: {raw: a.csv, target: left}\nretrain: {drift: {failing: 4, of: 3}}\n"
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(ParamsError, match="4 of 3 windows can never fail"):
        load_settings(tmp_path / "params.yaml")
