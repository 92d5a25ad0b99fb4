"""The pipeline: what it reads, what it does with what is missing or new, and that ONNX answers as scikit-learn does."""

import numpy as np
import polars as pl
import pytest
from msgspec.structs import replace

from churn.features import MAX_CATEGORIES, build_pipeline, model_inputs
from churn.graph import to_onnx
from churn.train import best_f1_threshold
from seatrial.bundle import Input
from seatrial.errors import DataError
from seatrial.matrix import design_matrix
from seatrial.onnx_inputs import join_inputs
from seatrial.params import Train

INPUTS = (
    Input(name="size", type="number", nullable=True),
    Input(name="count", type="integer", nullable=False),
    Input(name="colour", type="category", nullable=True, categories=("blue", "red")),
)


@pytest.fixture
def frame():
    generator = np.random.default_rng(0)
    n = 300
    size = generator.normal(size=n)
    return pl.DataFrame(
        {
            "size": [None if at % 29 == 0 else float(value) for at, value in enumerate(size)],
            "count": generator.integers(0, 9, n),
            "colour": [None if at % 31 == 0 else ("red" if value > 0 else "blue") for at, value in enumerate(size)],
        }
    )


def _labels(frame):
    return (frame["count"].to_numpy() + 2 * (frame["colour"].fill_null("") == "red").to_numpy() > 5).astype(int)


def test_the_design_matrix_holds_what_the_served_model_is_given(frame):
    matrix = design_matrix(frame, INPUTS)
    assert list(matrix.columns) == ["size", "count", "colour"]
    assert matrix["size"].dtype == matrix["count"].dtype == np.float32
    assert np.isnan(matrix["size"][0])
    assert matrix["colour"][0] == ""


def test_inputs_carry_what_was_seen_in_training(frame):
    columns = [
        type("Column", (), {"name": name, "type": kind, "nullable": True}) for name, kind in [("count", "integer"), ("colour", "string")]
    ]
    count, colour = model_inputs(frame, tuple(columns))
    assert (count.minimum, count.maximum) == (0, 8)
    assert colour.type == "category"
    assert colour.categories == ("blue", "red")


def test_rare_categories_share_no_indicator():
    values = [f"v{number:03}" for number in range(MAX_CATEGORIES + 10)] * 2 + ["v000"]
    column = type("Column", (), {"name": "c", "type": "string", "nullable": False})
    (found,) = model_inputs(pl.DataFrame({"c": values}), (column,))
    assert len(found.categories) == MAX_CATEGORIES
    assert "v000" in found.categories


@pytest.mark.parametrize("estimator", ["hist_gradient_boosting", "logistic_regression", "random_forest"])
def test_onnx_answers_as_scikit_learn_does(frame, estimator):
    import onnxruntime

    matrix = design_matrix(frame, INPUTS)
    pipeline = build_pipeline(INPUTS, Train(estimator=estimator, max_iter=100, n_estimators=20)).fit(matrix, _labels(frame))
    session = onnxruntime.InferenceSession(to_onnx(pipeline, INPUTS))
    feeds = {name: matrix[name].to_numpy() for name in matrix.columns}
    (answers,) = session.run(None, feeds)
    assert np.abs(answers - pipeline.predict_proba(matrix)[:, 1]).max() < 1e-5


@pytest.mark.parametrize("estimator", ["hist_gradient_boosting", "logistic_regression"])
def test_columns_may_have_any_name(frame, estimator):
    import onnxruntime

    names = {"size": "stadt größe", "count": "1st x/y", "colour": "label"}
    more = {"a b": pl.col("count") * 2, "a_b": pl.col("count") * 3, "probabilities": pl.col("count") + 1}
    renamed = frame.with_columns(**more).rename(names)
    inputs = tuple(replace(column, name=names[column.name]) for column in INPUTS)
    inputs += tuple(Input(name=name, type="integer", nullable=False) for name in more)
    matrix = design_matrix(renamed, inputs)
    pipeline = build_pipeline(inputs, Train(estimator=estimator, max_iter=50)).fit(matrix, _labels(frame))
    session = onnxruntime.InferenceSession(to_onnx(pipeline, inputs))
    assert [tensor.name for tensor in session.get_inputs()] == [column.name for column in inputs]
    (answers,) = session.run(None, {name: matrix[name].to_numpy() for name in matrix.columns})
    assert np.abs(answers - pipeline.predict_proba(matrix)[:, 1]).max() < 1e-5


