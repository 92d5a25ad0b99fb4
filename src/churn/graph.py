"""The fitted pipeline as ONNX: a dozen nodes for all columns, and the estimator as skl2onnx writes it.

skl2onnx makes nine nodes for each category, and a server pays for every node at every request. Here the texts of all columns
are one tensor, looked up in one dictionary and compared with all categories at once; the numbers are another.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from seatrial.bundle import Input
from seatrial.onnx_checks import OUTPUT

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline

POSITIVE = 1
"""Which of the two columns of probabilities is answered."""
OPSETS = {"": 22, "ai.onnx.ml": 3}
"""Versions of the operators."""


def to_onnx(pipeline: Pipeline, inputs: tuple[Input, ...]) -> bytes:
    """The whole pipeline as ONNX, one input of shape (n,) for each column that it reads; the same bytes for the same pipeline.

    The label is left out: it is the threshold's to say, and that stands in the manifest.
    """
    columns = pipeline.named_steps["columns"]
    names = {name for _, _, taken in columns.transformers_ for name in taken}
    given = [column for column in inputs if column.name in names]
    graph = _Graph(prefix=_unlike(names))
    features, width = _features(graph, columns)
    model = _estimator(pipeline.named_steps["estimator"], width, graph.prefix)
    graph.nodes += _reading(model, features)
    graph.constants += model.graph.initializer
    graph.nodes.append(_answer(graph, model.graph.output[1].name))
    return _written(model, graph, given)


class _Graph:
    """Nodes and constants as they come; what is inside has names that begin with `prefix`."""

    def __init__(self, *, prefix: str) -> None:
        self.prefix = prefix
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node of one output; gives its name."""
        from onnx import helper

        domain = {"domain": "ai.onnx.ml"} if operator in ("Imputer", "LabelEncoder", "Scaler") else {}
        name = f"{self.prefix}{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], **domain, **attributes))
        return name

    def constant(self, values: Any) -> str:
        """Add a constant of whole numbers; gives its name."""
        from onnx import numpy_helper

        name = f"{self.prefix}constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype=np.int64), name))
        return name


def _unlike(names: set[str]) -> str:
    """How no column's name begins."""
    prefix = "inner_"
    while any(name.startswith(prefix) for name in names):
        prefix += "_"
    return prefix


def _features(graph: _Graph, columns: ColumnTransformer) -> tuple[str, int]:
    """The estimator's input, shape (n, width), as the fitted transformer makes it, and its width."""
    fitted = {name: (branch, taken) for name, branch, taken in columns.transformers_}
    parts, indicators = [], 0
    if "number" in fitted:
        _, numbers = fitted["number"]
        parts.append(_rows(graph, graph.node("Concat", *numbers, axis=0), len(numbers)))
    if "category" in fitted:
        part, indicators = _indicators(graph, *fitted["category"])
        parts.append(part)
    features = graph.node("Transpose", graph.node("Concat", *parts, axis=0), perm=[1, 0])
    return _filled(graph, features, fitted["number"][0], indicators) if "number" in fitted else (features, indicators)


def _rows(graph: _Graph, values: str, count: int) -> str:
    """Columns that lie behind each other, as the rows of a matrix of shape (count, n)."""
    return graph.node("Reshape", values, graph.constant([count, -1]))


def _indicators(graph: _Graph, branch: Pipeline, names: list[str]) -> tuple[str, int]:
    """One row of 0 and 1 for each category of each column, shape (indicators, n), and how many.

    A missing value is the column's most frequent category, and one that training never saw is none.
    """
    categories = [list(found) for found in branch.named_steps["encoder"].categories_]
    frequent = list(branch.named_steps["imputer"].statistics_)
    words = sorted({word for found in categories for word in found} | {""})
    number = {word: at for at, word in enumerate(words)}
    column = [at for at, found in enumerate(categories) for _ in found]
    wanted = [number[word] for found in categories for word in found]
    instead = [number["" if word == mode else word] for found, mode in zip(categories, frequent, strict=True) for word in found]

    texts = graph.node("Concat", *names, axis=0)
    numbered = graph.node("LabelEncoder", texts, keys_strings=words, values_int64s=list(range(len(words))), default_int64=-1)
    spread = graph.node("Gather", _rows(graph, numbered, len(names)), graph.constant(column), axis=0)
    said, missing = (graph.node("Equal", spread, graph.constant(np.reshape(codes, (-1, 1)))) for codes in (wanted, instead))
    return graph.node("Cast", graph.node("Or", said, missing), to=1), len(wanted)


def _filled(graph: _Graph, features: str, branch: Pipeline, indicators: int) -> tuple[str, int]:
    """Numbers that are missing get their median, and are scaled where the pipeline does so; indicators stay as they are."""
    medians = branch.named_steps["imputer"].statistics_
    filled = graph.node("Imputer", features, imputed_value_floats=_beside(medians, 0.0, indicators), replaced_value_float=float("nan"))
    scaler = branch.named_steps.get("scaler")
    if scaler is not None:
        offset, scale = _beside(scaler.mean_, 0.0, indicators), _beside(1 / scaler.scale_, 1.0, indicators)
        filled = graph.node("Scaler", filled, offset=offset, scale=scale)
    return filled, len(medians) + indicators


def _beside(values: NDArray[Any], other: float, count: int) -> list[float]:
    return [*(float(value) for value in values), *[other] * count]


def _estimator(estimator: Any, width: int, prefix: str) -> Any:
    from onnx.compose import add_prefix
    from skl2onnx import to_onnx as convert
    from skl2onnx.common.data_types import FloatTensorType

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)  # skl2onnx hands protobuf booleans for integers
        given = [("features", FloatTensorType([None, width]))]
        model = convert(estimator, initial_types=given, options={"zipmap": False}, target_opset=OPSETS)
    return add_prefix(model, f"{prefix}estimator_")


def _reading(model: Any, features: str) -> list[Any]:
    """The model's nodes, with `features` for its own input."""
    own = model.graph.input[0].name
    for node in model.graph.node:
        node.input[:] = [features if name == own else name for name in node.input]
    return list(model.graph.node)


def _answer(graph: _Graph, probabilities: str) -> Any:
    from onnx import helper

    return helper.make_node("Gather", [probabilities, graph.constant(POSITIVE)], [OUTPUT], axis=1)


def _written(model: Any, graph: _Graph, inputs: list[Input]) -> bytes:
    """`model` with the whole graph in place of the estimator's."""
    from onnx import TensorProto, helper

    types = {True: TensorProto.STRING, False: TensorProto.FLOAT}
    given = [helper.make_tensor_value_info(column.name, types[column.type == "category"], [None]) for column in inputs]
    answer = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [None])
    model.graph.CopyFrom(helper.make_graph(graph.nodes, "pipeline", given, [answer], graph.constants))
    del model.opset_import[:]
    model.opset_import.extend(helper.make_opsetid(domain, version) for domain, version in OPSETS.items())
    return bytes(model.SerializeToString(deterministic=True))
