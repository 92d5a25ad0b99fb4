import argparse
import datetime as dt
import math
import os
import sqlite3
import sys
import time

import polars as pl
import pytest

from seatrial.commands import drift as command
from seatrial.commands.drift import Question, drift
from seatrial.errors import DataError, ParamsError, RegistryError, UsageError
from seatrial.live_rows import Selection
from seatrial.project import Project
from seatrial.serving.log_store import log_store
from seatrial.serving.losses import opened
from seatrial.serving.upload import upload
from seatrial.verdict import Outcome, Verdict
from tests.bundles import ID
from tests.sites import NOON, PARAMS, TRAINING, Site, fresh
from tests.stores import s3_server


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def options(**given):
    """The command's options."""
    names = ("since", "last", "only", "file", "revision", "reference")
    return argparse.Namespace(**(dict.fromkeys(names) | given))


def check(verdict, name):
    return next(one for one in verdict.checks if one.name == name)


def blocking(verdict):
    return {one.name for one in verdict.checks if one.blocks}


def test_rows_like_the_training_rows_pass(site):
    site.asked(fresh())
    verdict = site.judge()
    assert (verdict.outcome, blocking(verdict)) == (Outcome.PASS, set())
    assert check(verdict, "drift.columns").observed == 0
    assert Verdict.load(site.project.verdict("drift"), kind="drift") == verdict
    assert verdict.subject["bundle"] == site.bundle.digest


def test_the_page_holds_the_columns_the_verdict_and_no_way_to_the_network(site):
    site.asked(fresh())
    site.judge()
    page = site.project.report("drift.html").read_text()
    assert all(name in page for name in ("amount", "visits", "member", "colour", "plan", "prediction"))
    assert "<title>Drift: leavers version 3</title>" in page
    assert "default-src 'none'" in page
    assert "600 rows against the 1500 rows that version 3 learned from" in page
    assert "Drift is decided for numbers by ks_stat from 0.1 on, categories by psi from 0.2 on" in page


def test_a_shifted_number_fails_and_is_named(site):
    site.asked(fresh(amount=lambda row: None if row["amount"] is None else row["amount"] + 30))
    verdict = site.judge()
    assert verdict.outcome is Outcome.FAIL
    assert "amount: ks_stat 0." in check(verdict, "drift.columns").message
    assert check(verdict, "drift.amount").outcome is Outcome.FAIL
    assert [one.column for one in verdict.checks if one.name in ("drift.visits", "drift.plan") and one.outcome is not Outcome.PASS] == []
    assert check(verdict, "drift.prediction").outcome is Outcome.FAIL


def test_a_shifted_category_and_a_shifted_boolean_fail(site):
    site.asked(fresh(plan=lambda row: "plus", member=lambda row: True))
    message = check(site.judge(), "drift.columns").message
    assert "member: psi" in message
    assert "plan: psi" in message


def test_an_empty_column_does_not_abort_and_fails_as_missing(site):
    site.asked(fresh(amount=lambda row: None, colour=lambda row: None))
    verdict = site.judge()
    assert verdict.outcome is Outcome.FAIL
    assert "amount: 100.0%" in check(verdict, "drift.missing").message
    assert check(verdict, "drift.amount").outcome is Outcome.INCONCLUSIVE
    assert check(verdict, "drift.visits").outcome is Outcome.PASS


def test_a_column_that_goes_missing_in_most_rows_is_caught_where_its_distribution_stays(site):
    rows = fresh()
    for at, row in enumerate(rows):
        row["amount"] = row["amount"] if at % 10 == 0 else None
    site.asked(rows)
    verdict = site.judge()
    assert check(verdict, "drift.missing").outcome is Outcome.FAIL
    assert "drift.missing" in blocking(verdict)
    assert "amount: 90.0%, was 10.0%" in check(verdict, "drift.missing").message


def test_an_unseen_category_is_shown(site):
    rows = fresh()
    for row in rows[:6]:
        row["colour"] = "violet"
    site.asked(rows)
    verdict = site.judge()
    assert check(verdict, "drift.unseen.colour").observed == 0.01
    assert "'violet'" in check(verdict, "drift.unseen.colour").message
    assert verdict.outcome is Outcome.PASS


def test_words_from_requests_do_not_become_scripts_of_the_page(site):
    rows = fresh()
    for row in rows[:20]:
        row["colour"] = "</script><script>alert(1)</script>"
    site.asked(rows)
    site.judge()
    assert "<script>alert(1)" not in site.project.report("drift.html").read_text()


