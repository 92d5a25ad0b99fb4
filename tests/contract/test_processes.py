"""Processes die, and the endpoint serves again: real supervisord, Envoy, model servers, guardian and watchdog."""

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
from pathlib import Path

import pytest

from seatrial.adapters.endpoint import LocalEndpoint, Route, Variant, inspect
from seatrial.adapters.parts import recorded_parts
from seatrial.adapters.sockets import recorded_folder
from seatrial.adapters.supervisor import Program, alive, command_line, wait_until
from seatrial.adapters.supervisor_files import LOG_BYTES
from seatrial.control import state_of
from seatrial.guardian import guardian_pid, start_guardian
from seatrial.journal import controller, journal_path, read_last
from seatrial.params import Rollout
from seatrial.rollout_state import Lease, Phase, Pin, State
from seatrial.tools import SystemClock
from tests.bundles import make_bundle, make_rows

pytestmark = [pytest.mark.slow, pytest.mark.timed, pytest.mark.skipif(sys.platform != "linux", reason="needs the parent-death signal")]
ROWS = make_rows(1)
ALONE = Route(champion=3)
PATIENCE = 20
"""Seconds that a slow machine may take; what is promised is measured in docs/serving.md."""


@pytest.fixture(scope="module")
def variants(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles")
    bundles = {version: make_bundle(folder / str(version), weight=version) for version in (3, 4)}
    return {version: Variant(version=version, digest=one.digest, bundle=folder / str(version)) for version, one in bundles.items()}


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def home(tmp_path):
    home = tmp_path / "a home, 100%"
    home.mkdir()
    yield home
    left = processes_of(home)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left, "the test left processes behind"


def processes_of(home):
    """Processes that run and whose command line names something below `home`."""
    pids = [int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit() and int(folder.name) != os.getpid()]
    return [pid for pid in pids if str(home) in command_line(pid) and alive(pid)]


@pytest.fixture
def endpoint(home, port):
    endpoint = LocalEndpoint(home, Rollout(port=port, request_timeout_s=0.5))
    yield endpoint
    endpoint.down()


@pytest.fixture
def serving(endpoint, variants, port):
    """Version 3 with all traffic."""
    endpoint.ensure((variants[3],))
    endpoint.route(ALONE)
    assert answers(port)
    return endpoint


def answers(port):
    body = json.dumps({"dataframe_records": ROWS}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/invocations", data=body, headers={"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.headers["x-seatrial-version"]
    except (urllib.error.URLError, OSError):
        return None


def kill(*pids):
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: not any(map(alive, pids)), 5)


def everything(shown):
    return [shown.guardian, shown.supervisord, shown.envoy, shown.watchdog, *(pid for pids in shown.variants.values() for pid in pids)]


@pytest.mark.parametrize("victim", ["supervisord", "envoy", "server"])
def test_what_is_killed_serves_again_without_a_command(serving, home, port, victim):
    before = inspect(home)
    kill({"supervisord": before.supervisord, "envoy": before.envoy, "server": before.variants[3][0]}[victim])
    began = time.monotonic()
    assert wait_until(lambda: answers(port) == "3", PATIENCE), (home / "endpoint/logs/guardian.log").read_text()
    print(f"{victim}: {time.monotonic() - began:.2f} s")
    after = inspect(home)
    assert after.route == ALONE
    assert after.guardian == before.guardian
    if victim == "supervisord":
        assert not any(map(alive, [before.supervisord, before.envoy, before.watchdog, *before.variants[3]]))


def test_supervisord_killed_again_and_again_comes_back(serving, home, port):
    for _ in range(3):
        kill(inspect(home).supervisord)
        assert wait_until(lambda: inspect(home).supervisord is not None and answers(port) == "3", PATIENCE)
    assert (home / "endpoint/logs/guardian.log").read_text().count("runs again") == 3


def test_a_killed_guardian_is_started_again_by_the_watchdog(serving, home):
    first = guardian_pid(home)
    kill(first)
    assert wait_until(lambda: guardian_pid(home) not in (None, first), PATIENCE)
    kill(inspect(home).watchdog)
    assert wait_until(lambda: inspect(home).watchdog is not None, PATIENCE)


def test_guardian_and_supervisord_killed_together_are_healed_by_the_next_command(serving, home, port, variants):
    shown = inspect(home)
    kill(shown.guardian, shown.supervisord)
    assert wait_until(lambda: not any(map(alive, everything(shown))), 5)
    serving.ensure((variants[3],))
    assert answers(port) == "3"
    assert None not in everything(inspect(home))


def test_there_is_one_guardian_however_often_it_is_started(serving, home):
    first = guardian_pid(home)
    for _ in range(3):
        start_guardian(home, Path(sys.executable), os.environ)
    kill(first)
    threads = [threading.Thread(target=start_guardian, args=(home, Path(sys.executable), os.environ)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wait_until(lambda: len([pid for pid in processes_of(home) if "seatrial.guardian" in command_line(pid)]) == 1, 10)


@pytest.mark.parametrize("delay", [0.0, 0.1, 0.3, 0.8])
def test_down_leaves_nothing_also_while_supervisord_is_being_restarted(serving, home, port, delay):
    folder, shown = recorded_folder(home, home / "endpoint/sockets"), inspect(home)
    kill(shown.supervisord)
    time.sleep(delay)
    for _ in range(2):
        serving.down()
        assert [command_line(pid) for pid in everything(shown) if alive(pid)] == []
        assert not processes_of(home)
        assert not folder.exists()
        assert not (home / "endpoint/guardian.lock").exists()
        with socket.socket() as probe:
            # Connections that Envoy closed may linger in the kernel; they hold nothing.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
    time.sleep(1.5)
    assert not processes_of(home)


def test_what_a_program_prints_is_kept_in_files_of_bounded_size(serving, home):
    folder, parts = home / "endpoint/logs", recorded_parts(home)
    script = home / "chatty.py"
    script.write_text("import time\nfor _ in range(22):\n    print('x' * 2**20, flush=True)\ntime.sleep(60)\n")
    chatty = Program(name="chatty", command=(sys.executable, str(script)), log=folder / "chatty.log")
    parts.supervisor.add("chatty", (chatty,), priority=1)
    try:
        assert wait_until(lambda: (folder / "chatty.log.2").exists(), PATIENCE)
        sizes = {path.name: path.stat().st_size for path in folder.glob("chatty.log*")}
        assert set(sizes) == {"chatty.log", "chatty.log.1", "chatty.log.2"}
        assert max(sizes.values()) <= LOG_BYTES + 2**20
    finally:
        parts.supervisor.remove("chatty")


def test_a_removed_state_folder_ends_the_guardian(serving, home):
    guardian, supervisord = guardian_pid(home), inspect(home).supervisord
    (home / "endpoint/guardian.lock").unlink()
    kill(supervisord)
    assert wait_until(lambda: not alive(guardian), 5)


def test_a_guardian_whose_lock_was_removed_ends_though_another_took_its_place(serving, home):
    first = guardian_pid(home)
    (home / "endpoint/guardian.lock").unlink()
    start_guardian(home, Path(sys.executable), os.environ)
    assert wait_until(lambda: not alive(first), 5)
    assert [pid for pid in processes_of(home) if "seatrial.guardian" in command_line(pid)] == [guardian_pid(home)]


def test_a_controller_that_is_killed_loses_its_challenger_s_traffic_within_the_lease(serving, home, port, variants):
    serving.ensure((variants[3], variants[4]))
    serving.route(Route(champion=3, challenger=4, weight=25))
    clock = SystemClock()
    state = State(
        phase=Phase.CANARY,
        champion=Pin(version=3, digest=variants[3].digest),
        challenger=Pin(version=4, digest=variants[4].digest),
        lease=Lease(boot=clock.boot(), until=clock.monotonic() + 5),
    )
    # Killing a controller frees its lock; what stays of it are the journal's last record and the lease in it.
    with controller(home, "deploy") as journal:
        journal.append("canary", state.to_dict(), time=clock.wall())
    assert inspect(home).route.weight == 25
    assert wait_until(lambda: inspect(home).route == ALONE, PATIENCE)
    assert state_of(read_last(journal_path(home)).record.state).phase is Phase.ROLLING_BACK
    assert clock.monotonic() >= state.lease.until


def test_after_a_reboot_the_next_command_restores_what_served(serving, home, port, variants):
    shown, folder = inspect(home), recorded_folder(home, home / "endpoint/sockets")
    kill(*everything(shown)[:2])
    assert wait_until(lambda: not any(map(alive, everything(shown))), 5)
    shutil.rmtree(folder)
    serving.ensure((variants[3],))
    serving.route(ALONE)
    assert answers(port) == "3"
    assert None not in everything(inspect(home))


def test_programs_run_from_their_runtime_and_not_from_this_environment(serving, home):
    shown = inspect(home)
    for pid in everything(shown):
        assert f"{home}/runtimes/" in command_line(pid)
        maps = Path(f"/proc/{pid}/maps").read_text()
        assert "/src/seatrial" not in maps
        assert f"{sys.prefix}/lib" not in maps


def test_a_version_keeps_its_runtime_when_what_is_installed_changes(serving, home, port, variants, monkeypatch, tmp_path):
    from seatrial.adapters import runtimes

    first = {path.name for path in (home / "runtimes").iterdir() if path.is_dir()}
    changed = tmp_path / "src/seatrial"
    shutil.copytree(runtimes.SEATRIAL, changed, ignore=shutil.ignore_patterns("__pycache__"))
    (changed / "added.py").write_text("")
    monkeypatch.setattr(runtimes, "SEATRIAL", changed)
    serving.ensure((variants[3], variants[4]))
    records = json.loads((home / "runtimes/versions.json").read_bytes())
    assert records["3"]["runtime"] in first
    assert records["4"]["runtime"] not in first
    serving.down()
    serving.ensure((variants[3],))
    serving.route(ALONE)
    assert answers(port) == "3"
    assert f"{home}/runtimes/{records['3']['runtime']}" in command_line(inspect(home).variants[3][0])
    assert set(json.loads((home / "runtimes/versions.json").read_bytes())) == {"3"}


def test_a_checkout_or_a_removed_environment_under_a_live_endpoint_changes_nothing(home, port, variants, tmp_path):
    """The endpoint is started by an environment and sources of their own, which are then removed; a crash later it still serves."""
    made = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(made)], check=True)
    from seatrial.adapters import runtimes

    sources = tmp_path / "checkout/src"
    shutil.copytree(runtimes.SEATRIAL, sources / "seatrial", ignore=shutil.ignore_patterns("__pycache__"))
    paths = [str(sources), *(path for path in sys.path if path.endswith("site-packages"))]
    next(made.glob("lib/python*/site-packages")).joinpath("there.pth").write_text("\n".join(paths))
    code = (
        "import sys\nfrom pathlib import Path\nfrom seatrial.adapters.endpoint import *\nfrom seatrial.params import Rollout\n"
        "home, port, digest, bundle = sys.argv[1:]\nendpoint = LocalEndpoint(Path(home), Rollout(port=int(port)))\n"
        "endpoint.ensure((Variant(version=3, digest=digest, bundle=Path(bundle)),))\nendpoint.route(Route(champion=3))\n"
    )
    arguments = [str(home), str(port), variants[3].digest, str(variants[3].bundle)]
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([str(made / "bin/python"), "-c", code, *arguments], check=True, env=kept, cwd=tmp_path)
    try:
        shutil.rmtree(made)
        shutil.rmtree(sources)
        assert answers(port) == "3"
        for _ in range(2):
            shown = inspect(home)
            kill(shown.supervisord)
            assert wait_until(lambda: inspect(home).supervisord is not None and answers(port) == "3", PATIENCE)
    finally:
        LocalEndpoint(home, Rollout(port=port)).down()
