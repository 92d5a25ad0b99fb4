import pytest

from seatrial.errors import RequestError
from seatrial.serving.exchange import PATIENCE, Reply, check_waited, in_http, patience, request_of
from seatrial.serving.waiting import _is_one_post


def request(*headers):
    return request_of({"path": "/invocations", "method": "POST", "headers": list(headers)}, started=0.0)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [(b"500", 0.5), (b"2000", 2.0), (b"2001", 2.0), (b"0", 0.0), (b"", 2.0), (b"-1", 2.0), (b"1e9", 2.0), (b"9" * 30, 2.0)],
)
def test_a_client_may_shorten_how_long_its_request_waits_and_never_lengthen_it(given, seconds):
    assert patience({PATIENCE: given}, 2.0) == seconds


@pytest.mark.parametrize(("seconds", "refused"), [(1.99, False), (2.0, False), (2.01, True)], ids=["below", "at", "above"])
def test_a_request_is_refused_once_it_has_waited_longer_than_it_may(seconds, refused):
    if not refused:
        check_waited(request(), seconds, limit=2.0)
        return
    with pytest.raises(RequestError, match="longer than its 2 s") as caught:
        check_waited(request(), seconds, limit=2.0)
    assert caught.value.status == 503


def test_a_request_keeps_a_sane_id_and_gets_one_where_it_has_none():
    assert request((b"x-request-id", b"a-1")).id == b"a-1"
    assert len(request((b"x-request-id", b"a b")).id) == 32
    assert request().id != request().id


@pytest.mark.parametrize("keep_alive", [True, False])
def test_an_answer_in_http_has_its_headers_its_length_and_its_body(keep_alive):
    reply = Reply(body=b"{}", status=503, extra=((b"retry-after", b"1"),))
    written = in_http(request((b"x-request-id", b"a")), reply, first=[(b"date", b"today")], identity=b"x-v: 3\r\n", keep_alive=keep_alive)
    head = b"HTTP/1.1 503 Service Unavailable\r\ndate: today\r\nx-v: 3\r\nx-request-id: a\r\ncontent-type: application/json\r\n"
    end = b"content-length: 2\r\nretry-after: 1\r\n" + (b"" if keep_alive else b"connection: close\r\n")
    assert written == head + end + b"\r\n{}"


WHOLE = b"POST /invocations HTTP/1.1\r\nhost: x\r\nContent-Length: 3\r\n\r\nabc"


@pytest.mark.parametrize(
    ("data", "plain"),
    [
        (WHOLE, True),
        (WHOLE[:-1], False),
        (WHOLE + b"d", False),
        (WHOLE + WHOLE, False),
        (WHOLE.replace(b"1.1", b"1.0"), False),
        (WHOLE.replace(b"POST", b"GET"), False),
        (WHOLE.replace(b"host: x", b"connection: close"), False),
        (WHOLE.replace(b"host: x", b"Transfer-Encoding: chunked"), False),
        (WHOLE.replace(b"host: x", b"expect: 100-continue"), False),
        (WHOLE.replace(b"host: x", b"content-length: 3"), False),
        (WHOLE.replace(b"host: x", b"content-length: 4"), False),
        (WHOLE.replace(b"host: x", b"content-length : 4"), False),
        (WHOLE.replace(b"Content-Length: 3", b"Content-Length: +3"), False),
        (WHOLE[WHOLE.index(b"\r\n\r\n") :], False),
        (b"", False),
    ],
)
def test_only_one_whole_request_with_nothing_special_is_refused_unparsed(data, plain):
    assert _is_one_post(data) is plain
