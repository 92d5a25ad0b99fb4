"""Failpoints: what may be asked for, what then happens, and that no durable step of the controller is without one."""

import ast
import errno
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from seatrial.errors import UsageError
from seatrial.failpoints import NAMES, Armed, FailpointError, Fault, arm, armed, failpoint, parse

SOURCE = Path(__file__).parents[2] / "src/seatrial"
DURABLE = {"write_atomic", "write_text", "write_bytes", "fsync", "rename", "unlink", "move_aliases", "record_rollout", "store_bundle"}
DURABLE |= {"addProcessGroup", "removeProcessGroup"}
CONTROLLER = (
    *("journal", "deploy", "control", "drive", "turn", "operators", "store", "anchor", "look", "rollout", "rollout_state", "watchdog"),
    *(f"adapters/{name}" for name in ("endpoint", "supervisor", "traffic", "servers")),
)
WITHOUT = {
    "operators.speak": "a word that waits is the speaker's, not the controller's",
    "operators._answers": "as above",
    "deploy._controlled": "an old request to end is forgotten; it is looked for again at every tick",
    "deploy._guarded": "as above",
    "turn.taken_over": "",
    "traffic._write": "its callers have theirs around it",
    "store._remove": "what was damaged, moved aside already",
    "store.open_stored": "mends the store through store_bundle, whose own steps have theirs",
    "supervisor.end_lost": "what a dead supervisord left; done again at each start",
    "servers.stop": "sockets of servers that are gone; done again at each start",
    "endpoint.shut_down": "what only made sense while it ran",
}


def test_a_failpoint_that_is_not_armed_does_nothing():
    failpoint("journal.append")
    failpoint("not a failpoint at all")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("journal.append:kill", Fault(name="journal.append", action="kill")),
        ("config.moved#3:raise", Fault(name="config.moved", action="raise", nth=3)),
        ("any#12+:enospc", Fault(name="any", action="enospc", nth=12, on=True)),
        ("group.add:delay=0.5", Fault(name="group.add", action="delay", seconds=0.5)),
    ],
)
def test_a_fault_is_read_as_it_is_written(text, fault):
    assert parse(text) == fault


@pytest.mark.parametrize(
    "text", ["", "journal.append", "journal:kill", "journal.append:explode", "journal.append#0:kill", "journal.append:kill=3"]
)
def test_what_is_unknown_is_refused_with_the_list(text):
    with pytest.raises(UsageError) as refused:
        parse(text)
    assert "kill" in refused.value.hint
    assert text == "" or "journal.append" in refused.value.hint


def test_the_command_line_refuses_an_unknown_failpoint_with_exit_2():
    env = {**os.environ, "SEATRIAL_FAILPOINT": "nowhere:kill"}
    done = subprocess.run([sys.executable, "-m", "seatrial", "--version"], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "'nowhere'" in done.stderr
    assert "journal.append" in done.stderr


@pytest.mark.parametrize(("passings", "happens"), [(2, False), (3, True), (4, False)])
def test_a_fault_happens_at_its_own_passing_alone(passings, happens):
    assert Fault(name="journal.append", action="raise", nth=3).meets("journal.append", passings, 99) is happens


@pytest.mark.parametrize(("total", "happens"), [(2, False), (3, True), (4, True)])
def test_a_fault_that_stays_happens_from_its_passing_on(total, happens):
    assert Fault(name="any", action="enospc", nth=3, on=True).meets("lock.taken", 1, total) is happens


def test_raise_raises_and_enospc_is_a_full_disk():
    with armed(parse("journal.append:raise")), pytest.raises(FailpointError, match=r"journal\.append"):
        failpoint("journal.append")
    with armed(parse("journal.append:enospc")), pytest.raises(OSError, match=r"journal\.append") as full:
        failpoint("journal.append")
    assert full.value.errno == errno.ENOSPC
    failpoint("journal.append")


def test_kill_is_a_death_without_any_farewell():
    code = (
        "import os\nfrom seatrial.failpoints import arm, failpoint\narm(os.environ)\ntry:\n failpoint('lock.taken')\nfinally:\n print('x')"
    )
    env = {**os.environ, "SEATRIAL_FAILPOINT": "lock.taken:kill"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "")


def test_the_log_holds_every_name_in_order(tmp_path):
    try:
        arm({"SEATRIAL_FAILPOINT_LOG": str(tmp_path / "passed")})
        for name in ("lock.taken", "lock.named", "lock.taken"):
            failpoint(name)
    finally:
        arm({})
    assert (tmp_path / "passed").read_text().split() == ["lock.taken", "lock.named", "lock.taken"]


def test_a_name_that_is_not_listed_is_refused_once_anything_is_armed():
    with pytest.raises(UsageError, match="does not list"):
        Armed().passing("nowhere")


def test_every_listed_failpoint_stands_in_the_code_and_no_other_does():
    found = {name for path in SOURCE.rglob("*.py") for name in re.findall(r'failpoint\("([^"]+)"\)', path.read_text())}
    assert found == set(NAMES)


def unguarded(path):
    """The functions with a durable step and no failpoint, as `module.function`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            called = {ast.unparse(one.func).rpartition(".")[2] for one in ast.walk(node) if isinstance(one, ast.Call)}
            if called & DURABLE and "failpoint" not in called:
                yield f"{path.stem}.{node.name}"


def test_every_durable_step_of_the_controller_has_its_failpoint():
    found = [name for module in CONTROLLER for name in unguarded(SOURCE / f"{module}.py")]
    assert [name for name in found if name not in WITHOUT] == []


def test_the_fence_sees_a_step_without_one(tmp_path):
    path = tmp_path / "bad.py"
    path.write_text("def good():\n    failpoint('x')\n    write_atomic(1)\ndef bad():\n    path.unlink()\n")
    assert list(unguarded(path)) == ["bad.bad"]
