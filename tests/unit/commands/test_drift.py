import argparse
import datetime as dt
import hashlib
import json
import math
import os
import sqlite3
import sys
import time

import msgspec
import polars as pl
import pytest

from seatrial.bundle import Bundle, write_bundle
from seatrial.commands import drift as command
from seatrial.commands.drift import Selection, drift, parse_since
from seatrial.errors import DataError, ParamsError, RegistryError, UsageError
from seatrial.files import md5_of
from seatrial.project import Project
from seatrial.serving.log_store import log_store
from seatrial.serving.losses import opened
from seatrial.serving.predictions import Entry, LogSettings, PredictionLog
from seatrial.serving.rows import Decoder
from seatrial.serving.runtime import Runtime
from seatrial.serving.upload import upload
from seatrial.store import store_bundle
from seatrial.verdict import Outcome, Verdict
from tests.bundles import ID, TARGET, make_bundle, make_rows
from tests.stores import s3_server

NOON = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
PARAMS = """
model: {name: leavers}
data: {raw: data/raw.csv, target: left, id: client}
gate: {metrics: {roc_auc: {floor: 0.5}}}
monitor:
  drift: {min_rows: 300, window: 600}
"""
TABLES = (
    "CREATE TABLE registered_model_aliases (name TEXT, alias TEXT, version INTEGER)",
    "CREATE TABLE model_version_tags (name TEXT, version INTEGER, key TEXT, value TEXT)",
    "CREATE TABLE model_versions (name TEXT, version INTEGER, storage_location TEXT, run_id TEXT)",
)
TRAINING = make_rows(1500, seed=1)


