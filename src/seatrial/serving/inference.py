"""The Open Inference Protocol (V2), `POST /v2/models/{name}/infer`: tensors of one column each, as JSON or binary."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seatrial.bundle import Input, Manifest
from seatrial.errors import RequestError
from seatrial.serving.binary import Raw, write_tensor
from seatrial.serving.protocols import encode, limit_rows, read_json
from seatrial.serving.rows import Decoder, Rows

NUMERIC = frozenset({"FP16", "FP32", "FP64", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"})
DATATYPES = {
    "number": NUMERIC,
    "integer": NUMERIC,
    "boolean": NUMERIC | {"BOOL"},
    "category": frozenset({"BYTES"}),
}
METADATA_TYPE = {"number": "FP64", "integer": "INT64", "boolean": "BOOL", "category": "BYTES"}
Outputs = Mapping[str, tuple[str, int]]
"""The tensors of an answer: type and number of columns of each."""
OUTPUTS: Outputs = {"label": ("BYTES", 1), "probability": ("FP64", 1)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """A request: its rows, the `id` that the answer repeats, the outputs that it asks for, and which of them as binary."""

    rows: Rows
    id: str | None
    outputs: tuple[str, ...]
    binary: frozenset[str] = frozenset()


def outputs_of(manifest: Manifest) -> Outputs:
    """The tensors that a model of the manifest's task answers with."""
    if manifest.task == "binary":
        return OUTPUTS
    if manifest.task == "multiclass":
        return {"label": ("BYTES", 1), "probabilities": ("FP64", len(manifest.target.classes))}
    return {"value": ("FP64", 1)}


def read_inference(
    body: bytes, decoder: Decoder, *, max_rows: int, header: int | None = None, known: Collection[str] = OUTPUTS
) -> Inference:
    """The tensors of a request, each of shape [n] or [n, 1], values flat or nested.

    `header` is the length of the JSON, where tensors follow it as binary data; `known` are the outputs that may be asked for.
    """
    raw = Raw(body[header:] if header is not None else b"")
    document = read_json(body if header is None else body[:header])
    inputs = document.get("inputs")
    if type(inputs) is not list or not all(type(tensor) is dict for tensor in inputs):
        raise RequestError("inputs: expected a list of tensors, each an object with name, shape, datatype and data")
    outputs = _read_outputs(document.get("outputs"), known)
    _check_parameters(document)
    kinds = {column.name: column for column in decoder.inputs}
    columns: dict[str, list[Any]] = {}
    count: int | None = None
    for tensor in inputs:
        name, values = _read_tensor(tensor, kinds, max_rows, raw)
        if name in columns:
            raise RequestError(f"inputs: the tensor {name!r} stands there twice", column=name)
        if count is not None and len(values) != count:
            raise RequestError(f"the tensor {name!r} has {len(values)} rows, those before it have {count}", column=name)
        count, columns[name] = len(values), values
    identifier = document.get("id")
    if identifier is not None and type(identifier) is not str:
        raise RequestError("id: expected a string")
    raw.refuse_rest()
    return Inference(rows=decoder.columns(columns, count or 0), id=identifier, outputs=outputs, binary=_binary_outputs(document, outputs))


def _check_parameters(document: dict[str, Any]) -> None:
    for part in (document, *document["inputs"], *(document.get("outputs") or ())):
        if type(part.get("parameters") or {}) is not dict:
            raise RequestError("parameters: expected an object")


def _binary_outputs(document: dict[str, Any], outputs: tuple[str, ...]) -> frozenset[str]:
    """Outputs that are asked for as binary data: each by its own parameter, else by the request's."""
    whole = (document.get("parameters") or {}).get("binary_data_output") is True
    own = {one["name"]: (one.get("parameters") or {}).get("binary_data", whole) for one in document.get("outputs") or ()}
    return frozenset(name for name in outputs if own.get(name, whole) is True)