def test_a_flood_of_new_words_is_bounded(site):
    site.asked(fresh(colour=lambda row: f"word {row[ID]}"))
    verdict = site.judge()
    assert check(verdict, "drift.unseen.colour").observed == 1.0
    assert "colour: psi" in check(verdict, "drift.columns").message
    assert site.project.report("drift.html").read_text().count("word c2-") < 600


def test_an_empty_log_is_inconclusive_and_says_what_to_do(site):
    verdict = site.judge()
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "nobody asked the champion yet" in check(verdict, "drift.window").message


@pytest.mark.parametrize("count", [1, 299])
def test_too_few_rows_are_inconclusive_and_the_old_page_goes(site, count):
    site.asked(fresh(count))
    site.project.report("drift.html").parent.mkdir()
    site.project.report("drift.html").write_text("about other rows")
    verdict = site.judge()
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert f"{300 - count} missing" in check(verdict, "drift.window").message
    assert not site.project.report("drift.html").exists()


def test_one_row_is_compared_where_one_is_enough(site):
    site.set(min_rows=1)
    site.asked(fresh(1))
    assert check(site.judge(), "drift.window").outcome is Outcome.PASS


def test_a_part_that_is_half_written_is_ignored(site):
    site.asked(fresh())
    day = next((site.project.home / "log").glob("date=*"))
    (day / f".3-1-000009.parquet.{os.getpid()}.tmp").write_bytes(b"PAR1 torn")
    assert site.judge().outcome is Outcome.PASS


def test_mirrored_requests_and_other_versions_are_left_out(site):
    shifted = fresh(amount=lambda row: 500.0)
    site.asked(fresh(200), variant="challenger")
    site.asked(fresh(200, seed=3), variant="direct")
    site.asked(shifted, variant="mirror", at=NOON + dt.timedelta(hours=1))
    site.asked(shifted, digest="sha256:other", at=NOON + dt.timedelta(hours=1))
    verdict = site.judge()
    assert check(verdict, "drift.window").observed == 400
    assert "600 rows of other versions left out" in check(verdict, "drift.window").message
    assert verdict.outcome is Outcome.PASS


def test_the_newest_rows_are_judged_or_those_since_a_moment(site):
    site.asked(fresh())
    site.asked(fresh(amount=lambda row: 90.0), at=NOON + dt.timedelta(hours=2))
    assert "amount" in check(site.judge(), "drift.columns").message
    assert check(site.judge(since=NOON - dt.timedelta(hours=1)), "drift.window").observed == 1200
    assert check(site.judge(since=NOON + dt.timedelta(hours=1)), "drift.window").observed == 600
    assert check(site.judge(last=1000), "drift.window").observed == 1000
    assert check(site.judge(since=NOON + dt.timedelta(hours=3)), "drift.window").observed == 0


def test_of_rows_of_one_moment_in_several_parts_no_more_than_asked_for_are_judged(site):
    for seed in (2, 3):
        site.asked(fresh(400, seed=seed), at=NOON - dt.timedelta(microseconds=site.sequence))
    assert check(site.judge(last=500), "drift.window").observed == 500


def test_simulated_rows_are_said_in_the_verdict_and_in_the_title(site):
    site.asked(fresh(300))
    site.asked(fresh(300, seed=5), simulated=True)
    verdict = site.judge()
    assert "simulation: 300 of 600 rows" in check(verdict, "drift.simulation").message
    assert "<title>Drift: leavers version 3 (simulation)</title>" in site.project.report("drift.html").read_text()
    assert check(site.judge(only="simulated"), "drift.window").observed == 300
    real = site.judge(only="real")
    assert check(real, "drift.window").observed == 300
    assert "(simulation)" not in site.project.report("drift.html").read_text()


def others_at_hand(site):
    pl.DataFrame(TRAINING[:100]).write_parquet(site.project.train_data)


def test_a_version_without_a_profile_needs_its_own_training_rows_and_says_the_way_out(site):
    site.asked(fresh())
    for spoil in (others_at_hand, lambda site: site.project.train_data.unlink()):
        spoil(site)
        with pytest.raises(DataError) as caught:
            site.judge()
        assert caught.value.exit_code == 2
        assert "version 3 keeps no profile of its training rows" in str(caught.value)
        assert "dvc pull" in str(caught.value)


def test_a_version_with_a_profile_is_judged_without_its_training_rows(site):
    site.profiled()
    site.project.train_data.unlink()
    site.asked(fresh(amount=lambda row: 90.0))
    verdict = site.judge()
    assert "amount: ks_stat" in check(verdict, "drift.columns").message
    page = site.project.report("drift.html").read_text()
    assert "The reference's rows are not at hand" in page
    assert "<svg" in page


