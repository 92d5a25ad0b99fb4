"""The ticks of a rollout: load, observe, decide, save, act, until it has ended or waits for a person."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from seatrial.control import Controller, store_folder
from seatrial.look import look
from seatrial.operators import expire, listen
from seatrial.plan import Plan
from seatrial.rollout import Action, Decision, advance
from seatrial.rollout_state import Phase
from seatrial.samples import record_sample

if TYPE_CHECKING:
    from seatrial.tools import Tools

SAVE_EVERY_S = 5.0


def drive(desk: Controller, tools: Tools, plan: Plan) -> None:
    """Tick until the rollout has ended, or a person has to say something."""
    desk.ended = None
    saved = tools.clock.monotonic()
    every = min(SAVE_EVERY_S, desk.project.settings.rollout.lease_s / 3)
    while True:
        now = tools.clock.monotonic()
        decision = tick(desk, tools, plan, save=now - saved >= every)
        if decision.action is Action.WAIT:
            saved = now if now - saved >= every else saved
            tools.clock.sleep(max(0.0, (decision.until or now) - tools.clock.monotonic()))
        elif decision.action is Action.HOLD or desk.state.phase is Phase.IDLE:
            return
        else:
            saved = now


def tick(desk: Controller, tools: Tools, plan: Plan, *, save: bool) -> Decision:
    """One look, one decision, and what it asks for; the state is durable before it is acted on, and with `save` in any case."""
    listen(desk, plan)
    desk.state = expire(desk.state, tools.clock.wall())
    decision = advance(plan, desk.state, look(desk.project, tools, plan, desk.state), tools.clock.monotonic())
    if save or decision.action is not Action.WAIT:
        desk.save(decision.reason, decision.state)
    desk.state = replace(decision.state, lease=desk.state.lease)
    record_sample(desk.project.home, decision.state, decision, tools.clock.wall())
    tools.show(plan, decision)
    if decision.action not in (Action.WAIT, Action.HOLD):
        _act(desk, tools, plan, decision)
    return decision


def _act(desk: Controller, tools: Tools, plan: Plan, decision: Decision) -> None:
    match decision.action:
        case Action.START:
            desk.start()
            challenger = desk.state.challenger
            if challenger is not None:
                smoke = tools.smoke(challenger, store_folder(desk.project.home, challenger))
                desk.state = replace(desk.state, smoke=smoke)
        case Action.ADVANCE:
            desk.expose(plan)
            start_source(tools)
        case Action.PROMOTE:
            desk.promote()
        case Action.ROLL_BACK:
            desk.roll_back()


def start_source(tools: Tools) -> None:
    """Begin to send requests, where the rollout sends them itself."""
    if tools.source is not None:
        tools.source.start()
