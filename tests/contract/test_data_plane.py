"""What Envoy does with a request, on real supervisord and real Envoy; the servers answer what reached them."""

import asyncio
import http.client
import json
import math
import os
import socket
import ssl
import sys
import threading
import time
from pathlib import Path

import aiohttp
import pytest

from seatrial.adapters.endpoint import LocalEndpoint, Route, Variant, inspect
from seatrial.adapters.supervisor import wait_until
from seatrial.errors import EndpointError
from seatrial.params_rollout import Rollout, Sticky, TlsFiles
from seatrial.replay import replay
from tests.certificates import make_pair

pytestmark = [pytest.mark.slow, pytest.mark.timed, pytest.mark.skipif(sys.platform != "linux", reason="needs the parent-death signal")]
TOKEN, TESTER = "endpoint-token-0123456789", "tester-token-0123456789"
CHAMPION, CHALLENGER = (Variant(version=version, digest=f"sha256:{version}", bundle=Path("/none")) for version in (3, 4))
ECHO = Path(__file__).parent.parent / "echo_server.py"
KEYS = [f"client-{number}" for number in range(1500)]


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def home(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    return home


@pytest.fixture
def started(home, port):
    """Starts endpoints on this port with versions 3 and 4; the last one is stopped."""
    made = []

    def start(env=None, **settings):
        made.append(make(home, port, env, **settings))
        made[-1].ensure((CHAMPION, CHALLENGER))
        made[-1].route(Route(champion=3))
        return made[-1]

    yield start
    made[-1].down()


def make(home, port, env=None, **settings):
    def command(variant, uds):
        return [sys.executable, str(ECHO), str(uds), str(variant.version), variant.digest]

    rollout = Rollout(**{"port": port, "request_timeout_s": 2, **settings})
    return LocalEndpoint(home, rollout, env={"PATH": os.environ["PATH"], **(env or {})}, server_command=command)


def ask(port, path="/invocations", *, method="POST", body=b"{}", context=None, **headers):
    """Status, headers and JSON of one request on a connection of its own."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    kind = http.client.HTTPConnection if context is None else http.client.HTTPSConnection
    connection = kind("127.0.0.1", port, timeout=10, **({} if context is None else {"context": context}))
    try:
        connection.request(method, path, body, {"content-type": "application/json", **names})
        answer = connection.getresponse()
        return answer.status, answer.headers, json.loads(answer.read())
    finally:
        connection.close()


def drawn(port, requests):
    """The version that answered each of the requests, which are pairs of headers and body."""

    async def one(session, gate, headers, body):
        async with gate, session.post(f"http://127.0.0.1:{port}/invocations", data=body, headers=headers) as answer:
            return int((await answer.json(content_type=None))["version"])

    async def all_of_them():
        gate = asyncio.Semaphore(32)
        async with aiohttp.ClientSession() as session:
            return await asyncio.gather(*(one(session, gate, headers, body) for headers, body in requests))

    return asyncio.run(all_of_them())


def near(count, total, share):
    return abs(count - total * share) <= 4 * math.sqrt(total * share * (1 - share))


def by_header(keys):
    return [({"x-user-id": key}, b"{}") for key in keys]


def by_field(keys):
    return [({}, json.dumps({"dataframe_records": [{"a": '"id": "x"', "id": key}]}).encode()) for key in keys]


@pytest.mark.parametrize(("sticky", "requests"), [(Sticky(header="x-user-id"), by_header), (Sticky(field="id"), by_field)])
def test_who_had_the_challenger_keeps_it_as_the_weight_rises(started, port, sticky, requests):
    endpoint, had = started(sticky=sticky), set()
    for weight in (5, 25, 50):
        endpoint.route(Route(champion=3, challenger=4, weight=weight))
        first, again = drawn(port, requests(KEYS)), drawn(port, requests(KEYS[:300]))
        assert first[:300] == again
        now = {key for key, version in zip(KEYS, first, strict=True) if version == 4}
        assert near(len(now), len(KEYS), weight / 100)
        assert had <= now
        had = now


def test_another_challenger_draws_the_keys_anew(started, port):
    endpoint = started(sticky=Sticky(header="x-user-id"))
    endpoint.route(Route(champion=3, challenger=4, weight=50))
    first = drawn(port, by_header(KEYS))
    endpoint.route(Route(champion=4, challenger=3, weight=50))
    second = drawn(port, by_header(KEYS))
    both = sum(one == 4 and other == 3 for one, other in zip(first, second, strict=True))
    assert near(both, len(KEYS), 0.25)


@pytest.mark.parametrize(("sticky", "headers"), [(Sticky(header="x-user-id"), {}), (None, {"x-user-id": "a", "x-seatrial-key": "a"})])
def test_without_a_key_each_request_is_drawn_for_itself(started, port, sticky, headers):
    started(sticky=sticky).route(Route(champion=3, challenger=4, weight=50))
    assert near(drawn(port, [(headers, b"{}")] * 400).count(4), 400, 0.5)


FORMS = {
    "records": '{"dataframe_records": [{"other": [1, {"id": "no"}], "id" : %s, "x": 1}, {"id": "no"}]}',
    "parameters first": '{"params": {"id": "no", "a]": "\\\\\\"id\\": 1"}, "dataframe_records":[{"id":%s}]}',
    "split": '{"dataframe_split": {"columns": ["a", "id"], "data": [["id, ]", %s], [1, "no"]]}}',
    "split, data first": '{"dataframe_split": {"data": [["id", %s]], "columns": ["a", "id"]}}',
    "instances": '{"instances": [{"id": %s}]}',
    "inputs": '{"inputs": {"a": ["id"], "id": [%s, "no"]}}',
}


@pytest.mark.parametrize("form", FORMS)
def test_the_field_of_the_first_row_is_found_in_each_form(started, port, form):
    started(sticky=Sticky(field="id")).route(Route(champion=3, challenger=4, weight=50))
    for write in (json.dumps, str):
        keys = [write(number) for number in range(40)]
        same = [drawn(port, [({}, (FORMS[form] % key).encode()) for key in keys]) for _ in range(3)]
        assert same[0] == same[1] == same[2]
        assert {3, 4} == set(same[0])


@pytest.mark.parametrize(
    "body",
    [
        b'{"dataframe_records": [{"id": null}]}',
        b'{"dataframe_records": [{"id": ["a"]}]}',
        b'{"dataframe_records": [{"x": {"id": "a"}}]}',
        b'{"dataframe_records": [{"x": "\\"id\\": \\"a\\""}]}',
        b'{"dataframe_records": [{"id": "a\nb"}]}',
        b'{"dataframe_records": [{"id": "a',
        b'{"dataframe_records": [{"id": "' + b"a" * 300 + b'"}]}',
        b'["id", "a"]',
        b"id\na\n",
        b"\x1f\x8b\x00\xff",
        b"[" * 60_000,
    ],
    ids=range(11),
)
def test_a_body_without_a_usable_field_is_answered_and_drawn_for_itself(started, port, body):
    started(sticky=Sticky(field="id")).route(Route(champion=3, challenger=4, weight=50))
    assert {3, 4} == set(drawn(port, [({}, body)] * 60))


def test_a_large_body_and_a_request_without_one_pass_the_search_for_the_field(started, port):
    started(sticky=Sticky(field='i"d\\'))
    assert ask(port, body=b'{"dataframe_records": [' + b" " * 9_000_000 + b"]}")[2]["length"] == 9_000_025
    assert ask(port, "/version", method="GET", body=None)[0] == 200


def test_a_key_reaches_no_server(started, port):
    started(sticky=Sticky(header="x-user-id"))
    assert "x-seatrial-key" not in ask(port, x_user_id="a")[2]["headers"]


@pytest.mark.parametrize("route", [Route(champion=3, challenger=4), Route(champion=3, challenger=4, weight=100)])
def test_a_tester_reaches_either_variant_whatever_the_weight(started, port, route):
    started({"SEATRIAL_TESTER_TOKEN": TESTER}).route(route)
    for wish, version in (("champion", "3"), ("challenger", "4")):
        status, headers, seen = ask(port, x_seatrial_variant=wish, x_seatrial_token=TESTER)
        assert (status, seen["version"], headers["x-seatrial-variant"]) == (200, version, "preview")
        assert seen["headers"]["x-seatrial-variant"] == "preview"
        assert not {"x-seatrial-token", "x-seatrial-preview"} & set(seen["headers"])


def test_what_testers_do_is_no_evidence(started, port):
    endpoint = started({"SEATRIAL_TESTER_TOKEN": TESTER})
    endpoint.route(Route(champion=3, challenger=4, mirror=True))
    for wish in ("champion", "challenger"):
        for status in ("200", "500"):
            assert ask(port, x_seatrial_variant=wish, x_seatrial_token=TESTER, x_status=status)[0] == int(status)
    seen = endpoint.observe()
    assert {one.requests for one in (*seen.variants.values(), *seen.mirror.values())} <= {0}
    ask(port)
    assert endpoint.observe().variants[3].requests == 1


@pytest.mark.parametrize(
    ("configured", "headers"),
    [
        (TESTER, {}),
        (TESTER, {"x_seatrial_token": "another-token-0123456789"}),
        (TESTER, {"x_seatrial_token": TESTER.upper()}),
        (TESTER, {"x_seatrial_preview": "challenger"}),
        (None, {"x_seatrial_token": TESTER, "x_seatrial_preview": "challenger"}),
        (None, {"x_seatrial_token": ""}),
    ],
)
def test_without_the_token_the_wish_is_ignored_and_overwritten(started, port, configured, headers):
    started({"SEATRIAL_TESTER_TOKEN": configured} if configured else {}).route(Route(champion=3, challenger=4))
    _, answered, seen = ask(port, x_seatrial_variant="challenger", **headers)
    assert (seen["version"], answered["x-seatrial-variant"], seen["headers"]["x-seatrial-variant"]) == ("3", "champion", "champion")
    assert not {"x-seatrial-token", "x-seatrial-preview"} & set(seen["headers"])


def test_a_tester_is_told_that_no_challenger_runs(started, port):
    started({"SEATRIAL_TESTER_TOKEN": TESTER})
    status, _, answer = ask(port, x_seatrial_variant="challenger", x_seatrial_token=TESTER)
    assert (status, answer) == (503, {"error": "no challenger runs"})
    assert ask(port, x_seatrial_variant="other", x_seatrial_token=TESTER)[2]["version"] == "3"


def test_a_tester_s_token_may_lie_in_a_file(started, home, port):
    (home / "tester-token").write_text(f"{TESTER}\n")
    (home / "tester-token").chmod(0o600)
    started().route(Route(champion=3, challenger=4))
    assert ask(port, x_seatrial_variant="challenger", x_seatrial_token=TESTER)[2]["version"] == "4"


def test_without_the_bearer_token_nothing_but_the_health_path_is_answered(started, port):
    started({"SEATRIAL_ENDPOINT_TOKEN": TOKEN}, host="0.0.0.0")
    wrong = ({}, {"authorization": TOKEN}, {"authorization": f"Bearer {TOKEN}x"}, {"authorization": f"Basic {TOKEN}"})
    for path in ("/invocations", "/docs", "/metrics", "/ping/", "/ping?x", "//ping"):
        for headers in wrong:
            status, answered, said = ask(port, path, **headers)
            assert (status, answered["www-authenticate"], answered["content-type"]) == (401, "Bearer", "application/json")
            assert list(said) == ["error"]
    assert ask(port, "/ping", method="GET", body=None)[0] == 200
    status, _, seen = ask(port, authorization=f"Bearer {TOKEN}")
    assert status == 200
    assert "authorization" not in seen["headers"]


def test_listening_wider_without_token_or_tls_is_refused_before_anything_starts(home, port):
    for host in ("0.0.0.0", "::"):
        with pytest.raises(EndpointError, match="can be reached by others") as caught:
            make(home, port, host=host).ensure((CHAMPION,))
        assert "SEATRIAL_ENDPOINT_TOKEN" in str(caught.value)
    assert not (home / "endpoint").exists()


def test_tls_answers_those_who_trust_the_certificate_and_token_and_tls_work_together(started, tmp_path, port):
    files = make_pair(tmp_path)
    tls = TlsFiles(certificate=str(files.certificate), key=str(files.key))
    started({"SEATRIAL_ENDPOINT_TOKEN": TOKEN}, host="0.0.0.0", tls=tls)
    trusting = ssl.create_default_context(cafile=files.certificate)
    assert ask(port, context=trusting)[0] == 401
    assert ask(port, context=trusting, authorization=f"Bearer {TOKEN}")[0] == 200
    with pytest.raises((http.client.HTTPException, OSError)):
        ask(port)
    with pytest.raises(ssl.SSLError):
        ask(port, context=ssl.create_default_context())
    old = ssl.create_default_context(cafile=files.certificate)
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, OSError)):
        ask(port, context=old)


def test_a_replay_brings_the_token_and_trusts_the_certificate_of_params_alone(started, tmp_path, port):
    files, other = make_pair(tmp_path), make_pair(tmp_path, "other")
    tls = TlsFiles(certificate=str(files.certificate), key=str(files.key))
    started({"SEATRIAL_ENDPOINT_TOKEN": TOKEN}, host="0.0.0.0", tls=tls)
    url, some = f"https://localhost:{port}/invocations", {"rate": 100, "requests": 3}
    assert replay(url, [{"a": 1}], token=TOKEN, certificate=files.certificate, **some).statuses == {"200": 3}
    assert replay(url, [{"a": 1}], certificate=files.certificate, **some).statuses == {"401": 3}
    assert replay(url, [{"a": 1}], token=TOKEN, certificate=other.certificate, **some).ok == 0


def test_a_renewed_certificate_is_taken_over(started, home, tmp_path, port):
    for name in ("first", "renewed"):
        files = make_pair(tmp_path, name)
        tls = TlsFiles(certificate=str(files.certificate), key=str(files.key))
        (started if name == "first" else lambda tls: make(home, port, tls=tls).ensure((CHAMPION, CHALLENGER)))(tls=tls)
        assert ask(port, context=ssl.create_default_context(cafile=files.certificate))[0] == 200


def test_secrets_lie_in_private_files_of_private_folders_and_in_no_log(started, home, tmp_path, port):
    files = make_pair(tmp_path)
    tls = TlsFiles(certificate=str(files.certificate), key=str(files.key))
    endpoint = started({"SEATRIAL_ENDPOINT_TOKEN": TOKEN, "SEATRIAL_TESTER_TOKEN": TESTER}, tls=tls)
    context = ssl.create_default_context(cafile=files.certificate)
    ask(port, f"/invocations?token={TOKEN}", context=context, authorization=f"Bearer {TOKEN}", x_seatrial_token=TESTER)
    ask(port, context=context, authorization=f"Bearer {TOKEN}x", x_seatrial_token=f"{TESTER}x")
    endpoint.down()
    assert TESTER not in (home / "endpoint/logs/access.log").read_text()
    endpoint.ensure((CHAMPION,))
    secrets = [text.encode() for text in (TOKEN, TESTER, files.key.read_text().splitlines()[1])]
    holding = [path for path in home.rglob("*") if path.is_file() and any(secret in path.read_bytes() for secret in secrets)]
    assert {path.name for path in holding} == {"listeners.json"}
    assert {path.stat().st_mode & 0o777 for path in holding} == {0o600}
    assert {path.parent.stat().st_mode & 0o777 for path in holding} == {0o700}


def test_other_settings_are_taken_over_under_load_without_a_lost_request_or_another_envoy(started, home, port):
    started()
    boot, stop, seen = inspect(home).envoy, threading.Event(), []
    thread = threading.Thread(target=lambda: _keep_asking(port, stop, seen))
    thread.start()
    try:
        for settings in ({"sticky": Sticky(header="x-user-id")}, {"access_log": "none"}, {}) * 3:
            make(home, port, {"SEATRIAL_TESTER_TOKEN": TESTER}, **settings).ensure((CHAMPION, CHALLENGER))
    finally:
        stop.set()
        thread.join(10)
    assert inspect(home).envoy == boot
    assert len(seen) > 20
    assert set(seen) == {200}


def _keep_asking(port, stop, seen):
    while not stop.is_set():
        seen.append(ask(port)[0])


def test_a_connection_from_before_a_token_closes_with_its_next_answer(started, home, port):
    started()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/version")
    connection.getresponse().read()
    kept = connection.sock
    make(home, port, {"SEATRIAL_ENDPOINT_TOKEN": TOKEN}).ensure((CHAMPION, CHALLENGER))
    assert kept is not None
    assert ask(port)[0] == 401
    try:
        connection.request("GET", "/version")
        answer = connection.getresponse()
        assert answer.will_close or answer.status == 401
    except (http.client.HTTPException, ConnectionError):
        pass  # it was idle, and closed at once
    finally:
        connection.close()


def lines(home, count):
    """The access log once it has so many lines."""
    log = home / "endpoint/logs/access.log"
    assert wait_until(lambda: log.exists() and len(log.read_text().splitlines()) >= count, 5)
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_each_request_is_one_line_of_json_without_what_it_held(started, home, port):
    endpoint = started()
    endpoint.route(Route(champion=3, challenger=4, weight=100))
    ask(port, "/invocations?key=secret", x_request_id='my "id"', body=b'{"secret": 1}')
    (line,) = lines(home, 1)
    assert "secret" not in json.dumps(line)
    assert isinstance(line.pop("duration_ms"), int)
    assert line.pop("time").endswith("Z")
    assert line.pop("sent_bytes") > 50
    assert line == {
        "request_id": 'my "id"',
        "method": "POST",
        "path": "/invocations",
        "status": 200,
        "received_bytes": 13,
        "cluster": "canary-4",
        "attempts": 1,
        "flags": "-",
        "variant": "challenger",
        "version": "4",
        "digest": "sha256:4",
    }
    assert (home / "endpoint/logs/access.log").stat().st_mode & 0o777 == 0o600


def test_a_rescued_request_shows_both_attempts_and_who_answered(started, home, port):
    started().route(Route(champion=3, challenger=4, weight=100))
    for pid in inspect(home).variants[4]:
        os.kill(pid, 9)
    ask(port)
    (line,) = lines(home, 1)
    assert (line["attempts"], line["version"], line["cluster"], line["status"]) == (2, "3", "canary-4", 200)


def test_only_errors_are_kept_where_that_is_asked_for_and_nothing_where_nothing_is(started, home, port):
    endpoint = started(access_log="errors")
    for status in ("200", "399", "400", "500"):
        ask(port, x_status=status)
    assert [line["status"] for line in lines(home, 2)] == [400, 500]
    make(home, port, access_log="none").ensure((CHAMPION, CHALLENGER))
    ask(port, x_status="500")
    endpoint.down()
    assert len(lines(home, 2)) == 2


def test_down_lets_requests_under_way_end(started, port):
    endpoint, seen = started(), []
    threads = [threading.Thread(target=lambda: seen.append(ask(port, x_sleep="1.2")[0])) for _ in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(0.4)
    endpoint.down()
    for thread in threads:
        thread.join(10)
    assert seen == [200] * 8


def test_slow_answers_are_in_the_histogram_of_their_own_version(started, port):
    endpoint = started()
    endpoint.route(Route(champion=3, challenger=4, mirror=True))
    for pause in ("0", "0.16", "0.4"):
        ask(port, x_sleep=pause)
    assert wait_until(lambda: endpoint.observe().mirror[4].requests == 3, 5)
    seen = endpoint.observe()
    for one in (seen.variants[3], seen.mirror[4]):
        found = dict(one.times)
        assert (found[100], found[200], found[300], found[500], found[60_000]) == (1, 2, 2, 3, 3)
        assert one.requests == 3
    endpoint.route(Route(champion=3, challenger=4, weight=100))
    ask(port, x_sleep="0.4")
    assert dict(endpoint.observe().variants[4].times)[300] == 0
    assert dict(endpoint.observe().variants[4].times)[500] == 1
