"""Poisons inside the model that are small on disk: parts without end, constants that lie, much work from little, trees that are none."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from seatrial.bundle import MODEL
from tests.poison import Place, before_output, forge, forge_model, ints, poison, several
from tests.poisons_onnx import OUTSIDE

FLOAT = TensorProto.FLOAT


# Bytes


def field(number: int, data: bytes) -> bytes:
    """A protobuf field that holds bytes."""
    length, size = b"", len(data)
    while size > 127:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    tag = number << 3 | 2
    return (bytes([tag]) if tag < 128 else bytes([tag & 127 | 128, tag >> 7])) + length + bytes([size]) + data


@several({str(keep): (keep, "the model is not ONNX") for keep in (1, 10, 100)})
def model_cut_short(place: Place, keep: int) -> None:
    forge(place, {MODEL: (place.folder / MODEL).read_bytes()[:keep]})


FULL = 32 * 2**20 - 64


@several(
    {
        "nodes": (lambda: field(7, b"\x0a\x00" * (FULL // 2)), "× node"),
        "constants": (lambda: field(7, b"\x2a\x00" * (FULL // 2)), "× initializer"),
        "attributes": (lambda: field(7, field(1, b"\x2a\x00" * (FULL // 2))), "× attribute"),
        "inputs of a node": (lambda: field(7, field(1, b"\x0a\x00" * (FULL // 2))), "× input"),
        "dimensions": (lambda: field(7, field(11, field(2, field(1, field(2, b"\x0a\x00" * (FULL // 2)))))), "× dimension"),
        "graphs": (lambda: b"\x3a\x00" * (FULL // 2), "× graph"),
        "files": (lambda: field(7, field(5, b"\x6a\x00" * (FULL // 2))), OUTSIDE),
        "numbers": (lambda: field(7, field(1, field(5, field(8, b"\x01" * FULL)))), "refused"),
        "texts": (lambda: field(7, field(1, field(5, b"\x4a\x00" * (FULL // 2)))), "refused"),
        "dimensions of a constant": (lambda: field(7, field(5, field(1, b"\x01" * FULL))), "refused"),
        "unknown": (lambda: b"\xfa\x7f\x00" * (FULL // 3), "refused"),
    },
    bomb=True,
)
def parts_without_end(place: Place, make: Any) -> None:
    forge(place, {MODEL: make()})


@poison("bytes, more than", bomb=True)
def model_of_a_byte_too_many(place: Place) -> None:
    forge(place, {MODEL: bytes(32 * 2**20 + 1)})


@poison("", bomb=True)
def graphs_inside_graphs(place: Place) -> None:
    data = b""
    for _ in range(3_000):
        data = field(1, field(5, field(6, data)))
    forge(place, {MODEL: field(7, data)})


@poison("", bomb=True)
def groups_inside_groups(place: Place) -> None:
    forge(place, {MODEL: b"\x9b\x06" * 1_000_000 + b"\x9c\x06" * 1_000_000})


# Constants that lie


def constant(dims: list[int], kind: int = FLOAT, **fields: Any) -> Any:
    return TensorProto(name="poison", dims=dims, data_type=kind, **fields)


@several(
    {
        "a billion, none given": (constant([10**9]), "declares the shape"),
        "overflow": (constant([2**33, 2**33]), "declares the shape"),
        "nothing declared, one given": (constant([0], float_data=[1]), "declares 0 values and holds"),
        "negative": (constant([-1], float_data=[1]), "declares the shape"),
        "nine dimensions": (constant([1] * 9, float_data=[1]), "declares the shape"),
        "fewer than declared": (constant([4], raw_data=bytes(12)), "declares 4 values and holds"),
        "more than declared": (constant([4], raw_data=bytes(20)), "declares 4 values and holds"),
        "values in the wrong place": (constant([1], int64_data=[1]), "declares 1 values and holds"),
        "values twice": (constant([1], float_data=[1], raw_data=bytes(4)), "declares 1 values and holds"),
        "texts as raw bytes": (constant([1], TensorProto.STRING, raw_data=bytes(8)), "declares 1 values and holds"),
        "no type": (constant([1], 0), "is of type 0"),
        "type that is none": (constant([1], 999), "is of type 999"),
        "complex numbers": (constant([1], TensorProto.COMPLEX64, float_data=[1, 1]), "is of type 14"),
    }
)
def constant_that_lies(place: Place, tensor: Any) -> None:
    forge_model(place, lambda model: model.graph.initializer.append(tensor))


@poison("has the name of an input")
def constant_in_place_of_an_input(place: Place) -> None:
    forge_model(place, lambda model: model.graph.initializer.append(helper.make_tensor("amount", FLOAT, [1], [1.0])))


# Much from little


def doubled(source: str, times: int) -> list[Any]:
    names = [source, *(f"doubled{number}" for number in range(times))]
    return [helper.make_node("Concat", [one, one], [other], axis=0) for one, other in pairwise(names)]


def largest(source: str) -> Any:
    return helper.make_node("ReduceMax", [source], ["poisoned"], keepdims=0)


@several({str(times): (times, "from constants alone, Concat may make") for times in (24, 40, 60)}, bomb=True)
def constant_doubled(place: Place, times: int) -> None:
    forge_model(place, lambda model: before_output(model, [*doubled("bias", times), largest(f"doubled{times - 1}")]))


@several({str(times): (times, "the model cannot answer") for times in (30, 40, 60)}, bomb=True)
def answer_doubled(place: Place, times: int) -> None:
    forge_model(place, lambda model: before_output(model, [*doubled("answer", times), largest(f"doubled{times - 1}")]))


@poison("from constants alone, MatMul may make", bomb=True)
def product_of_constants(place: Place) -> None:
    one = helper.make_tensor("one", FLOAT, [4096, 1], np.ones(4096, np.float32))
    other = helper.make_tensor("other", FLOAT, [1, 4096], np.ones(4096, np.float32))
    forge_model(
        place, lambda model: before_output(model, [helper.make_node("MatMul", ["one", "other"], ["big"]), largest("big")], one, other)
    )


@poison("from constants alone, Gather may make", bomb=True)
def gathered_constant(place: Place) -> None:
    wide = helper.make_tensor("wide", FLOAT, [1, 100_000], np.ones(100_000, np.float32))
    zeros = ints("zeros", *[0] * 100_000)
    forge_model(
        place, lambda model: before_output(model, [helper.make_node("Gather", ["wide", "zeros"], ["big"]), largest("big")], wide, zeros)
    )


@poison("the model cannot answer: [ONNXRuntimeError] : 1 : FAIL : Exiting due to terminate flag", bomb=True)
def hours_of_work(place: Place) -> None:
    """Matrices of 16 MB that fit into the memory, multiplied two thousand times."""
    square = [*doubled("answer", 21), helper.make_node("Reshape", ["doubled20", "square"], ["m0"])]
    work = [helper.make_node("MatMul", [f"m{number}", "m0"], [f"m{number + 1}"]) for number in range(2000)]
    forge_model(place, lambda model: before_output(model, [*square, *work, largest("m2000")], ints("square", 2048, 2048)))


@poison("× node", bomb=True)
def chain_of_nodes(place: Place) -> None:
    chain = [helper.make_node("Neg", ["answer" if number == 0 else f"n{number - 1}"], [f"n{number}"]) for number in range(20_000)]
    forge_model(place, lambda model: before_output(model, [*chain, helper.make_node("Identity", ["n19999"], ["poisoned"])]))


# Trees

TREE: dict[str, list[Any]] = {
    "nodes_treeids": [0, 0, 0],
    "nodes_nodeids": [0, 1, 2],
    "nodes_featureids": [0, 0, 0],
    "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF"],
    "nodes_values": [0.5, 0.0, 0.0],
    "nodes_truenodeids": [1, 0, 0],
    "nodes_falsenodeids": [2, 0, 0],
}


def with_tree(place: Place, lists: dict[str, list[Any]]) -> None:
    count = len(lists["nodes_nodeids"])
    weights = {"class_treeids": [0], "class_nodeids": [count - 1], "class_ids": [0], "class_weights": [1.0], "classlabels_int64s": [0, 1]}
    nodes = [
        helper.make_node("Unsqueeze", ["answer", "axis"], ["column"]),
        helper.make_node("TreeEnsembleClassifier", ["column"], ["label", "both"], domain="ai.onnx.ml", **lists, **weights),
        helper.make_node("Gather", ["both", "second"], ["poisoned"], axis=1),
    ]
    forge_model(place, lambda model: before_output(model, nodes, ints("axis", 1), ints("second", 1, shape=[])))


@several(
    {
        "a circle": ({"nodes_modes": ["BRANCH_LEQ", "BRANCH_LEQ", "LEAF"], "nodes_falsenodeids": [2, 0, 0]}, "trees"),
        "a circle apart": (
            {"nodes_modes": ["LEAF", "BRANCH_LEQ", "LEAF"], "nodes_truenodeids": [0, 1, 0], "nodes_falsenodeids": [0, 2, 0]},
            "no root",
        ),
        "a branch to nowhere": ({"nodes_truenodeids": [7, 0, 0]}, "leads to a node that is not there"),
        "a branch below zero": ({"nodes_truenodeids": [-1, 0, 0]}, "below 0"),
        "a branch beyond 32 bits": ({"nodes_truenodeids": [2**40, 0, 0]}, "beyond 32 bits"),
        "two branches to one leaf": ({"nodes_truenodeids": [2, 0, 0]}, "lead to one node"),
        "one number twice": ({"nodes_nodeids": [0, 1, 1]}, "number two nodes alike"),
        "lists of unequal length": ({"nodes_featureids": [0]}, "differ in length"),
        "a feature that is not there": ({"nodes_featureids": [10**8, 0, 0]}, "the model cannot answer"),
        "a feature below zero": ({"nodes_featureids": [-1, 0, 0]}, "below 0"),
    },
    bomb=True,
)
def tree_with(place: Place, changes: dict[str, list[Any]]) -> None:
    with_tree(place, TREE | changes)


@poison("more than 1000 levels deep", bomb=True)
def tree_of_100_000_levels(place: Place) -> None:
    levels = 100_000
    count = 2 * levels + 1
    branch = [number % 2 == 0 and number < count - 1 for number in range(count)]
    with_tree(
        place,
        {
            "nodes_treeids": [0] * count,
            "nodes_nodeids": list(range(count)),
            "nodes_featureids": [0] * count,
            "nodes_modes": ["BRANCH_LEQ" if one else "LEAF" for one in branch],
            "nodes_values": [0.5] * count,
            "nodes_truenodeids": [number + 1 if one else 0 for number, one in enumerate(branch)],
            "nodes_falsenodeids": [number + 2 if one else 0 for number, one in enumerate(branch)],
        },
    )
