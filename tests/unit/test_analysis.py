"""model.skops: the same bytes for the same model, and still a file that skops can read."""

from pathlib import Path

import numpy as np
import pytest
import skops.io
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from seatrial.analysis import dump_skops, load_skops
from seatrial.errors import BundleError


def _fitted(seed=0):
    generator = np.random.default_rng(seed)
    rows = generator.normal(size=(200, 3))
    model = make_pipeline(StandardScaler(), HistGradientBoostingClassifier(max_iter=3, random_state=0))
    return model.fit(rows, (rows[:, 0] > 0).astype(int)), rows


def test_equal_models_give_equal_bytes():
    assert dump_skops(_fitted()[0]) == dump_skops(_fitted()[0])


def test_the_number_of_processors_of_the_machine_that_trained_is_left_out():
    model, _ = _fitted()
    for threads in (1, 64):
        model[-1]._bin_mapper.n_threads = threads
        assert dump_skops(model) == dump_skops(_fitted()[0])


def test_different_models_give_different_bytes():
    assert dump_skops(_fitted()[0]) != dump_skops(_fitted(seed=1)[0])


def test_skops_reads_the_file_and_the_model_answers_alike():
    model, rows = _fitted()
    data = dump_skops(model)
    assert np.array_equal(load_skops(data).predict_proba(rows), model.predict_proba(rows))


def test_a_file_of_types_that_nobody_reviewed_is_not_loaded():
    with pytest.raises(BundleError, match="no skops file that may lie in a bundle"):
        load_skops(skops.io.dumps(Path("x")))
