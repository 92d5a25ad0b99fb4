"""Real multiclass and regression bundles on a small table: scikit-learn pipelines, converted by skl2onnx, in about a second."""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from seatrial.bundle import GOLDEN, MODEL, Bundle, Input, Manifest, Target, Training, load_bundle, write_bundle
from seatrial.files import pretty_json, sha256_bytes
from seatrial.onnx_checks import OUTPUTS
from seatrial.serving.runtime import Runtime

CLASSES = ("apple", "pear", "quince")
TARGETS = {
    "binary": Target(name="heavy", classes=("no", "yes"), positive="yes"),
    "multiclass": Target(name="fruit", classes=CLASSES),
    "regression": Target(name="grams"),
}
INPUTS = (
    Input(name="size", type="number", nullable=False, minimum=-4.0, maximum=4.0),
    Input(name="age", type="number", nullable=False, minimum=-4.0, maximum=4.0),
    Input(name="colour", type="category", nullable=True, categories=("green", "red", "yellow")),
)
HEAVY = 100.0


def make_table(rows: int = 300, *, seed: int = 0) -> pl.DataFrame:
    """Rows with a class (`fruit`), a number (`grams`) and whether that is large (`heavy`), all of them partly chance."""
    draw = np.random.default_rng(seed)
    size, age = draw.normal(size=(2, rows)).astype(np.float32)
    colour = draw.choice(["green", "red", "yellow"], size=rows)
    pulls = np.column_stack([2 * size, 2 * age, 2.0 * (colour == "yellow")]) + draw.gumbel(size=(rows, 3))
    grams = 100 + 20 * size - 8 * age + 10 * (colour == "red") + draw.normal(size=rows) * 5
    columns = {"size": size, "age": age, "colour": colour, "fruit": np.array(CLASSES)[pulls.argmax(axis=1)], "grams": grams}
    return pl.DataFrame(columns).with_columns(heavy=pl.when(pl.col("grams") >= HEAVY).then(pl.lit("yes")).otherwise(pl.lit("no")))


def make_task_bundle(folder: Path, task: str, *, seed: int = 100, spoilt: float = 0.0, trees: bool = False, **changes: Any) -> Bundle:
    """Train on 600 rows of a table with this seed, write the bundle to `folder` and load it.

    `spoilt` is the share of labels that are exchanged before training; `changes` are of the manifest.
    """
    model, golden = _trained(task, seed, spoilt, trees)
    manifest = make_manifest(task, **changes)
    write_bundle(folder, manifest, {MODEL: model, GOLDEN: golden})
    return load_bundle(folder)


def make_manifest(task: str, **changes: Any) -> Manifest:
    """A manifest of the task without files."""
    fields: dict[str, Any] = {
        "task": task,
        "inputs": INPUTS,
        "target": TARGETS[task],
        "threshold": 0.5 if task == "binary" else None,
        "training": Training(data="md5:0", rows=600, estimator="linear", params={}),
        "libraries": {"onnx": "1"},
        "files": {MODEL: ""},
    }
    return Manifest(**{**fields, **changes})


@cache
def _trained(task: str, seed: int, spoilt: float, trees: bool) -> tuple[bytes, bytes]:
    rows = make_table(600, seed=seed)
    pipeline = _pipeline(task, trees).fit(_matrix(rows), _spoil(_labels(rows, task), spoilt))
    model = to_onnx(pipeline, task)
    golden = rows.head(5).select([column.name for column in INPUTS])
    bundle = Bundle(manifest=make_manifest(task), digest=sha256_bytes(model), files={MODEL: model})
    answers = np.round(Runtime(bundle).score_frame(golden), 6).tolist()
    cases = [{"row": row, OUTPUTS[task]: answer} for row, answer in zip(golden.to_dicts(), answers, strict=True)]
    return model, pretty_json(cases)


def _labels(rows: pl.DataFrame, task: str) -> np.ndarray:
    target = rows[TARGETS[task].name]
    if task == "regression":
        return target.to_numpy()
    return np.array([TARGETS[task].classes.index(name) for name in target])


def _spoil(labels: np.ndarray, share: float) -> np.ndarray:
    draw = np.random.default_rng(0)
    chosen = np.flatnonzero(draw.random(len(labels)) < share)
    spoilt = labels.copy()
    spoilt[chosen] = labels[draw.permutation(chosen)]
    return spoilt


def _matrix(rows: pl.DataFrame) -> Any:
    import pandas as pd

    return pd.DataFrame({column.name: rows[column.name].to_numpy() for column in INPUTS})


def _pipeline(task: str, trees: bool) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder

    encoder = OneHotEncoder(categories=[["green", "red", "yellow"]], handle_unknown="ignore", sparse_output=False)
    columns = ColumnTransformer([("numbers", "passthrough", ["size", "age"]), ("colour", encoder, ["colour"])])
    if task == "regression":
        estimator = HistGradientBoostingRegressor(max_iter=20, random_state=0) if trees else Ridge()
    else:
        estimator = HistGradientBoostingClassifier(max_iter=20, random_state=0) if trees else LogisticRegression()
    return Pipeline([("columns", columns), ("estimator", estimator)])


def to_onnx(pipeline: Any, task: str) -> bytes:
    """The pipeline as ONNX with inputs of shape (n,) and the one output of the task."""
    from onnx import TensorProto, helper
    from skl2onnx import to_onnx as convert
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    types = [(column.name, (StringTensorType if column.type == "category" else FloatTensorType)([None, 1])) for column in INPUTS]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)  # skl2onnx hands protobuf booleans for integers
        model = convert(pipeline, initial_types=types, options={} if task == "regression" else {"zipmap": False}, target_opset=17)
    graph = model.graph
    renamed = {column.name: f"{column.name}__column" for column in INPUTS}
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
    for tensor in graph.input:
        del tensor.type.tensor_type.shape.dim[1]
    before = [helper.make_node("Unsqueeze", [name, "__axis__"], [column]) for name, column in renamed.items()]
    after, shape = [], [None]
    if task == "binary":
        graph.initializer.append(helper.make_tensor("__positive__", TensorProto.INT64, [], [1]))
        after = [helper.make_node("Gather", ["probabilities", "__positive__"], ["probability"], axis=1)]
    elif task == "regression":
        after = [helper.make_node("Squeeze", ["variable", "__axis__"], ["value"])]
    else:
        shape = [None, len(CLASSES)]
    graph.initializer.append(helper.make_tensor("__axis__", TensorProto.INT64, [1], [1]))
    nodes = [*before, *graph.node, *after]
    del graph.node[:], graph.output[:]
    graph.node.extend(nodes)
    graph.output.append(helper.make_tensor_value_info(OUTPUTS[task], TensorProto.FLOAT, shape))
    return bytes(model.SerializeToString(deterministic=True))
