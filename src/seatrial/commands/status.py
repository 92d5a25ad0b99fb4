"""Show what serves, with which weight, and where a rollout is; works when everything is down."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from seatrial.control import state_of
from seatrial.journal import journal_path, read_last
from seatrial.plan import Plan
from seatrial.project import Project
from seatrial.rollout_state import Phase, State

if TYPE_CHECKING:
    from pathlib import Path

    from seatrial.adapters.endpoint import Inspection
    from seatrial.adapters.programs import Seen

WATCH_S = 1.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    parser.add_argument("--watch", action="store_true", help="go on showing it, until Ctrl-C: in place on a terminal, else what changes")
    parser.add_argument("--healthy", action="store_true", help="exit 1 unless Envoy has a route and each version in it a server that runs")


def run(project: Project, options: argparse.Namespace) -> int:
    """Print the status; 0, whatever it is, unless it is asked whether all is well."""
    if getattr(options, "watch", False):
        return _watch(lambda: _now(project), as_json=options.json)
    found = _now(project)
    print(json.dumps(found, indent=2) if options.json else "\n".join(_lines(found)))
    return 1 if getattr(options, "healthy", False) and not healthy(found) else 0


def healthy(found: dict[str, Any]) -> bool:
    """Whether a status is one of an endpoint that serves: each version that gets traffic has a server that runs."""
    routed = [one for one in found["variants"] if one["weight"] > 0]
    return bool(routed) and all(any(process["state"] == "running" for process in one["processes"]) for one in routed)


def _now(project: Project) -> dict[str, Any]:
    from seatrial.adapters.endpoint import inspect

    record = read_last(journal_path(project.home)).record
    return status(project, state_of(record.state if record else None), inspect(project.home))


def _watch(look: Callable[[], dict[str, Any]], *, as_json: bool) -> int:
    try:
        if sys.stdout.isatty() and not as_json:
            _show_live(look)
        for line in changes(_looks(look), as_json=as_json):
            print(line, flush=True)
    except KeyboardInterrupt:
        print()
    return 0


def _looks(look: Callable[[], dict[str, Any]]) -> Iterator[dict[str, Any]]:
    while True:
        yield look()
        time.sleep(WATCH_S)


def _show_live(look: Callable[[], dict[str, Any]]) -> None:
    from rich.live import Live
    from rich.text import Text

    with Live(auto_refresh=False) as live:
        for found in _looks(look):
            live.update(Text("\n".join(_lines(found))), refresh=True)


def changes(looks: Iterator[dict[str, Any]], *, as_json: bool) -> Iterator[str]:
    """What to print for each look: all of the first one, then the lines that were not there before; as JSON, each one that differs."""
    before: list[str] = []
    for found in looks:
        lines = [json.dumps(found)] if as_json else _lines(found)
        yield from (line for line in lines if line not in before)
        before = lines


def status(project: Project, state: State, seen: Inspection) -> dict[str, Any]:
    """`{"url", "phase", "variants": [{"role", "version", "digest", "weight", "pids", "processes"}], "rollout", "processes", "log"}`.

    Weights and processes are what runs; phase, roles and rollout are what the journal says.
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
                "processes": _processes(seen, f"version-{pin.version}"),
            }
            for role, pin in roles.items()
            if pin is not None
        ],
        "rollout": None if state.phase is Phase.IDLE else _rollout(Plan.of(rollout), state),
        "processes": _endpoint(seen),
        "log": _log(project.home / "log"),
    }


def _log(folder: Path) -> dict[str, Any]:
    """`{"lost_rows", "upload"}`: answered rows that no log has, and how far the log is in its store; None where it is not taken to one."""
    from dataclasses import asdict

    from seatrial.serving.losses import log_losses
    from seatrial.serving.upload import upload_state

    upload = upload_state(folder)
    return {"lost_rows": sum(loss.rows for loss in log_losses(folder)), "upload": asdict(upload) if upload else None}


def _processes(seen: Inspection, group: str) -> list[dict[str, Any]]:
    """The programs of a group: `{"name", "state", "pid", "since", "restarts", "log", "log_file", "advice"}` each."""
    routed = seen.route is not None and group in ("envoy", *(f"version-{version}" for version in seen.route.versions))
    return [_process(one, routed=routed) for one in seen.programs if one.group == group]


