"""supervisord's files, its programs, and the leash that they run on."""

import configparser
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from seatrial.adapters import leash
from seatrial.adapters.supervisor import (
    Process,
    Program,
    Supervisor,
    alive,
    command_line,
    group_config,
    supervisord_config,
    tail,
    wait_until,
)
from seatrial.errors import EndpointError

HOME = Path("/a home/100%")


def parsed(text):
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    return parser


def test_a_command_survives_the_file():
    program = Program(name="version-3-0", command=("run", "a b", "50%", "it's"), log=HOME / "logs/x.log")
    found = parsed(group_config("version-3", (program,), priority=100, pid_file=HOME / "pid"))
    command = shlex.split(found["program:version-3-0"]["command"].replace("%%", "%"))
    assert command == [sys.executable, "-I", "-S", leash.__file__, str(HOME / "pid"), "run", "a b", "50%", "it's"]
    assert found["group:version-3"]["programs"] == "version-3-0"
    assert found["program:version-3-0"]["stdout_logfile"] == "logs/x.log"


def test_only_the_control_socket_listens_and_only_for_this_user():
    found = parsed(supervisord_config(control=Path("/run/control"), log=HOME / "log", pid_file=HOME / "pid"))
    assert found["unix_http_server"]["chmod"] == "0700"
    assert "inet_http_server" not in found


@pytest.mark.parametrize("name", ["line\nbreak", "comment ; here"])
def test_a_path_that_the_file_cannot_hold_is_refused(name):
    with pytest.raises(EndpointError, match="supervisord cannot take"):
        supervisord_config(control=Path("/run") / name, log=HOME, pid_file=HOME)


def test_nobody_at_the_socket_is_no_process_id(tmp_path):
    supervisor = Supervisor(tmp_path, tmp_path / "control", {})
    assert supervisor.pid() is None
    with pytest.raises(EndpointError, match="does not answer"):
        supervisor.processes()
    supervisor.stop()


def test_a_pid_file_of_somebody_else_kills_nobody(tmp_path):
    with subprocess.Popen(["sleep", "60"]) as other:
        try:
            (tmp_path / "supervisord.pid").write_text(f"{other.pid}\n")
            Supervisor(tmp_path, tmp_path / "control", {}).end_lost()
            assert other.poll() is None
        finally:
            other.kill()
    assert not (tmp_path / "supervisord.pid").exists()


def test_what_a_killed_supervisord_ran_is_waited_for(tmp_path):
    (tmp_path / "starts").mkdir()
    dying = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(0.7)"])
    (tmp_path / "starts/champion").write_text(f"1764000000 1\n1764000001 {dying.pid}\n")
    (tmp_path / "starts/empty").touch()
    Supervisor(tmp_path, tmp_path / "control.sock", {}).end_lost()
    ended = not alive(dying.pid)
    dying.wait()
    assert ended


@pytest.mark.skipif(sys.platform != "linux", reason="looks processes up in /proc")
def test_a_program_that_a_killed_supervisord_was_starting_is_waited_for(tmp_path):
    line = [sys.executable, "-c", "import time; time.sleep(0.7)", str(tmp_path / "supervisord.pid"), "program"]
    starting = subprocess.Popen(line)
    assert wait_until(lambda: "program" in command_line(starting.pid), 5)  # for a moment, a process that begins has none
    Supervisor(tmp_path, tmp_path / "control.sock", {}).end_lost()
    ended = not alive(starting.pid)
    starting.wait()
    assert ended


def test_the_leash_starts_nothing_for_another_parent(tmp_path):
    (tmp_path / "pid").write_text("1\n")
    ended = run_leash(tmp_path / "pid", "echo", "started")
    if sys.platform == "linux":
        assert (ended.returncode, ended.stdout) == (1, "")
        assert "not starting echo" in ended.stderr


def test_the_leash_passes_arguments_and_exit_code_on(tmp_path):
    (tmp_path / "pid").write_text(f"{os.getpid()}\n")
    ended = run_leash(tmp_path / "pid", "sh", "-c", 'echo "$1"; exit 7', "sh", "a b")
    assert (ended.returncode, ended.stdout) == (7, "a b\n")


def run_leash(pid_file, *command):
    return subprocess.run(
        [sys.executable, "-I", "-S", leash.__file__, str(pid_file), *command], capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_programs_start_restart_and_stop_with_their_files(tmp_path):
    supervisor = Supervisor(tmp_path, Path("/tmp") / f"st-control-{os.getpid()}", os.environ)
    programs = (Program(name="nap-0", command=("sleep", "600"), log=tmp_path / "logs/nap.log"),)
    try:
        supervisor.start()
        supervisor.add("nap", programs, priority=100)
        first = running(supervisor)
        os.kill(first.pid, signal.SIGKILL)
        again = running(supervisor, other_than=first.pid)
        assert (again.group, again.name) == ("nap", "nap-0")
        supervisor.remove("nap")
        supervisor.remove("nap")
        assert supervisor.processes() == ()
        assert not list((tmp_path / "programs").iterdir())
        supervisor.add("nap", programs, priority=100)
        last, pid = running(supervisor), supervisor.pid()
    finally:
        supervisor.stop()
    assert not alive(pid)
    assert not alive(last.pid)
    assert supervisor.pid() is None


def running(supervisor, other_than=0):
    found: list[Process] = []

    def runs():
        found[:] = [one for one in supervisor.processes() if one.pid not in (0, other_than)]
        return bool(found)

    assert wait_until(runs, 5)
    return found[0]


def test_a_process_that_ended_is_not_alive():
    process = subprocess.Popen(["true"])
    assert wait_until(lambda: not alive(process.pid), 5)
    process.wait()
    assert not alive(process.pid)
    assert command_line(process.pid) == ""
    assert alive(os.getpid())
    assert Path(sys.executable).name.encode() in command_line(os.getpid()).encode()


def test_the_end_of_a_log_is_shown(tmp_path):
    (tmp_path / "log").write_text("".join(f"line {number}\n" for number in range(100)))
    assert tail(tmp_path / "log", 2) == "    line 98\n    line 99"
    assert tail(tmp_path / "missing") == "    (missing is empty)"
