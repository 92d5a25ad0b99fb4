"""A model server killed with -9 under load: what the next one says is missing from the log, beside what clients know."""

import http.client
import json
import signal
import threading
import time

import pytest

from seatrial.serving.losses import log_losses
from seatrial.serving.predictions import read_log
from tests.bundles import make_rows
from tests.servers import connected, start_server, stop_server

pytestmark = pytest.mark.slow


def request(rows, number):
    body = json.dumps({"dataframe_records": rows}).encode()
    head = f"POST /invocations HTTP/1.1\r\nhost: x\r\nx-request-id: {number}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def ask(connection, data):
    """The status of the next answer; OSError or HTTPException where none comes."""
    connection.sendall(data)
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    answer.read()
    return answer.status


def load(uds, name, answered, stop, rows):
    """Ask until the connection breaks, and note what was answered."""
    with connected(uds) as connection:
        number = 0
        try:
            while not stop.is_set():
                number += 1
                assert ask(connection, request(rows, f"{name}-{number}")) == 200
                answered.append(f"{name}-{number}")
        except (OSError, http.client.HTTPException):
            return


def under_load(uds, clients, rows):
    answered, stop = [], threading.Event()
    threads = [threading.Thread(target=load, args=(uds, name, answered, stop, rows)) for name in range(clients)]
    for thread in threads:
        thread.start()
    return answered, stop, threads


def metric(uds, name):
    with connected(uds) as connection:
        connection.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        text = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} "))


def wait_for(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    assert condition()


@pytest.mark.parametrize("seconds", [0.31, 0.77, 1.4])
def test_after_kill_9_under_load_the_next_start_says_how_many_rows_are_missing(tmp_path, seconds):
    process = start_server(tmp_path, "--flush-seconds", "0.25")
    answered, _, threads = under_load(tmp_path / "s", 4, make_rows(2))
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.wait(20)
    for thread in threads:
        thread.join(20)
    process.communicate()
    log = read_log(tmp_path / "log")
    missing = 2 * len(answered) - log.height
    (loss,) = log_losses(tmp_path / "log")
    assert loss.rows - loss.unsent <= missing <= loss.rows
    assert loss.unsent <= 2 * 4, "a client waits for one answer at a time"
    assert (loss.requests, loss.exact, loss.dropped, loss.version) == (loss.rows // 2, True, 0, "3")
    again = start_server(tmp_path)
    wait_for(lambda: metric(tmp_path / "s", "seatrial_log_rows_lost_total") == loss.rows)
    assert f"{loss.rows} rows of {loss.requests} answered requests that are not in the prediction log" in stop_server(again)
    assert [(one.run, one.rows) for one in log_losses(tmp_path / "log")] == [(loss.run, loss.rows)]
    assert stop_server(start_server(tmp_path)) == "", "it is said once"


def test_when_all_is_answered_the_number_is_exact(tmp_path):
    process = start_server(tmp_path, "--flush-seconds", "0.3")
    answered, stop, threads = under_load(tmp_path / "s", 4, make_rows(1))
    time.sleep(1)
    stop.set()
    for thread in threads:
        thread.join(20)
    before = len(answered)
    wait_for(lambda: read_log(tmp_path / "log").height == before)
    with connected(tmp_path / "s") as connection:
        time.sleep(0.05)
        for number in range(25):
            assert ask(connection, request(make_rows(3), f"late-{number}")) == 200
        assert ask(connection, b"GET /ping HTTP/1.1\r\nhost: x\r\n\r\n") == 200
        process.send_signal(signal.SIGKILL)
    process.wait(20)
    process.communicate()
    log = read_log(tmp_path / "log")
    missing = before + 75 - log.height
    assert [(loss.rows, loss.unsent) for loss in log_losses(tmp_path / "log")] == ([(missing, 0)] if missing else [])


def test_an_orderly_end_loses_nothing_and_says_nothing(tmp_path):
    process = start_server(tmp_path)
    with connected(tmp_path / "s") as connection:
        for number in range(10):
            assert ask(connection, request(make_rows(1), str(number))) == 200
    assert stop_server(process) == ""
    assert log_losses(tmp_path / "log") == ()
    assert read_log(tmp_path / "log").height == 10


def test_a_loss_of_one_server_is_not_one_of_another_that_still_runs(tmp_path):
    one = start_server(tmp_path, "--flush-seconds", "3600")
    (tmp_path / "s").rename(tmp_path / "first")
    other = start_server(tmp_path, "--flush-seconds", "3600")
    for path, times in ((tmp_path / "first", 3), (tmp_path / "s", 5)):
        with connected(path) as connection:
            for number in range(times):
                assert ask(connection, request(make_rows(1), f"{path.name}-{number}")) == 200
            assert ask(connection, b"GET /ping HTTP/1.1\r\nhost: x\r\n\r\n") == 200
    one.kill()
    one.communicate()
    assert [loss.rows for loss in log_losses(tmp_path / "log")] == [3]
    assert stop_server(other).count("3 rows of 3 answered requests") == 1
    assert [loss.rows for loss in log_losses(tmp_path / "log")] == [3]
    assert read_log(tmp_path / "log").height == 5
