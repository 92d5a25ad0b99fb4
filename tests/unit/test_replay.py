"""The request sender: schedule, labels, counts; and the rows that it sends."""

import argparse
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.commands import replay as command
from seatrial.errors import DataError, EndpointError, UsageError
from seatrial.project import Project
from seatrial.replay import percentile, replay

ROWS = [{"client": "a", "amount": 1.5}, {"client": "b", "amount": None}]


@pytest.fixture
def server():
    """A server that remembers what it was asked; its `statuses` are answered in turn, 0 hangs up."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            server.seen.append((dict(self.headers.items()), body, self.client_address))
            status = server.statuses[len(server.seen) % len(server.statuses)]
            if status == 0:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("content-length", "2")
            self.send_header("x-seatrial-version", "7")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *arguments):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.seen, server.statuses = [], [200]
    server.url = f"http://127.0.0.1:{server.server_port}/invocations"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_rows_are_sent_one_by_one_labelled_with_ids_of_their_own(server):
    result = replay(server.url, ROWS, rate=500, requests=5)
    assert (result.sent, result.ok, result.failed) == (5, 5, 0)
    assert sorted(body["dataframe_records"][0]["client"] for _, body, _ in server.seen) == ["a", "a", "a", "b", "b"]
    assert {headers["x-seatrial-simulated"] for headers, _, _ in server.seen} == {"1"}
    assert len({headers["x-request-id"] for headers, _, _ in server.seen}) == 5
    assert (result.statuses, result.by_version) == ({"200": 5}, {"7": 5})
    assert 0 < result.p50_ms <= result.p99_ms <= result.max_ms


def test_what_is_no_simulation_is_not_labelled(server):
    replay(server.url, ROWS, rate=500, requests=1, simulated=False)
    assert "x-seatrial-simulated" not in server.seen[0][0]


def test_connections_are_kept(server):
    replay(server.url, ROWS, rate=50, requests=10)
    assert len({address for _, _, address in server.seen}) < 5


def test_failures_are_counted_by_status(server):
    server.statuses = [200, 503, 400]
    result = replay(server.url, ROWS, rate=500, requests=9)
    assert (result.ok, result.failed) == (3, 6)
    assert result.statuses == {"200": 3, "400": 3, "503": 3}
    assert result.by_version == {"7": 3}


def test_no_answer_is_a_failure_with_its_reason(server):
    server.statuses = [0]
    result = replay(server.url, ROWS, rate=500, requests=3)
    assert result.failed == 3
    assert result.statuses == {"no answer (ServerDisconnectedError)": 3}
    assert result.p99_ms is None


def test_seconds_and_rate_give_the_number_of_requests(server):
    assert replay(server.url, ROWS, rate=200, seconds=0.1).sent == 20
    assert replay(server.url, ROWS, rate=200, seconds=0.1, requests=7).sent == 7


def test_it_stops_when_told(server):
    sent = []
    result = replay(server.url, ROWS, rate=500, stop=lambda: len(sent) >= 4, progress=sent.append)
    assert (result.sent, sent) == (4, [1, 2, 3, 4])


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([], {"rate": 1, "requests": 1}, "no rows"),
        (ROWS, {"rate": 0, "requests": 1}, "sends nothing"),
        (ROWS, {"rate": 1, "requests": 0}, "0 requests"),
        (ROWS, {"rate": 1, "seconds": 0.5}, "not one request"),
    ],
)
def test_a_replay_that_sends_nothing_is_refused(rows, options, message):
    with pytest.raises(UsageError, match=message):
        replay("http://127.0.0.1:1", rows, **options)


@given(st.lists(st.floats(allow_nan=False), min_size=1), st.floats(min_value=0.01, max_value=1))
def test_a_percentile_is_the_smallest_value_that_covers_its_share(values, share):
    ordered = sorted(values)
    found = percentile(ordered, share)
    assert sum(value <= found for value in ordered) >= share * len(ordered) - 1e-9
    assert sum(value < found for value in ordered) < share * len(ordered)


def test_of_nothing_there_is_no_percentile():
    assert percentile([], 0.5) is None


FRAME = pl.DataFrame({"amount": [1.0, 2.0, None], "visits": [1, 2, 3], "member": [True, False, None], "colour": ["red", None, "blue"]})


@pytest.mark.parametrize(
    ("shift", "column", "expected"),
    [
        ("amount=1.5", "amount", [1.5, 3.0, None]),
        ("visits=1.4", "visits", [1, 3, 4]),
        ("member=false", "member", [False] * 3),
        ("colour=green", "colour", ["green"] * 3),
        ("colour=a=b", "colour", ["a=b"] * 3),
    ],
)
def test_a_column_is_shifted_and_keeps_its_type(shift, column, expected):
    found = command.shifted(FRAME, shift)
    assert found[column].to_list() == expected
    assert found.schema == FRAME.schema
    assert found.drop(column).equals(FRAME.drop(column))


@pytest.mark.parametrize(
    ("shift", "message"),
    [
        ("amuont=2", "did you mean 'amount'"),
        ("amount", "COLUMN=FACTOR"),
        ("amount=", "COLUMN=FACTOR"),
        ("amount=lots", "must be a factor"),
        ("amount=nan", "must be a factor"),
        ("visits=inf", "must be a factor"),
        ("member=2", "true or false"),
    ],
)
def test_a_shift_that_does_not_fit_is_refused(shift, message):
    with pytest.raises(UsageError, match=message):
        command.shifted(FRAME, shift)


@pytest.fixture
def project(tmp_path, server):
    (tmp_path / "data/processed").mkdir(parents=True)
    frame = FRAME.with_columns(
        client=pl.Series(["a", "b", "c"]), left=pl.Series(["Yes", "No", "No"]), amount=pl.Series([1.0, float("nan"), None])
    )
    frame.write_parquet(tmp_path / "data/processed/test.parquet")
    (tmp_path / "params.yaml").write_text(
        f"model: {{name: m}}\ndata: {{raw: raw.csv, target: left, id: client}}\nrollout: {{port: {server.server_port}}}\n"
    )
    return Project(root=tmp_path, env={})


def run(project, *argv):
    parser = argparse.ArgumentParser()
    command.arguments(parser)
    return command.run(project, parser.parse_args(argv))


def test_the_command_sends_the_held_out_rows_without_their_target(project, server, capsys):
    assert run(project, "--shift", "visits=10") == 0
    sent = {body["dataframe_records"][0]["client"]: body["dataframe_records"][0] for _, body, _ in server.seen}
    assert sent["a"] == {"client": "a", "amount": 1.0, "visits": 10, "member": True, "colour": "red"}
    assert sent["b"]["amount"] is None
    assert {headers["x-seatrial-simulated"] for headers, _, _ in server.seen} == {"1"}
    printed = capsys.readouterr().out
    assert "3 simulated requests" in printed
    assert "shifted by visits=10" in printed
    assert "version 7: 3" in printed


def test_one_failure_is_exit_1_and_named(project, server, capsys):
    server.statuses = [200, 200, 503]
    assert run(project, "--requests", "3", "--rate", "500") == 1
    assert "1 × 503" in capsys.readouterr().out


def test_nothing_that_listens_is_an_error(project, server):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    text = (project.root / "params.yaml").read_text().replace(str(server.server_port), str(port))
    (project.root / "params.yaml").write_text(text)
    with pytest.raises(EndpointError, match=f"nothing listens on 127.0.0.1:{port}"):
        run(project)


@pytest.mark.parametrize("option", ["--rate", "--requests", "--seconds"])
@pytest.mark.parametrize("value", ["0", "-1"])
def test_numbers_have_to_be_positive(project, option, value):
    with pytest.raises(UsageError, match=f"{option} must be more than 0"):
        run(project, option, value)


def test_without_held_out_rows_the_error_says_what_to_do(project):
    project.test_data.unlink()
    with pytest.raises(DataError, match="nox -s train"):
        run(project)
