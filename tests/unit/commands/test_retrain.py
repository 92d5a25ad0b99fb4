import argparse
import contextlib
import datetime as dt
import json
import os
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from seatrial.adapters.registry import champion_of
from seatrial.analysis import dump_skops
from seatrial.bundle import load_bundle, write_bundle
from seatrial.commands import retrain as command
from seatrial.commands.retrain import decide_now
from seatrial.errors import DataError, RegistryError, UsageError
from seatrial.files import md5_of
from seatrial.labels import Columns, add_labels
from seatrial.manifest import ANALYSIS
from seatrial.monitor_history import project_history
from seatrial.project import Project
from seatrial.retrain import Event, Reason
from seatrial.retrain_events import append_event, read_events
from seatrial.retrain_facts import finished_only
from seatrial.verdict import Outcome, Verdict
from tests.bundles import ID, make_rows
from tests.hub import Hub
from tests.monitors import record
from tests.sites import PARAMS, Site

DAY = dt.timedelta(days=1)
NOW = dt.datetime.now(dt.UTC)


@pytest.fixture
def site(tmp_path):
    made = Site(tmp_path)
    made.profiled()
    (tmp_path / "data").mkdir(exist_ok=True)
    (tmp_path / "data/raw.csv").write_text("client,left\n")
    locks(made)
    return made


def locks(site, md5=None):
    """A dvc.lock that knows the raw data."""
    known = md5 or md5_of(site.root / "data/raw.csv").removeprefix("md5:")
    (site.root / "dvc.lock").write_text(json.dumps({"stages": {"preprocess": {"deps": [{"path": "data/raw.csv", "md5": known}]}}}))


def windows(site, *failing, **options):
    """The champion's windows, as the monitor would have left them: one a word, `drift` or `performance` or nothing."""
    names = {"drift": "drift.columns", "performance": "monitor.performance.roc_auc", "": ""}
    made = [
        record(at, failing=(names[one],) if one else (), digest=site.bundle.digest, metric=0.7 if one == "performance" else None, **options)
        for at, one in enumerate(failing)
    ]
    project_history(site.project).add(made, now=NOW)


def options(**given):
    return argparse.Namespace(**({"run": False, "request": False, "decline": False, "propose": False, "reason": None} | given))


def ask(site, **given):
    return command.run(site.project, options(**given))


def verdict(site):
    return Verdict.load(site.project.verdict("retrain"), kind="retrain")


def page(site):
    return site.project.report("retrain.md").read_text()


def test_calm_windows_ask_for_nothing(site, capsys):
    windows(site, "", "", "")
    assert ask(site) == 0
    assert verdict(site).subject["reasons"] == []
    assert "no training is asked for" in page(site)
    assert "retrain: pass" in capsys.readouterr().out


def test_no_window_at_all_asks_for_nothing(site):
    assert ask(site) == 0
    assert verdict(site).subject["reasons"] == []
    assert "0 of the 0 newest windows" in page(site)


def test_windows_and_answers_from_the_future_hold_nothing_back_for_ever(site):
    """A clock that was ahead: what it dated is asked about, and an answer counts once its time has come."""
    windows(site, "drift", "drift", "drift")
    ahead = Event(kind="declined", time=NOW + 40 * DAY, reasons=(Reason.PERFORMANCE,), by="a", words="w")
    append_event(site.project.home, ahead)
    assert ask(site) == 0
    assert "held back" in page(site)


def test_drift_of_three_windows_waits_for_a_person(site, capsys):
    windows(site, "drift", "drift", "drift")
    assert ask(site) == 3
    assert verdict(site).subject["reasons"] == ["drift"]
    assert verdict(site).outcome is Outcome.INCONCLUSIVE
    assert "| drift | **yes** |" in page(site)
    assert "`drift.columns`" in page(site)
    assert "--decline" in capsys.readouterr().out


def test_windows_of_another_version_say_nothing_about_this_one(site):
    windows(site, "drift", "drift", "drift")
    for part in (site.project.home / "history").glob("*/*.parquet"):
        frame = pl.read_parquet(part, hive_partitioning=False).with_columns(pl.lit("sha256:" + "f" * 64).alias("digest"))
        frame.write_parquet(part)
    assert ask(site) == 0


def test_replayed_windows_count_only_where_one_may_try(site):
    windows(site, "drift", "drift", "drift", simulated=700.0)
    assert ask(site) == 3
    (site.root / "params.yaml").write_text(PARAMS + "environments: {staging: {}}\n")
    with pytest.raises(RegistryError):  # another registered model, which has no champion
        command.run(Project(root=site.root, env={}, environment="staging"), options())


