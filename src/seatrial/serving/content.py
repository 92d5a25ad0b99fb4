"""What a request's headers say of its body: JSON or CSV, packed or not, with binary tensors behind it or not."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from seatrial.errors import RequestError

JSON = b"application/json"
BINARY = b"application/octet-stream"
_WINDOW = 47
"""zlib's word for "gzip or zlib, see by the first bytes"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """How to read a body; `header` is the length of the JSON that binary tensors follow."""

    csv: bool = False
    packed: bool = False
    header: int | None = None


PLAIN = Content()


def content_of(headers: Mapping[bytes, bytes], *, tensors: bool) -> Content:
    """How to read the body; RequestError (415) for what is read nowhere, or not by this path. No content type counts as JSON.

    `tensors` is true for the Open Inference Protocol, which knows binary tensors and no CSV.
    """
    kind, encoding, length = (headers.get(name) for name in (b"content-type", b"content-encoding", b"inference-header-content-length"))
    if (kind is None or kind == JSON) and encoding is None and length is None:
        return PLAIN
    packed = _is_packed(encoding)
    if length is not None:
        return Content(packed=packed, header=_header_length(length, tensors=tensors))
    return Content(csv=_is_csv(kind, tensors=tensors), packed=packed)


def _is_packed(encoding: bytes | None) -> bool:
    name = (encoding or b"identity").strip().lower()
    if name not in (b"identity", b"gzip", b"x-gzip", b"deflate"):
        shown = name.decode("latin-1")[:60]
        raise RequestError(f"the content encoding {shown!r} is not read here; send gzip, deflate, or the body as it is", status=415)
    return name != b"identity"


def _header_length(length: bytes, *, tensors: bool) -> int:
    if not tensors:
        raise RequestError("binary tensors belong to the Open Inference Protocol: /v2/models/{name}/infer", status=415)
    if not length.isdigit() or len(length) > 10:
        shown = length.decode("latin-1")[:60]
        raise RequestError(f"Inference-Header-Content-Length is {shown!r}; it is the JSON's length in bytes")
    return int(length)


def _is_csv(header: bytes | None, *, tensors: bool) -> bool:
    kind, _, parameters = (JSON if header is None else header).decode("latin-1").lower().partition(";")
    known = ("application/json",) if tensors else ("application/json", "text/csv")
    if kind.strip() not in known:
        raise RequestError(f"the content type {kind.strip()[:60]!r} is not read here; send {' or '.join(known)}", status=415)
    charset = parameters.strip().removeprefix("charset=").strip('"')
    if charset not in ("", "utf-8", "utf8", "us-ascii"):
        raise RequestError(f"the content type's parameter {parameters.strip()[:60]!r} is not read here; send UTF-8", status=415)
    return kind.strip() == "text/csv"


def unpack(body: bytes, limit: int) -> bytes:
    """The body behind gzip or deflate; RequestError where it has more than `limit` bytes, is torn, or is neither."""
    engine = zlib.decompressobj(_WINDOW)
    try:
        plain = engine.decompress(body, limit + 1)
    except zlib.error as error:
        raise RequestError(f"the body is not packed as its content encoding says: {error}") from None
    if len(plain) > limit:
        raise RequestError(f"the body has more than {limit} bytes once it is unpacked; send the rows in parts", status=413)
    if not engine.eof:
        raise RequestError("the packed body ends too early")
    if engine.unused_data:
        raise RequestError("something follows the packed body")
    return plain
