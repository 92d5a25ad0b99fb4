"""The outline of an ONNX file: how many parts it has, and which, before any of them is unpacked.

Protobuf turns an empty part of 2 bytes into an object of 100, so a file of 32 MiB could fill 3 GB when it is parsed as ONNX.
Here each message is parsed by a schema of our own in which every part is a string of bytes; parts are counted, those that a
tabular pipeline never has are refused, and only then is the next level looked at. Memory stays below 20 times the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from seatrial.errors import BundleError

MAX_NODES = 5_000
"""ONNX Runtime needs 0.7 s to load a chain of 5,000 nodes, and 14 s for 20,000."""

MAX_INITIALIZERS = 10_000
MAX_NAMES = 10_000
"""Inputs or outputs of one node."""

Part = tuple[str, int, str | None]
"""A part's name, how often it may occur, and the kind of message that it is, where that has parts of its own."""

_KINDS: Mapping[str, Mapping[int, Part]] = {
    "model": {
        7: ("graph", 1, "graph"),
        8: ("opset_import", 8, None),
        14: ("metadata", 0, None),
        20: ("training_info", 0, None),
        25: ("functions", 0, None),
        26: ("configuration", 0, None),
    },
    "graph": {
        1: ("node", MAX_NODES, "node"),
        5: ("initializer", MAX_INITIALIZERS, "tensor"),
        11: ("input", 1_000, "value"),
        12: ("output", 10, "value"),
        13: ("value_info", 2 * MAX_NODES, "value"),
        14: ("quantization_annotation", 0, None),
        15: ("sparse_initializer", 0, None),
        16: ("metadata", 0, None),
    },
    "node": {
        1: ("input", MAX_NAMES, None),
        2: ("output", MAX_NAMES, None),
        5: ("attribute", 64, "attribute"),
        9: ("metadata", 0, None),
        10: ("device_configurations", 0, None),
    },
    "attribute": {
        5: ("tensor", 1, "tensor"),
        6: ("graph inside a node", 0, None),
        10: ("list of tensors", 0, None),
        11: ("graph inside a node", 0, None),
        14: ("type", 0, None),
        15: ("type", 0, None),
        22: ("sparse tensor", 0, None),
        23: ("sparse tensor", 0, None),
    },
    "tensor": {3: ("segment", 0, None), 13: ("external_data", 0, None), 16: ("metadata", 0, None)},
    "value": {2: ("type", 1, "type"), 4: ("metadata", 0, None)},
    "type": {
        1: ("tensor_type", 1, "tensor_type"),
        4: ("sequence", 0, None),
        5: ("map", 0, None),
        7: ("opaque type", 0, None),
        8: ("sparse tensor", 0, None),
        9: ("optional", 0, None),
    },
    "tensor_type": {2: ("shape", 1, "shape")},
    "shape": {1: ("dimension", 8, None)},
}

_WHY = {
    "external_data": "it keeps data in another file; a bundle is self-contained",
    "functions": "it brings functions of its own",
    "training_info": "it brings instructions for training",
    "metadata": "it carries metadata, which a runtime may take for settings",
    "graph inside a node": "a node holds a graph of its own (a loop, a condition or a scan)",
}


def check_outline(model: bytes) -> None:
    """Refuse, with a BundleError, what is not ONNX, has parts that no tabular pipeline has, or too many of them."""
    from google.protobuf.message import DecodeError

    waiting = [("model", model)]
    while waiting:
        kind, data = waiting.pop()
        try:
            waiting += _parts(kind, data)
        except DecodeError:
            raise BundleError("the model is not ONNX: its bytes are no protobuf message") from None


def _parts(kind: str, data: bytes) -> list[tuple[str, bytes]]:
    """The parts of one message that have parts themselves; its own object is gone when this returns."""
    shell = _shells()[kind].FromString(data)
    found = []
    for number, (name, most, inner) in _KINDS[kind].items():
        parts = getattr(shell, f"part{number}")
        if len(parts) > most:
            why = f"a {kind} has {len(parts)} × {name}, at most {most} are allowed" if most else f"a {kind} has a {name}"
            raise BundleError(f"the model is refused: {_WHY.get(name, why)}")
        if inner is not None:
            found += [(inner, part) for part in parts]
    return found


@cache
def _shells() -> dict[str, Any]:
    """For each kind a message class that knows its parts as strings of bytes, and keeps all else unread."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="seatrial/outline.proto", package="seatrial.outline", syntax="proto2")
    field = descriptor_pb2.FieldDescriptorProto
    for kind, parts in _KINDS.items():
        message = file.message_type.add(name=kind)
        for number in parts:
            message.field.add(name=f"part{number}", number=number, type=field.TYPE_BYTES, label=field.LABEL_REPEATED)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {kind: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"seatrial.outline.{kind}")) for kind in _KINDS}
