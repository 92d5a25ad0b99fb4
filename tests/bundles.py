"""Real bundles in milliseconds: a small logistic model, written as ONNX by hand, for every test that needs one.

`probability_of` says in plain Python what the model answers, `make_rows` makes rows that it reads.
"""

from __future__ import annotations

import io
import json
import math
import random
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto, helper

from seatrial.bundle import (
    ANALYSIS,
    GOLDEN,
    MODEL,
    TRAINED_ON,
    Bundle,
    Input,
    Manifest,
    Target,
    Training,
    load_bundle,
    row_hashes,
    write_bundle,
)
from seatrial.files import pretty_json, sha256_bytes
from seatrial.onnx_inputs import columns_of_blocks
from seatrial.row_hashes import write_row_hashes
from seatrial.serving.runtime import Runtime

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seatrial.serving.rows import Rows

INPUTS = (
    Input(name="amount", type="number", nullable=True, minimum=0.0, maximum=100.0),
    Input(name="visits", type="integer", nullable=False, minimum=0, maximum=20),
    Input(name="member", type="boolean", nullable=False),
    Input(name="colour", type="category", nullable=True, categories=("blue", "green", "red")),
    Input(name="plan", type="category", nullable=False, categories=("basic", "plus")),
)
WEIGHTS = {"amount": 0.03, "visits": -0.2, "member": 0.5}
CATEGORY_WEIGHTS = {"colour": {"blue": -1.0, "green": 0.2, "red": 1.0}, "plan": {"basic": 0.6, "plus": -0.6}}
TARGET = Target(name="left", classes=("No", "Yes"), positive="Yes")
ID = "client"


def make_bundle(
    folder: Path,
    *,
    weight: float = 1.0,
    bias: float = -0.5,
    threshold: float = 0.5,
    constant: float | None = None,
    constant_above: float = -1.0,
    golden: list[dict[str, Any]] | None = None,
    name: str = "logistic",
    together: bool = False,
) -> Bundle:
    """Write a bundle to `folder` and load it.

    `weight` scales the model: 1 is the good one, 0.2 a worse one, -1 one that is wrong. `constant` (NaN too) is the answer
    wherever `amount` is above `constant_above`: by default always; above 100 it passes the golden rows and breaks later.
    Other arguments, other digests; the same arguments, the same digest. `golden` replaces the golden rows. With `together` the model
    numbers the categories of all columns by one dictionary, as a trained one does.
    """
    model = _model(weight=weight, bias=bias, constant=constant, above=constant_above, together=together)
    manifest = _manifest(threshold, {"weight": weight, "bias": bias}, name)
    runtime = Runtime(Bundle(manifest=manifest, digest=sha256_bytes(model), files={MODEL: model}))
    if golden is None:
        golden = _golden(runtime)
    write_bundle(folder, manifest, {MODEL: model, GOLDEN: pretty_json(golden)})
    return load_bundle(folder)


def make_full_bundle(folder: Path, **options: Any) -> Bundle:
    """`make_bundle` with all that training adds: the archive for analysis and the hashes of the rows."""
    import polars as pl

    made = make_bundle(folder, **options)
    rows = make_rows(100)
    hashes = row_hashes(pl.DataFrame(rows).with_columns(pl.Series(TARGET.name, make_targets(rows))), made.manifest)
    write_bundle(folder, made.manifest, {**made.files, ANALYSIS: _archive(), TRAINED_ON: write_row_hashes(hashes)})
    return load_bundle(folder)


def _archive() -> bytes:
    """An archive as skops writes it, of a mapping without anything in it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(
            "schema.json", json.dumps({"__class__": "dict", "__module__": "builtins", "__loader__": "DictNode", "content": {}})
        )
    return out.getvalue()


def probability_of(row: dict[str, Any], *, weight: float = 1.0, bias: float = -0.5) -> float:
    """What `make_bundle`'s model answers for a row."""
    score = sum(factor * float(row[name] or 0) for name, factor in WEIGHTS.items())
    score += sum(factors.get(row[name], 0.0) for name, factors in CATEGORY_WEIGHTS.items())
    return 1 / (1 + math.exp(-(weight * score + bias)))


def tensors_of(rows: Rows) -> dict[str, NDArray[Any]]:
    """What the model takes for each of INPUTS, of shape (n,)."""
    numbers, categories = columns_of_blocks(INPUTS)
    found = dict(zip(numbers, np.array(rows.numbers, dtype=np.float32).reshape(len(numbers), rows.count), strict=True))
    return found | dict(zip(categories, np.array(rows.categories, dtype=object).reshape(len(categories), rows.count), strict=True))


def make_rows(count: int, *, seed: int = 0) -> list[dict[str, Any]]:
    """Rows with an id, every tenth amount and colour missing."""
    draw = random.Random(seed)
    return [
        {
            ID: f"c{seed}-{number}",
            "amount": None if number % 10 == 9 else round(draw.uniform(0, 100), 2),
            "visits": draw.randint(0, 20),
            "member": draw.random() < 0.5,
            "colour": None if number % 10 == 8 else draw.choice(("blue", "green", "red")),
            "plan": draw.choice(("basic", "plus")),
        }
        for number in range(count)
    ]


