"""Take the gated challenger live, step by step, and back again if it misbehaves.

0 promoted, or nothing to do · 1 refused or rolled back · 3 undecided (back on the champion), or held for approval · 130
interrupted (back on the champion).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from seatrial.control import state_of
from seatrial.deploy import deploy, recorded_state
from seatrial.errors import EndpointError, UsageError
from seatrial.files import shown_path
from seatrial.journal import holder_pid
from seatrial.plan import Plan
from seatrial.progress import counting
from seatrial.project import Project
from seatrial.report import print_verdict
from seatrial.rollout import Action, Decision
from seatrial.rollout_state import Counts, Evidence, Phase, exposure
from seatrial.tools import local_tools

if TYPE_CHECKING:
    from rich.console import Group

BASE = 0.01
DETACHED_S = 30.0
CONTROLLER_LOG = "endpoint/logs/controller.log"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--approve", action="store_true", help="give the approval that the environment asks for (needs --reason)")
    parser.add_argument("--retry", action="store_true", help="try a bundle again that was rolled back, with new evidence (needs --reason)")
    parser.add_argument("--reason", help="why, for the journal and the ledger")
    parser.add_argument("--detach", action="store_true", help="begin, and let a process of the endpoint go on with it")
    parser.add_argument("--plan", action="store_true", help="print the schedule and how often it errs; deploy nothing")
    parser.add_argument("--rate", type=float, default=100.0, help="with --plan: requests a second over both sides (default: 100)")
    parser.add_argument("--base", type=float, default=BASE, help="with --plan: the champion's share of failures (default: 0.01)")
    parser.add_argument("--rollouts", type=int, default=200, help="with --plan: simulated rollouts of each kind (default: 200)")


def run(project: Project, options: argparse.Namespace) -> int:
    """Deploy what the gate passed; the exit code says how it ended."""
    if options.plan:
        return _forecast(project, options)
    if (options.approve or options.retry) and not (options.reason or "").strip():
        raise UsageError("--approve and --retry are a person's word: they need a reason", hint="add --reason '…'")
    project.settings.require_binary("deploy")
    detach = getattr(options, "detach", False)
    if detach and project.settings.environment == "ephemeral":
        raise UsageError("an ephemeral endpoint ends with its deployment, so it cannot be detached", hint="leave out --detach")
    if _was_over(project):
        print("deploy: the rollout has ended; another one is begun by a person")
        return 3
    approve, retry = (options.reason if asked else None for asked in (options.approve, options.retry))
    with _view() as view:
        tools = local_tools(project, say=view.say, show=view.show)
        try:
            done = deploy(project, tools, approve=approve, retry=retry, detach=detach)
            if done.begun:
                _detach(project)
        finally:
            if project.settings.environment == "ephemeral":
                tools.endpoint.down()
    url = project.settings.rollout.url
    place = f" ({url}/invocations)" if done.exit_code == 0 and not done.begun else ""
    print(f"deploy: {done.message}{place}")
    if done.begun:
        print(
            f"deploy: watch it: seatrial status --watch; end it: seatrial abort; it writes to {shown_path(project.home / CONTROLLER_LOG)}"
        )
    if done.verdict is not None:
        print_verdict(done.verdict, title="deploy", path="metrics/rollout.json")
    return done.exit_code


def _was_over(project: Project) -> bool:
    """Whether this is a detached controller that was started again, and there is nothing left to go on with."""
    from seatrial.detached import NAME

    again = int(project.env.get(NAME) or 0) > 1
    return again and state_of(recorded_state(project)).phase in (Phase.IDLE, Phase.HELD)


def _detach(project: Project) -> None:
    """Hand the rollout to a controller that supervisord looks after; it is at work once this returns, so nobody comes between."""
    from seatrial.adapters.endpoint import LocalEndpoint
    from seatrial.adapters.supervisor import tail, wait_until
    from seatrial.detached import wanted

    command = [sys.executable, "-m", "seatrial", "deploy", "--env", project.environment, *(["--shared"] if project.shared else [])]
    endpoint = LocalEndpoint(project.home, project.settings.rollout, env=project.env)
    endpoint.supervise(command, folder=project.root, env=wanted({**project.env, "SEATRIAL_HOME": str(project.home)}))
    if not wait_until(lambda: holder_pid(project.home) != os.getpid(), DETACHED_S):
        said = tail(project.home / CONTROLLER_LOG)
        raise EndpointError(f"the detached controller has not begun within {DETACHED_S:.0f} s; its log ends:\n{said}")


def _forecast(project: Project, options: argparse.Namespace) -> int:
    """Print what the plan asks for, and what it does to challengers that fail more often."""
    from seatrial.forecast import RATIOS, forecast, needs
    from seatrial.plan_report import prospects, schedule

    if not (options.rate > 0 and 0 < options.base < 0.5 and options.rollouts > 0):
        said = f"--rate {options.rate:g} --base {options.base:g} --rollouts {options.rollouts}"
        raise UsageError(f"no forecast with {said}: all are above 0, --base is below 0.5")
    plan = Plan.of(project.settings.rollout)
    print("\n".join(schedule(plan, needs(plan, options.rate), options.rate)), flush=True)
    with counting(len(RATIOS) * options.rollouts, "deploy: simulating rollouts") as progress:
        found = list(forecast(plan, base=options.base, rate=options.rate, rollouts=options.rollouts, seed=0, progress=progress))
    print("\n".join(prospects(found, base=options.base, rollouts=options.rollouts)))
    return 0


class PlainView:
    """One line for each change: for CI and files."""

    def say(self, text: str) -> None:
        """Print a sentence."""
        print(f"deploy: {text}", flush=True)

    def show(self, plan: Plan, decision: Decision) -> None:
        """Print what is decided; waiting is not."""
        if decision.action is not Action.WAIT:
            self.say(headline(plan, decision))


class LiveView:
    """A table that is rewritten in place: for a terminal."""

    def __init__(self, live: Any) -> None:
        self._live = live

    def say(self, text: str) -> None:
        """Print a sentence above the table."""
        self._live.console.print(f"deploy: {text}", highlight=False, markup=False, soft_wrap=True)

    def show(self, plan: Plan, decision: Decision) -> None:
        """Show the decision; a change stays on the screen as a line."""
        if decision.action is not Action.WAIT:
            self.say(headline(plan, decision))
        self._live.update(_table(plan, decision))


@contextmanager
def _view() -> Iterator[PlainView | LiveView]:
    if not sys.stdout.isatty():
        yield PlainView()
        return
    with _LazyLive() as live:
        yield LiveView(live)


class _LazyLive:
    """rich's live display, imported once there is something to show: an answer without a rollout does not pay for it."""

    def __init__(self) -> None:
        self._live: Any = None

    def __enter__(self) -> _LazyLive:
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    @property
    def console(self) -> Any:
        """rich's console."""
        return self._started().console

    def update(self, table: Group) -> None:
        """Show another table."""
        self._started().update(table, refresh=True)

    def _started(self) -> Any:
        if self._live is None:
            from rich.live import Live

            self._live = Live(auto_refresh=False, transient=True)
            self._live.start()
        return self._live


