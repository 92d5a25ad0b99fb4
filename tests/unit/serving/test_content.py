import gzip
import zlib

import pytest

from seatrial.errors import RequestError
from seatrial.serving.content import Content, content_of, unpack


def of(tensors=False, **headers):
    return content_of({name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}, tensors=tensors)


@pytest.mark.parametrize("kind", [None, "application/json", "application/json; charset=UTF-8", "Application/JSON;charset=utf8"])
def test_json_is_read_with_and_without_its_name(kind):
    assert of(**({"content_type": kind} if kind else {})) == Content()


def test_csv_packed_bodies_and_binary_tensors_are_told_apart():
    assert of(content_type="text/csv; charset=utf-8", content_encoding="gzip") == Content(csv=True, packed=True)
    assert of(content_encoding="identity") == Content()
    assert of(tensors=True, content_type="application/octet-stream", inference_header_content_length="12") == Content(header=12)


@pytest.mark.parametrize(
    ("headers", "tensors", "status"),
    [
        ({"content_type": "text/html"}, False, 415),
        ({"content_type": "text/csv"}, True, 415),
        ({"content_type": "application/json; charset=latin-1"}, False, 415),
        ({"content_encoding": "br"}, False, 415),
        ({"inference_header_content_length": "12"}, False, 415),
        ({"inference_header_content_length": "-1"}, True, 400),
        ({"inference_header_content_length": "1" * 11}, True, 400),
        ({"inference_header_content_length": "²"}, True, 400),
    ],
)
def test_what_is_not_read_is_refused(headers, tensors, status):
    with pytest.raises(RequestError) as caught:
        content_of({name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}, tensors=tensors)
    assert caught.value.status == status


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
@pytest.mark.parametrize(("limit", "fits"), [(999, False), (1000, True), (1001, True)])
def test_a_packed_body_is_unpacked_up_to_the_limit(pack, limit, fits):
    packed = pack(b"x" * 1000)
    if fits:
        assert unpack(packed, limit) == b"x" * 1000
        return
    with pytest.raises(RequestError) as caught:
        unpack(packed, limit)
    assert caught.value.status == 413


def test_a_bomb_is_refused_without_being_unpacked():
    with pytest.raises(RequestError, match="more than 1000 bytes"):
        unpack(gzip.compress(b"\0" * 50_000_000), 1000)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"plain", "not packed"),
        (b"", "ends too early"),
        # with a time in it, two workers would name these two otherwise, and pytest-xdist refuses to run anything
        (gzip.compress(b"x" * 99, mtime=0)[:-4], "ends too early"),
        (gzip.compress(b"x", mtime=0) + b"y", "follows"),
    ],
)
def test_what_is_torn_or_not_packed_is_refused(body, words):
    with pytest.raises(RequestError, match=words):
        unpack(body, 1000)
