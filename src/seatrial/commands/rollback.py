"""Return all traffic to the previous champion; during a rollout, to the champion.

The route comes first; a registry that does not answer is told by the next command. Twice is the same as once.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

from seatrial.anchor import way_back
from seatrial.control import Controller, state_of
from seatrial.deploy import desk_for, recorded_state
from seatrial.project import Project
from seatrial.rollout_state import Phase, State, give_up
from seatrial.tools import Tools, local_tools
from seatrial.turn import taken_over
from seatrial.verdict import Outcome


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--reason", default="no reason given", help="why, for the journal and the ledger")


def run(project: Project, options: argparse.Namespace) -> int:
    """Roll back, and say what serves now; 0, also where there was nothing to do."""
    _say(rollback(project, local_tools(project, say=_say), reason=options.reason))
    return 0


def _say(text: str) -> None:
    print(f"rollback: {text}", flush=True)


def rollback(project: Project, tools: Tools, *, reason: str) -> str:
    """Return all traffic, whatever is under way; gives one sentence.

    A controller that is at work is asked to end its rollout; BusyError where it does not within half a minute.
    """
    before = state_of(recorded_state(project)).last
    with taken_over(project, tools, "rollback", reason=reason) as (journal, asked):
        desk = desk_for(project, tools, journal)
        words = f"asked for by {tools.who}: {reason}"
        if asked and desk.state.phase is Phase.IDLE and desk.state.last != before and _ended_without_promotion(desk.state):
            return f"the rollout was ended; {_serving(desk)}"
        return _back(desk, words)


def _back(desk: Controller, words: str) -> str:
    state = desk.state
    match state.phase:
        case Phase.HELD | Phase.STARTING | Phase.MIRROR | Phase.CANARY:
            desk.save("rollback", give_up(state, Outcome.INCONCLUSIVE, words))
            desk.roll_back()
        case Phase.ROLLING_BACK:
            desk.roll_back()
        case Phase.PROMOTING if state.champion is not None:
            desk.save("rollback", _uncrown(give_up(state, Outcome.FAIL, words)))
            desk.roll_back()
        case _ if state.phase is Phase.PROMOTING or state.previous is None or state.champion is None:
            desk.settle()
            return f"nothing to roll back: there is no previous champion; {_serving(desk)}"
        case _:
            desk.save("rollback", _uncrown(_to_previous(state, words)))
            desk.roll_back()
    champion = desk.state.champion
    done = f"done; all traffic is on version {champion.version}" if champion else "done; nothing was live before, so nothing serves"
    return f"{done}; the registry does not know it yet, the next command tells it" if desk.state.pending else done


def _to_previous(state: State, words: str) -> State:
    """The champion on its way out, the previous one in its place."""
    return replace(
        state,
        phase=Phase.ROLLING_BACK,
        champion=state.previous,
        challenger=state.champion,
        previous=None,
        outcome=Outcome.FAIL,
        reason=words,
        evidence=(),
        smoke=None,
    )


def _uncrown(state: State) -> State:
    """With the move of the aliases noted: `champion` back, `previous` to nothing."""
    if state.champion is None or state.challenger is None:
        return state
    move = {"expected": {"champion": state.challenger.version}, "to": {"champion": state.champion.version, "previous": None}}
    return replace(state, pending=(*state.pending, {"move": move}, way_back(state.challenger.version, state.champion.version)))


def _ended_without_promotion(state: State) -> bool:
    return state.last is not None and state.last.outcome is not Outcome.PASS


def _serving(desk: Controller) -> str:
    champion = desk.state.champion
    return f"all traffic is on version {champion.version}" if champion else "nothing serves"