def test_in_ci_the_forge_is_told_and_the_job_passes(site, tmp_path_factory, capsys):
    hub = Hub(tmp_path_factory.mktemp("hub"))
    hub.answers = {"--method POST": "https://example.org/issues/3"}
    windows(site, "drift", "drift", "drift")
    assert command.run(Project(root=site.root, env=hub.env()), options(propose=True)) == 0
    assert verdict(site).outcome is Outcome.INCONCLUSIVE
    assert hub.asked()[-1] == ("POST", "repos/{owner}/{repo}/issues")
    assert "| drift | **yes** |" in hub.calls()[-1]["input"]
    assert "a person decides: https://example.org/issues/3" in capsys.readouterr().out


def test_what_is_proposed_is_pushed_before_where_there_is_a_remote(site):
    assert command.steps_of(site.project, propose=True) == ("validate", "train", "gate")
    (site.root / ".dvc").mkdir()
    (site.root / ".dvc/config").write_text("[core]\n    remote = store\n['remote \"store\"']\n    url = s3://bucket\n")
    assert command.steps_of(site.project, propose=False) == ("pull", "validate", "train", "gate")
    assert command.steps_of(site.project, propose=True) == ("pull", "validate", "train", "gate", "push")


def test_new_data_asks(site):
    locks(site, "0" * 32)
    windows(site, "")
    assert ask(site) == 3
    assert verdict(site).subject["reasons"] == ["data"]


def test_a_declined_reason_is_remembered(site):
    windows(site, "drift", "drift", "drift")
    assert ask(site, decline=True, reason="a holiday") == 0
    assert ask(site) == 0
    (event,) = read_events(site.project.home)
    assert (event.kind, event.reasons, event.words) == ("declined", (Reason.DRIFT,), "a holiday")
    assert "held back" in page(site) or "answered already" in page(site)


def test_nothing_can_be_declined_where_nothing_is_asked(site):
    windows(site, "")
    with pytest.raises(UsageError, match="nothing is asked for"):
        ask(site, decline=True, reason="no")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"request": True}, "need a reason"),
        ({"propose": True, "request": True, "reason": "x"}, "goes with --run"),
        ({"decline": True, "reason": " "}, "need a reason"),
        ({"reason": "x"}, "goes with"),
    ],
)
def test_words_that_do_not_go_together_are_refused(site, given, words):
    with pytest.raises(UsageError, match=words):
        ask(site, **given)


def test_a_person_s_request_is_noted_and_asked_for(site):
    assert ask(site, request=True, reason="new tariff") == 0
    assert ask(site) == 3
    assert "asked for it: new tariff" in page(site)


def steps(monkeypatch, codes):
    asked = []

    def called(line, **_):
        asked.append(line[3])
        return argparse.Namespace(returncode=codes.get(line[3], 0))

    monkeypatch.setattr(command.subprocess, "run", called)
    return asked


def test_a_training_that_gives_the_champion_again_says_so(site, monkeypatch, capsys):
    windows(site, "drift", "drift", "drift")
    steps(monkeypatch, {})
    assert ask(site, run=True) == 0
    assert "nothing to take live" in capsys.readouterr().out


def test_a_run_stops_before_deploy_and_rests(site, monkeypatch, capsys):
    windows(site, "drift", "drift", "drift")
    monkeypatch.setattr("seatrial.commands.train.manifest_digest", lambda _: "sha256:another")
    asked = steps(monkeypatch, {})
    assert ask(site, run=True) == 0
    assert asked == ["validate", "train", "gate"]
    assert "a person takes it live: nox -s deploy" in capsys.readouterr().out
    assert ask(site, run=True) == 0
    assert asked == ["validate", "train", "gate"]
    assert [one.kind for one in read_events(site.project.home)] == ["started", "finished"]


@pytest.mark.parametrize(("step", "code"), [("validate", 1), ("train", 2), ("gate", 3)])
def test_a_step_that_does_not_pass_ends_the_run_with_its_code(site, monkeypatch, capsys, step, code):
    windows(site, "drift", "drift", "drift")
    asked = steps(monkeypatch, {step: code})
    assert ask(site, run=True) == code
    assert asked[-1] == step
    assert f"{step} ended with {code}; nothing goes live" in capsys.readouterr().out


def test_without_a_reason_nothing_runs(site, monkeypatch):
    windows(site, "", "drift")
    asked = steps(monkeypatch, {})
    assert ask(site, run=True) == 0
    assert asked == []


def test_who_comes_while_a_training_is_under_way_goes_home(site, capsys):
    windows(site, "drift", "drift", "drift")
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import fcntl,sys,time; f=open(sys.argv[1],'a'); fcntl.flock(f, 2); print(flush=True); time.sleep(60)",
            str(site.project.home / "retrain.lock"),
        ],
        stdout=subprocess.PIPE,
    )
    try:
        holder.stdout.readline()
        assert ask(site, run=True) == 3
        assert "another training is under way" in capsys.readouterr().out
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()


def test_a_training_that_was_killed_may_be_begun_again(site, monkeypatch):
    windows(site, "drift", "drift", "drift")
    append_event(site.project.home, Event(kind="started", time=NOW - DAY / 24, reasons=(Reason.DRIFT,), by="ann"))
    asked = steps(monkeypatch, {})
    assert ask(site, run=True) == 0
    assert asked == ["validate", "train", "gate"]


