import json
import math

import pytest

from seatrial.errors import DataError
from seatrial.noise import read_noise, summarise


def test_the_floor_is_what_the_difference_of_two_equal_models_exceeds_once_in_twenty_times():
    found = summarise([{"roc_auc": 0.80}, {"roc_auc": 0.82}, {"roc_auc": 0.84}], training="md5:1")
    assert found["metrics"]["roc_auc"] == pytest.approx({"mean": 0.82, "deviation": 0.02, "floor": 1.645 * math.sqrt(2) * 0.02}, abs=1e-6)
    assert (found["seeds"], found["training"]) == (3, "md5:1")


def test_what_was_written_is_read_again(tmp_path):
    path = tmp_path / "noise.json"
    assert read_noise(path) is None
    path.write_text(json.dumps(summarise([{"f1": 0.5}, {"f1": 0.6}], training="md5:1")))
    found = read_noise(path)
    assert (found.training, found.noise.seeds, found.noise.stale) == ("md5:1", 2, False)
    assert found.noise.floors == pytest.approx({"f1": 0.1645}, abs=1e-4)


@pytest.mark.parametrize(
    "text", ["", "[]", '{"metrics": {"f1": 3}}', '{"metrics": {"f1": {"floor": "much"}}, "seeds": 3, "training": "md5:1"}']
)
def test_a_file_that_is_none_of_ours_is_refused_with_what_to_do(tmp_path, text):
    path = tmp_path / "noise.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"metrics/noise\.json cannot be read") as caught:
        read_noise(path)
    assert "nox -s noise" in str(caught.value)
