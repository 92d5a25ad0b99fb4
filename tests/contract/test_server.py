"""The model server as a process: started, asked, stopped, killed."""

from __future__ import annotations

import gzip
import http.client
import json
import re
import resource
import select
import signal
import socket
import stat
import subprocess
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import psutil
import pytest

from seatrial.adapters.envoy import GENEROUS
from seatrial.bundle import read_digest
from seatrial.serving.predictions import read_log
from tests.bundles import make_bundle, make_rows, probability_of

pytestmark = pytest.mark.slow
START_SECONDS = 30


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=20)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(str(self.path))


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Server:
    process: subprocess.Popen[str]
    uds: Path
    digest: str
    log: Path

    def ask(self, path: str, document: Any = None, *, method: str | None = None, body: bytes | None = None, **headers: str) -> Answer:
        connection = UnixConnection(self.uds)
        try:
            if document is not None:
                body = json.dumps(document).encode()
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method or ("GET" if body is None else "POST"), path, body, sent)
            response = connection.getresponse()
            return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
        finally:
            connection.close()

    def score(self, rows: list[dict[str, Any]], **headers: str) -> Answer:
        return self.ask("/invocations", {"dataframe_records": rows}, content_type="application/json", **headers)

    def raw(self, data: bytes, *, half_close: bool = False) -> bytes:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(20)
            connection.connect(str(self.uds))
            connection.sendall(data)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
            return answer

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(timeout=20)


def command(bundle: Path, *options: str, digest: str | None = None) -> list[str]:
    name = ["--bundle", str(bundle), "--digest", digest or read_digest(bundle), "--version", "3", "--name", "leavers"]
    return [sys.executable, "-m", "seatrial.serving.server", *name, *options]


def start(folder: Path, bundle: Path, *options: str) -> Server:
    uds, log = folder / "s", folder / "log"
    arguments = command(bundle, "--uds", str(uds), "--log", str(log), *options)
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder)
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line.startswith("ready"):
        process.kill()
        raise AssertionError(process.communicate()[1])
    return Server(process=process, uds=uds, digest=read_digest(bundle), log=log)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles") / "model"
    make_bundle(folder, constant=float("nan"), constant_above=1e6)
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory, bundle):
    running = start(tmp_path_factory.mktemp("server"), bundle, "--flush-seconds", "0.1", "--max-rows", "50", "--max-body", "100000")
    yield running
    assert running.stop() == 0


@pytest.fixture
def own_server(tmp_path, bundle):
    """A server that a test may stop or kill."""
    running = start(tmp_path, bundle, "--flush-seconds", "0.05")
    yield running
    running.stop()


def test_a_sampled_log_keeps_whole_requests_by_their_id(tmp_path, bundle):
    running = start(tmp_path, bundle, "--sample", "0.5", "--flush-seconds", "0.05")
    try:
        for number in range(60):
            assert running.score(make_rows(2), x_request_id=f"r{number}").status == 200
    finally:
        assert running.stop() == 0
    kept = read_log(running.log)["request_id"].to_list()
    assert 15 <= len(set(kept)) <= 45
    assert len(kept) == 2 * len(set(kept))


def whole_answer(client):
    """Status, body and Retry-After of the next answer on a connection."""
    answer = http.client.HTTPResponse(client)
    answer.begin()
    return answer.status, answer.read(), answer.headers["retry-after"]