def test_only_the_newest_unfinished_start_is_forgotten():
    events = [Event(kind=kind, time=NOW, reasons=()) for kind in ("started", "finished", "declined", "started")]
    assert [one.kind for one in finished_only(events)] == ["started", "finished", "declined"]
    assert [one.kind for one in finished_only(events[:2])] == ["started", "finished"]


def test_a_torn_line_of_the_ledger_is_left_out_and_stays(site):
    event = Event(kind="requested", time=NOW, reasons=(Reason.REQUEST,), by="ann", words="x")
    append_event(site.project.home, event)
    with (site.project.home / "retrain.jsonl").open("ab") as stream:
        stream.write(b'{"kind": "decl')
    append_event(site.project.home, event)
    assert read_events(site.project.home) == (event, event)


def answered(site, count, *, flip):
    """Labelled rows of the last days; where `flip`, the outcome depends on visits, which the champion does not know yet."""
    rows = [row | {ID: f"k{at}"} for at, row in enumerate(make_rows(count, seed=4))]
    for at in range(0, count, 100):
        site.asked(rows[at : at + 100], at=NOW - 5 * DAY + at * dt.timedelta(minutes=1))
    draw = np.random.default_rng(1)
    positive = [(row["visits"] > 10) != (draw.random() < 0.1) if flip else draw.random() < 0.5 for row in rows]
    path = site.root / "outcomes.csv"
    path.write_text(
        "\n".join([f"{ID},left", *(f"{row[ID]},{'Yes' if one else 'No'}" for row, one in zip(rows, positive, strict=True))]) + "\n"
    )
    add_labels(site.project, [str(path)], Columns(id=ID, outcome="left"), classes=("No", "Yes"), spelled={}, now=NOW)


def with_pipeline(site):
    """Keep a pipeline in the champion's bundle, as a training does."""
    import sqlite3

    numbers = ColumnTransformer([("numbers", SimpleImputer(), ["amount", "visits"])])
    pipeline = Pipeline([("columns", numbers), ("model", LogisticRegression())])
    write_bundle(site.project.bundle, site.bundle.manifest, {**site.bundle.files, ANALYSIS: dump_skops(pipeline)})
    site.bundle = load_bundle(site.project.bundle)
    with sqlite3.connect(site.root / "mlflow.db") as connection:
        connection.execute("UPDATE model_version_tags SET value = ?", (site.bundle.digest,))
    connection.close()
    # the training rows at hand have no outcome of both classes
    site.project.train_data.unlink()


@pytest.mark.parametrize(("flip", "helps"), [(True, Outcome.PASS), (False, Outcome.INCONCLUSIVE)])
def test_a_refit_says_whether_a_training_would_help(site, flip, helps):
    with_pipeline(site)
    windows(site, "drift", "drift", "drift")
    answered(site, 1200, flip=flip)
    found, refit = decide_now(site.project, champion_of(site.project), now=NOW)
    check = next(one for one in found.checks if one.name == "retrain.help")
    assert check.outcome in ({helps} if flip else {Outcome.INCONCLUSIVE, Outcome.FAIL})
    assert (refit.fitted, refit.judged) == (800, 400)
    assert "### Would it help?" in page(site)


def test_too_few_outcomes_are_no_evidence(site):
    with_pipeline(site)
    windows(site, "drift", "drift", "drift")
    answered(site, 200, flip=True)
    _, refit = decide_now(site.project, champion_of(site.project), now=NOW)
    assert refit.helps is None
    assert "200 recent rows have an outcome, 300 of both classes are needed" in refit.message


def test_hostile_values_stay_text_in_the_evidence(site):
    assert ask(site, request=True, reason="<b>@all</b> | [x](http://y) `z`") == 0
    ask(site)
    assert "\\<b>\\@all\\</b> \\| \\[x](http://y) \\`z\\`" in page(site)


@pytest.mark.slow
def test_ten_triggers_at_once_begin_one_training(site):
    windows(site, "drift", "drift", "drift")
    line = [sys.executable, "-m", "seatrial", "retrain", "--run"]
    with contextlib.ExitStack() as stack:
        running = [
            stack.enter_context(subprocess.Popen(line, cwd=site.root, env=dict(os.environ), stdout=subprocess.PIPE, stderr=subprocess.PIPE))
            for _ in range(10)
        ]
        said = [one.communicate(timeout=120) for one in running]
    assert [one.kind for one in read_events(site.project.home)] == ["started", "finished"], said
    began = [out for out, _ in said if b"begins, because of drift" in out]
    assert len(began) == 1


@pytest.mark.parametrize("text", ["stages: [", "[]", "stages: 3", "a: 1"])
def test_a_torn_lock_file_is_named(site, text):
    (site.root / "dvc.lock").write_text(text)
    with pytest.raises(DataError, match=r"dvc\.lock cannot be read"):
        ask(site)
