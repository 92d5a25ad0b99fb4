import time

import pytest

from seatrial import upkeep
from seatrial.adapters.keepers import CONTROLLER, CONTROLLER_FILE
from seatrial.adapters.supervisor import Process
from seatrial.upkeep import Upkeep


class Supervisor:
    """One program, as supervisord tells it."""

    def __init__(self, process):
        self.known = [process]

    def processes(self):
        return tuple(self.known)

    def remove(self, group):
        self.known = [one for one in self.known if one.group != group]


@pytest.mark.parametrize(
    ("state", "exit_code", "gone"),
    [("EXITED", 0, True), ("EXITED", 1, True), ("EXITED", 3, True), ("EXITED", -1, False), ("EXITED", 2, False), ("RUNNING", 0, False)],
)
def test_a_controller_is_forgotten_once_it_is_over_and_not_while_it_is_started_again(tmp_path, monkeypatch, state, exit_code, gone):
    process = Process(group=CONTROLLER, name=CONTROLLER, state=state, pid=0, started=1, exit_code=exit_code)
    supervisor = Supervisor(process)
    monkeypatch.setattr(upkeep, "guardian_pid", lambda home: 1)
    monkeypatch.setattr(Upkeep, "_supervisor", lambda self: supervisor)
    file = tmp_path / "endpoint" / CONTROLLER_FILE
    file.parent.mkdir()
    file.write_text("{}")
    Upkeep(home=tmp_path, route=lambda: None, monotonic=time.monotonic, say=print).look()
    assert (supervisor.known == [], file.exists()) == (gone, not gone)