class Site:
    """A project with a champion in registry and store, its training rows, and a log to write to."""

    def __init__(self, root):
        self.root = root
        (root / "params.yaml").write_text(PARAMS)
        self.project = Project(root=root, env={})
        frame = pl.DataFrame(TRAINING).with_columns(pl.lit("No").alias(TARGET.name))
        self.project.train_data.parent.mkdir(parents=True)
        frame.write_parquet(self.project.train_data)
        frame.tail(frame.height // 3).write_parquet(self.project.test_data)
        self.bundle = self._bundle()
        store_bundle(self.bundle, self.project.home / "store")
        self._register(self.bundle)
        self.sequence = 0

    def _bundle(self) -> Bundle:
        from seatrial.bundle import load_bundle

        made = make_bundle(self.root / "made")
        training = msgspec.structs.replace(
            made.manifest.training, data=md5_of(self.project.train_data), held_out=md5_of(self.project.test_data)
        )
        write_bundle(self.project.bundle, msgspec.structs.replace(made.manifest, training=training), made.files)
        return load_bundle(self.project.bundle)

    def _register(self, bundle):
        with sqlite3.connect(self.root / "mlflow.db") as connection:
            for statement in TABLES:
                connection.execute(statement)
            connection.execute("INSERT INTO registered_model_aliases VALUES ('leavers', 'champion', 3)")
            connection.execute("INSERT INTO model_versions VALUES ('leavers', 3, '', '')")
            connection.execute("INSERT INTO model_version_tags VALUES ('leavers', 3, 'seatrial.digest', ?)", (bundle.digest,))
        connection.close()

    def set(self, **drift_settings):
        (self.root / "params.yaml").write_text(
            PARAMS.replace("{min_rows: 300, window: 600}", json.dumps({"min_rows": 300, "window": 600} | drift_settings))
        )
        self.project = Project(root=self.root, env={})

    def asked(self, rows, *, digest=None, variant="champion", simulated=False, at=NOON, probability=None, drop=()):
        """Answer rows with the champion and log them, as the server does."""
        self.sequence += 1
        decoded = Decoder(self.bundle.manifest).records([{key: value for key, value in row.items() if key != ID} for row in rows])
        answers = Runtime(self.bundle).score(decoded.tensors).tolist()
        log = PredictionLog(
            LogSettings(folder=self.project.home / "log", drop=drop), self.bundle.manifest, version="3", digest=digest or self.bundle.digest
        )
        log.append(
            Entry(
                request_id=f"r{self.sequence}",
                time=int(at.timestamp() * 1e6) + self.sequence,
                variant=variant,
                simulated=simulated,
                count=len(rows),
                values=decoded.values,
                ids=[None] * len(rows),
                labels=["No"] * len(rows),
                probabilities=answers if probability is None else [probability] * len(rows),
                latency_ms=1.0,
                size=1,
            )
        )
        log.flush()
        assert log.lost == 0

    def judge(self, **selection):
        return drift(self.project, Selection(**selection))[0]


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def fresh(count=600, seed=2, **changes):
    """Rows drawn as the training rows are; each change maps a row to the new value of its column."""
    return [row | {name: change(row) for name, change in changes.items()} for row in make_rows(count, seed=seed)]


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
    assert verdict.subject["reference"] == f"md5:{hashlib.md5(site.project.train_data.read_bytes()).hexdigest()}"


def test_the_page_holds_the_columns_the_verdict_and_no_way_to_the_network(site):
    site.asked(fresh())
    site.judge()
    page = site.project.report("drift.html").read_text()
    assert all(name in page for name in ("amount", "visits", "member", "colour", "plan", "prediction"))
    assert "<title>Drift: leavers version 3</title>" in page
    assert "default-src 'none'" in page
    assert "600 logged rows (current) against 1500 training rows (reference)" in page


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


def test_other_training_rows_than_the_champions_are_refused_with_the_way_out(site):
    site.asked(fresh())
    pl.DataFrame(TRAINING[:100]).write_parquet(site.project.train_data)
    with pytest.raises(DataError) as caught:
        site.judge()
    assert caught.value.exit_code == 2
    assert "the champion (version 3) learned from md5:" in str(caught.value)
    assert "dvc pull" in str(caught.value)


def test_missing_training_rows_are_refused(site):
    site.project.train_data.unlink()
    with pytest.raises(DataError, match=r"train\.parquet is missing"):
        site.judge()


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
    assert "Of a side with more than 400 rows Evidently saw that many" in site.project.report("drift.html").read_text()


def test_a_test_that_does_not_exist_is_refused_before_any_work(site):
    site.set(numeric={"method": "ks_sta", "limit": 0.1})
    with pytest.raises(ParamsError, match="did you mean 'ks_stat'"):
        site.judge()


def test_the_same_question_is_answered_from_the_record_until_a_row_or_the_policy_changes(site):
    site.asked(fresh())
    first, recorded = drift(site.project, Selection())
    assert not recorded
    assert drift(site.project, Selection()) == (first, True)
    site.project.report("drift.html").unlink()
    assert drift(site.project, Selection())[1] is False
    site.asked(fresh(1))
    assert drift(site.project, Selection())[1] is False
    site.set(max_columns=1)
    assert drift(site.project, Selection())[1] is False


def test_the_command_prints_the_answer_and_returns_its_exit_code(site, capsys):
    site.asked(fresh(amount=lambda row: 90.0))
    assert command.run(site.project, argparse.Namespace(since=None, last=None, only=None)) == 1
    lines = capsys.readouterr().out.strip().splitlines()
    assert lines[0].startswith("drift: comparing 600 rows with 1500 training rows")
    assert lines[-1].startswith("drift: fail")
    assert "amount" in lines[-1]


def test_fewer_than_one_row_cannot_be_asked_for(site):
    with pytest.raises(UsageError, match="--last is 0"):
        command.run(site.project, argparse.Namespace(since=None, last=0, only=None))


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("24", NOON - dt.timedelta(hours=24)),
        ("0.5", NOON - dt.timedelta(minutes=30)),
        ("2026-11-01T12:00Z", dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)),
        ("2026-11-01", dt.datetime(2026, 11, 1, tzinfo=dt.UTC)),
        ("2026-11-01T12:00+02:00", dt.datetime(2026, 11, 1, 10, tzinfo=dt.UTC)),
    ],
)
def test_since_is_hours_or_a_moment(text, moment):
    assert parse_since(text, now=NOON) == moment


@pytest.mark.parametrize("text", ["yesterday", "-1", "0", "nan", "inf", "2027-01-01", "", "1e400"])
def test_since_refuses_what_is_no_moment_before_now(text):
    with pytest.raises(UsageError):
        parse_since(text, now=NOON)


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
    options = argparse.Namespace(since=None, last=None, only=None)
    command.run(site.project, options)
    assert "not in the log" not in capsys.readouterr().out
    with opened(site.project.home / "log", version="3", run="r") as counters:
        counters.answered(1234)
    command.run(site.project, options)
    assert "1,234 answered rows are not in the log, lost in 1 end of a server" in capsys.readouterr().out
