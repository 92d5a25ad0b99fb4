import datetime as dt
import json

import polars as pl
import pytest

from seatrial.commands import monitor as command
from seatrial.commands.monitor import Question, monitor, question_of
from seatrial.errors import DataError, RegistryError, UsageError
from seatrial.labels import Columns, add_labels
from seatrial.monitor_history import history_folder, project_history
from seatrial.project import Project
from seatrial.verdict import Outcome, Verdict
from seatrial.windows import Window
from tests.bundles import ID, make_rows
from tests.sites import NOON, PARAMS, Site
from tests.stores import s3_server

DAY = dt.timedelta(days=1)
MIDNIGHT = NOON.replace(hour=0)
MORNING = MIDNIGHT + DAY + dt.timedelta(hours=1)


@pytest.fixture
def site(tmp_path):
    made = Site(tmp_path)
    made.profiled()
    return made


def calm(seed=5, rows=700, start=0):
    return [row | {ID: f"c{start + number}"} for number, row in enumerate(make_rows(rows, seed=seed))]


def shifted(**options):
    return [row | {"visits": row["visits"] * 4} for row in calm(**options)]


def ask(site, *, now=MORNING, **question):
    return monitor(site.project, Question(**question), now=now)


def outcome(verdict, name):
    return next(check for check in verdict.checks if check.name == name)


def records(site):
    return project_history(site.project).records()


def access_log(site, *, good, bad=0, refused=0, at=NOON, name="access.log"):
    folder = site.project.home / "endpoint/logs"
    folder.mkdir(parents=True, exist_ok=True)
    line = {"time": f"{at:%Y-%m-%dT%H:%M:%S}.000Z", "method": "POST", "path": "/invocations"}
    lines = [json.dumps(line | {"status": status}) for status, count in ((200, good), (503, bad), (400, refused)) for _ in range(count)]
    with (folder / name).open("a") as stream:
        stream.write("".join(f"{one}\n" for one in lines))