def _read_tensor(tensor: dict[str, Any], kinds: Mapping[str, Input], max_rows: int, raw: Raw) -> tuple[str, list[Any]]:
    name, shape, datatype = (tensor.get(key) for key in ("name", "shape", "datatype"))
    if type(name) is not str:
        raise RequestError("inputs: a tensor has no name")
    if type(datatype) is not str or datatype not in NUMERIC | {"BOOL", "BYTES"}:
        raise RequestError(f"the tensor {name[:60]!r} has no known datatype (FP64, INT64, BOOL, BYTES and their like)", column=name[:256])
    column = kinds.get(name)
    if column is not None and datatype not in DATATYPES[column.type]:
        raise RequestError(
            f"the tensor {name!r} is {datatype}, the model reads a {column.type} ({METADATA_TYPE[column.type]})", column=name
        )
    if (
        type(shape) is not list
        or not 1 <= len(shape) <= 2
        or any(type(size) is not int or size < 0 for size in shape)
        or shape[1:] not in ([], [1])
    ):
        raise RequestError(f"the tensor {name[:60]!r}: expected a shape of [n] or [n, 1]", column=name[:256])
    limit_rows(shape[0], max_rows)
    data = raw.take(tensor, name, datatype, shape[0]) if "binary_data_size" in (tensor.get("parameters") or {}) else tensor.get("data")
    if type(data) is not list:
        raise RequestError(f"the tensor {name[:60]!r}: expected its data as a list", column=name[:256])
    if data and type(data[0]) is list:
        data = [value[0] if type(value) is list and len(value) == 1 else value for value in data]
    if len(data) != shape[0]:
        raise RequestError(f"the tensor {name[:60]!r} has {len(data)} values, its shape says {shape[0]}", column=name[:256])
    return name, data


def _read_outputs(outputs: Any, known: Collection[str]) -> tuple[str, ...]:
    if outputs is None or outputs == []:
        return tuple(known)
    if type(outputs) is not list or not all(type(output) is dict and type(output.get("name")) is str for output in outputs):
        raise RequestError("outputs: expected a list of objects with a name")
    names = tuple(dict.fromkeys(output["name"] for output in outputs))
    for name in names:
        if name not in known:
            raise RequestError(f"outputs: the model has no output {name[:60]!r}; known are {', '.join(known)}")
    return names


def write_inference(
    inference: Inference, labels: Sequence[str], probabilities: Sequence[float], *, name: str, version: str
) -> tuple[bytes, int | None]:
    """The answer to `/infer` of a binary task, and the length of its JSON where binary data follows."""
    data = {"label": labels, "probability": probabilities}
    return write_tensors(inference, data, OUTPUTS, count=len(labels), name=name, version=version)


def write_tensors(
    inference: Inference, data: Mapping[str, Sequence[Any]], kinds: Outputs, *, count: int, name: str, version: str
) -> tuple[bytes, int | None]:
    """The answer to `/infer`, made of each output's values row by row, and the length of its JSON where binary data follows."""
    outputs: list[dict[str, Any]] = []
    tail = b""
    for output in inference.outputs:
        datatype, width = kinds[output]
        described: dict[str, Any] = {"name": output, "datatype": datatype, "shape": [count, width]}
        if output in inference.binary:
            tensor = write_tensor(datatype, data[output])
            tail += tensor
            outputs.append({**described, "parameters": {"binary_data_size": len(tensor)}})
        else:
            outputs.append({**described, "data": data[output]})
    answer: dict[str, Any] = {"model_name": name, "model_version": version, "outputs": outputs}
    if inference.id is not None:
        answer["id"] = inference.id
    body = encode(answer)
    return (body + tail, len(body)) if inference.binary else (body, None)


def describe(manifest: Manifest, *, name: str, version: str, digest: str) -> dict[str, Any]:
    """The model's metadata in the Open Inference Protocol, with the bundle's digest beside it."""
    return {
        "name": name,
        "versions": [version],
        "platform": "onnxruntime",
        "inputs": [{"name": column.name, "datatype": METADATA_TYPE[column.type], "shape": [-1, 1]} for column in manifest.inputs],
        "outputs": [
            {"name": output, "datatype": datatype, "shape": [-1, width]} for output, (datatype, width) in outputs_of(manifest).items()
        ],
        "digest": digest,
    }
