import argparse
import datetime as dt

import numpy as np
import polars as pl
import pytest

from seatrial.commands import labels as command
from seatrial.errors import DataError, RegistryError, UsageError
from seatrial.labels import read_labels
from seatrial.live_performance import joined
from seatrial.live_rows import Selection, read_answers
from tests.bundles import ID, TARGET, make_targets
from tests.sites import NOON, Site, fresh


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def options(*tables, **given):
    names = {"id": None, "outcome": None, "known": None, "spelled": [], "since": None}
    return argparse.Namespace(tables=list(tables), **(names | given))


def outcomes(site, rows, name="outcomes.csv", *, known=NOON + dt.timedelta(days=2)):
    table = pl.DataFrame({ID: [row[ID] for row in rows], TARGET.name: make_targets(rows), "decided": [known.isoformat()] * len(rows)})
    path = site.root / name
    table.write_csv(path)
    return str(path)


def ran(site, capsys, *tables, **given):
    assert command.run(site.project, options(*tables, **given)) == 0
    return capsys.readouterr().out


def test_outcomes_are_joined_to_answers_with_coverage_delay_and_metrics(site, capsys):
    rows = fresh()
    site.asked(rows)
    said = ran(site, capsys, outcomes(site, rows[:450]), known="decided")
    assert "450 outcomes added from 1 file" in said
    assert "450 of 600 answers of version 3 have an outcome (75.0%)" in said
    assert "after 2.0 days (median)" in said
    assert "roc_auc" in said
    assert "needs 100 outcomes" not in said


def test_outcomes_that_come_before_their_answers_wait_for_them(site, capsys):
    rows = fresh()
    table = outcomes(site, rows)
    site.asked(fresh(10, seed=9))
    assert "600 of 600 outcomes are of no answer in question" in ran(site, capsys, table, known="decided")
    site.asked(rows)
    assert "600 of 610 answers" in ran(site, capsys)


def test_an_id_that_was_answered_twice_counts_once_with_its_last_answer(site, capsys):
    rows = fresh(200)
    site.asked(rows, probability=0.01)
    site.asked(rows, at=NOON + dt.timedelta(hours=1))
    assert "200 of 200 answers" in ran(site, capsys, outcomes(site, rows), known="decided")
    answers = read_answers(site.project, site.bundle.manifest, site.bundle.digest, Selection())
    kept = joined(answers, read_labels(site.project.home))
    assert kept["probability"].n_unique() > 100, "the first answer was the same to all of them"


def test_outcomes_known_before_the_answer_name_the_clocks(site, capsys):
    rows = fresh(200)
    site.asked(rows)
    said = ran(site, capsys, outcomes(site, rows, known=NOON - dt.timedelta(days=1)), known="decided")
    assert "200 outcomes were known before the answer: look at the clocks" in said


def test_the_estimate_stands_beside_the_outcomes_and_by_group(site, capsys):
    site.profiled(groups=("plan",), positive=np.array([word == "Yes" for word in make_targets(fresh(1500, seed=1))]))
    rows = fresh()
    site.asked(rows)
    said = ran(site, capsys, outcomes(site, rows), known="decided")
    assert "plan = basic" in said
    assert "plan = plus" in said
    assert "–" not in said


def test_an_empty_log_and_no_outcomes_say_so(site, capsys):
    assert "0 of 0 answers of version 3" in ran(site, capsys)


def test_outcomes_of_another_type_are_refused_with_the_way_out(site):
    path = site.root / "t.csv"
    path.write_text(f"{ID},{TARGET.name}\nc1,1\n")
    with pytest.raises(DataError) as caught:
        command.run(site.project, options(str(path)))
    assert caught.value.exit_code == 2
    assert "'1' is no class of the target (No, Yes)" in str(caught.value)


@pytest.mark.parametrize("spelled", ["1=Perhaps", "1", "=Yes"])
def test_a_spelling_of_no_class_is_refused(site, spelled):
    with pytest.raises(UsageError, match="--spelled"):
        command.run(site.project, options("t.csv", spelled=[spelled]))


def test_without_a_champion_nothing_is_kept(site):
    import sqlite3

    with sqlite3.connect(site.root / "mlflow.db") as connection:
        connection.execute("DELETE FROM registered_model_aliases")
    connection.close()
    with pytest.raises(RegistryError, match="no champion yet"):
        command.run(site.project, options("t.csv"))


def test_a_log_that_is_half_written_is_named_and_the_outcomes_are_kept(site, capsys):
    rows = fresh()
    site.asked(rows)
    part = next((site.project.home / "log").glob("date=*/*.parquet"))
    part.write_bytes(part.read_bytes()[:-40])
    with pytest.raises(DataError, match=f"{part.name} cannot be read"):
        ran(site, capsys, outcomes(site, rows), known="decided")
    assert read_labels(site.project.home).height == len(rows)


def test_one_row_with_its_outcome_is_counted_and_no_metric(site, capsys):
    rows = fresh(1)
    site.asked(rows)
    said = ran(site, capsys, outcomes(site, rows), known="decided")
    assert "1 of 1 answers of version 3 have an outcome (100.0%)" in said
    assert "needs 100 outcomes" in said
