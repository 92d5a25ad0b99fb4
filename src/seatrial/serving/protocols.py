"""What requests and answers look like: MLflow's scoring protocol and the Open Inference Protocol, both as JSON.

Requests go in as bytes and come out as checked rows (or as RequestError); answers are bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from seatrial.bundle import Input, Manifest
from seatrial.errors import RequestError
from seatrial.serving.rows import Decoder, Rows

NUMERIC = frozenset({"FP16", "FP32", "FP64", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"})
DATATYPES = {
    "number": NUMERIC,
    "integer": NUMERIC,
    "boolean": NUMERIC | {"BOOL"},
    "category": frozenset({"BYTES"}),
}
METADATA_TYPE = {"number": "FP64", "integer": "INT64", "boolean": "BOOL", "category": "BYTES"}
OUTPUTS = {"label": "BYTES", "probability": "FP64"}

_decode = msgspec.json.Decoder().decode
encode = msgspec.json.Encoder().encode


def read_json(body: bytes) -> dict[str, Any]:
    """A JSON object; RequestError for anything else, and for an object that says a key twice."""
    if not body:
        raise RequestError("the body is empty; send a JSON object")
    try:
        document = _decode(body)
        # Each key brings a colon: where there are no more colons than keys were kept, none was said twice.
        if type(document) is dict and body.count(b":") != _count_keys(document):
            json.loads(body, object_pairs_hook=_refuse_duplicates)
    except RequestError:
        raise
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise RequestError(f"the body is not valid JSON: {_reason(body, error)}") from None
    if type(document) is not dict:
        raise RequestError("the body is JSON, but not an object")
    return document


def _count_keys(document: dict[str, Any]) -> int:
    """Keys of the object and of the objects one level below; those further down only make the slow way be taken."""
    count = len(document)
    for value in document.values():
        if type(value) is list:
            count += sum([len(item) for item in value if type(item) is dict])
        elif type(value) is dict:
            count += len(value)
    return count


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise RequestError(f"the key {key[:60]!r} stands twice in one object; send it once", column=key[:256])
        seen.add(key)


def _reason(body: bytes, error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if b"NaN" in body or b"Infinity" in body:
        return f"{error} (NaN and Infinity are not JSON; a missing value is null)"
    return str(error)


def read_invocation(body: bytes, decoder: Decoder, *, max_rows: int) -> Rows:
    """The rows of `POST /invocations`: `dataframe_records` or `dataframe_split`."""
    document = read_json(body)
    for key in document:
        if key not in ("dataframe_records", "dataframe_split"):
            raise RequestError(f"the key {key[:60]!r} is not supported; send dataframe_records or dataframe_split, and nothing beside it")
    if len(document) != 1:
        raise RequestError("send either dataframe_records or dataframe_split, exactly one of them")
    if "dataframe_split" in document:
        return _read_split(document["dataframe_split"], decoder, max_rows)
    records = document["dataframe_records"]
    if type(records) is not list:
        raise RequestError("dataframe_records: expected a list of objects, one for each row")
    _limit(len(records), max_rows)
    return decoder.records(records)


def _limit(count: int, max_rows: int) -> None:
    if count > max_rows:
        raise RequestError(f"{count} rows in one request; at most {max_rows} are answered, send them in parts", status=413)


def _read_split(split: Any, decoder: Decoder, max_rows: int) -> Rows:
    if type(split) is not dict:
        raise RequestError("dataframe_split: expected an object with columns and data")
    unknown = sorted(split.keys() - {"columns", "data", "index"})
    if unknown:
        raise RequestError(f"dataframe_split: the key {unknown[0][:60]!r} is not supported; known are columns, data, index")
    names, data = split.get("columns"), split.get("data")
    if type(names) is not list or not all(type(name) is str for name in names):
        raise RequestError("dataframe_split.columns: expected a list of column names")
    if type(data) is not list:
        raise RequestError("dataframe_split.data: expected a list of rows, each a list of values")
    _limit(len(data), max_rows)
    if len(names) != len(set(names)):
        twice = _first_repeated(names)
        raise RequestError(f"dataframe_split.columns: {twice[:60]!r} stands there twice", column=twice[:256])
    for row, values in enumerate(data):
        if type(values) is not list or len(values) != len(names):
            found = f"{len(values)} values" if type(values) is list else "no list"
            raise RequestError(f"dataframe_split.data: row {row} has {found}, there are {len(names)} columns", row=row)
    columns = zip(*data, strict=True) if data else ([] for _ in names)
    return decoder.columns(dict(zip(names, columns, strict=True)), len(data))


def _first_repeated(names: list[str]) -> str:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    raise ValueError("no name stands there twice")


def write_predictions(labels: Sequence[str], probabilities: Sequence[float]) -> bytes:
    """The answer to `/invocations`."""
    return encode({"predictions": [{"label": label, "probability": value} for label, value in zip(labels, probabilities, strict=True)]})


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """An Open Inference request: its rows, the `id` that the answer repeats, and the outputs it asks for."""

    rows: Rows
    id: str | None
    outputs: tuple[str, ...]


def read_inference(body: bytes, decoder: Decoder, *, max_rows: int) -> Inference:
    """The tensors of `POST /v2/models/{name}/infer`, each of shape [n] or [n, 1], values flat or nested."""
    document = read_json(body)
    inputs = document.get("inputs")
    if type(inputs) is not list or not all(type(tensor) is dict for tensor in inputs):
        raise RequestError("inputs: expected a list of tensors, each an object with name, shape, datatype and data")
    outputs = _read_outputs(document.get("outputs"))
    _refuse_binary(document)
    kinds = {column.name: column for column in decoder.inputs}
    columns: dict[str, list[Any]] = {}
    count: int | None = None
    for tensor in inputs:
        name, values = _read_tensor(tensor, kinds, max_rows)
        if name in columns:
            raise RequestError(f"inputs: the tensor {name!r} stands there twice", column=name)
        if count is not None and len(values) != count:
            raise RequestError(f"the tensor {name!r} has {len(values)} rows, those before it have {count}", column=name)
        count, columns[name] = len(values), values
    identifier = document.get("id")
    if identifier is not None and type(identifier) is not str:
        raise RequestError("id: expected a string")
    return Inference(rows=decoder.columns(columns, count or 0), id=identifier, outputs=outputs)


def _refuse_binary(document: dict[str, Any]) -> None:
    """Binary tensors are announced by parameters of a tensor or of the whole request."""
    for part in (document, *document["inputs"], *(document.get("outputs") or ())):
        parameters = part.get("parameters")
        if parameters is not None and type(parameters) is not dict:
            raise RequestError("parameters: expected an object")
        asked = [key for key, value in (parameters or {}).items() if key.startswith("binary_data") and value]
        if asked:
            raise RequestError(f"binary tensors ({asked[0]}) are not supported; send and ask for JSON data")


def _read_tensor(tensor: dict[str, Any], kinds: Mapping[str, Input], max_rows: int) -> tuple[str, list[Any]]:
    name, shape, datatype, data = (tensor.get(key) for key in ("name", "shape", "datatype", "data"))
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
    _limit(shape[0], max_rows)
    if type(data) is not list:
        raise RequestError(f"the tensor {name[:60]!r}: expected its data as a list", column=name[:256])
    if data and type(data[0]) is list:
        data = [value[0] if type(value) is list and len(value) == 1 else value for value in data]
    if len(data) != shape[0]:
        raise RequestError(f"the tensor {name[:60]!r} has {len(data)} values, its shape says {shape[0]}", column=name[:256])
    return name, data


def _read_outputs(outputs: Any) -> tuple[str, ...]:
    if outputs is None or outputs == []:
        return tuple(OUTPUTS)
    if type(outputs) is not list or not all(type(output) is dict and type(output.get("name")) is str for output in outputs):
        raise RequestError("outputs: expected a list of objects with a name")
    names = tuple(dict.fromkeys(output["name"] for output in outputs))
    for name in names:
        if name not in OUTPUTS:
            raise RequestError(f"outputs: the model has no output {name[:60]!r}; known are {', '.join(OUTPUTS)}")
    return names


def write_inference(inference: Inference, labels: Sequence[str], probabilities: Sequence[float], *, name: str, version: str) -> bytes:
    """The answer to `/infer`."""
    data: dict[str, Sequence[Any]] = {"label": labels, "probability": probabilities}
    shape = [len(labels), 1]
    outputs = [{"name": output, "datatype": OUTPUTS[output], "shape": shape, "data": data[output]} for output in inference.outputs]
    answer: dict[str, Any] = {"model_name": name, "model_version": version, "outputs": outputs}
    if inference.id is not None:
        answer["id"] = inference.id
    return encode(answer)


def describe(manifest: Manifest, *, name: str, version: str, digest: str) -> dict[str, Any]:
    """The model's metadata in the Open Inference Protocol, with the bundle's digest beside it."""
    return {
        "name": name,
        "versions": [version],
        "platform": "onnxruntime",
        "inputs": [{"name": column.name, "datatype": METADATA_TYPE[column.type], "shape": [-1, 1]} for column in manifest.inputs],
        "outputs": [{"name": output, "datatype": datatype, "shape": [-1, 1]} for output, datatype in OUTPUTS.items()],
        "digest": digest,
    }


def write_error(error: RequestError) -> bytes:
    """A refusal as JSON."""
    return encode({"error": {"message": error.message, "column": error.column, "row": error.row}})