def make_targets(rows: list[dict[str, Any]], *, seed: int = 0) -> list[str]:
    """A class for each row, drawn from the good model's probability."""
    draw = random.Random(seed)
    return [TARGET.positive if draw.random() < probability_of(row) else TARGET.classes[0] for row in rows]


def _golden(runtime: Runtime) -> list[dict[str, Any]]:
    from seatrial.serving.rows import Decoder

    rows = [{name: value for name, value in row.items() if name != ID} for row in make_rows(16, seed=99)]
    answers = runtime.score(runtime.blocks(*Decoder(runtime.bundle.manifest).records(rows).flat)).tolist()
    finite = (round(answer, 6) if math.isfinite(answer) else 0.5 for answer in answers)
    return [{"row": row, "probability": answer} for row, answer in zip(rows, finite, strict=True)]


def _manifest(threshold: float, params: dict[str, Any], name: str) -> Manifest:
    return Manifest(
        inputs=INPUTS,
        target=TARGET,
        threshold=threshold,
        id=ID,
        groups=("member",),
        training=Training(data="md5:0", rows=1000, estimator=name, params=params),
        libraries={"onnx": version("onnx")},
        files={MODEL: ""},
    )


def _model(*, weight: float, bias: float, constant: float | None, above: float, together: bool) -> bytes:
    nodes, terms, constants = [], [], {"bias": bias, "zero": 0.0, "above": above}
    if together:
        nodes, terms = _numbered(weight), ["categories_term"]
    for column in INPUTS:
        term = f"{column.name}_term"
        if column.type == "category":
            if together:
                continue
            factors = CATEGORY_WEIGHTS[column.name]
            keys, values = list(factors), [weight * value for value in factors.values()]
            encoder = {"keys_strings": keys, "values_floats": values, "default_float": 0.0, "domain": "ai.onnx.ml"}
            nodes.append(helper.make_node("LabelEncoder", [column.name], [term], **encoder))
        else:
            constants[f"{column.name}_factor"] = weight * WEIGHTS[column.name]
            nodes.append(helper.make_node("IsNaN", [column.name], [f"{column.name}_missing"]))
            nodes.append(helper.make_node("Where", [f"{column.name}_missing", "zero", column.name], [f"{column.name}_filled"]))
            nodes.append(helper.make_node("Mul", [f"{column.name}_filled", f"{column.name}_factor"], [term]))
        terms.append(term)
    nodes.append(helper.make_node("Sum", [*terms, "bias"], ["score"]))
    nodes.append(helper.make_node("Sigmoid", ["score"], ["answer"]))
    return _finish(nodes, constants, constant)


def _numbered(weight: float) -> list[Any]:
    """From the columns of categories to `categories_term`: all of them numbered by one dictionary, then weighed."""
    words = {word: weight * value for factors in CATEGORY_WEIGHTS.values() for word, value in factors.items()}
    encoder = {"keys_strings": list(words), "values_int64s": range(1, len(words) + 1), "default_int64": 0, "domain": "ai.onnx.ml"}
    weights = helper.make_tensor("", TensorProto.FLOAT, [len(words) + 1], [0.0, *words.values()])
    shape, first = (helper.make_tensor("", TensorProto.INT64, [len(values)], values) for values in ([len(CATEGORY_WEIGHTS), -1], [0]))
    return [
        helper.make_node("Concat", list(CATEGORY_WEIGHTS), ["texts"], axis=0),
        helper.make_node("LabelEncoder", ["texts"], ["numbers"], **encoder),
        helper.make_node("Constant", [], ["weights"], value=weights),
        helper.make_node("Constant", [], ["shape"], value=shape),
        helper.make_node("Constant", [], ["first"], value=first),
        helper.make_node("Gather", ["weights", "numbers"], ["weighed"]),
        helper.make_node("Reshape", ["weighed", "shape"], ["matrix"]),
        helper.make_node("ReduceSum", ["matrix", "first"], ["categories_term"], keepdims=0),
    ]


def _finish(nodes: list[Any], constants: dict[str, float], constant: float | None) -> bytes:
    """From `answer` to the output; with `constant`, that value in place of the answer."""
    positive = "answer"
    if constant is not None:
        constants["constant"] = constant
        nodes.append(helper.make_node("Greater", ["amount_filled", "above"], ["is_constant"]))
        nodes.append(helper.make_node("Where", ["is_constant", "constant", "answer"], ["positive"]))
        positive = "positive"
    nodes.append(helper.make_node("Identity", [positive], ["probability"]))
    kinds = {column.name: TensorProto.STRING if column.type == "category" else TensorProto.FLOAT for column in INPUTS}
    inputs = [helper.make_tensor_value_info(name, kind, [None]) for name, kind in kinds.items()]
    outputs = [helper.make_tensor_value_info("probability", TensorProto.FLOAT, [None])]
    values = [helper.make_tensor(name, TensorProto.FLOAT, [1], np.float32([value])) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "logistic", inputs, outputs, values)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString(deterministic=True)
