"""What all protocols of the server share: a JSON object read strictly, a bound on rows, a refusal written down."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from seatrial.errors import RequestError

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


def limit_rows(count: int, max_rows: int) -> None:
    """RequestError (413) for more rows than one request may have."""
    if count > max_rows:
        raise RequestError(f"{count} rows in one request; at most {max_rows} are answered, send them in parts", status=413)


def write_error(error: RequestError, *, short: bool = False) -> bytes:
    """A refusal as JSON; `short` as the Open Inference Protocol has it, where the error is a sentence and its place stands beside it."""
    if short:
        return encode({"error": error.message, "column": error.column, "row": error.row})
    return encode({"error": {"message": error.message, "column": error.column, "row": error.row}})
