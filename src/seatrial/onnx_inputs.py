"""A checked model with one input for all numbers and one for all categories, in place of one for each column.

For one row ONNX Runtime spends more time on nineteen inputs than on a small model. The columns of a block lie behind each
other; a Split takes them apart again, unless the model itself puts the very same columns together: then it takes the block as
it is. And where the model does nothing with the categories but number them by one dictionary, it takes the numbers: a table's
column has them without a look at its strings. Nothing else changes, so each answer stays the same to the last bit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seatrial.manifest import Input

COUNTED_SPLIT = 18
"""From this version of the operators on, a Split says how many parts it makes."""
LOOKING_UP = {"keys_strings", "values_int64s", "default_int64"}
"""What a LabelEncoder says that makes whole numbers of strings, and no more."""
CODES = "seatrial.codes"
"""Where a model that takes numbers for categories says which: in its metadata, which no bundle's model has."""


class Codes(dict[str, int]):
    """The number of each category that a model knows; `other` is that of all others."""

    def __init__(self, known: Mapping[str, int], other: int) -> None:
        super().__init__(known)
        self.other = other

    def __missing__(self, category: str) -> int:
        return self.other

    @classmethod
    def read(cls, text: str) -> Codes:
        """As `written` wrote it."""
        return cls(*json.loads(text))

    @property
    def written(self) -> str:
        """As text."""
        return json.dumps([self, self.other])


def columns_of_blocks(inputs: Sequence[Input]) -> tuple[list[str], list[str]]:
    """The columns of the block of numbers and those of the block of categories, each as they lie behind each other there."""
    categories = [column.name for column in inputs if column.type == "category"]
    return [column.name for column in inputs if column.type != "category"], categories


def join_inputs(proto: Any, inputs: Sequence[Input]) -> None:
    """Change a model that `check_onnx` let through: an input of shape (columns * n,) for each kind that has several columns.

    That of categories holds strings, or int64 where the model's metadata say which (`CODES`).
    """
    from onnx import TensorProto

    numbers, categories = columns_of_blocks(inputs)
    if len(numbers) > 1:
        _join(proto, _free(proto.graph, "numbers"), TensorProto.FLOAT, numbers)
    if len(categories) > 1:
        block = _free(proto.graph, "categories")
        _join(proto, block, TensorProto.STRING, categories)
        _take_codes(proto, block)


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
    _stand_in(graph, block, {node.output[0] for node in graph.node if _concatenates(node, columns)} - answers)


def _stand_in(graph: Any, block: str, made: set[str]) -> None:
    """Give the block to who reads what these nodes made, and leave out the nodes."""
    _put(graph.node, [node for node in graph.node if made.isdisjoint(node.output)])
    for node in graph.node:
        node.input[:] = [block if name in made else name for name in node.input]


def _concatenates(node: Any, columns: Sequence[str]) -> bool:
    """Whether a node does nothing but put these columns behind each other."""
    axes = [attribute.i for attribute in node.attribute if attribute.name == "axis"]
    return node.op_type == "Concat" and axes == [0] and len(node.output) == 1 and list(node.input) == list(columns)


def _take_codes(proto: Any, block: str) -> None:
    """Let the model take the numbers of categories, where all that it does with them is to look these up."""
    from onnx import TensorProto

    graph = proto.graph
    readers = [node for node in graph.node if block in node.input]
    codes = _codes_of(readers[0]) if len(readers) == 1 else None
    if codes is None:
        return
    _stand_in(graph, block, {readers[0].output[0]})
    next(value for value in graph.input if value.name == block).type.tensor_type.elem_type = TensorProto.INT64
    proto.metadata_props.add(key=CODES, value=codes.written)


def _codes_of(node: Any) -> Codes | None:
    """What a node makes of strings, where that is int64 by one dictionary; None for any other."""
    given = {one.name: one for one in node.attribute}
    if node.op_type != "LabelEncoder" or not {"keys_strings", "values_int64s"} <= given.keys() <= LOOKING_UP:
        return None
    words, values = given["keys_strings"].strings, given["values_int64s"].ints
    if not len(values) == len(words) == len(set(words)):
        return None
    try:
        known = [word.decode() for word in words]
    except UnicodeDecodeError:
        return None
    return Codes(dict(zip(known, values, strict=True)), given["default_int64"].i if "default_int64" in given else -1)


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