def test_parts_of_the_rows_are_judged_by_themselves(site):
    site.profiled(groups=("plan",))
    site.asked(fresh(1400, visits=lambda row: 1 if row["plan"] == "plus" else row["visits"]))
    verdict = site.judge(last=1400)
    assert "visits: ks_stat" in check(verdict, "drift.segment.plan.plus").message
    assert check(verdict, "drift.segment.plan.basic").outcome is Outcome.PASS


def test_a_table_is_judged_instead_of_the_log(site, tmp_path):
    table = tmp_path / "new.csv"
    pl.DataFrame(fresh(amount=lambda row: 90.0)).write_csv(table)
    verdict = site.ask(table=str(table))
    assert check(verdict, "drift.window").observed == 600
    assert "amount: ks_stat" in check(verdict, "drift.columns").message
    assert check(verdict, "drift.prediction").outcome is Outcome.FAIL


def test_a_table_that_lacks_a_column_shows_it_as_missing_and_has_no_answers(site, tmp_path):
    table = tmp_path / "new.parquet"
    pl.DataFrame(fresh()).drop("plan").write_parquet(table)
    verdict = site.ask(table=str(table))
    assert "plan: 100.0%" in check(verdict, "drift.missing").message
    assert check(verdict, "drift.prediction").outcome is Outcome.INCONCLUSIVE


def test_a_column_of_another_type_is_missing(site, tmp_path):
    table = tmp_path / "new.csv"
    pl.DataFrame(fresh()).with_columns(pl.lit("n/a").alias("amount")).write_csv(table)
    assert "amount: 100.0%" in check(site.ask(table=str(table)), "drift.missing").message


def test_a_table_without_any_of_the_columns_is_refused(site, tmp_path):
    table = tmp_path / "new.csv"
    table.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="none of the columns that the model reads"):
        site.ask(table=str(table))


def test_an_earlier_window_is_a_reference(site):
    site.asked(fresh(amount=lambda row: 90.0), at=NOON - dt.timedelta(days=2))
    site.asked(fresh(amount=lambda row: 90.0, seed=5))
    against = "2026-11-21..2026-11-22"
    verdict = site.ask(selection=Selection(since=NOON - dt.timedelta(hours=1)), reference=against)
    assert verdict.outcome is Outcome.PASS
    assert f"600 rows that were answered in {against}" in site.project.report("drift.html").read_text()


def test_a_window_without_enough_answers_is_no_reference(site):
    site.asked(fresh())
    with pytest.raises(DataError, match="answered 0 rows in it, 300 are needed"):
        site.ask(reference="2026-10-01..2026-10-02")


@pytest.mark.parametrize("text", ["yesterday", "24..48", "2026-11-02..2026-11-01", "1..x", "..", "nan..1"])
def test_what_is_neither_a_version_nor_a_window_is_refused(site, text):
    with pytest.raises(UsageError):
        site.ask(reference=text)


def test_another_version_is_a_reference(site):
    site.asked(fresh())
    assert site.ask(reference="3").outcome is Outcome.PASS
    with pytest.raises(RegistryError, match="no version 8"):
        site.ask(reference="8")


@pytest.mark.parametrize(
    "given", [{"file": "t.csv", "revision": "main"}, {"file": "t.csv", "last": 5}, {"revision": "main", "since": "24"}]
)
def test_sources_that_do_not_go_together_are_refused(site, given):
    with pytest.raises(UsageError, match="do not go together"):
        command.run(site.project, options(**given))


def test_one_torn_part_is_named_and_nothing_else_is_lost(site):
    site.asked(fresh())
    part = next((site.project.home / "log").glob("date=*/*.parquet"))
    torn = part.with_name("3-torn.parquet")
    torn.write_bytes(part.read_bytes()[:200])
    with pytest.raises(DataError, match=r"3-torn\.parquet cannot be read"):
        site.judge()
    torn.unlink()
    assert site.judge().outcome is Outcome.PASS


def test_without_a_champion_there_is_nothing_to_compare_with(site):
    with sqlite3.connect(site.root / "mlflow.db") as connection:
        connection.execute("DELETE FROM registered_model_aliases")
    connection.close()
    with pytest.raises(RegistryError, match="no champion yet"):
        site.judge()


def test_a_store_that_lost_the_champion_falls_back_to_the_same_bundle_at_hand(site):
    import shutil

    shutil.rmtree(site.project.home / "store")
    site.asked(fresh())
    assert site.judge().outcome is Outcome.PASS


