"""The server's description of itself: OpenAPI 3.1 of this very bundle's inputs, and a page to try it on."""

from __future__ import annotations

import json
from typing import Any

from seatrial.bundle import Input, Manifest
from seatrial.serving.inference import METADATA_TYPE, outputs_of

_TYPES = {"number": "number", "integer": "integer", "boolean": "boolean", "category": "string"}
_ERRORS = {
    "400": "A row that cannot be answered, with its place",
    "413": "Too many rows or bytes",
    "415": "Another content type or encoding",
    "503": "Too many requests wait; ask again after Retry-After",
}


def openapi(manifest: Manifest, example: dict[str, Any], *, name: str, version: str, digest: str) -> dict[str, Any]:
    """The document; `example` is a row that the model answers."""
    return {
        "openapi": "3.1.0",
        "info": {"title": name, "version": version, "description": f"One bundle: {digest}"},
        "paths": {
            "/invocations": {"post": _invocations(example)},
            f"/v2/models/{name}/infer": {"post": _infer(manifest, example)},
            f"/v2/models/{name}": {"get": _get("The model's metadata")},
            **{path: {"get": _get(words)} for path, words in _GETS.items()},
        },
        "components": {"schemas": {"Row": _row(manifest), "Prediction": _prediction(manifest), "Error": _ERROR, "Tensor": _TENSOR}},
    }


_GETS = {
    "/ping": "Whether it answers",
    "/health": "Whether it answers",
    "/version": "Name, version, digest and process",
    "/metrics": "Counters for Prometheus",
    "/v2": "The server's metadata",
    "/v2/health/live": "Whether it answers",
    "/v2/health/ready": "Whether the model is loaded",
}
_ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "column", "row"],
            "properties": {
                "message": {"type": "string"},
                "column": {"type": ["string", "null"]},
                "row": {"type": ["integer", "null"], "description": "counted from 0"},
            },
        }
    },
}
_TENSOR: dict[str, Any] = {
    "type": "object",
    "required": ["name", "shape", "datatype", "data"],
    "properties": {
        "name": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1, "maxItems": 2},
        "datatype": {"type": "string"},
        "data": {"type": "array"},
        "parameters": {"type": "object"},
    },
}


def _prediction(manifest: Manifest) -> dict[str, Any]:
    probability = {"type": "number", "minimum": 0, "maximum": 1}
    if manifest.task == "regression":
        properties: dict[str, Any] = {"value": {"type": "number"}}
    elif manifest.task == "multiclass":
        properties = {"label": {"type": "string"}, "probabilities": {"type": "object", "additionalProperties": probability}}
    else:
        properties = {"label": {"type": "string"}, "probability": probability}
    return {"type": "object", "required": list(properties), "properties": properties}


def _row(manifest: Manifest) -> dict[str, Any]:
    return {
        "type": "object",
        "required": [column.name for column in manifest.inputs],
        "properties": {column.name: _property(column) for column in manifest.inputs},
    }


def _property(column: Input) -> dict[str, Any]:
    kind = _TYPES[column.type]
    described: dict[str, Any] = {"type": [kind, "null"] if column.nullable else kind}
    seen = [] if column.categories is None else [f"training saw {', '.join(column.categories[:20])}"]
    if column.minimum is not None and column.maximum is not None and column.type != "boolean":
        seen = [f"training saw {column.minimum:g} to {column.maximum:g}"]
    return {**described, "description": seen[0]} if seen else described


def _invocations(example: dict[str, Any]) -> dict[str, Any]:
    rows = {"type": "array", "items": {"$ref": "#/components/schemas/Row"}}
    records = {
        "type": "object",
        "required": ["dataframe_records"],
        "properties": {"dataframe_records": rows},
        "additionalProperties": False,
    }
    answer = {"type": "object", "required": ["predictions"], "properties": {"predictions": _list("Prediction")}}
    content = {"schema": records, "example": {"dataframe_records": [example]}}
    return {
        "summary": "Score rows (MLflow's protocol)",
        "requestBody": {"required": True, "content": {"application/json": content}},
        "responses": {"200": _answer("One prediction for each row", answer), **_errors()},
    }


