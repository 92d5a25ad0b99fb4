"""Show what serves, with which weight, and where a rollout is; works when everything is down."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from seatrial.control import state_of
from seatrial.journal import journal_path, read_last
from seatrial.plan import Plan
from seatrial.project import Project
from seatrial.rollout_state import Phase, State

if TYPE_CHECKING:
    from seatrial.adapters.endpoint import Inspection


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--json", action="store_true", help="print JSON for programs")


def run(project: Project, options: argparse.Namespace) -> int:
    """Print the status; 0, whatever it is."""
    from seatrial.adapters.endpoint import inspect

    record = read_last(journal_path(project.home)).record
    found = status(project, state_of(record.state if record else None), inspect(project.home))
    print(json.dumps(found, indent=2) if options.json else "\n".join(_lines(found)))
    return 0


def status(project: Project, state: State, seen: Inspection) -> dict[str, Any]:
    """`{"url", "phase", "variants": [{"role", "version", "digest", "weight", "pids"}], "rollout"}`.

    Weights and process ids are what runs; phase, roles and rollout are what the journal says.
    """
    rollout = project.settings.rollout
    roles = {"champion": state.champion, "challenger": state.challenger, "previous": state.previous}
    return {
        "url": rollout.url,
        "phase": str(state.phase) if seen.envoy is not None else "down",
        "variants": [
            {
                "role": role,
                "version": pin.version,
                "digest": pin.digest,
                "weight": _weight(pin.version, seen),
                "pids": list(seen.variants.get(pin.version, ())),
            }
            for role, pin in roles.items()
            if pin is not None
        ],
        "rollout": None if state.phase is Phase.IDLE else _rollout(Plan.of(rollout), state),
    }


def _weight(version: int, seen: Inspection) -> int:
    """A version's percent of live traffic, as Envoy has it."""
    route = seen.route
    if route is None or seen.envoy is None:
        return 0
    return {route.champion: 100 - route.weight, route.challenger: route.weight}.get(version, 0)


def _rollout(plan: Plan, state: State) -> dict[str, Any]:
    from seatrial.judge import worst_e

    counts = state.counts
    known = state.plan == plan.digest and state.step < len(plan.steps)
    return {
        "step": plan.steps[state.step].exposure if known and state.phase in (Phase.MIRROR, Phase.CANARY) else None,
        "steps": [step.exposure for step in plan.steps] if known else None,
        "requests": counts.challenger.requests if counts else 0,
        "failures": counts.challenger.failures if counts else 0,
        "champion_requests": counts.champion.requests if counts else 0,
        "champion_failures": counts.champion.failures if counts else 0,
        "log_e": worst_e(state)[1],
        "log_limit": plan.log_limit,
        "simulated": state.simulated,
        "approval": state.approval,
        "reason": state.reason,
    }


def _lines(found: dict[str, Any]) -> list[str]:
    lines = [f"{found['url']} · {found['phase']}"]
    for one in found["variants"]:
        pids = ", ".join(map(str, one["pids"])) or "does not run"
        lines.append(f"  {one['role']:<10}  version {one['version']}  {one['weight']:>3} %  {one['digest'][:19]}…  pids: {pids}")
    if not found["variants"]:
        lines.append("  nothing was live yet; deploy a version: nox -s deploy")
    rollout = found["rollout"]
    if rollout:
        step = "" if rollout["step"] is None else f"step {rollout['step']}{'' if rollout['step'] == 'mirror' else ' %'}, "
        lines.append(f"  rollout: {step}{rollout['requests']} requests, {rollout['failures']} failures, {rollout['reason']}")
    return lines