def _process(one: Seen, *, routed: bool) -> dict[str, Any]:
    from seatrial.adapters.programs import advice, times

    return {
        "name": one.name,
        "state": one.state,
        "pid": one.pid or None,
        "since": times(one.since),
        "restarts": one.restarts,
        "log": one.log.splitlines(),
        "log_file": str(one.log_file),
        "advice": advice(one, routed=routed),
    }


def _endpoint(seen: Inspection) -> list[dict[str, Any]]:
    """What the versions need around them; the two that supervisord does not look after have a state and a process id."""
    outside = (("supervisord", seen.supervisord), ("guardian", seen.guardian))
    found: list[dict[str, Any]] = [{"name": name, "state": "running" if pid else "stopped", "pid": pid} for name, pid in outside]
    return [*found, *(one for group in ("envoy", "watchdog", "controller", "log-upload") for one in _processes(seen, group))]


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
        "waits": None if state.pause is None else state.pause.reason,
        "withdrawn": state.pause is not None and state.pause.withdrawn,
        "grant": None if state.grant is None else {"who": state.grant.who, "reason": state.grant.reason, "until": state.grant.until},
        "reason": state.reason,
    }


def _lines(found: dict[str, Any]) -> list[str]:
    lines = [f"{found['url']} · {found['phase']}"]
    for one in found["variants"]:
        pids = ", ".join(map(str, one["pids"])) or "does not run"
        lines.append(f"  {one['role']:<10}  version {one['version']}  {one['weight']:>3} %  {one['digest'][:19]}…  pids: {pids}")
        lines += [line for process in one["processes"] for line in _trouble(process)]
    if not found["variants"]:
        lines.append("  nothing was live yet; deploy a version: nox -s deploy")
    lines += _around(found)
    rollout = found["rollout"]
    if rollout:
        step = "" if rollout["step"] is None else f"step {rollout['step']}{'' if rollout['step'] == 'mirror' else ' %'}, "
        lines.append(f"  rollout: {step}{rollout['requests']} requests, {rollout['failures']} failures, {rollout['reason']}")
        lines += _person(rollout)
    return [*lines, *_log_lines(found["log"])]


def _person(rollout: dict[str, Any]) -> Iterator[str]:
    """What waits for a person, and what one has said."""
    if rollout["waits"] is not None:
        where = "; all traffic is on the champion meanwhile" if rollout["withdrawn"] else ""
        yield f"  waits for a person: {rollout['waits']}{where}"
    if rollout["grant"] is not None:
        grant = rollout["grant"]
        yield f"  approved by {grant['who']}: {grant['reason']} (until {grant['until']})"


def _log_lines(log: dict[str, Any]) -> Iterator[str]:
    """What is wrong with the prediction log; nothing where nothing is."""
    if log["lost_rows"]:
        yield f"  prediction log: {log['lost_rows']:,} answered rows were lost with servers that were killed (log/losses.jsonl)"
    upload = log["upload"]
    if upload is not None and (upload["problem"] or upload["waiting"]):
        yield f"  prediction log: {upload['waiting']} parts wait for {upload['uri']}{': ' + upload['problem'] if upload['problem'] else ''}"


def _around(found: dict[str, Any]) -> list[str]:
    """Envoy and the others in one line, and more about those in trouble."""
    if found["phase"] == "down" and not any(one["pid"] for one in found["processes"]):
        return []
    shown = ", ".join(f"{one['name']} {one['state']}{_again(one)}" for one in found["processes"])
    return [f"  {shown}", *(line for one in found["processes"] for line in _trouble(one))]


def _again(process: dict[str, Any]) -> str:
    times = process.get("restarts", 0)
    return f" (restarted {times} time{'' if times == 1 else 's'})" if times else ""


def _trouble(process: dict[str, Any]) -> list[str]:
    """A line for a program that was started again, is starting or is in trouble, with the end of its log; nothing for a healthy one."""
    if process["state"] in ("running", "stopped") and not process.get("restarts"):
        return []
    lines = [f"    {process['name']}: {process['state']} since {process.get('since')}{_again(process)}"] if "since" in process else []
    if process.get("advice"):
        lines += [f"    {line.strip()}" for line in process["log"]]
        lines.append(f"    → {process['advice']}")
    return lines