def label(site, rows, *, known=NOON + DAY, flip=0):
    """Outcomes for rows: what the champion answered, but for the first `flip`."""
    path = site.root / f"outcomes-{known:%Y%m%d%H%M}-{flip}.csv"
    log = pl.read_parquet(next(iter(sorted((site.project.home / "log").glob("date=*/*.parquet")))).parent / "*.parquet")
    answered = dict(zip(log["id"], log["probability"], strict=True))
    middle = sorted(answered.values())[len(answered) // 2]
    lines = [f"{row[ID]},{'Yes' if (answered[row[ID]] > middle) != (at < flip) else 'No'}" for at, row in enumerate(rows)]
    path.write_text("\n".join([f"{ID},left", *lines]) + "\n")
    add_labels(site.project, [str(path)], Columns(id=ID, outcome="left"), classes=("No", "Yes"), spelled={}, now=known)


def test_the_newest_whole_window_is_measured_kept_and_drawn(site):
    site.asked(calm())
    verdict, recorded = ask(site)
    assert not recorded
    assert verdict.subject["window"] == "2026-11-23T00:00Z/2026-11-24T00:00Z"
    assert verdict.outcome is Outcome.PASS
    assert outcome(verdict, "monitor.rows").observed == 700
    (record,) = records(site)
    assert record.whole
    assert record.value("rows") == 700
    assert record.value("p99_ms") == 1.0
    assert record.find("check", "drift.columns").word == "pass"
    assert Verdict.load(site.project.verdict("monitor"), kind="monitor") == verdict
    page = site.project.report("monitor.html").read_text()
    assert "<title>Live: leavers in local</title>" in page
    assert "2026-11-23T00:00Z" in page


def test_the_same_window_asked_again_is_recorded(site, monkeypatch):
    site.asked(calm())
    first, _ = ask(site)
    monkeypatch.setattr("seatrial.monitor_run.measure", None)
    again, recorded = ask(site, now=MORNING + dt.timedelta(hours=3))
    assert recorded
    assert again == first


def test_another_policy_measures_again(site):
    site.asked(calm())
    ask(site)
    (site.root / "params.yaml").write_text(PARAMS.replace("drift: {", "max_unseen: 0.2\n  drift: {"))
    site.project = Project(root=site.root, env={})
    assert ask(site)[1] is False


def test_before_a_window_is_over_the_open_one_is_shown_and_not_kept(site):
    site.asked(calm())
    verdict, _ = ask(site, now=NOON + dt.timedelta(hours=1))
    assert verdict.outcome is Outcome.PASS
    assert records(site) == []
    assert not (site.project.home / "monitor.prom").exists()
    assert "so far" in site.project.report("monitor.html").read_text()


def test_windows_that_nobody_measured_are_caught_up_with(site, capsys):
    for day in range(4):
        site.asked(calm(seed=10 + day), at=NOON - day * DAY)
    verdict, _ = ask(site)
    assert [one.window.since for one in records(site)] == [MIDNIGHT - day * DAY for day in (3, 2, 1, 0)]
    assert verdict.subject["window"].startswith("2026-11-23")
    assert capsys.readouterr().out.count("measured") == 4
    assert outcome(verdict, "monitor.traffic").outcome is Outcome.PASS


def test_a_window_without_a_request_is_an_alert_once_there_was_traffic(site, capsys):
    site.asked(calm(), at=NOON - DAY)
    verdict, _ = ask(site)
    assert outcome(verdict, "monitor.rows").outcome is Outcome.INCONCLUSIVE
    assert "alert monitor.rows: 0 rows" in capsys.readouterr().out
    assert [one.value("rows") for one in records(site)] == [700, 0]


def test_an_empty_log_says_what_to_do(site):
    verdict, _ = ask(site)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "0 rows were answered" in outcome(verdict, "monitor.rows").message


def test_one_row_is_measured_and_inconclusive(site):
    site.asked(calm(rows=1))
    verdict, _ = ask(site)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert outcome(verdict, "monitor.rows").observed == 1


def test_drift_fails_alerts_once_and_is_over_when_it_ends(site, capsys):
    site.asked(shifted())
    verdict, _ = ask(site)
    assert verdict.outcome is Outcome.FAIL
    assert "alert drift.columns" in capsys.readouterr().out
    site.asked(shifted(seed=6), at=NOON + DAY)
    ask(site, now=MORNING + DAY)
    assert "alert" not in capsys.readouterr().out
    site.asked(calm(seed=7), at=NOON + 2 * DAY)
    ask(site, now=MORNING + 2 * DAY)
    assert "over: drift.columns, open since 2026-11-23T00:00Z" in capsys.readouterr().out


def test_failed_requests_count_where_chance_does_not_explain_them(site):
    site.asked(calm())
    access_log(site, good=990, bad=30, refused=10)
    verdict, _ = ask(site)
    check = outcome(verdict, "monitor.errors")
    assert check.outcome is Outcome.FAIL
    assert "30 of 1,030 requests failed: 2.91%" in check.message
    assert "10 were refused" in check.message
    assert records(site)[0].value("errors") == pytest.approx(30 / 1030)


def test_a_torn_line_and_other_times_of_the_access_log_are_left_out(site):
    site.asked(calm())
    access_log(site, good=100)
    access_log(site, good=50, at=NOON - DAY)
    access_log(site, good=7, name="access.log.1")
    with (site.project.home / "endpoint/logs/access.log").open("a") as stream:
        stream.write('{"time": "2026-11-23T12:00:00.000Z", "meth')
    assert "0 of 107 requests" in outcome(ask(site)[0], "monitor.errors").message


def test_a_part_that_is_half_written_is_named(site):
    site.asked(calm())
    part = next((site.project.home / "log").glob("date=*/*.parquet"))
    part.write_bytes(part.read_bytes()[:-40])
    with pytest.raises(DataError, match=rf"part date=2026-11-23/{part.name} cannot be read"):
        ask(site)


def test_outcomes_that_come_late_are_measured_into_their_window_and_told(site, capsys):
    rows = calm()
    site.asked(rows)
    first, _ = ask(site)
    assert outcome(first, "monitor.performance").outcome is Outcome.INCONCLUSIVE
    site.asked(calm(seed=8, start=5000), at=NOON + DAY)
    ask(site, now=MORNING + DAY)
    label(site, rows, flip=700)
    capsys.readouterr()
    verdict, recorded = ask(site, now=MORNING + DAY)
    check = outcome(verdict, "monitor.performance.roc_auc")
    assert not recorded
    assert check.outcome is Outcome.FAIL
    assert "outcomes of 2026-11-23T00:00Z/2026-11-24T00:00Z" in check.message
    assert "alert monitor.performance.roc_auc" in capsys.readouterr().out
    older, newer = records(site)
    assert older.value("labelled") == 700
    assert older.find("check", "monitor.performance.roc_auc").word == "fail"
    assert older.value("rows") == 700
    assert newer.value("labelled") == 0


def test_a_window_that_was_measured_is_not_read_again(site, monkeypatch):
    site.asked(calm(), at=NOON - DAY)
    ask(site, now=MORNING - DAY)
    site.asked(calm(seed=6))
    asked = []
    from seatrial import monitor_run

    real = monitor_run.measure
    monkeypatch.setattr(
        monitor_run,
        "measure",
        lambda project, version, window, *rest, **options: (asked.append(window.since), real(project, version, window, *rest, **options))[
            1
        ],
    )
    ask(site)
    assert asked == [MIDNIGHT]


def test_simulated_rows_are_named_everywhere(site):
    site.asked(calm(), simulated=True)
    verdict, _ = ask(site)
    assert outcome(verdict, "drift.simulation").observed == 700
    assert "(simulation)" in site.project.report("monitor.html").read_text()
    assert "seatrial_window_simulated_rows" in (site.project.home / "monitor.prom").read_text()


def test_a_window_of_a_version_that_the_registry_does_not_hold_is_told(site, capsys):
    site.asked(calm(), digest="sha256:" + "0" * 64)
    ask(site)
    assert "which the registry does not hold" in capsys.readouterr().out


def test_without_a_champion_it_says_so(site):
    import sqlite3

    with sqlite3.connect(site.root / "mlflow.db") as connection:
        connection.execute("DELETE FROM registered_model_aliases")
    connection.close()
    with pytest.raises(RegistryError, match="no champion yet"):
        ask(site)


def test_a_history_that_cannot_be_read_is_named(site):
    site.asked(calm())
    ask(site)
    part = next(history_folder(site.project.home).glob("date=*/*.parquet"))
    part.write_bytes(b"torn")
    with pytest.raises(DataError, match=f"history's part date=2026-11-01/{part.name}"):
        ask(site, now=MORNING + DAY)


def test_alerts_that_cannot_be_read_are_named_and_nothing_is_lost(site):
    site.asked(calm())
    (site.project.home / "alerts.json").write_text("[1]")
    with pytest.raises(DataError, match=r"open alerts in alerts\.json"):
        ask(site)
    (site.project.home / "alerts.json").unlink()
    assert ask(site)[0].outcome is Outcome.PASS


def test_a_window_by_hand_is_shown_and_not_kept(site):
    site.asked(calm())
    verdict, _ = ask(site, window=Window(since=NOON - dt.timedelta(hours=1), until=NOON + dt.timedelta(hours=1)))
    assert verdict.subject["window"] == "2026-11-23T11:00Z/2026-11-23T13:00Z"
    assert outcome(verdict, "monitor.rows").observed == 700
    assert records(site) == []


def test_a_history_in_a_store_outlives_the_machine(site, monkeypatch):
    site.asked(calm())
    with s3_server() as (address, _):
        keys = {"AWS_ENDPOINT_URL": address, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}
        for name, value in keys.items():
            monkeypatch.setenv(name, value)
        (site.root / "params.yaml").write_text(PARAMS.replace("drift: {", "history: s3://logs/history\n  drift: {"))
        site.project = Project(root=site.root, env={})
        ask(site)
        before = records(site)
        for part in history_folder(site.project.home).glob("date=*/*.parquet"):
            part.unlink()
        assert records(site) == before
        assert len(before) == 1


def options(*arguments):
    import argparse

    parser = argparse.ArgumentParser()
    command.arguments(parser)
    return parser.parse_args(arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--open", "--since", "24"], "--open does not go with"),
        (["--until", "1"], "--until needs --since"),
        (["--since", "2", "--until", "3"], "--until 3 is not after --since 2"),
        (["--since", "yesterday"], "neither a number of hours nor a moment"),
        (["--since", "2030-01-01"], "lies in the future"),
    ],
)
def test_options_that_make_no_window_are_refused(arguments, words):
    with pytest.raises(UsageError, match=words):
        question_of(options(*arguments), now=NOON)