def test_past_the_queue_a_request_is_refused_at_once_and_later_answered(tmp_path, bundle):
    running = start(tmp_path, bundle, "--max-waiting", "4")
    body = json.dumps({"dataframe_records": make_rows(1)}).encode()
    request = b"POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    try:
        clients = [socket.socket(socket.AF_UNIX) for _ in range(80)]
        for client in clients:
            client.settimeout(20)
            client.connect(str(running.uds))
            client.sendall(b"GET /ping HTTP/1.1\r\nhost: x\r\n\r\n")
            assert whole_answer(client) == (200, b'{"status":"ok"}', None)
        running.process.send_signal(signal.SIGSTOP)  # so that all of them are there when it looks
        for client in clients:
            client.sendall(request)
        running.process.send_signal(signal.SIGCONT)
        answers = [whole_answer(client) for client in clients]
        refused = [body for status, body, after in answers if (status, after) == (503, "1")]
        assert {status for status, _, _ in answers} == {200, 503}
        assert len(refused) == sum(status == 503 for status, _, _ in answers)
        assert all("too many requests wait" in json.loads(body)["error"]["message"] for body in refused)
        for client in clients:  # a refused connection goes on
            client.sendall(request)
            assert whole_answer(client)[0] == 200
            client.close()
        counted = running.ask("/metrics").body.decode()
        assert f'seatrial_requests_total{{status="503"}} {len(refused)}' in counted
    finally:
        running.process.send_signal(signal.SIGCONT)
        assert running.stop() == 0


def waiting_together(running, requests):
    """The answers to requests, each on a connection of its own, that are all there when the server looks."""
    clients = [socket.socket(socket.AF_UNIX) for _ in requests]
    for client in clients:
        client.settimeout(20)
        client.connect(str(running.uds))
        client.sendall(b"GET /ping HTTP/1.1\r\nhost: x\r\n\r\n")
        assert whole_answer(client)[0] == 200
    running.process.send_signal(signal.SIGSTOP)
    for client, request in zip(clients, requests, strict=True):
        client.sendall(request)
    running.process.send_signal(signal.SIGCONT)
    answers = [whole_answer(client) for client in clients]
    for client in clients:
        client.close()
    return answers


def posted(body, *headers):
    head = b"".join(b"%b\r\n" % line for line in (b"host: x", b"content-type: application/json", *headers))
    return b"POST /invocations HTTP/1.1\r\n%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body)


def test_requests_that_wait_together_get_the_answers_that_they_get_alone(own_server):
    bodies = [json.dumps({"dataframe_records": [row]}).encode() for row in make_rows(40)]
    bodies[3], bodies[17], bodies[30] = b"{", b'{"dataframe_records": [{}]}', json.dumps({"dataframe_records": make_rows(5)}).encode()
    alone = [own_server.ask("/invocations", body=body) for body in bodies]
    together = waiting_together(own_server, [posted(body) for body in bodies])
    assert [(status, body) for status, body, _ in together] == [(answer.status, answer.body) for answer in alone]
    assert [answer.status for answer in alone].count(400) == 2


@pytest.mark.parametrize(("milliseconds", "status"), [(b"0", 503), (b"60000", 200), (b"soon", 200), (b"9999999999", 200)])
def test_who_waits_longer_than_the_client_would_is_refused_without_being_scored(own_server, milliseconds, status):
    body = json.dumps({"dataframe_records": make_rows(1)}).encode()
    ((found, text, after),) = waiting_together(own_server, [posted(body, b"x-envoy-expected-rq-timeout-ms: " + milliseconds)])
    assert (found, after) == ((503, "1") if status == 503 else (200, None))
    assert status == 200 or "longer than its 0 s" in json.loads(text)["error"]["message"]
    assert f"seatrial_rows_total {int(status == 200)}\n" in own_server.ask("/metrics").body.decode()


@pytest.mark.parametrize("size", [1, 5_000], ids=["small", "large"])
def test_nobody_waits_longer_than_the_server_allows(tmp_path, bundle, size):
    running = start(tmp_path, bundle, "--deadline-seconds", "0")
    try:
        answer = running.score(make_rows(size))
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert "the request waited" in answer.json["error"]["message"]
        assert running.ask("/ping").status == 200
    finally:
        assert running.stop() == 0


def test_as_many_as_envoy_lets_through_may_connect_while_the_server_looks_away(own_server, many_files):
    own_server.process.send_signal(signal.SIGSTOP)
    clients = [socket.socket(socket.AF_UNIX) for _ in range(GENEROUS)]
    try:
        for client in clients:
            client.setblocking(False)
        refused = [client.connect_ex(str(own_server.uds)) for client in clients]
        assert refused == [0] * GENEROUS
    finally:
        for client in clients:
            client.close()
        own_server.process.send_signal(signal.SIGCONT)
    assert own_server.ask("/ping").status == 200


