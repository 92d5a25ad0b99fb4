"""The local endpoint on real supervisord, real Envoy and real model servers."""

import json
import math
import os
import signal
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

from seatrial.adapters import traffic
from seatrial.adapters.endpoint import LocalEndpoint, Route, Variant, inspect
from seatrial.adapters.envoy import routes
from seatrial.adapters.sockets import fetch, recorded_folder
from seatrial.adapters.supervisor import alive, wait_until
from seatrial.errors import EndpointError
from seatrial.params import Rollout
from seatrial.replay import replay
from tests.bundles import make_bundle, make_rows

pytestmark = [pytest.mark.slow, pytest.mark.timed, pytest.mark.skipif(sys.platform != "linux", reason="needs the parent-death signal")]
ROWS = make_rows(50)
ALONE = Route(champion=3)


@pytest.fixture(scope="module")
def variants(tmp_path_factory):
    """Three versions with bundles of their own."""
    folder = tmp_path_factory.mktemp("bundles")
    bundles = {version: make_bundle(folder / str(version), weight=version) for version in (3, 4, 5)}
    return {version: Variant(version=version, digest=one.digest, bundle=folder / str(version)) for version, one in bundles.items()}


@pytest.fixture
def port():
    return free_port()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def home(tmp_path):
    """A home whose path supervisord could misread; whatever still runs below it at the end is killed by its id."""
    home = tmp_path / "a home, 100%"
    home.mkdir()
    yield home
    left = processes_of(home)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left, "the test left processes behind"


