"""Whole rollouts over real Envoy, supervisord and model servers; only the registry is in memory."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import replace

import polars as pl
import pytest

from seatrial.adapters.endpoint import inspect
from seatrial.commands.rollback import rollback
from seatrial.commands.status import status
from seatrial.control import state_of
from seatrial.deploy import deploy
from seatrial.journal import journal_path, read_last
from seatrial.project import Project
from seatrial.tools import local_tools
from seatrial.verdict import Check, Outcome, Verdict
from tests.bundles import make_bundle, make_rows, make_targets
from tests.rollouts import MemoryRegistry

pytestmark = [pytest.mark.slow, pytest.mark.timed]

PARAMS = """
model: {{name: logistic}}
data: {{raw: data/raw.csv, target: left, positive: "Yes", id: client}}
rollout: {{port: {port}, steps: [mirror, 25, 100], min_requests: 100, max_increase: 0.05, bake_seconds: 0.5, step_deadline_s: 30,
          replay: {{rate: 150}}}}
monitor: {{log: {{flush_seconds: 0.2}}}}
"""


class Live:
    """A project with a real endpoint on a free port."""

    def __init__(self, root):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        (root / "params.yaml").write_text(PARAMS.format(port=self.port))
        self.project = Project.find(root, env={**os.environ, "SEATRIAL_HOME": str(root / "home")})
        self.registry, self.said = MemoryRegistry(), []
        self.write_rows()

    @property
    def tools(self):
        tools = local_tools(self.project, say=self.said.append, show=lambda plan, decision: self.said.append(decision.reason))
        return replace(tools, registry=self.registry)

    def write_rows(self, *, factor=1.0):
        rows = make_rows(400, seed=7)
        frame = pl.DataFrame(rows).with_columns(pl.col("amount") * factor, left=pl.Series(make_targets(rows)))
        self.project.test_data.parent.mkdir(parents=True, exist_ok=True)
        frame.write_parquet(self.project.test_data)

    def gate(self, **model):
        shutil.rmtree(self.project.bundle, ignore_errors=True)
        bundle = make_bundle(self.project.bundle, **model)
        holder = self.registry.versions.get(self.registry.aliases.get("champion"))
        check = Check(name="performance.roc_auc.floor", outcome=Outcome.PASS, message="measured")
        subject = {"bundle": bundle.digest, "champion": holder.digest if holder else None}
        verdict = Verdict(kind="gate", subject=subject, checks=(check,))
        verdict.save(self.project.verdict("gate"))
        return self.registry.add(bundle.digest, verdict.digest)

    def ask(self, row):
        body = json.dumps({"dataframe_records": [row]}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/invocations", body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers["x-seatrial-version"]

    def status(self):
        record = read_last(journal_path(self.project.home)).record
        return status(self.project, state_of(record.state if record else None), inspect(self.project.home))


@pytest.fixture
def live(tmp_path):
    made = Live(tmp_path)
    try:
        yield made
    finally:
        made.tools.endpoint.down()


class Client:
    """Asks all the time, and counts answers by status and version."""

    def __init__(self, live, rows):
        self.answers = Counter()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(live, rows))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(20)

    def _run(self, live, rows):
        while not self._stop.is_set():
            for row in rows:
                try:
                    self.answers[live.ask(row)] += 1
                except urllib.error.HTTPError as error:
                    self.answers[error.code, None] += 1
                except OSError as error:
                    self.answers[type(error).__name__, None] += 1
                if self._stop.wait(0.02):
                    return

    @property
    def failures(self):
        return {answer: count for answer, count in self.answers.items() if answer[0] != 200}


def test_a_release_a_rollout_and_the_way_back_lose_no_request(live):
    live.gate()
    assert deploy(live.project, live.tools).exit_code == 0
    assert live.status()["phase"] == "idle"
    live.gate(weight=0.9)
    began = time.monotonic()
    with Client(live, make_rows(50, seed=3)) as client:
        done = deploy(live.project, live.tools)
        assert done.exit_code == 0, done.message
        took = time.monotonic() - began
        assert live.ask(make_rows(1)[0]) == (200, "2")
        assert [(one["role"], one["weight"], len(one["pids"])) for one in live.status()["variants"]] == [
            ("champion", 100, 1),
            ("previous", 0, 1),
        ]
        began = time.monotonic()
        rollback(live.project, live.tools, reason="a test")
        back = time.monotonic() - began
        assert live.ask(make_rows(1)[0]) == (200, "1")
    assert client.failures == {}
    assert {version for _, version in client.answers} == {"1", "2"}
    assert took < 60
    assert back < 5
    assert {"step.mirror", "step.025", "step.100", "mirror.disagreement"} <= {check.name for check in done.verdict.checks}


def test_a_challenger_that_breaks_is_sent_back_and_no_client_notices(live):
    live.gate()
    deploy(live.project, live.tools)
    live.write_rows(factor=4.0)
    live.gate(constant=float("nan"), constant_above=100.0)
    with Client(live, [{**row, "amount": 300.0} for row in make_rows(20, seed=3)]) as client:
        done = deploy(live.project, live.tools)
    assert (done.exit_code, done.verdict.outcome) == (1, Outcome.FAIL), done.message
    assert client.failures == {}
    assert [(one["version"], one["weight"]) for one in live.status()["variants"]] == [(1, 100)]
    assert live.registry.aliases == {"champion": 1, "anchor": 1}


def test_a_challenger_that_answers_otherwise_never_gets_a_weight(live):
    live.gate()
    deploy(live.project, live.tools)
    live.gate(weight=-1.0, bias=0.5)
    done = deploy(live.project, live.tools)
    assert (done.exit_code, done.verdict.outcome) == (1, Outcome.FAIL), done.message
    assert "another label" in done.message
    assert "step.025" not in {check.name for check in done.verdict.checks}


def test_the_replayed_requests_die_with_their_controller(live):
    live.gate()
    deploy(live.project, live.tools)
    code = (
        "import sys, time, pathlib\nfrom seatrial.project import Project\nfrom seatrial.tools import ReplaySource\n"
        "source = ReplaySource(Project.find(pathlib.Path(sys.argv[1])), rate=20)\nsource.start()\n"
        "print(source._process.pid, flush=True)\ntime.sleep(60)"
    )
    controller = subprocess.Popen(
        [sys.executable, "-c", code, str(live.project.root)], stdout=subprocess.PIPE, text=True, env=dict(live.project.env)
    )
    try:
        replay = int(controller.stdout.readline())
        time.sleep(0.5)
        os.kill(replay, 0)
    finally:
        controller.send_signal(signal.SIGKILL)
        controller.wait(10)
        controller.stdout.close()
    assert _gone(replay)


def _gone(pid, seconds=5):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False
