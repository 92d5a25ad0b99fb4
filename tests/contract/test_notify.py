"""Messages to real servers that take them, answer 500, hang, or are not there; and a rollout that none of them stops."""

import http.server
import json
import socketserver
import subprocess
import sys
import threading
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller

from seatrial.adapters.supervisor import wait_until
from seatrial.commands.monitor import Question, monitor
from seatrial.deploy import deploy
from seatrial.notify import Notifier, notify_log
from seatrial.project import Project
from seatrial.rollout_state import Phase, Pin, State
from tests.bundles import make_bundle, make_rows
from tests.rollouts import World, gate, released
from tests.sites import NOON, Site
from tests.sites import PARAMS as SITE_PARAMS

PARAMS = Path(__file__).parents[2] / "params.yaml"
SECRET = "s3cret-token"
STARTED = State(phase=Phase.STARTING, id="2-a", challenger=Pin(version=2, digest="d"), environment="local", model="m")


class Web(http.server.ThreadingHTTPServer):
    """Keeps what it is sent, and answers as it is told: a status, or nothing until `released`."""

    daemon_threads = True

    def __init__(self, status):
        super().__init__(("127.0.0.1", 0), Answer)
        self.status, self.taken, self.released = status, [], threading.Event()

    @property
    def url(self):
        return f"json://127.0.0.1:{self.server_port}/{SECRET}"

    def handle_error(self, request, client_address):
        """A client that gave up waiting is no news."""


