import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from seatrial.bundle import GOLDEN, MODEL, Bundle
from seatrial.errors import BundleError
from seatrial.evidence import answers_of
from seatrial.onnx_checks import OUTPUTS
from seatrial.serving.replica import scores_digest
from seatrial.serving.runtime import MAX_ROWS, Runtime
from tests.task_bundles import CLASSES, TARGETS, make_manifest, make_table, make_task_bundle

TASKS = ("multiclass", "regression")
ROWS = make_table(50)


@pytest.mark.parametrize("trees", [False, True])
@pytest.mark.parametrize("task", TARGETS)
def test_a_bundle_of_any_task_answers_every_row(tmp_path, task, trees):
    runtime = Runtime(make_task_bundle(tmp_path / "b", task, trees=trees))
    found = runtime.score_frame(ROWS)
    assert found.shape == ((50, 3) if task == "multiclass" else (50,))
    assert found.dtype == np.float64
    assert answers_of(runtime.bundle.manifest, found).strange == 0
    golden = runtime.bundle.golden
    assert np.abs(runtime.score_frame(make_table(600, seed=100).head(5)) - [one[OUTPUTS[task]] for one in golden]).max() <= 1e-6 * 200


@pytest.mark.parametrize("task", TASKS)
def test_more_rows_than_fit_at_once_are_answered_in_parts_and_none_with_none(tmp_path, task):
    runtime = Runtime(make_task_bundle(tmp_path / "b", task))
    rows = make_table(MAX_ROWS + 7)
    found = runtime.score_frame(rows)
    assert np.array_equal(found[-9:], runtime.score_frame(rows.tail(9)))
    assert runtime.score_frame(rows.clear()).shape == (0, *found.shape[1:])
    assert scores_digest(found) != scores_digest(found[::-1])


def test_labels_are_the_likeliest_classes_and_a_regression_has_none(tmp_path):
    runtime = Runtime(make_task_bundle(tmp_path / "m", "multiclass"))
    found = runtime.score_frame(ROWS)
    assert runtime.labels(found) == [CLASSES[at] for at in found.argmax(axis=1)]
    regression = Runtime(make_task_bundle(tmp_path / "r", "regression"))
    with pytest.raises(BundleError, match="task is regression"):
        regression.labels(np.array([1.0]))


def remade(bundle, change):
    """The bundle's model with its graph changed, under the same manifest."""
    proto = onnx.ModelProto()
    proto.ParseFromString(bundle.model)
    change(proto.graph)
    model = proto.SerializeToString()
    return Bundle(manifest=bundle.manifest, digest=bundle.digest, files={MODEL: model, GOLDEN: bundle.files[GOLDEN]})


def declares(*shape):
    def change(graph):
        value = helper.make_tensor_value_info(graph.output[0].name, TensorProto.FLOAT, shape)
        graph.output[0].CopyFrom(value)

    return change


@pytest.mark.parametrize("shape", [(None,), (None, None), (None, 2), (None, 4), (1, 3), (None, 3, 1)])
def test_a_multiclass_model_must_declare_a_probability_for_each_class(tmp_path, shape):
    bundle = make_task_bundle(tmp_path / "b", "multiclass")
    with pytest.raises(BundleError, match=r"'probabilities' must have the shape \(n, 3\)"):
        Runtime(remade(bundle, declares(*shape)))


@pytest.mark.parametrize("shape", [(None, 1), (1,), (None, None)])
def test_a_regression_must_declare_one_value_for_each_row(tmp_path, shape):
    bundle = make_task_bundle(tmp_path / "b", "regression")
    with pytest.raises(BundleError, match=r"'value' must have the shape \(n,\)"):
        Runtime(remade(bundle, declares(*shape)))


def widened(graph):
    """Declares what it should, and answers twice as many columns."""
    graph.node.append(helper.make_node("Concat", ["probabilities", "probabilities"], ["wide"], axis=1))
    graph.node.append(helper.make_node("Identity", ["wide"], ["again"]))
    for node in graph.node:
        node.input[:] = [{"probabilities": "narrow"}.get(name, name) for name in node.input]
        node.output[:] = [{"probabilities": "narrow", "again": "probabilities"}.get(name, name) for name in node.output]


def test_a_model_that_answers_another_shape_than_it_declares_is_refused(tmp_path):
    bundle = make_task_bundle(tmp_path / "b", "multiclass")
    with pytest.raises(BundleError):
        Runtime(remade(bundle, widened))


@pytest.mark.parametrize(("task", "other"), [("multiclass", "regression"), ("regression", "binary"), ("binary", "multiclass")])
def test_a_model_of_one_task_is_refused_under_a_manifest_of_another(tmp_path, task, other):
    bundle = make_task_bundle(tmp_path / "b", task)
    changed = Bundle(manifest=make_manifest(other), digest="sha256:0", files=bundle.files)
    with pytest.raises(BundleError, match=f"has the one output '{OUTPUTS[other]}'"):
        Runtime(changed)


def test_another_number_of_classes_than_the_model_has_is_refused(tmp_path):
    bundle = make_task_bundle(tmp_path / "b", "multiclass")
    target = type(bundle.manifest.target)(name="fruit", classes=("a", "b", "c", "d"))
    changed = Bundle(manifest=make_manifest("multiclass", target=target), digest="sha256:0", files=bundle.files)
    with pytest.raises(BundleError, match=r"must have the shape \(n, 4\)"):
        Runtime(changed)
