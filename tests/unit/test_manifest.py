import json

import pytest

from seatrial.errors import BundleError
from seatrial.files import canonical_json
from seatrial.manifest import MAX_CLASSES, Target, parse_manifest
from tests.task_bundles import TARGETS, make_manifest


def told(task, **changes):
    """A canonical manifest of the task, as JSON values, with other fields."""
    return json.loads(make_manifest(task, files={"model.onnx": "sha256:" + "0" * 64}).to_bytes()) | changes


def parsed(values):
    return parse_manifest(canonical_json(values), "manifest.json")


def target(*classes, positive=None):
    return {"name": "fruit", "classes": list(classes), "positive": positive}


def test_a_binary_manifest_is_written_as_it_always_was():
    manifest = make_manifest("binary", files={"model.onnx": "sha256:" + "0" * 64})
    assert json.loads(manifest.to_bytes())["target"] == {"classes": ["no", "yes"], "name": "heavy", "positive": "yes"}
    assert manifest.digest == "sha256:334db8c072e8366091ff4932120194c273ed1675618ba6c52316256a6823fefd", "as before there were other tasks"


@pytest.mark.parametrize("task", TARGETS)
def test_a_manifest_of_any_task_reads_back_as_it_was_written(task):
    manifest = parsed(told(task))
    assert (manifest.task, manifest.target) == (task, TARGETS[task])
    assert parse_manifest(manifest.to_bytes(), "again") == manifest


@pytest.mark.parametrize(
    ("task", "changes", "words"),
    [
        ("binary", {"target": target("a", "b", "c", positive="b")}, "a binary target has two classes, not 3"),
        ("binary", {"target": target("a", "b")}, "says which class is the positive one"),
        ("binary", {"target": target()}, "two classes, not 0"),
        ("binary", {"threshold": None}, "a binary task has a threshold"),
        ("binary", {"target": target("a", "b", positive="a")}, "the positive class must be the second one"),
        ("multiclass", {"target": target("a", "b")}, "three classes or more, not 2"),
        ("multiclass", {"target": target("a", "b", "c", positive="b")}, "a multiclass target has no positive class"),
        ("multiclass", {"target": target(*map(str, range(MAX_CLASSES + 1)))}, "length <= 1000"),
        ("multiclass", {"target": target("a", "b", "a")}, "the class 'a' stands there twice"),
        ("multiclass", {"target": target("a", "b", "c\u200b")}, "invisible character U+200B"),
        ("multiclass", {"threshold": 0.5}, "a multiclass task has no threshold"),
        ("regression", {"target": target("a", "b")}, "a regression has no classes, not 2"),
        ("regression", {"target": target("a", "b", positive="b")}, "a regression has no classes"),
        ("regression", {"threshold": 0.5}, "a regression task has no threshold"),
        ("clustering", {}, "Invalid enum value 'clustering'"),
    ],
)
def test_what_does_not_belong_together_is_refused_in_one_sentence(task, changes, words):
    values = told("regression" if task == "clustering" else task) | {"task": task} | changes
    with pytest.raises(BundleError) as raised:
        parsed(values)
    assert words in str(raised.value)


@pytest.mark.parametrize("count", [3, MAX_CLASSES])
def test_a_multiclass_target_has_from_three_to_a_thousand_classes(count):
    manifest = parsed(told("multiclass", target=target(*map(str, range(count)))))
    assert len(manifest.target.classes) == count


def test_a_manifest_made_in_python_keeps_the_same_rules():
    with pytest.raises(ValueError, match="no threshold"):
        make_manifest("regression", threshold=0.5)
    with pytest.raises(ValueError, match="must be the second"):
        Target(name="t", classes=("a", "b"), positive="a")


def test_only_a_binary_manifest_has_two_sides_and_a_threshold():
    assert make_manifest("binary").binary == ("no", "yes", 0.5)
    for task in ("multiclass", "regression"):
        with pytest.raises(BundleError, match=f"task is {task}"):
            make_manifest(task).binary  # noqa: B018 - asked for its refusal


def test_another_task_is_another_bundle():
    assert len({parsed(told(task)).digest for task in TARGETS}) == 3