class Answer(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.taken.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        if self.server.status is None:
            self.server.released.wait(60)
            return
        self.send_response(self.server.status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Keep quiet."""


@contextmanager
def web(status):
    with Web(status) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.released.set()
        server.shutdown()


@pytest.fixture
def good():
    with web(200) as server:
        yield server


@pytest.fixture
def broken():
    with web(500) as server:
        yield server


@pytest.fixture
def hanging():
    with web(None) as server:
        yield server


def project(tmp_path, *urls, on="started, held, advanced, promoted, rolled_back, error", timeout_s=1):
    (tmp_path / "params.yaml").write_text(PARAMS.read_text() + f"\nnotify: {{events: [{on}], timeout_s: {timeout_s}}}\n")
    return Project.find(tmp_path, env={"SEATRIAL_NOTIFY_URLS": " ".join(urls)})


def told(project, said):
    """The notifier after one message, whose process is through."""
    notifier = Notifier(project, said.append)
    notifier("began", State(), STARTED)
    codes = [process.wait(30) for process in notifier._running]
    return notifier, codes


def test_a_message_arrives_with_title_and_body(tmp_path, good):
    said = []
    _, codes = told(project(tmp_path, good.url), said)
    assert (codes, said) == ([0], [])
    assert [(one["title"], one["message"], one["type"]) for one in good.taken] == [
        ("m in local: rollout of version 2 began", "Why: began\nWhat to do: watch it: nox -s status", "info")
    ]


def test_one_bad_address_keeps_nothing_from_the_others_and_is_said_once_without_its_secrets(tmp_path, good, broken, hanging):
    said, made = [], project(tmp_path, hanging.url, broken.url, f"nosuch://{SECRET}", f"json://127.0.0.1:1/{SECRET}", good.url)
    notifier, codes = told(made, said)
    assert codes == [1]
    assert len(good.taken) == 1
    for _ in range(2):
        notifier("again", State(), STARTED)
        for process in notifier._running:
            process.wait(30)
    assert len(said) == 1
    log = notify_log(made.home).read_text()
    for words in (
        "address 1 (JSON) did not take it within 1 s",
        "address 2 (JSON) did not take it",
        "address 3 is none that Apprise knows",
    ):
        assert words in log
        assert words in said[0]
    assert SECRET not in log + said[0]


def test_no_secret_stands_in_a_list_of_processes(tmp_path, hanging):
    notifier = Notifier(project(tmp_path, hanging.url), print)
    notifier("began", State(), STARTED)
    (process,) = notifier._running
    assert process.poll() is None
    assert not any(SECRET in word for word in process.args)
    assert SECRET.encode() not in Path(f"/proc/{process.pid}/cmdline").read_bytes()
    process.wait(30)


def test_a_message_outlives_the_controller_that_said_it(tmp_path, good):
    code = (
        "import sys; from pathlib import Path; from seatrial.notify import Notifier; from seatrial.project import Project\n"
        "from seatrial.rollout_state import *\n"
        "made = Project.find(Path(sys.argv[1]), env={'SEATRIAL_NOTIFY_URLS': sys.argv[2]})\n"
        "state = State(phase=Phase.STARTING, id='2-a', challenger=Pin(version=2, digest='d'))\n"
        "Notifier(made, print)('began', State(), state)\n"
    )
    made = project(tmp_path, good.url, timeout_s=20)
    subprocess.run([sys.executable, "-c", code, str(made.root), good.url], check=True, timeout=60)
    deadline = threading.Event()
    for _ in range(300):
        if good.taken or deadline.wait(0.1):
            break
    assert len(good.taken) == 1


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """Two bundles, made once."""
    folder = tmp_path_factory.mktemp("bundles")
    return [make_bundle(folder / f"{number}", bias=number / 10) for number in range(2)], folder


@pytest.mark.parametrize("kind", ["good", "broken", "hanging", "absent"])
def test_no_notifier_stops_a_rollout(tmp_path, bundles, request, kind):
    url = "json://127.0.0.1:1/x" if kind == "absent" else request.getfixturevalue(kind).url
    (tmp_path / "params.yaml").write_text(PARAMS.read_text() + "\nnotify: {events: [started, advanced, promoted], timeout_s: 20}\n")
    world = World(Project.find(tmp_path, env={"SEATRIAL_NOTIFY_URLS": url}))
    world.bundles, world.folder = bundles
    released(world)
    gate(world, 1)
    assert deploy(world.project, world.tools).exit_code == 0
    assert world.registry.aliases["champion"] == 2
    assert sum("notify:" in words for words in world.said) <= 1
    if kind == "good":
        server, wanted = request.getfixturevalue(kind), 2 + 1 + 5 + 1
        for _ in range(600):
            if len(server.taken) >= wanted:
                break
            threading.Event().wait(0.1)
        titles = {one["title"].partition(": ")[2] for one in server.taken}
        assert {"rollout of version 2 began", "version 2 goes on to the mirror step", "version 2 is champion"} <= titles


class Mailbox:
    """What an SMTP server was given."""

    def __init__(self):
        self.mails = []

    async def handle_DATA(self, server, session, envelope):
        self.mails.append(envelope)
        return "250 OK"


def test_a_mail_arrives_at_a_real_smtp_server(tmp_path):
    with socketserver.TCPServer(("127.0.0.1", 0), None) as found:
        port = found.server_address[1]
    mailbox = Mailbox()
    server = Controller(mailbox, hostname="127.0.0.1", port=port)
    server.start()
    try:
        url = f"mailto://127.0.0.1:{port}/?from=seatrial@example.org&to=ops@example.org&mode=insecure"
        said = []
        _, codes = told(project(tmp_path, url, timeout_s=10), said)
    finally:
        server.stop()
    assert (codes, said) == ([0], [])
    assert [mail.rcpt_tos for mail in mailbox.mails] == [["ops@example.org"]]
    assert b"rollout of version 2 began" in mailbox.mails[0].content


def test_an_alert_of_the_monitor_arrives_once_and_its_end_once(good, tmp_path):
    site = Site(tmp_path)
    site.profiled()
    (tmp_path / "params.yaml").write_text(f"{SITE_PARAMS}\nnotify: {{events: [alert]}}\n")
    site.project = Project(root=tmp_path, env={"SEATRIAL_NOTIFY_URLS": good.url})
    day = timedelta(days=1)
    for number, shifted in enumerate((True, True, False)):
        rows = [row | ({"visits": row["visits"] * 4} if shifted else {}) for row in make_rows(700, seed=20 + number)]
        site.asked(rows, at=NOON + number * day)
        monitor(site.project, Question(), now=NOON + number * day + day)
        assert wait_until(lambda told=number: len(good.taken) == (1, 1, 2)[told], 20)
    bad, well = good.taken
    assert bad["title"] == "leavers in local: version 3 fails 2 checks in 2026-11-23T00:00Z/2026-11-24T00:00Z"
    assert "drift.columns: 1 of 5 columns drifted" in bad["message"]
    assert well["title"] == "leavers in local: version 3 is well again in 2026-11-25T00:00Z/2026-11-26T00:00Z"
    assert SECRET not in notify_log(site.project.home).read_text()