def _infer(manifest: Manifest, example: dict[str, Any]) -> dict[str, Any]:
    tensors = [
        {"name": column.name, "shape": [1], "datatype": METADATA_TYPE[column.type], "data": [example[column.name]]}
        for column in manifest.inputs
    ]
    body = {"type": "object", "required": ["inputs"], "properties": {"id": {"type": "string"}, "inputs": _list("Tensor")}}
    outputs = {"type": "object", "required": ["model_name", "outputs"], "properties": {"outputs": _list("Tensor")}}
    return {
        "summary": f"Score tensors (Open Inference Protocol); outputs are {', '.join(outputs_of(manifest))}",
        "requestBody": {"required": True, "content": {"application/json": {"schema": body, "example": {"inputs": tensors}}}},
        "responses": {"200": _answer("One tensor for each output", outputs), **_errors()},
    }


def _list(name: str) -> dict[str, Any]:
    return {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}}


def _answer(words: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": words, "content": {"application/json": {"schema": schema}}}


def _errors() -> dict[str, Any]:
    return {status: {"description": words} for status, words in _ERRORS.items()}


def _get(words: str) -> dict[str, Any]:
    return {"summary": words, "responses": {"200": {"description": words}}}


_SCRIPT = """
const area = document.querySelector('textarea'), answer = document.querySelector('output');
document.querySelector('button').addEventListener('click', async () => {
  const started = performance.now();
  try {
    const reply = await fetch('invocations', {method: 'POST', headers: {'content-type': 'application/json'}, body: area.value});
    const text = await reply.text(), took = (performance.now() - started).toFixed(1);
    answer.textContent = `${reply.status} in ${took} ms\\n${text}`;
  } catch (error) { answer.textContent = String(error); }
});
"""
_STYLE = """
textarea { width: 100%; min-height: 18rem; font: .85rem ui-monospace, Menlo, Consolas, monospace; color: inherit; background: var(--sunk);
  border: 1px solid var(--line); border-radius: 6px; padding: .7rem }
button { font: inherit; padding: .45rem 1.1rem; margin: .6rem 0; border-radius: 6px; border: 1px solid var(--line);
  background: var(--link); color: var(--page); cursor: pointer }
output { display: block; white-space: pre-wrap; overflow-wrap: anywhere; font: .85rem ui-monospace, Menlo, Consolas, monospace }
"""


def docs_page(manifest: Manifest, example: dict[str, Any], *, name: str, version: str, digest: str) -> str:
    """A self-contained page: the inputs, and an example row that is answered when its button is pressed."""
    from seatrial.html import escape, page, table

    rows = [
        (f"<code>{escape(column.name)}</code>", column.type, "yes" if column.nullable else "no", escape(_seen(column)))
        for column in manifest.inputs
    ]
    request = json.dumps({"dataframe_records": [example]}, indent=2, ensure_ascii=False)
    head = (
        f'<header class="card"><h1>{escape(name)}, version {escape(version)}</h1><p class="soft small">{escape(digest)}</p>'
        '<p>Rows are scored by <code>POST /invocations</code>; <a href="openapi.json">openapi.json</a> describes every path.</p></header>'
    )
    trial = (
        f'<section><h2>Try it</h2><textarea aria-label="request" spellcheck="false">{escape(request)}</textarea>'
        '<button type="button">Score</button><output class="card" aria-live="polite">no answer yet</output></section>'
    )
    inputs = f"<section><h2>Inputs</h2>{table(('column', 'type', 'may be missing', 'seen in training'), rows)}</section>"
    return page(f"{name} {version}", head, trial, inputs, style=_STYLE, script=_SCRIPT, connect="'self'")


def _seen(column: Input) -> str:
    return str(_property(column).get("description", "")).removeprefix("training saw ")
