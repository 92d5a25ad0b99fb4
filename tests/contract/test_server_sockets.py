"""What strange clients do to the model server's socket: each gets a right answer or a 4xx in JSON, and the next one is answered."""

import gzip
import http.client
import json
import socket
import time

import pytest

from tests.bundles import ID, make_rows, probability_of
from tests.servers import connected, served, start_server, stop_server

pytestmark = pytest.mark.slow
ROW = make_rows(1)[0]
BODY = json.dumps({"dataframe_records": [ROW]}).encode()
PATIENCE = 1.0


@pytest.fixture(scope="module")
def uds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    process = start_server(folder, "--read-seconds", str(PATIENCE))
    yield folder / "s"
    assert "Traceback" not in stop_server(process)


@pytest.fixture(autouse=True)
def goes_on(uds):
    """Whatever a test did: the next client is answered, and nothing was a 5xx."""
    yield
    with connected(uds) as connection:
        connection.sendall(post(BODY))
        assert answer(connection)[0] == 200
        connection.sendall(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")
        assert b'status="5' not in answer(connection)[1]


def post(body, *headers, version=b"1.1", path=b"/invocations"):
    lines = b"".join(line + b"\r\n" for line in (b"host: x", b"content-length: %d" % len(body), *headers))
    return b"POST %b HTTP/%b\r\n%b\r\n%b" % (path, version, lines, body)


def chunked(*chunks, end=b"0\r\n\r\n"):
    pieces = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return b"POST /invocations HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n" + pieces + end


def answer(connection):
    """Status and body of the next answer."""
    found = http.client.HTTPResponse(connection)
    found.begin()
    return found.status, found.read()


def ask(uds, data):
    with connected(uds) as connection:
        connection.sendall(data)
        return answer(connection)


def error(uds, data):
    status, body = ask(uds, data)
    found = json.loads(body)["error"]
    assert found["message"]
    return status, found


def rest(connection):
    """All that still comes until the server closes."""
    found = b""
    try:
        while piece := connection.recv(65536):
            found += piece
    except ConnectionResetError:
        pass
    return found


def test_http_1_0_is_answered_and_closed(uds):
    with connected(uds) as connection:
        connection.sendall(post(BODY, version=b"1.0"))
        found = rest(connection)
    assert found.startswith(b"HTTP/1.1 200")
    assert json.loads(found.partition(b"\r\n\r\n")[2])["predictions"][0]["probability"] == pytest.approx(probability_of(ROW), abs=1e-6)


def test_a_request_byte_by_byte_is_answered_while_it_comes_in_time(uds):
    with connected(uds) as connection:
        for at in range(len(request := post(b'{"dataframe_records":[]}'))):
            connection.sendall(request[at : at + 1])
            time.sleep(0.002)
        assert answer(connection) == (200, b'{"predictions":[]}')


@pytest.mark.parametrize("start", [b"P", b"POST /invocations HTTP/1.1\r\nhost: x\r\nx-a: b\r\n", post(BODY)[:-1], chunked(BODY, end=b"")])
def test_a_request_that_never_ends_is_cut_off_by_the_server_itself(uds, start):
    with connected(uds) as connection:
        connection.sendall(start)
        begun = time.monotonic()
        status, body = answer(connection)
        assert (status, json.loads(body)["error"]["message"]) == (408, f"the request did not arrive within {PATIENCE:g} seconds")
        assert rest(connection) == b""
        assert time.monotonic() - begun < 20


def test_a_client_that_drips_is_cut_off_too(uds):
    with connected(uds) as connection:
        connection.sendall(b"POST /invocations HTTP/1.1\r\nhost: x\r\n")
        connection.settimeout(0.05)
        status = b""
        for number in range(200):
            try:
                connection.sendall(b"x-%d: y\r\n" % number)
                status = connection.recv(12)
            except TimeoutError:
                continue
            except BrokenPipeError:
                break
            break
    assert status == b"HTTP/1.1 408"


def test_the_second_request_of_a_connection_is_watched_as_the_first(uds):
    with connected(uds) as connection:
        connection.sendall(post(BODY))
        assert answer(connection)[0] == 200
        connection.sendall(post(BODY)[:40])
        assert answer(connection)[0] == 408


def test_a_connection_that_is_only_kept_is_not_told_anything(uds):
    with connected(uds) as connection:
        time.sleep(1.5 * PATIENCE)
        connection.sendall(post(BODY))
        assert answer(connection)[0] == 200


def test_over_a_network_who_says_nothing_at_all_is_cut_off(tmp_path):
    with served(tmp_path / "model", options=("--read-seconds", "0.3")) as port, socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(20)
        assert rest(connection).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize("times", [1, 3])
def test_a_half_closed_socket_gets_its_answers_and_is_closed(uds, times):
    with connected(uds) as connection:
        connection.sendall(post(BODY) * times)
        connection.shutdown(socket.SHUT_WR)
        found = rest(connection)
    assert found.count(b"HTTP/1.1 200") == times


def test_half_a_request_on_a_half_closed_socket_ends_the_connection(uds):
    with connected(uds) as connection:
        connection.sendall(post(BODY)[:-5])
        connection.shutdown(socket.SHUT_WR)
        assert rest(connection) == b""


def test_pipelined_requests_are_answered_in_order(uds):
    rows = make_rows(12)
    bodies = [json.dumps({"dataframe_records": rows[:1] * (1 if number % 2 else 300)}).encode() for number in range(12)]
    with connected(uds) as connection:
        connection.sendall(b"".join(post(body, b"x-request-id: r%d" % number) for number, body in enumerate(bodies)))
        stream = connection.makefile("rb")
        ids, counts = [], []
        for _ in bodies:
            head = b"".join(iter(stream.readline, b"\r\n"))
            fields = dict(line.split(b": ", 1) for line in head.splitlines()[1:])
            ids.append(fields[b"x-request-id"].decode())
            counts.append(len(json.loads(stream.read(int(fields[b"content-length"])))["predictions"]))
    assert ids == [f"r{number}" for number in range(12)]
    assert counts == [1 if number % 2 else 300 for number in range(12)]


def test_who_expects_100_continue_gets_it_and_then_the_answer(uds):
    with connected(uds) as connection:
        connection.sendall(post(BODY, b"expect: 100-continue")[: -len(BODY)])
        assert connection.recv(65536).startswith(b"HTTP/1.1 100")
        connection.sendall(BODY)
        assert answer(connection)[0] == 200


def test_who_expects_100_continue_for_too_much_is_refused_before_it_is_sent(uds):
    head = b"POST /invocations HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 99999999\r\n\r\n"
    assert error(uds, head)[0] == 413


def test_chunks_of_any_size_are_one_body(uds):
    for size in (1, 7, len(BODY)):
        pieces = [BODY[at : at + size] for at in range(0, len(BODY), size)]
        assert ask(uds, chunked(*pieces))[0] == 200
    assert ask(uds, chunked(BODY, end=b"0\r\ntrailer: x\r\n\r\n"))[0] == 200


@pytest.mark.parametrize(
    "chunk", [b"zz\r\n{}\r\n", b"-1\r\n{}\r\n", b"ffffffffffffffffff\r\n{}\r\n", b"2\r\n{}{}\r\n", b"\r\n\r\n", b"0x2\r\n{}\r\n"]
)
def test_a_chunk_of_no_size_is_a_400(uds, chunk):
    assert error(uds, chunked(end=chunk))[0] == 400


@pytest.mark.parametrize(
    "request_",
    [
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST /invocations HTTP/9.9\r\n\r\n",
        b"POST /invocations HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST /invocations HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}",
        b"POST /invocations HTTP/1.1\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /invocations HTTP/1.1\r\nbad header\r\n\r\n",
        b"GET http://[::1 HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_no_http_is_a_400_in_json(uds, request_):
    assert error(uds, request_)[0] == 400


@pytest.mark.parametrize("target", [b"*", b"http://elsewhere/nothing", b"/%00%ff%zz", b"/" + b"a" * 60_000, b"//", b"/..;/x"])
def test_a_strange_target_is_a_4xx(uds, target):
    assert 400 <= error(uds, b"GET %b HTTP/1.1\r\nhost: x\r\n\r\n" % target)[0] < 500


@pytest.mark.parametrize(("size", "status"), [(1_000, 200), (60_000, 200), (5_000_000, 431)])
def test_a_head_without_end_is_refused(uds, size, status):
    with connected(uds) as connection:
        line = b"x-a: " + b"b" * 990 + b"\r\n"
        try:
            connection.sendall(b"POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n" % len(BODY) + line * (size // len(line)))
            connection.sendall(b"\r\n" + BODY)
        except (BrokenPipeError, ConnectionResetError):
            assert status == 431
        try:
            assert answer(connection)[0] == status
        except ConnectionResetError:
            assert status == 431


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"0x10", b"01", b"+1"])
def test_a_number_that_is_no_json_is_a_400(uds, number):
    body = BODY.replace(b'"visits": %d' % ROW["visits"], b'"visits": ' + number)
    assert error(uds, post(body))[0] == 400


@pytest.mark.parametrize("depth", [1_000, 200_000])
def test_json_that_is_too_deep_is_a_400(uds, depth):
    for body in (b"[" * depth + b"]" * depth, b'{"a":' * depth + b"1" + b"}" * depth, b'{"dataframe_records":' + b"[" * depth):
        assert error(uds, post(body))[0] == 400


def test_a_key_that_stands_twice_is_a_400_that_names_it(uds):
    assert "visits" in error(uds, post(BODY.replace(b"}]", b',"visits":1}]')))[1]["message"]


@pytest.mark.parametrize(
    "kind", [b"text/plain", b"multipart/form-data; boundary=x", b"application/xml", b"application/json; charset=utf-16", b"\xff"]
)
def test_another_content_type_is_a_415(uds, kind):
    assert error(uds, post(BODY, b"content-type: " + kind))[0] == 415


def test_a_bomb_is_a_413_whatever_it_is_packed_in(uds):
    bomb = gzip.compress(b"\0" * 200_000_000, 9)
    assert len(bomb) < 250_000
    assert error(uds, post(bomb, b"content-encoding: gzip"))[0] == 413
    assert error(uds, post(gzip.compress(bomb), b"content-encoding: gzip"))[0] == 400


@pytest.mark.parametrize(("count", "status"), [(0, 200), (1, 200), (9_999, 200), (10_000, 200), (10_001, 413)])
def test_a_batch_is_answered_up_to_ten_thousand_rows(uds, count, status):
    rows = [{name: value for name, value in ROW.items() if name != ID}] * count
    found, body = ask(uds, post(json.dumps({"dataframe_records": rows}, separators=(",", ":")).encode()))
    assert found == status
    if status == 200:
        assert len(json.loads(body)["predictions"]) == count


@pytest.mark.parametrize(
    ("change", "column", "row"),
    [({"visits": None}, "visits", 1), ({"visits": "many"}, "visits", 1), ({"member": 7}, "member", 1), ({"amount": 10**400}, "amount", 1)],
)
def test_a_cell_that_cannot_be_read_is_named_by_column_and_row(uds, change, column, row):
    status, found = error(uds, post(json.dumps({"instances": [ROW, {**ROW, **change}, ROW]}).encode()))
    assert (status, found["column"], found["row"]) == (400, column, row)


def test_columns_that_the_model_does_not_read_are_answered_and_counted(uds):
    def counted():
        text = ask(uds, b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")[1].decode()
        return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("seatrial_unknown_columns_total "))

    before, wide = counted(), {**ROW, "shoe": 42, "mood": None}
    single = ask(uds, post(json.dumps({"instances": [wide]}).encode()))
    assert single == ask(uds, post(BODY))
    assert counted() - before == 2
    assert ask(uds, post(json.dumps({"instances": [wide, ROW, wide]}).encode()))[0] == 200
    assert counted() - before == 6
    assert ask(uds, post(json.dumps({"inputs": {name: [value, value] for name, value in wide.items()}}).encode()))[0] == 200
    assert counted() - before == 10
