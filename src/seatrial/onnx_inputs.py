"""A checked model with one input for all numbers and one for all categories, in place of one for each column.

For one row ONNX Runtime spends more time on nineteen inputs than on a small model. The columns of a block lie behind each
other; a Split takes them apart again, unless the model itself puts the very same columns together: then it takes the block as
it is. Nothing else changes, so each answer stays the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seatrial.manifest import Input

COUNTED_SPLIT = 18
"""From this version of the operators on, a Split says how many parts it makes."""


def columns_of_blocks(inputs: Sequence[Input]) -> tuple[list[str], list[str]]:
    """The columns of the block of numbers and those of the block of categories, each as they lie behind each other there."""
    categories = [column.name for column in inputs if column.type == "category"]
    return [column.name for column in inputs if column.type != "category"], categories


def join_inputs(proto: Any, inputs: Sequence[Input]) -> None:
    """Change a model that `check_onnx` let through: an input of shape (columns * n,) for each kind that has several columns."""
    from onnx import TensorProto

    numbers, categories = columns_of_blocks(inputs)
    for name, kind, columns in (("numbers", TensorProto.FLOAT, numbers), ("categories", TensorProto.STRING, categories)):
        if len(columns) > 1:
            _join(proto, _free(proto.graph, name), kind, columns)


def _free(graph: Any, name: str) -> str:
    """A name that nothing in the graph has."""
    used = {value.name for value in graph.input}.union(*(node.input for node in graph.node), *(node.output for node in graph.node))
    while name in used:
        name += "_"
    return name


def _join(proto: Any, block: str, kind: int, columns: Sequence[str]) -> None:
    from onnx import helper

    graph, taken = proto.graph, frozenset(columns)
    others = [value for value in graph.input if value.name not in taken]
    _put(graph.input, [*others, helper.make_tensor_value_info(block, kind, [None])])
    _take_whole(graph, block, columns)
    if any(not taken.isdisjoint(node.input) for node in graph.node):
        _put(graph.node, [_split(proto, block, columns), *graph.node])


def _take_whole(graph: Any, block: str, columns: Sequence[str]) -> None:
    """Give the block itself to who reads the same columns put together in the same order."""
    answers = {value.name for value in graph.output}
    same = {node.output[0] for node in graph.node if _concatenates(node, columns)} - answers
    _put(graph.node, [node for node in graph.node if same.isdisjoint(node.output)])
    for node in graph.node:
        node.input[:] = [block if name in same else name for name in node.input]


def _concatenates(node: Any, columns: Sequence[str]) -> bool:
    """Whether a node does nothing but put these columns behind each other."""
    axes = [attribute.i for attribute in node.attribute if attribute.name == "axis"]
    return node.op_type == "Concat" and axes == [0] and len(node.output) == 1 and list(node.input) == list(columns)


def _split(proto: Any, block: str, columns: Sequence[str]) -> Any:
    from onnx import helper

    version = next(one.version for one in proto.opset_import if one.domain in ("", "ai.onnx"))
    count = {"num_outputs": len(columns)} if version >= COUNTED_SPLIT else {}
    return helper.make_node("Split", [block], columns, axis=0, **count)


def _put(place: Any, values: Sequence[Any]) -> None:
    """Replace what a repeated field holds."""
    kept = list(values)
    del place[:]
    place.extend(kept)