def test_a_column_may_not_be_named_like_the_answer(frame):
    column = type("Column", (), {"name": "probability", "type": "number", "nullable": False})
    with pytest.raises(DataError, match="column 'probability'"):
        model_inputs(frame.rename({"size": "probability"}), (column,))


def test_a_category_never_seen_is_answered(frame):
    pipeline = build_pipeline(INPUTS, Train(max_iter=5)).fit(design_matrix(frame, INPUTS), _labels(frame))
    strange = design_matrix(frame.head(3).with_columns(pl.lit("green").alias("colour")), INPUTS)
    assert np.isfinite(pipeline.predict_proba(strange)).all()


def test_the_same_pipeline_gives_the_same_onnx_bytes(frame):
    matrix, labels = design_matrix(frame, INPUTS), _labels(frame)
    first, second = (to_onnx(build_pipeline(INPUTS, Train(max_iter=5)).fit(matrix, labels), INPUTS) for _ in range(2))
    assert first == second


def test_the_threshold_with_the_best_f1_is_found():
    labels = np.array([0, 0, 0, 1, 1, 1])
    scores = np.array([0.1, 0.2, 0.3, 0.32, 0.8, 0.9])
    assert 0.3 < best_f1_threshold(labels, scores) <= 0.32


def test_of_equally_good_thresholds_the_middle_one_is_taken():
    assert best_f1_threshold(np.array([0, 1]), np.array([0.2, 0.8])) == pytest.approx(0.51)


def test_missing_and_unseen_categories_are_answered_as_in_training(frame):
    import onnxruntime

    matrix = design_matrix(frame, INPUTS)
    pipeline = build_pipeline(INPUTS, Train(estimator="logistic_regression")).fit(matrix, _labels(frame))
    asked = matrix.iloc[:4].assign(colour=["", "red", "blue", "green"], size=np.float32(0), count=np.float32(1))
    session = onnxruntime.InferenceSession(to_onnx(pipeline, INPUTS))
    (answers,) = session.run(None, {name: asked[name].to_numpy() for name in asked.columns})
    expected = pipeline.predict_proba(asked)[:, 1]
    assert np.abs(answers - expected).max() < 1e-5
    mode = ["red", "blue"].index(matrix["colour"][matrix["colour"] != ""].mode()[0])
    assert answers[0] == answers[1 + mode]
    assert len({*answers[1:].tolist()}) == 3


@pytest.mark.parametrize("kind", ["number", "category"])
def test_columns_of_one_kind_are_enough(frame, kind):
    import onnxruntime

    inputs = tuple(column for column in INPUTS if (column.type == "category") == (kind == "category"))
    matrix = design_matrix(frame, inputs)
    pipeline = build_pipeline(inputs, Train(max_iter=5)).fit(matrix, _labels(frame))
    session = onnxruntime.InferenceSession(to_onnx(pipeline, inputs))
    (answers,) = session.run(None, {name: matrix[name].to_numpy() for name in matrix.columns})
    assert np.abs(answers - pipeline.predict_proba(matrix)[:, 1]).max() < 1e-5


def test_the_graph_takes_the_blocks_that_a_server_has_as_they_are(frame):
    import onnx

    inputs = (*INPUTS, replace(INPUTS[2], name="shade"))
    matrix = design_matrix(frame.with_columns(shade="colour"), inputs)
    model = onnx.load_from_string(to_onnx(build_pipeline(inputs, Train(max_iter=5)).fit(matrix, _labels(frame)), inputs))
    join_inputs(model, inputs)
    assert [value.name for value in model.graph.input] == ["numbers", "categories"]
    assert {"Split", "LabelEncoder"}.isdisjoint(node.op_type for node in model.graph.node)


def test_another_column_costs_no_other_node(frame):
    import onnx

    more = (*INPUTS, *(replace(INPUTS[2], name=f"colour{number}") for number in range(5)))
    wide = frame.with_columns(pl.col("colour").alias(column.name) for column in more[3:])
    few, many = (
        onnx.load_from_string(to_onnx(build_pipeline(inputs, Train(max_iter=5)).fit(design_matrix(wide, inputs), _labels(frame)), inputs))
        for inputs in (INPUTS, more)
    )
    assert [node.op_type for node in many.graph.node] == [node.op_type for node in few.graph.node]
