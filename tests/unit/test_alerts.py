import datetime as dt

import pytest

from seatrial.alerts import Alert, message_about, read_alerts, weigh, write_alerts
from seatrial.errors import DataError
from seatrial.verdict import Check, Outcome, Verdict

NOW = dt.datetime(2026, 11, 25, 12, tzinfo=dt.UTC)
WEEK = dt.timedelta(days=7)


def verdict(*, window="w1", advisory=(), **outcomes):
    checks = [
        Check(name=name.replace("__", "."), outcome=Outcome(word), message=f"{name} {word}", advisory=name in advisory, observed=5)
        for name, word in outcomes.items()
    ]
    return Verdict(kind="monitor", subject={"window": window}, checks=tuple(checks))


def step(before, *, now=NOW, **outcomes):
    return weigh(before, verdict(**outcomes), now=now, again=WEEK)


def names(alerts):
    return [one.check for one in alerts]


def test_what_begins_to_fail_is_told_once():
    opened, news = step({}, drift="fail", errors="pass")
    assert (names(news.opened), list(opened)) == (["drift"], ["drift"])
    again, quiet = step(opened, drift="fail", errors="pass", window="w2")
    assert not quiet
    assert again["drift"].since == "w1"


def test_what_fails_for_long_is_told_again():
    opened, _ = step({}, drift="fail")
    kept, news = step(opened, drift="fail", now=NOW + WEEK)
    assert names(news.still) == ["drift"]
    assert not step(kept, drift="fail", now=NOW + WEEK + dt.timedelta(days=6))[1]
    assert step(kept, drift="fail", now=NOW + 2 * WEEK)[1]


def test_only_a_pass_ends_an_alert():
    opened, _ = step({}, drift="fail")
    for outcomes in ({"drift": "inconclusive"}, {"errors": "pass"}):
        kept, news = step(opened, **outcomes)
        assert list(kept) == ["drift"]
        assert not news
    closed, news = step(opened, drift="pass")
    assert (closed, names(news.over)) == ({}, ["drift"])


def test_advice_and_doubt_open_nothing_but_silence_and_errors_do():
    assert step({}, estimate="fail", advisory=("estimate",), drift="inconclusive") == ({}, step({})[1])
    assert names(step({}, drift="error")[1].opened) == ["drift"]
    silent = Verdict(
        kind="monitor",
        subject={"window": "w"},
        checks=(Check(name="monitor.rows", outcome=Outcome.INCONCLUSIVE, message="0 rows", observed=0),),
    )
    assert names(weigh({}, silent, now=NOW, again=WEEK)[1].opened) == ["monitor.rows"]


def test_the_message_names_model_window_checks_and_what_to_do():
    _, news = step({}, **{f"c{number}": "fail" for number in range(7)})
    message = message_about(news, model="leavers in local", version=3, window="w1", simulated=True)
    assert message.kind == "alert"
    assert message.title == "leavers in local: version 3 fails 7 checks in w1 [simulation]"
    assert "… and 2 more" in message.body
    assert "nox -s rollback" in message.body
    over = step(step({}, drift="fail")[0], drift="pass")[1]
    assert message_about(over, model="m", version=3, window="w2", simulated=False).title == "m: version 3 is well again in w2"


def test_open_alerts_survive_the_disk(tmp_path):
    opened, _ = step({}, drift="fail")
    write_alerts(tmp_path / "alerts.json", opened)
    assert read_alerts(tmp_path / "alerts.json") == opened
    assert opened["drift"] == Alert(check="drift", since="w1", told=NOW, message="drift fail")
    assert read_alerts(tmp_path / "none.json") == {}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"open": {"a": {}}}', '{"open": {"a": {"since": "x", "told": "never", "message": ""}}}'])
def test_a_file_of_another_kind_is_refused(tmp_path, text):
    (tmp_path / "alerts.json").write_text(text)
    with pytest.raises(DataError, match="cannot be read"):
        read_alerts(tmp_path / "alerts.json")
