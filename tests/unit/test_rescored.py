"""`seatrial.rescored`: two real bundles on the same held-out rows."""

import polars as pl
import pytest

from seatrial.errors import BundleError, DataError
from seatrial.project import Project
from seatrial.rescored import bundle_from, rescore
from tests.bundles import TARGET, make_bundle, make_full_bundle, make_rows, make_targets

PARAMS = """\
model: {name: m, primary: log_loss}
data: {raw: t.csv, target: left, positive: "Yes", id: client, groups: [member]}
gate: {slices: {columns: [plan, amount]}}
"""


def rows_of(count, seed=3):
    rows = make_rows(count, seed=seed)
    return pl.DataFrame(rows).with_columns(pl.Series(TARGET.name, make_targets(rows, seed=seed)))


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project whose bundle is worse than the one that each test compares with."""
    root = tmp_path_factory.mktemp("rescored")
    (root / "params.yaml").write_text(PARAMS)
    (root / "data/processed").mkdir(parents=True)
    rows_of(1500).write_parquet(root / "data/processed/test.parquet")
    make_bundle(root / "artifacts/model", weight=-1)
    return Project(root=root, env={})


def test_a_worse_model_is_worse_by_each_metric_in_slices_and_labels(project, tmp_path):
    found = rescore(project, make_bundle(tmp_path / "base"))
    assert (found.rows, found.every, found.learned) == (1500, 1500, 0)
    assert found.metrics["roc_auc"].high < 0 < found.metrics["log_loss"].low
    assert found.slice_metric == "log_loss"
    assert {one.column for one in found.slices} == {"plan", "amount", "member"}
    assert found.slices[0].moved
    assert found.slices[0].new > found.slices[0].old
    assert found.flips.count > 500
    assert set(found.flips.kinds) == {("No", "Yes"), ("Yes", "No")}


def test_the_same_model_moves_nothing(project):
    found = rescore(project, make_bundle(project.root / "artifacts/model", weight=-1))
    assert all(one.value == 0 for one in found.metrics.values())
    assert not any(one.moved for one in found.slices)
    assert found.flips.count == 0


def test_rows_that_the_base_s_model_was_trained_on_are_left_out(project, tmp_path):
    base = make_full_bundle(tmp_path / "base")
    trained = make_rows(100)
    frame = pl.DataFrame(trained).with_columns(pl.Series(TARGET.name, make_targets(trained)))
    other = Project(root=tmp_path, env={})
    (tmp_path / "params.yaml").write_text(PARAMS)
    (tmp_path / "data/processed").mkdir(parents=True)
    make_bundle(tmp_path / "artifacts/model", weight=-1)
    pl.concat([rows_of(400), frame]).write_parquet(tmp_path / "data/processed/test.parquet")
    found = rescore(other, base)
    assert (found.rows + found.learned, found.every) == (500, 500)
    assert 100 <= found.learned < 110  # a few of the others are equal to one of those by chance
    frame.write_parquet(tmp_path / "data/processed/test.parquet")
    with pytest.raises(DataError, match="trained on every held-out row"):
        rescore(other, base)


def test_a_bundle_is_checked_before_it_answers(tmp_path):
    made = make_bundle(tmp_path / "base")
    files = {path.name: path.read_bytes() for path in (tmp_path / "base").iterdir()}
    assert bundle_from(files).digest == made.digest
    with pytest.raises(BundleError):
        bundle_from({**files, "model.onnx": b"other bytes"})
