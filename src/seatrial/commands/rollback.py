"""Return all traffic to the previous champion; during a rollout, to the champion; with --to, to an earlier champion.

The route comes first; a registry that does not answer is told by the next command. Twice is the same as once.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

from seatrial.anchor import way_back
from seatrial.control import Controller, state_of
from seatrial.deploy import desk_for, recorded_state
from seatrial.errors import UsageError
from seatrial.journal import journal_path, read_records
from seatrial.project import Project
from seatrial.rollout_state import Phase, Pin, State, give_up
from seatrial.tools import Tools, local_tools
from seatrial.turn import taken_over
from seatrial.verdict import Outcome


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--reason", default="no reason given", help="why, for the journal and the ledger")
    parser.add_argument("--to", type=int, metavar="VERSION", help="an earlier champion, whose inputs have to fit what clients send")
    parser.add_argument("--force", action="store_true", help="with --to: go there although its inputs do not fit (needs --reason)")


def run(project: Project, options: argparse.Namespace) -> int:
    """Roll back, and say what serves now; 0, also where there was nothing to do."""
    if options.force and options.reason == "no reason given":
        raise UsageError("--force is a person's word: it needs a reason", hint="add --reason '…'")
    tools = local_tools(project, say=_say)
    _say(rollback(project, tools, reason=options.reason, to=options.to, force=options.force))
    return 0


def _say(text: str) -> None:
    print(f"rollback: {text}", flush=True)


def rollback(project: Project, tools: Tools, *, reason: str, to: int | None = None, force: bool = False) -> str:
    """Return all traffic, whatever is under way; gives one sentence.

    A controller that is at work is asked to end its rollout; BusyError where it does not within half a minute. With `to`, UsageError
    before anything is done for a version that was never champion here, or (without `force`) does not fit what clients send;
    BundleError where its bytes are not here any more.
    """
    before = state_of(recorded_state(project)).last
    target = None if to is None else _target(project, tools, to, force=force)
    with taken_over(project, tools, "rollback", reason=reason) as (journal, asked):
        desk = desk_for(project, tools, journal)
        words = f"asked for by {tools.who}: {reason}"
        if target is not None:
            return _back_to(desk, target, words)
        if asked and desk.state.phase is Phase.IDLE and desk.state.last != before and _ended_without_promotion(desk.state):
            return f"the rollout was ended; {_serving(desk)}"
        return _back(desk, words)


def _target(project: Project, tools: Tools, version: int, *, force: bool) -> Pin:
    """The champion that this version once was, if all traffic may go to it."""
    from seatrial.fit import misfits
    from seatrial.store import open_stored

    state = state_of(recorded_state(project))
    known = _champions(project)
    if version not in known:
        named = ", ".join(map(str, sorted(known))) or "none"
        raise UsageError(f"version {version} was never champion here, so nothing says that it may serve; champions were: {named}")
    found, store = known[version], project.home / "store"
    bundle = open_stored(found.digest, store)
    if state.champion is not None and not force:
        wrong = list(misfits(open_stored(state.champion.digest, store).manifest, bundle.manifest))
        if wrong:
            hint = "roll back to another version, or add --force --reason '…'"
            raise UsageError(f"version {version} does not fit what clients send: {'; '.join(wrong)}", hint=hint)
    return found


def _champions(project: Project) -> dict[int, Pin]:
    """Every champion of the journal, by its version."""
    path = journal_path(project.home)
    states = (state_of(record.state) for record in read_records(path)) if path.exists() else ()
    return {state.champion.version: state.champion for state in states if state.champion is not None}


def _back_to(desk: Controller, target: Pin, words: str) -> str:
    """End what is under way, then go to the target."""
    if desk.state.phase is not Phase.IDLE:
        _back(desk, words)
    if desk.state.champion == target:
        desk.settle()
        return f"nothing to do; {_serving(desk)}"
    desk.save("rollback", _uncrown(_to(desk.state, target, words)))
    desk.roll_back()
    return _done(desk)


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
            desk.save("rollback", _uncrown(_to(state, state.previous, words)))
            desk.roll_back()
    return _done(desk)


def _done(desk: Controller) -> str:
    champion = desk.state.champion
    done = f"done; all traffic is on version {champion.version}" if champion else "done; nothing was live before, so nothing serves"
    return f"{done}; the registry does not know it yet, the next command tells it" if desk.state.pending else done


def _to(state: State, champion: Pin, words: str) -> State:
    """The champion on its way out, an earlier one in its place."""
    return replace(
        state,
        phase=Phase.ROLLING_BACK,
        champion=champion,
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