def test_clocks_that_jump_back_leave_the_windows_in_order(site):
    site.asked(calm(), at=NOON)
    site.asked(calm(seed=6), at=NOON - 2 * DAY)
    ask(site)
    found = records(site)
    assert [one.window.since for one in found] == [MIDNIGHT - 2 * DAY, MIDNIGHT - DAY, MIDNIGHT]
    site.asked(calm(seed=7), at=NOON + 30 * DAY)  # rows from the future wait for their window
    assert ask(site)[1]


def test_a_run_opens_the_parts_of_its_window_only(site, monkeypatch):
    for day in range(6):
        site.asked(calm(seed=10 + day, rows=600), at=NOON - day * DAY)
    from seatrial import live_rows, monitor_run

    opened = set()
    real = live_rows.open_part

    def watched(part, store):
        opened.add(part.parent.name)
        return real(part, store)

    monkeypatch.setattr(live_rows, "open_part", watched)
    monkeypatch.setattr(monitor_run, "open_part", watched)
    ask(site, now=MORNING - DAY)
    assert len(opened) == 5
    opened.clear()
    ask(site)
    assert opened == {"date=2026-11-23"}


def test_a_window_longer_than_the_log_says_how_much_is_not_in_it(site):
    site.asked(calm())
    verdict, _ = ask(site, window=Window(since=MIDNIGHT - 3 * DAY, until=MIDNIGHT + DAY))
    assert "75% of its time is not in the log" in outcome(verdict, "monitor.window").message
    inside, _ = ask(site, window=Window(since=MIDNIGHT, until=MIDNIGHT + DAY))
    assert not [check for check in inside.checks if check.name == "monitor.window"]


def test_a_version_without_a_profile_needs_its_training_rows_and_says_the_way_out(tmp_path):
    bare = Site(tmp_path)
    bare.asked(calm())
    assert outcome(ask(bare)[0], "monitor.rows").outcome is Outcome.PASS
    bare.project.train_data.unlink()
    with pytest.raises(DataError, match="version 3 keeps no profile of its training rows"):
        ask(bare, now=MORNING + DAY)


def test_a_log_without_one_of_the_model_s_columns_compares_none_and_says_so(site):
    inputs = tuple(column.name for column in site.bundle.manifest.inputs)
    site.asked(calm(), drop=inputs)
    verdict, _ = ask(site)
    assert verdict.outcome is not Outcome.PASS
    assert outcome(verdict, "drift.columns").outcome is Outcome.INCONCLUSIVE
    assert "no column holds values on both sides" in outcome(verdict, "drift.columns").message