def test_a_column_that_stays_out_of_the_log_is_said(site):
    (site.root / "params.yaml").write_text(PARAMS + "  log: {drop: [colour]}\n")
    site.project = Project(root=site.root, env={})
    site.asked(fresh(), drop=("colour",))
    verdict = site.judge()
    assert verdict.outcome is Outcome.PASS
    assert "monitor.log.drop" in check(verdict, "drift.colour").message


def test_probabilities_that_are_no_numbers_are_an_error(site):
    site.asked(fresh(599))
    site.asked(fresh(1), probability=math.nan)
    verdict = site.judge()
    assert check(verdict, "drift.prediction").outcome is Outcome.ERROR
    assert verdict.outcome is Outcome.ERROR


def test_a_constant_answer_is_prediction_drift(site):
    site.asked(fresh(), probability=0.5)
    assert blocking(site.judge()) == {"drift.prediction"}


def test_more_rows_than_max_rows_are_drawn_and_said(site):
    site.set(max_rows=400)
    site.asked(fresh())
    assert site.judge().outcome is Outcome.PASS
    assert "drawn from 400 of these rows" in site.project.report("drift.html").read_text()


def test_a_test_that_does_not_exist_is_refused_before_any_work(site):
    site.set(numeric={"method": "ks_sta", "limit": 0.1})
    with pytest.raises(ParamsError, match=r"monitor\.drift\.numeric\.method"):
        site.judge()


def asked(site):
    return drift(site.project, Question(), now=NOON)


def test_the_same_question_is_answered_from_the_record_until_a_row_or_the_policy_changes(site):
    site.asked(fresh())
    first, recorded = asked(site)
    assert not recorded
    assert asked(site) == (first, True)
    site.project.report("drift.html").unlink()
    assert asked(site)[1] is False
    site.asked(fresh(1))
    assert asked(site)[1] is False
    site.set(max_columns=1)
    assert asked(site)[1] is False


def test_the_command_prints_the_answer_and_returns_its_exit_code(site, capsys):
    site.asked(fresh(amount=lambda row: 90.0))
    assert command.run(site.project, options()) == 1
    lines = capsys.readouterr().out.strip().splitlines()
    assert lines[0].startswith("drift: 600 rows against the 1500 rows that version 3 learned from")
    assert lines[1].startswith("drift: numbers by ks_stat from 0.1 on")
    assert lines[-1].startswith("drift: fail")
    assert "amount" in lines[-1]


def test_fewer_than_one_row_cannot_be_asked_for(site):
    with pytest.raises(UsageError, match="--last is 0"):
        command.run(site.project, options(last=0))


def test_the_command_imports_nothing_heavy():
    import subprocess

    code = (
        "import sys, seatrial.commands.drift; print([m for m in ('numpy','polars','pandas','evidently','onnxruntime') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.slow
def test_rows_in_the_store_and_on_the_disk_are_one_window(site, monkeypatch):
    with s3_server() as (address, _):
        keys = {"AWS_ENDPOINT_URL": address, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}
        for name, value in keys.items():
            monkeypatch.setenv(name, value)
        text = site.root / "params.yaml"
        text.write_text(text.read_text().replace("monitor:", "monitor:\n  log: {uri: 's3://logs/leavers'}", 1))
        site.project = Project(root=site.root, env={})
        site.asked(fresh(350))
        assert upload(site.project.home / "log", log_store(site.project), now=time.time() + 3600, keep_local=0) == 1
        assert not list((site.project.home / "log").glob("*/*.parquet"))
        site.asked(fresh(150, seed=3))
        assert "500" in check(site.judge(), "drift.window").message


def test_rows_that_a_killed_server_took_along_are_said(site, capsys):
    site.asked(fresh())
    given = options()
    command.run(site.project, given)
    assert "not in the log" not in capsys.readouterr().out
    with opened(site.project.home / "log", version="3", run="r") as counters:
        counters.answered(1234)
    command.run(site.project, given)
    assert "1,234 answered rows are not in the log, lost in 1 end of a server" in capsys.readouterr().out


def test_a_glob_is_no_table(site):
    with pytest.raises(UsageError, match="is no file and no folder"):
        site.ask(table="new-*.csv")


def test_a_log_that_keeps_none_of_the_columns_has_its_answers_compared(site):
    site.asked(fresh(), drop=tuple(column.name for column in site.bundle.manifest.inputs))
    verdict = site.judge()
    assert check(verdict, "drift.columns").outcome is Outcome.INCONCLUSIVE
    assert check(verdict, "drift.prediction").outcome is Outcome.PASS
