import datetime as dt

import msgspec
import polars as pl
import pytest

from seatrial.bundle import Input
from seatrial.serving.pairs import joined
from seatrial.serving.predictions import LogSettings, PredictionLog
from tests.bundles import make_bundle, make_rows
from tests.entries import make_entry

NOON = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("bundle") / "model").manifest


def write(folder, manifest, version, answers, *, variant, rows=None):
    """One part with a request for each of `answers`: its id, when it was answered (seconds after noon), and its rows' probabilities."""
    log = PredictionLog(LogSettings(folder=folder), manifest, version=version, digest=f"sha256:{version}")
    for request_id, second, probabilities in answers:
        at, asked = NOON + dt.timedelta(seconds=second), rows or make_rows(len(probabilities))
        labels = ["Yes" if one >= 0.5 else "No" for one in probabilities]
        log.append(make_entry(manifest, asked, at=at, request_id=request_id, variant=variant, labels=labels, probabilities=probabilities))
    log.flush()


def all_of(folder, **options):
    found = list(joined(folder, 3, 4, **options))
    return pl.concat(found).sort("request_id", "row") if found else None


def test_each_row_of_a_mirrored_request_has_both_answers(tmp_path, manifest):
    write(tmp_path, manifest, "3", [("a", 0, [0.1, 0.9]), ("b", 1, [0.4])], variant="champion")
    write(tmp_path, manifest, "4", [("b", 1.5, [0.6]), ("a", 0.5, [0.2, 0.8])], variant="mirror")
    found = all_of(tmp_path)
    assert found.columns == ["request_id", "row", "time", "label", "probability", "label_mirror", "probability_mirror"]
    assert found.select("request_id", "row", "probability", "probability_mirror").rows() == [
        ("a", 0, 0.1, 0.2),
        ("a", 1, 0.9, 0.8),
        ("b", 0, 0.4, 0.6),
    ]
    assert found.select("label", "label_mirror").rows()[2] == ("No", "Yes")


def test_what_only_one_answered_or_not_over_the_mirror_or_twice_is_left_out(tmp_path, manifest):
    write(tmp_path, manifest, "3", [(name, 0, [0.5]) for name in "abcd"], variant="champion")
    write(tmp_path, manifest, "3", [("c", 5, [0.7])], variant="champion")
    write(tmp_path, manifest, "4", [("a", 0, [0.5]), ("c", 0, [0.5]), ("e", 0, [0.5])], variant="mirror")
    write(tmp_path, manifest, "4", [("b", 0, [0.5])], variant="challenger")
    write(tmp_path, manifest, "5", [("d", 0, [0.5])], variant="mirror")
    assert all_of(tmp_path)["request_id"].to_list() == ["a"]


@pytest.mark.parametrize("rows", [7, 100, 1000])
def test_portions_hold_every_request_once_and_are_bounded(tmp_path, manifest, rows):
    names = [f"r{number:03d}" for number in range(200)]
    write(tmp_path, manifest, "3", [(name, number, [0.25]) for number, name in enumerate(names)], variant="champion")
    write(tmp_path, manifest, "4", [(name, number, [0.75]) for number, name in enumerate(names)], variant="mirror")
    found = list(joined(tmp_path, 3, 4, rows=rows))
    assert sorted(one for portion in found for one in portion["request_id"]) == names
    assert len(found) == -(-400 // rows)
    assert max(portion.height for portion in found) <= max(200 if rows >= 400 else 0, 3 * rows)


@pytest.mark.parametrize(("second", "left"), [(9, 1), (10, 1), (11, 0)])
def test_the_log_is_joined_from_a_moment_on(tmp_path, manifest, second, left):
    for version, variant in (("3", "champion"), ("4", "mirror")):
        write(tmp_path, manifest, version, [("a", 10, [0.5]), ("b", -86_400, [0.5])], variant=variant)
    assert all_of(tmp_path, since=NOON + dt.timedelta(seconds=second)).height == left


def test_inputs_that_are_called_like_the_logs_columns_do_not_get_in_the_way(tmp_path, manifest):
    own = msgspec.structs.replace(manifest, inputs=(Input(name="label", type="number", nullable=False),), id=None)
    write(tmp_path, own, "3", [("a", 0, [0.9])], variant="champion", rows=[{"label": 4}])
    write(tmp_path, manifest, "4", [("a", 0, [0.1])], variant="mirror")
    assert all_of(tmp_path).select("label", "label_mirror").rows() == [("Yes", "No")]


def test_no_log_gives_nothing(tmp_path):
    assert list(joined(tmp_path / "none", 3, 4)) == []