def test_new_clients_are_heard_soon_while_others_keep_the_server_busy(own_server):
    """One connection a pass of the event loop would be one new client for every 64 answers."""
    request = posted(json.dumps({"dataframe_records": make_rows(20)}).encode())
    groups = deque([[socket.socket(socket.AF_UNIX) for _ in range(64)] for _ in range(8)])
    strangers = [socket.socket(socket.AF_UNIX) for _ in range(200)]
    for client in chain(*groups):
        client.connect(str(own_server.uds))
    own_server.process.send_signal(signal.SIGSTOP)
    for client in chain(*groups, strangers):
        if client in strangers:
            client.connect(str(own_server.uds))
        client.sendall(request)
    own_server.process.send_signal(signal.SIGCONT)
    answered, waiting = 0, set(strangers)
    while waiting:
        for client in groups[0]:
            assert whole_answer(client)[0] == 200
            client.sendall(request)
        answered += len(groups[0])
        groups.rotate(-1)
        waiting -= set(select.select(waiting, [], [], 0)[0])
    assert [whole_answer(client)[0] for client in strangers] == [200] * len(strangers)
    assert answered < 20 * len(strangers)
    for client in chain(*groups, strangers):
        client.close()


def test_a_shell_s_usual_limit_of_open_files_does_not_bound_the_connections(tmp_path, bundle, many_files):
    _, hard = many_files
    resource.setrlimit(resource.RLIMIT_NOFILE, (1_024, hard))
    running = start(tmp_path, bundle)
    resource.setrlimit(resource.RLIMIT_NOFILE, (GENEROUS, hard))
    clients = [UnixConnection(running.uds) for _ in range(1_500)]
    try:
        for client in clients:
            client.request("GET", "/ping")
        assert Counter(client.getresponse().status for client in clients) == {200: 1_500}
    finally:
        for client in clients:
            client.close()
        assert running.stop() == 0


