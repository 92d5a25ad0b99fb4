import msgspec
import numpy as np
import polars as pl
import pytest

from seatrial.errors import BundleError, DataError
from seatrial.evidence import answers_of, labels_of, rival_answers
from seatrial.metrics import Scores
from seatrial.metrics_tasks import Classes, Values
from tests.task_bundles import CLASSES, TARGETS, make_manifest


def table(task, values):
    return pl.DataFrame({TARGETS[task].name: values})


@pytest.mark.parametrize(
    ("task", "values", "expected"),
    [
        ("binary", ["no", "yes", "yes"], [0, 1, 1]),
        ("multiclass", ["quince", "apple", "pear", "apple"], [2, 0, 1, 0]),
        ("regression", [1.5, -2.0], [1.5, -2.0]),
        ("regression", [3, 4], [3.0, 4.0]),
    ],
)
def test_labels_are_what_the_task_makes_of_the_target(task, values, expected):
    found = labels_of(make_manifest(task), table(task, values))
    assert found.tolist() == expected
    assert found.dtype == (np.float64 if task == "regression" else np.int64)


def test_classes_may_be_written_as_numbers():
    manifest = make_manifest("multiclass", target=msgspec.structs.replace(TARGETS["multiclass"], classes=("1", "2", "3")))
    assert labels_of(manifest, table("multiclass", [3, 1, 2])).tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    ("task", "values", "words"),
    [
        ("multiclass", ["apple", "plum"], "holds the class 'plum', which the bundle does not know"),
        ("multiclass", ["apple", None], "holds a missing label"),
        ("regression", ["much"], "is String, the target of a regression is a number"),
        ("regression", [1.0, None, float("nan"), float("inf")], "missing or no finite number in 3 of 4"),
    ],
)
def test_a_target_that_the_bundle_cannot_be_judged_on_is_refused(task, values, words):
    with pytest.raises(DataError) as raised:
        labels_of(make_manifest(task), table(task, values))
    assert words in str(raised.value)


@pytest.mark.parametrize("task", TARGETS)
def test_rows_without_the_target_are_refused(task):
    with pytest.raises(DataError, match="no column"):
        labels_of(make_manifest(task), pl.DataFrame({"other": [1]}))


def test_answers_are_read_as_the_task_reads_them():
    raw = np.array([0.2, 0.7])
    assert isinstance(answers_of(make_manifest("binary"), raw), Scores)
    assert answers_of(make_manifest("binary", threshold=0.8), raw).positive.tolist() == [False, False]
    assert isinstance(answers_of(make_manifest("regression"), raw), Values)
    classes = answers_of(make_manifest("multiclass"), np.array([[0.1, 0.2, 0.7]]))
    assert isinstance(classes, Classes)
    assert classes.given.tolist() == [2]


def test_a_champions_classes_are_brought_into_the_challengers_order():
    turned = (*CLASSES[1:], CLASSES[0])  # pear, quince, apple: not its own inverse
    other = make_manifest("multiclass", target=msgspec.structs.replace(TARGETS["multiclass"], classes=turned))
    answers = rival_answers(make_manifest("multiclass"), other, np.array([[0.7, 0.2, 0.1]]))
    assert answers.raw.tolist() == [[0.1, 0.7, 0.2]]
    assert CLASSES[answers.given[0]] == "pear"


def test_a_champion_that_answers_another_question_is_refused():
    four = make_manifest("multiclass", target=msgspec.structs.replace(TARGETS["multiclass"], classes=(*CLASSES, "plum")))
    with pytest.raises(BundleError, match="only one of both knows the class 'plum'"):
        rival_answers(make_manifest("multiclass"), four, np.full((2, 4), 0.25))
    with pytest.raises(BundleError, match="its task is binary, the challenger's is regression"):
        rival_answers(make_manifest("regression"), make_manifest("binary"), np.full(2, 0.25))