def processes_of(home):
    """Processes whose command line names something below `home`."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                if os.fsencode(home) in (folder / "cmdline").read_bytes():
                    found.append(int(folder.name))
            except OSError:
                continue
    return found


@pytest.fixture
def endpoint(home, port):
    """An endpoint with short time limits, stopped at the end."""
    endpoint = LocalEndpoint(home, Rollout(port=port, request_timeout_s=0.5))
    yield endpoint
    endpoint.down()


@pytest.fixture
def pair(endpoint, variants):
    """The endpoint with versions 3 and 4 running and all traffic on 3."""
    endpoint.ensure((variants[3], variants[4]))
    endpoint.route(ALONE)
    return endpoint


def url(port):
    return f"http://127.0.0.1:{port}/invocations"


def call(port, **headers):
    body = json.dumps({"dataframe_records": ROWS[:1]}).encode()
    request = urllib.request.Request(url(port), data=body, headers={"content-type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.headers


@contextmanager
def load(port, rate=150):
    """Requests at a fixed rate while the block runs; gives a list that holds the result afterwards."""
    stop, results = threading.Event(), []
    thread = threading.Thread(target=lambda: results.append(replay(url(port), ROWS, rate=rate, stop=stop.is_set)))
    thread.start()
    try:
        yield results
    finally:
        stop.set()
        thread.join(30)


def test_nothing_is_served_before_a_route_and_the_champion_after_it(endpoint, variants, home, port):
    endpoint.ensure((variants[3],))
    assert call(port)[0] == 503
    endpoint.route(ALONE)
    status, headers = call(port, **{"x-request-id": "my-own-id", "x-seatrial-variant": "forged"})
    assert status == 200
    assert headers.get_all("x-seatrial-version") == ["3"]
    assert headers.get_all("x-seatrial-digest") == [variants[3].digest]
    assert headers.get_all("x-seatrial-variant") == ["champion"]
    assert headers.get_all("x-request-id") == ["my-own-id"]
    shown = inspect(home)
    assert shown.route == ALONE
    assert len(shown.variants[3]) == 1
    assert all(map(alive, (shown.supervisord, shown.envoy, *shown.variants[3])))


def test_ensuring_and_routing_again_changes_nothing(pair, variants, home, port):
    before = inspect(home), pair.observe().boot
    for _ in range(2):
        pair.ensure((variants[3], variants[4]))
        pair.route(ALONE)
    after = inspect(home), pair.observe().boot
    assert (before[0].variants, before[0].envoy, before[1]) == (after[0].variants, after[0].envoy, after[1])


@pytest.mark.parametrize("weight", [5, 50, 100])
def test_the_challenger_gets_its_weight(pair, port, weight):
    pair.route(Route(champion=3, challenger=4, weight=weight))
    result = replay(url(port), ROWS, rate=400, requests=500)
    assert result.failed == 0
    expected, spread = 500 * weight / 100, math.sqrt(500 * weight / 100 * (1 - weight / 100))
    assert abs(result.by_version.get("4", 0) - expected) <= 4 * spread
    seen = pair.observe().variants
    assert {str(version): one.requests for version, one in seen.items() if one.requests} == dict(result.by_version)
    assert all(one.failures == 0 for one in seen.values())


def test_the_variant_is_named_to_server_and_client(pair, port):
    pair.route(Route(champion=3, challenger=4, weight=100))
    _, headers = call(port)
    assert (headers["x-seatrial-version"], headers["x-seatrial-variant"]) == ("4", "challenger")


def test_a_hundred_weight_moves_under_load_lose_nothing(pair, port):
    with load(port) as results:
        for turn in range(100):
            weight = turn * 7 % 101
            pair.route(Route(champion=3, challenger=4, weight=weight) if turn % 10 else ALONE)
    assert results[0].statuses == {"200": results[0].sent}
    assert results[0].sent > 100


def test_a_whole_promotion_under_load_loses_nothing(pair, variants, home, port):
    with load(port) as results:
        pair.route(Route(champion=3, challenger=4, weight=100))
        pair.route(Route(champion=4))
        pair.ensure((variants[4],))
        pair.ensure((variants[4], variants[5]))
        pair.route(Route(champion=4, challenger=5, weight=50))
        pair.route(Route(champion=4))
        pair.ensure((variants[4],))
    assert results[0].statuses == {"200": results[0].sent}
    assert set(inspect(home).variants) == {4}


@pytest.mark.parametrize("harm", [signal.SIGKILL, signal.SIGSTOP])
def test_a_challenger_that_dies_or_hangs_harms_nobody_and_is_counted(pair, home, port, harm):
    pair.route(Route(champion=3, challenger=4, weight=50))
    with load(port) as results:
        for _ in range(4):
            for pid in inspect(home).variants.get(4, ()):
                os.kill(pid, harm)
            time.sleep(0.3)
        seen = pair.observe().variants
    for pid in inspect(home).variants[4]:
        os.kill(pid, signal.SIGCONT)
    assert results[0].statuses == {"200": results[0].sent}
    assert seen[4].failures >= 5
    assert seen[4].failures <= seen[4].requests
    assert seen[3].failures == 0


def test_a_dead_champion_is_counted_once_for_each_request(pair, home, port):
    for pid in inspect(home).variants[3]:
        os.kill(pid, signal.SIGSTOP)
    try:
        assert [call(port)[0] for _ in range(3)] == [504] * 3
    finally:
        for pid in inspect(home).variants[3]:
            os.kill(pid, signal.SIGCONT)
    seen = pair.observe().variants[3]
    assert (seen.requests, seen.failures) == (3, 3)


def test_a_client_cannot_change_retries(pair, home, port):
    pair.route(Route(champion=3, challenger=4, weight=100))
    for pid in inspect(home).variants[4]:
        os.kill(pid, signal.SIGSTOP)
    try:
        status, headers = call(port, **{"x-envoy-max-retries": "0", "x-envoy-upstream-rq-timeout-ms": "1"})
    finally:
        for pid in inspect(home).variants[4]:
            os.kill(pid, signal.SIGCONT)
    assert (status, headers["x-seatrial-version"]) == (200, "3")


def test_the_mirror_gets_copies_and_its_answers_go_nowhere(pair, port):
    pair.route(Route(champion=3, challenger=4, mirror=True))
    result = replay(url(port), ROWS, rate=200, requests=100)
    assert result.by_version == {"3": 100}
    assert wait_until(lambda: pair.observe().mirror[4].requests == 100, 5)
    seen = pair.observe()
    assert (seen.mirror[4].failures, seen.variants[4].requests, seen.variants[3].requests) == (0, 0, 100)


def test_a_mirror_that_hangs_harms_nobody_and_is_counted(pair, home, port):
    pair.route(Route(champion=3, challenger=4, mirror=True))
    for pid in inspect(home).variants[4]:
        os.kill(pid, signal.SIGSTOP)
    result = replay(url(port), ROWS, rate=200, requests=100)
    assert wait_until(lambda: pair.observe().mirror[4].failures > 0, 10)
    for pid in inspect(home).variants[4]:
        os.kill(pid, signal.SIGCONT)
    assert result.statuses == {"200": 100}
    assert result.p99_ms < 400


def test_a_killed_supervisord_leaves_no_orphan_and_ensure_heals(pair, variants, home, port):
    pair.route(Route(champion=3, challenger=4, weight=25))
    before, boot = inspect(home), pair.observe().boot
    os.kill(before.guardian, signal.SIGKILL)  # it would start the next one at once
    os.kill(before.supervisord, signal.SIGKILL)
    children = [before.envoy, *before.variants[3], *before.variants[4]]
    assert wait_until(lambda: not any(map(alive, children)), 3)
    assert inspect(home) == type(before)()
    with pytest.raises(EndpointError, match="nothing is known"):
        pair.observe()
    pair.ensure((variants[3], variants[4]))
    assert call(port)[0] == 200
    assert inspect(home).route == before.route
    assert pair.observe().boot != boot


def test_a_restart_without_the_challenger_serves_the_champion(pair, variants, home, port):
    pair.route(Route(champion=3, challenger=4, weight=25))
    os.kill(inspect(home).guardian, signal.SIGKILL)
    os.kill(inspect(home).supervisord, signal.SIGKILL)
    pair.ensure((variants[3],))
    assert call(port)[0] == 200
    assert inspect(home).route == ALONE


@pytest.mark.parametrize("victim", ["supervisord", "envoy"])
def test_what_a_killed_process_will_serve_again_is_not_stopped_meanwhile(pair, variants, home, port, victim):
    split, killed = Route(champion=3, challenger=4, weight=25), getattr(inspect(home), victim)
    pair.route(split)
    os.kill(killed, signal.SIGKILL)
    assert wait_until(lambda: getattr(inspect(home), victim) not in (None, killed), 10)
    for change in (lambda: pair.ensure((variants[3],)), lambda: pair.retire(4)):
        with pytest.raises(EndpointError, match="version 4 still gets traffic"):
            change()
    assert wait_until(lambda: call(port)[0] == 200, 10)
    assert inspect(home).route == split
    assert len(inspect(home).variants[4]) == len(inspect(home).variants[3])


def test_a_restarted_envoy_has_another_boot_and_the_same_route(pair, home, port):
    boot = pair.observe().boot
    os.kill(inspect(home).envoy, signal.SIGKILL)
    assert wait_until(lambda: (shown := inspect(home)).envoy is not None and shown.route == ALONE, 5)
    assert call(port)[0] == 200
    assert pair.observe().boot != boot


def test_lost_sockets_are_healed(pair, variants, home, port):
    folder = recorded_folder(home, home / "endpoint/sockets")
    lost = inspect(home).supervisord
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    pair.ensure((variants[3],))
    assert not alive(lost)
    assert call(port)[0] == 200


def test_a_taken_port_is_refused_before_anything_starts(endpoint, variants, home, port):
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        with pytest.raises(EndpointError, match=str(port)) as caught:
            endpoint.ensure((variants[3],))
    assert "rollout.port in params.yaml" in str(caught.value)
    assert not processes_of(home)


def test_another_port_is_moved_to(pair, variants, home, port):
    other = free_port()
    LocalEndpoint(home, Rollout(port=other)).ensure((variants[3], variants[4]))
    assert call(other)[0] == 200
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 1)


def test_another_bundle_than_the_promised_one_is_refused_and_stopped(pair, variants, home, port):
    forged = Variant(version=5, digest=variants[4].digest, bundle=variants[5].bundle)
    with pytest.raises(EndpointError, match="expected sha256:"):
        pair.ensure((variants[3], variants[4], forged))
    assert set(inspect(home).variants) == {3, 4}
    assert call(port)[0] == 200


def test_a_server_that_lies_about_its_digest_is_refused(home, port, variants):
    honest = LocalEndpoint(home, Rollout(port=port))._command
    lying = LocalEndpoint(home, Rollout(port=port), server_command=lambda _, uds: honest(variants[4], uds))
    with pytest.raises(EndpointError, match=f"serves {variants[4].digest}, not {variants[3].digest}"):
        lying.ensure((variants[3],))
    assert not processes_of(home)
    assert inspect(home).supervisord is None


def test_a_server_that_does_not_start_shows_its_log(home, port, variants):
    endpoint = LocalEndpoint(home, Rollout(port=port), server_command=lambda variant, uds: ["/bin/sh", "-c", "echo the reason; exit 3"])
    with pytest.raises(EndpointError, match="the reason"):
        endpoint.ensure((variants[3],))
    assert not processes_of(home)


def test_a_route_to_what_does_not_run_is_refused_before_anything_is_written(pair, home):
    files = {path: path.read_bytes() for path in (home / "endpoint/envoy").iterdir()}
    with pytest.raises(EndpointError, match="version 9 does not run"):
        pair.route(Route(champion=3, challenger=9, weight=5))
    assert {path: path.read_bytes() for path in (home / "endpoint/envoy").iterdir()} == files


def test_a_version_with_traffic_is_not_stopped(pair, variants, home, port):
    pair.route(Route(champion=3, challenger=4, weight=5))
    with pytest.raises(EndpointError, match="version 4 still gets traffic"):
        pair.ensure((variants[3],))
    assert set(inspect(home).variants) == {3, 4}


def test_what_envoy_refuses_is_put_back(pair, home, port):
    folder = recorded_folder(home, home / "endpoint/sockets")
    envoy = traffic.Envoy(home / "endpoint/envoy", folder / "admin", home / "endpoint/logs/envoy.log")
    good = (home / "endpoint/envoy/routes.json").read_bytes()
    with pytest.raises(EndpointError, match=r"Envoy refused the new routes\.json"):
        envoy.apply_route(Route(champion=77), timeout=1)
    assert (home / "endpoint/envoy/routes.json").read_bytes() == good
    assert call(port)[0] == 200


@pytest.mark.parametrize("bad", [b"", b"{ torn", routes(Route(champion=77), timeout=1)])
def test_a_bad_route_file_is_healed_before_envoy_reads_it_again(pair, home, port, bad):
    path = home / "endpoint/envoy/routes.json"
    good, torn = path.read_bytes(), path.with_name("torn")
    torn.write_bytes(bad)
    torn.rename(path)
    assert call(port)[0] == 200
    assert wait_until(lambda: path.read_bytes() == good, 5), "the watchdog puts it back"
    envoy = inspect(home).envoy
    os.kill(envoy, signal.SIGKILL)
    assert wait_until(lambda: inspect(home).route == ALONE and inspect(home).envoy != envoy, 5)
    assert call(port)[0] == 200


def test_two_servers_share_a_version_and_one_may_die(home, port, variants):
    endpoint = LocalEndpoint(home, Rollout(port=port, servers=2))
    try:
        endpoint.ensure((variants[3],))
        endpoint.route(ALONE)
        assert len(inspect(home).variants[3]) == 2
        with load(port) as results:
            os.kill(inspect(home).variants[3][0], signal.SIGKILL)
            time.sleep(0.5)
        assert results[0].statuses == {"200": results[0].sent}
    finally:
        endpoint.down()


def test_programs_get_no_secret_and_their_sockets_are_private(home, port, variants):
    env = {"PATH": os.environ["PATH"], "MLFLOW_TRACKING_PASSWORD": "hunter2", "AWS_SECRET_ACCESS_KEY": "hunter2"}
    endpoint = LocalEndpoint(home, Rollout(port=port), env=env)
    try:
        endpoint.ensure((variants[3],))
        shown = inspect(home)
        for pid in (shown.supervisord, shown.envoy, *shown.variants[3]):
            assert b"hunter2" not in Path(f"/proc/{pid}/environ").read_bytes()
        folder = recorded_folder(home, home / "endpoint/sockets")
        assert folder.stat().st_mode & 0o777 == 0o700
        assert {path.name: path.stat().st_mode & 0o077 for path in folder.iterdir()} == {"control": 0, "admin": 0, "v3-0": 0}
        assert max(len(os.fsencode(path)) for path in folder.iterdir()) < 100
        assert fetch(folder / "admin", "/ready")[0] == 200
    finally:
        endpoint.down()


def test_down_leaves_no_process_port_or_socket_and_twice_is_once(pair, home, port):
    folder, shown = recorded_folder(home, home / "endpoint/sockets"), inspect(home)
    pair.down()
    assert not any(map(alive, (shown.supervisord, shown.envoy, *shown.variants[3], *shown.variants[4])))
    assert not processes_of(home)
    assert not folder.exists()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", port))
    pair.down()
    assert inspect(home).supervisord is None


def full(variant, uds):
    """Servers of version 3 have room for nobody; the others are as they come."""
    from seatrial.adapters.endpoint import model_server

    return [*model_server()(variant, uds), *(["--max-waiting", "0"] if variant.version == 3 else [])]


def attempts(home, count):
    """How often each of the first requests was tried, as the access log says."""
    log = home / "endpoint/logs/access.log"
    assert wait_until(lambda: log.exists() and len(log.read_bytes().splitlines()) >= count, 10)
    return [json.loads(line)["attempts"] for line in log.read_text().splitlines()]


def test_a_champion_that_has_too_much_to_do_is_asked_once_and_not_left_out(home, port, variants):
    endpoint = LocalEndpoint(home, Rollout(port=port, request_timeout_s=0.5, servers=2), server_command=full)
    try:
        endpoint.ensure((variants[3], variants[4]))
        endpoint.route(ALONE)
        answers = [call(port) for _ in range(30)]
        assert {(status, headers["retry-after"]) for status, headers in answers} == {(503, "1")}
        assert attempts(home, 30) == [1] * 30
        assert endpoint_statistic(home, "cluster.version-3.outlier_detection.ejections_enforced_total") == 0
    finally:
        endpoint.down()


def test_what_a_challenger_refuses_the_champion_answers(home, port, variants):
    endpoint = LocalEndpoint(home, Rollout(port=port, request_timeout_s=0.5), server_command=full)
    try:
        endpoint.ensure((variants[3], variants[4]))
        endpoint.route(Route(champion=4, challenger=3, weight=100))
        answers = [call(port) for _ in range(30)]
        assert {(status, headers["x-seatrial-version"]) for status, headers in answers} == {(200, "4")}
        assert attempts(home, 30) == [2] * 30
        assert endpoint.observe().variants[3].failures == 30
    finally:
        endpoint.down()


def endpoint_statistic(home, name):
    """One counter of Envoy."""
    sockets = recorded_folder(home, home / "endpoint/sockets")
    status, body = fetch(sockets / "admin", f"/stats?format=json&filter=^{name}$")
    assert status == 200
    return json.loads(body)["stats"][0]["value"]
