"""Binary tensors of the Open Inference Protocol: the bytes that follow a request's JSON, little-endian, in the tensors' order.

A string is its length in four bytes and its UTF-8; a NaN is a missing value, since JSON's null has no other form here.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from seatrial.errors import RequestError

_LENGTH = struct.Struct("<I")
DTYPES: Mapping[str, str] = {
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
    "INT8": "<i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "UINT8": "<u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "BOOL": "<u1",
}


class Raw:
    """What follows the JSON, taken from its start tensor by tensor."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, tensor: Mapping[str, Any], name: str, datatype: str, count: int) -> list[Any]:
        """The next tensor's values; RequestError where there are fewer or more than its shape says."""
        size = tensor["parameters"]["binary_data_size"]
        left = len(self._data) - self._at
        if type(size) is not int or not 0 <= size <= left:
            raise _error(name, f"says {_shown(size)} bytes of binary data, {left} are left of the body")
        if "data" in tensor:
            raise _error(name, "has data in the JSON and as binary")
        piece = self._data[self._at : self._at + size]
        self._at += size
        return _strings(piece, name) if datatype == "BYTES" else _numbers(piece, name, datatype, count)

    def refuse_rest(self) -> None:
        """RequestError where bytes are left that no tensor has."""
        left = len(self._data) - self._at
        if left:
            raise RequestError(f"{left} bytes at the end of the body belong to no tensor")


def _shown(size: Any) -> str:
    return str(size)[:20]


def _error(name: str, problem: str) -> RequestError:
    return RequestError(f"the tensor {name[:60]!r} {problem}", column=name[:256])


def _numbers(piece: bytes, name: str, datatype: str, count: int) -> list[Any]:
    dtype = np.dtype(DTYPES[datatype])
    if len(piece) != count * dtype.itemsize:
        raise _error(name, f"has {len(piece)} bytes, {count} values of {datatype} have {count * dtype.itemsize}")
    values = np.frombuffer(piece, dtype=dtype)
    if datatype == "BOOL":
        if (values > 1).any():
            raise _error(name, "has a BOOL that is neither 0 nor 1")
        return [bool(value) for value in values.tolist()]
    return [None if value != value else value for value in values.tolist()]


def _strings(piece: bytes, name: str) -> list[Any]:
    """Strings one behind the other; what they add up to is compared with the shape by the reader."""
    found, at = [], 0
    while at < len(piece):
        if len(piece) - at < _LENGTH.size:
            raise _error(name, "ends within a string's length")
        (size,) = _LENGTH.unpack_from(piece, at)
        at += _LENGTH.size
        if size > len(piece) - at:
            raise _error(name, f"has a string of {size} bytes where {len(piece) - at} are left")
        try:
            found.append(piece[at : at + size].decode())
        except UnicodeDecodeError:
            raise _error(name, f"has a string that is not UTF-8, at position {len(found)}") from None
        at += size
    return found


def write_tensor(datatype: str, values: Sequence[Any]) -> bytes:
    """The bytes of an output."""
    if datatype != "BYTES":
        return np.asarray(values, dtype=DTYPES[datatype]).tobytes()
    encoded = [value.encode() for value in values]
    return b"".join(_LENGTH.pack(len(value)) + value for value in encoded)