def headline(plan: Plan, decision: Decision) -> str:
    """A decision as one line: what comes next, and why."""
    weight, mirror = exposure(plan, decision.state)
    target = {
        Action.START: "starting",
        Action.ADVANCE: "mirror" if mirror else f"{weight} %",
        Action.PROMOTE: "promote",
        Action.ROLL_BACK: "roll back",
    }.get(decision.action, str(decision.action))
    return f"{target} · {decision.reason}"


def _table(plan: Plan, decision: Decision) -> Group:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    state = decision.state
    weight, mirror = exposure(plan, state)
    counts = state.counts or Evidence(step=plan.steps[state.step].exposure)
    table = Table(title=f"{state.phase} · step {state.step + 1} of {len(plan.steps)}", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for name in ("variant", "version", "weight", "requests", "failures", "slow"):
        table.add_column(name, justify="left" if name == "variant" else "right")
    sides = (
        ("champion", state.champion, f"{100 - weight} %", counts.champion),
        ("challenger", state.challenger, "mirror" if mirror else f"{weight} %", counts.challenger),
    )
    for role, pin, share, seen in sides:
        table.add_row(role, str(pin.version) if pin else "–", share, *_numbers(seen))
    judged = f"log e-value {decision.log_e:.2f}, goes back at {decision.log_limit:.2f}"
    return Group(table, Text(judged), Text(f"{decision.action}: {decision.reason}"))


def _numbers(seen: Counts) -> tuple[str, str, str]:
    return f"{seen.requests:,}", f"{seen.failures:,}", f"{seen.slow:,}"
