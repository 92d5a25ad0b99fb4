"""What training writes: the same bundle for the same rows, with the hashes of exactly those rows."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from churn.features import build_pipeline
from churn.train import train, write_checked
from seatrial.bundle import load_bundle, row_hashes, trained_on
from seatrial.errors import ParamsError
from seatrial.matrix import design_matrix
from seatrial.params import Train
from tests.bundles import INPUTS, TARGET, make_bundle, make_rows, make_targets


def table(seed):
    rows = make_rows(200, seed=seed)
    return pl.DataFrame(rows).with_columns(pl.Series(TARGET.name, make_targets(rows, seed=seed)))


def trained(folder, manifest):
    rows, held_out = table(1), table(2)
    pipeline = build_pipeline(INPUTS, Train(estimator="logistic_regression"))
    pipeline.fit(design_matrix(rows, INPUTS), np.asarray(rows[TARGET.name] == TARGET.positive, dtype=np.int64))
    expected = pipeline.predict_proba(design_matrix(held_out, INPUTS))[:, 1]
    return write_checked(SimpleNamespace(bundle=folder), pipeline, manifest, held_out, expected, learned=rows)


def test_a_bundle_names_the_rows_that_it_was_trained_on_and_no_others(tmp_path):
    trained(tmp_path / "model", make_bundle(tmp_path / "other").manifest)
    bundle = load_bundle(tmp_path / "model")
    assert set(row_hashes(table(1), bundle.manifest).tolist()) == set(trained_on(bundle).tolist())
    held_out = table(2)
    known = np.isin(row_hashes(held_out, bundle.manifest), trained_on(bundle))
    cells = [column.name for column in INPUTS] + [TARGET.name]
    seen = set(table(1).select(cells).iter_rows())  # a few rows of both tables are alike
    assert known.tolist() == [row in seen for row in held_out.select(cells).iter_rows()]
    assert known.sum() < 5


def test_training_three_times_gives_one_digest(tmp_path):
    manifest = make_bundle(tmp_path / "other").manifest
    assert len({trained(tmp_path / str(number), manifest) for number in range(3)}) == 1


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_another_task_than_binary_is_refused_before_any_row_is_read(task):
    project = SimpleNamespace(settings=SimpleNamespace(model=SimpleNamespace(task=task)))
    with pytest.raises(ParamsError, match=f"model.task: '{task}' is not trained by this pipeline"):
        train(project)