@pytest.fixture
def many_files():
    """A test with thousands of sockets open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, GENEROUS + 1_000), hard))
    yield soft, hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


HEADS = {
    "plain": [b"host: x"],
    "close": [b"host: x", b"connection: close"],
    "chunked": [b"host: x", b"transfer-encoding: chunked"],
    "expect": [b"host: x", b"expect: 100-continue"],
}


@pytest.mark.parametrize("kind", HEADS)
def test_a_full_queue_refuses_each_kind_of_request_and_loses_no_byte(tmp_path, bundle, kind):
    running = start(tmp_path, bundle, "--max-waiting", "0")
    body = b"5\r\nabcde\r\n0\r\n\r\n" if kind == "chunked" else b"abcde"
    length = [] if kind == "chunked" else [b"content-length: 5"]
    request = b"\r\n".join([b"POST /invocations HTTP/1.1", *HEADS[kind], *length, b"", body])
    last = b"GET /ping HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(20)
            client.connect(str(running.uds))
            client.sendall(request[:30])
            time.sleep(0.05)
            client.sendall(request[30:])
            assert whole_answer(client)[0] == 503
            if kind != "close":
                client.sendall(request)
                assert whole_answer(client)[0] == 503
                client.sendall(request + last)
            rest = b"".join(iter(lambda: client.recv(65536), b""))
            statuses = re.findall(rb"HTTP/1\.1 ([0-9]+)", rest)
            wanted = [] if kind == "close" else [b"503", b"200"]
            assert statuses == wanted
    finally:
        assert running.stop() == 0


def test_a_server_that_is_stopped_as_soon_as_it_is_ready_ends(tmp_path, bundle):
    for _ in range(3):
        assert start(tmp_path, bundle).stop() == 0


def test_a_server_with_its_log_stays_below_150_mb(own_server):
    for _ in range(20):
        own_server.score(make_rows(50))
    time.sleep(0.3)
    assert psutil.Process(own_server.process.pid).memory_info().rss < 150 * 10**6


def test_who_asks_how_the_server_is_gets_an_answer_while_others_wait(tmp_path, bundle):
    running = start(tmp_path, bundle, "--max-waiting", "0")
    try:
        assert running.score(make_rows(1)).status == 503
        assert running.ask("/ping").status == 200
        assert b"seatrial_requests_total" in running.ask("/metrics").body
    finally:
        assert running.stop() == 0


@pytest.mark.parametrize(
    ("why", "size"),
    [("--max-waiting", 10), ("--max-waiting", 3_000_000), ("--deadline-seconds", 10), ("--deadline-seconds", 3_000_000)],
    ids=["unparsed", "parsed", "late", "late and large"],
)
@pytest.mark.parametrize(("variant", "final"), [("champion", "true"), ("challenger", None), (None, None)])
def test_only_a_champion_s_refusal_tells_envoy_not_to_ask_again(tmp_path, bundle, why, size, variant, final):
    running = start(tmp_path, bundle, why, "0")
    try:
        connection = UnixConnection(running.uds)
        named = {} if variant is None else {"x-seatrial-variant": variant}
        connection.request("POST", "/invocations", b" " * size, {"content-type": "application/json", **named})
        answer = connection.getresponse()
        assert (answer.status, answer.headers["retry-after"], answer.headers["x-envoy-ratelimited"]) == (503, "1", final)
        connection.close()
    finally:
        assert running.stop() == 0


def test_a_large_body_that_is_refused_does_not_break_the_connection(tmp_path, bundle):
    running = start(tmp_path, bundle, "--max-waiting", "0")
    try:
        connection = UnixConnection(running.uds)
        for _ in range(2):
            connection.request("POST", "/invocations", b" " * 3_000_000, {"content-type": "application/json"})
            answer = connection.getresponse()
            assert (answer.status, json.loads(answer.read())["error"]["row"]) == (503, None)
        connection.close()
    finally:
        assert running.stop() == 0


def test_a_row_is_answered_with_label_and_probability(server):
    rows = make_rows(20)
    answer = server.score(rows)
    expected = [probability_of(row) for row in rows]
    found = answer.json["predictions"]
    assert answer.status == 200
    assert [prediction["probability"] for prediction in found] == pytest.approx(expected, abs=1e-6)
    assert [prediction["label"] for prediction in found] == ["Yes" if value >= 0.5 else "No" for value in expected]
    assert server.score(rows[:1]).json["predictions"] == found[:1], "one row takes another path, to the same answer"
    assert server.score([]).json == {"predictions": []}


def test_every_answer_names_version_digest_variant_boot_and_request(server):
    answers = [
        server.score(make_rows(1), x_request_id="abc-1"),
        server.score([{}], x_request_id="abc-2"),
        server.ask("/nowhere", x_request_id="abc-3"),
    ]
    assert [answer.status for answer in answers] == [200, 400, 404]
    for number, answer in enumerate(answers, start=1):
        named = {name: answer.headers[f"x-seatrial-{name}"] for name in ("version", "digest", "variant")}
        assert named == {"version": "3", "digest": server.digest, "variant": "direct"}
        assert answer.headers["x-request-id"] == f"abc-{number}"
        assert answer.headers["content-type"] == "application/json"
    assert len({answer.headers["x-seatrial-boot"] for answer in answers}) == 1


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "a\tb", "é"])
def test_a_request_id_that_is_not_sane_is_replaced(server, given):
    ids = {server.score(make_rows(1), x_request_id=given).headers["x-request-id"] for _ in range(2)}
    assert len(ids) == 2
    assert given not in ids


@pytest.mark.parametrize(
    ("headers", "variant"),
    [
        ({}, "direct"),
        ({"x_seatrial_variant": "champion"}, "champion"),
        ({"x_seatrial_variant": "challenger"}, "challenger"),
        ({"x_seatrial_variant": "preview"}, "preview"),
        ({"x_seatrial_variant": "mirror"}, "direct"),
        ({"x_seatrial_variant": "champion", "host": "localhost-shadow"}, "mirror"),
        ({"host": "127.0.0.1-shadow:8080"}, "mirror"),
        ({"host": "shadow"}, "direct"),
    ],
)
def test_the_variant_comes_with_the_request(server, headers, variant):
    assert server.score(make_rows(1), **headers).headers["x-seatrial-variant"] == variant


def test_health_and_metadata_are_answered(server):
    for path in (
        "/ping",
        "/health",
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models/leavers/ready",
        "/v2/models/leavers/versions/3/ready",
        "/v2",
    ):
        assert server.ask(path).status == 200
        assert isinstance(server.ask(path).json, dict)
    assert server.ask("/version").json["digest"] == server.digest
    assert server.ask("/v2/models/leavers").json["digest"] == server.digest
    assert server.ask("/v2/health/ready").json == {"ready": True}
    head = server.ask("/ping", method="HEAD")
    assert (head.status, head.body) == (200, b"")


def test_tensors_are_answered_with_tensors(server):
    types = {"amount": "FP32", "visits": "INT64", "member": "BOOL", "colour": "BYTES", "plan": "BYTES"}
    rows = make_rows(4)
    inputs = [{"name": name, "shape": [4, 1], "datatype": kind, "data": [row[name] for row in rows]} for name, kind in types.items()]
    answer = server.ask("/v2/models/leavers/infer", {"id": "q", "inputs": inputs}).json
    outputs = {output["name"]: output for output in answer["outputs"]}
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("leavers", "3", "q")
    assert (outputs["label"]["datatype"], outputs["probability"]["datatype"]) == ("BYTES", "FP64")
    assert outputs["probability"]["data"] == pytest.approx([probability_of(row) for row in rows], abs=1e-6)
    assert server.ask("/v2/models/leavers/infer", {"inputs": inputs}, Inference_Header_Content_Length="5").status == 400
    assert server.ask("/v2/models/other/infer", {"inputs": inputs}).status == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[1]", 400),
        (b'{"dataframe_records": [{"amount": NaN}]}', 400),
        (b'{"dataframe_records": 1}', 400),
        (b'{"dataframe_records": [], "dataframe_records": []}', 400),
        (b"\x00\xff", 400),
        (b"[" * 90_000, 400),
        (b'{"dataframe_records": [' + b",".join([b"{}"] * 51) + b"]}", 413),
        (b" " * 99_998 + b"[]", 400),
        (b" " * 99_999 + b"[]", 413),
        (b" " * 5_000_000, 413),
    ],
)
def test_a_bad_body_gets_a_4xx_in_json(server, body, status):
    answer = server.ask("/invocations", body=body, method="POST")
    assert answer.status == status
    assert answer.json["error"]["message"]


def test_a_refusal_names_column_row_and_value(server):
    rows = make_rows(3)
    answer = server.score([*rows, rows[0] | {"amount": "lots"}])
    assert answer.status == 400
    assert (answer.json["error"]["column"], answer.json["error"]["row"]) == ("amount", 3)
    assert '"lots"' in answer.json["error"]["message"]


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        (None, 200),
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ('Application/JSON;charset="UTF-8"', 200),
        ("application/json; charset=latin-1", 415),
        ("text/html", 415),
        ("application/x-www-form-urlencoded", 415),
        ("", 415),
    ],
)
def test_a_json_body_is_read_as_json_alone(server, content_type, status):
    headers = {} if content_type is None else {"content_type": content_type}
    assert server.ask("/invocations", {"dataframe_records": make_rows(1)}, **headers).status == status


def test_a_packed_body_is_read_and_a_torn_one_refused(server):
    body = json.dumps({"dataframe_records": make_rows(2)}).encode()
    packed = server.ask("/invocations", body=gzip.compress(body), method="POST", content_encoding="gzip")
    assert packed.json == server.ask("/invocations", body=body, method="POST").json
    assert server.ask("/invocations", body=b"\x1f\x8b", method="POST", content_encoding="gzip").status == 400
    assert server.ask("/invocations", body=gzip.compress(b"\0" * 200_000), method="POST", content_encoding="gzip").status == 413
    assert server.ask("/invocations", body=body, method="POST", content_encoding="br").status == 415


def test_a_wrong_method_is_told_the_right_one(server):
    assert (server.ask("/invocations").status, server.ask("/invocations").headers["allow"]) == (405, "POST")
    assert server.ask("/ping", method="DELETE").headers["allow"] == "GET, HEAD"
    assert server.ask("/v2/models/leavers/infer", method="PUT", body=b"{}").status == 405


def test_a_path_that_is_not_there_is_404(server):
    for path in ("/", "/invocations/", "/v2/models/other", "/v2/models/leavers/versions/4", "/%ff%00", "//"):
        assert server.ask(path).status == 404
        error = server.ask(path, {}).json["error"]
        assert error if path.startswith("/v2") else error["message"]


def test_chunks_pipelines_http_1_0_and_half_closed_sockets_are_answered(server):
    body = json.dumps({"dataframe_records": make_rows(1)}).encode()
    head = b"POST /invocations HTTP/1.1\r\nhost: x\r\n"
    whole = head + b"content-length: %d\r\n" % len(body)
    chunked = head + b"connection: close\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    last = whole + b"connection: close\r\n\r\n" + body
    old = b"POST /invocations HTTP/1.0\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    assert server.raw(chunked).count(b"HTTP/1.1 200") == 1
    assert server.raw((whole + b"\r\n" + body) * 4 + last).count(b"HTTP/1.1 200") == 5
    assert server.raw(old).count(b" 200 ") == 1
    assert server.raw(whole + b"\r\n" + body[:-5], half_close=True) == b""
    assert server.raw(b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 400")


def test_a_body_whose_length_is_not_announced_is_limited_too(server):
    head = b"POST /invocations HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    for size, status in ((100_000, b"400"), (100_001, b"413"), (700_000, b"413")):
        answer = server.raw(head + b"%x\r\n%b\r\n0\r\n\r\n" % (size, b" " * size))
        assert answer.startswith(b"HTTP/1.1 " + status)


def test_a_slow_client_holds_nobody_up(server):
    with socket.socket(socket.AF_UNIX) as slow:
        slow.connect(str(server.uds))
        slow.sendall(b"POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{")
        assert server.score(make_rows(1)).status == 200


def test_a_model_that_answers_no_probability_is_its_own_fault(server):
    answer = server.score([make_rows(1)[0] | {"amount": 2e6}])
    assert answer.status == 500
    assert "no probability" in answer.json["error"]["message"]
    assert server.score(make_rows(1)).status == 200


def test_what_is_unusual_is_counted(server):
    row = make_rows(1)[0]
    before = server.ask("/metrics").body.decode()
    server.score([row | {"colour": "violet"}, row | {"amount": 500}])
    after = server.ask("/metrics")
    assert after.headers["content-type"].startswith("text/plain")
    for sample in ('seatrial_unseen_categories_total{column="colour"}', 'seatrial_out_of_range_total{column="amount"}'):
        assert counted(after.body.decode(), sample) == counted(before, sample) + 1
    assert counted(after.body.decode(), "seatrial_rows_total") == counted(before, "seatrial_rows_total") + 2


def counted(text: str, sample: str) -> int:
    return next(int(line.removeprefix(sample)) for line in text.splitlines() if line.startswith(sample))


def test_every_answered_row_is_in_the_log_after_sigterm(own_server):
    rows = make_rows(30)
    own_server.score(rows[:10], x_request_id="batch", x_seatrial_variant="challenger")
    for row in rows[10:]:
        own_server.score([row], x_seatrial_simulated="1", host="x-shadow")
    own_server.score([{}])
    assert own_server.stop() == 0
    log = read_log(own_server.log)
    assert sorted(log["id"]) == sorted(row["client"] for row in rows)
    assert log.filter(log["request_id"] == "batch")["variant"].to_list() == ["challenger"] * 10
    assert log.filter(log["simulated"])["variant"].to_list() == ["mirror"] * 20
    assert log["digest"].unique().to_list() == [own_server.digest]
    assert not own_server.uds.exists()


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="reads the process's memory map from /proc")
def test_a_server_with_its_log_holds_no_library_that_it_needs_no_more(own_server):
    own_server.score(make_rows(1))
    while not list(own_server.log.rglob("[!.]*.parquet")):
        own_server.score(make_rows(1))
    maps = Path(f"/proc/{own_server.process.pid}/maps").read_text()
    assert "pyarrow" in maps
    assert "pandas" not in maps
    assert "onnx_cpp2py" not in maps


def test_a_killed_server_leaves_whole_parts_only(own_server):
    sent = 0
    while sent < 20 or len(list(own_server.log.rglob("[!.]*.parquet"))) < 3:
        own_server.score(make_rows(1))
        sent += 1
    own_server.process.send_signal(signal.SIGKILL)
    own_server.process.wait(timeout=20)
    assert 0 < read_log(own_server.log).height <= sent


def test_a_request_under_way_is_answered_before_the_end(own_server):
    body = json.dumps({"dataframe_records": make_rows(1)}).encode()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(own_server.uds))
        connection.sendall(b"POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body[:10])
        assert own_server.ask("/ping").status == 200
        own_server.process.terminate()
        connection.sendall(body[10:])
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    assert own_server.stop() == 0


def test_the_socket_is_for_its_owner_only(server):
    assert stat.S_IMODE(server.uds.stat().st_mode) == 0o600


def test_a_socket_that_a_killed_server_left_is_taken_over(tmp_path, bundle, own_server):
    own_server.process.kill()
    own_server.process.wait(timeout=20)
    assert own_server.uds.exists()
    again = start(tmp_path, bundle)
    try:
        assert again.score(make_rows(1)).status == 200
    finally:
        again.stop()


def refusal(arguments: list[str]) -> str:
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=START_SECONDS, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    return done.stderr


def test_an_address_that_is_taken_is_refused(server, bundle):
    assert "another server listens" in refusal(command(bundle, "--uds", str(server.uds)))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "cannot listen on" in refusal(command(bundle, "--port", str(taken.getsockname()[1])))
    assert "cannot listen on" in refusal(command(bundle, "--port", "70000"))
    assert server.ask("/ping").status == 200


def test_a_bundle_of_another_digest_is_refused(tmp_path, bundle):
    assert "expected sha256:0" in refusal(command(bundle, "--uds", str(tmp_path / "s"), digest="sha256:0"))


@pytest.mark.parametrize(
    ("golden", "words"),
    [
        ([], "no golden rows"),
        ([{"row": {"amount": 1}, "probability": 0.5}], "do not fit its manifest"),
        ([{"probability": 0.5}], "cannot be read"),
        ([{"row": {"amount": 1, "visits": 1, "member": 1, "colour": "red", "plan": "plus"}, "probability": 0.9}], "golden row 0"),
    ],
)
def test_a_bundle_that_does_not_answer_as_promised_is_refused(tmp_path, golden, words):
    make_bundle(tmp_path / "model", golden=golden)
    assert words in refusal(command(tmp_path / "model", "--uds", str(tmp_path / "s")))


def test_the_command_serves_a_bundle_on_a_port(tmp_path, bundle):
    (tmp_path / "params.yaml").write_text("model: {name: leavers}\ndata: {raw: data.csv, target: left}\n")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    arguments = [sys.executable, "-m", "seatrial", "serve", str(bundle), "--port", str(port)]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    try:
        assert process.stdout is not None
        assert f"127.0.0.1:{port}" in process.stdout.readline()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("POST", "/invocations", json.dumps({"dataframe_records": make_rows(1)}))
        assert connection.getresponse().status == 200
        connection.close()
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(timeout=20)
    assert code == 130
    assert not (tmp_path / ".seatrial").exists()
