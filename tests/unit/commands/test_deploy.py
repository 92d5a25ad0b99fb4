"""The command around a deployment: what it asks for, and what it prints."""

from argparse import Namespace
from pathlib import Path

import pytest

from seatrial.commands import deploy as command
from seatrial.errors import UsageError
from seatrial.params import Rollout
from seatrial.plan import Plan
from seatrial.project import Project
from seatrial.rollout import Action, Decision
from seatrial.rollout_state import Phase, Pin, State

PARAMS = Path(__file__).parents[3] / "params.yaml"
PLAN = Plan.of(Rollout())
STATE = State(champion=Pin(version=1, digest="sha256:a"), challenger=Pin(version=2, digest="sha256:b"), phase=Phase.CANARY, step=2)


@pytest.mark.parametrize("flags", [{"approve": True, "retry": False}, {"approve": False, "retry": True}])
@pytest.mark.parametrize("reason", [None, "", "  "])
def test_a_persons_word_needs_a_reason(tmp_path, flags, reason):
    (tmp_path / "params.yaml").write_text(PARAMS.read_text())
    with pytest.raises(UsageError, match="reason"):
        command.run(Project.find(tmp_path, env={}), Namespace(reason=reason, plan=False, **flags))


def test_every_change_is_one_line_and_waiting_is_none(capsys):
    view = command.PlainView()
    view.show(PLAN, Decision(action=Action.ADVANCE, reason="5 %: passed", state=STATE))
    view.show(PLAN, Decision(action=Action.WAIT, reason="25 %: 3 of 300 requests", state=STATE))
    assert capsys.readouterr().out == "deploy: 25 % · 5 %: passed\n"


def test_a_mirror_is_called_by_its_name():
    mirrored = State(champion=STATE.champion, challenger=STATE.challenger, phase=Phase.MIRROR)
    assert command.headline(PLAN, Decision(action=Action.ADVANCE, reason="smoke test: passed", state=mirrored)).startswith("mirror · ")
