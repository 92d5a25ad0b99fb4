"""Ask whether the model is to be trained again, and why; with --run, train it, up to the gate.

    nox -s retrain                                       # decide; exit 3 where a person is to say yes or no
    nox -s retrain -- --run                              # pull, validate, train, gate, where there is a reason; deploy stays yours
    nox -s retrain -- --propose                          # the decision as an issue; with --run, what was trained as a pull request
    seatrial retrain --request --reason "new tariff"     # a person asks for a training
    seatrial retrain --decline --reason "a holiday"      # a person says no; the same reason rests until it was gone

Writes metrics/retrain.json (reasons) and reports/retrain.md (the evidence, for a pull request or an issue). What is decided comes from
the monitor's history: run `nox -s monitor` before.
"""

from __future__ import annotations

import argparse
import datetime as dt
import subprocess
import sys
from typing import TYPE_CHECKING

from seatrial.errors import UsageError
from seatrial.files import locked, write_atomic
from seatrial.pipeline import has_remote
from seatrial.project import Project
from seatrial.retrain import Event, Reason
from seatrial.verdict import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from seatrial.adapters.registry import RegisteredVersion
    from seatrial.refit import Refit
    from seatrial.verdict import Verdict

STEPS = ("validate", "train", "gate")
BACK = 31
"""So many windows back outcomes are taken for the refit."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--run", action="store_true", help="where there is a reason: pull, validate, train and gate; stops before deploy")
    what.add_argument("--request", action="store_true", help="ask for a training as a person")
    what.add_argument("--decline", action="store_true", help="say no to what is asked for now")
    parser.add_argument("--propose", action="store_true", help="tell the forge: an issue, or with --run a pull request; for CI")
    parser.add_argument("--reason", help="why, for --request and --decline")


def run(project: Project, options: argparse.Namespace) -> int:
    """Decide and print, or do what was asked; 0 nothing to do or done, 3 a person is to decide, else the step's exit code."""
    from seatrial.adapters.registry import champion_of

    project.settings.require_binary("retrain")
    if (options.request or options.decline) and not (options.reason or "").strip():
        raise UsageError("--request and --decline need a reason", hint="like --reason 'prices changed on Monday'")
    if options.reason and not (options.request or options.decline):
        raise UsageError("--reason goes with --request or --decline")
    if options.propose and (options.request or options.decline):
        raise UsageError("--propose goes with --run, or alone")
    champion, now = champion_of(project), dt.datetime.now(dt.UTC)
    if options.request:
        return request(project, options.reason, now=now)
    if options.decline:
        return _decline(project, champion, options.reason, now=now)
    if options.run:
        return _run(project, champion, propose=options.propose)
    return _decided(project, champion, now=now, propose=options.propose)


def decide_now(
    project: Project, champion: RegisteredVersion, *, now: dt.datetime, alone: bool = False, help_asked: bool = True
) -> tuple[Verdict, Refit | None]:
    """The verdict and its evidence, written to metrics/retrain.json and reports/retrain.md; `alone` where no other training can run."""
    from seatrial.retrain import decide
    from seatrial.retrain_facts import gather
    from seatrial.retrain_report import retrain_markdown, retrain_verdict

    facts, records = gather(project, champion.digest, alone=alone)
    decision = decide(project.settings.retrain, facts, now=now)
    refit = _refit(project, champion, now=now) if decision.wanted and help_asked else None
    verdict = retrain_verdict(project, champion, decision, refit)
    verdict.save(project.verdict("retrain"))
    write_atomic(project.report("retrain.md"), retrain_markdown(project, champion, verdict, refit, records).encode())
    return verdict, refit


def _refit(project: Project, champion: RegisteredVersion, *, now: dt.datetime) -> Refit:
    from seatrial.drift_references import bundle_of
    from seatrial.labels import read_labels
    from seatrial.live_rows import Selection
    from seatrial.refit import would_it_help

    since = now - BACK * dt.timedelta(hours=project.settings.monitor.window_hours)
    return would_it_help(project, bundle_of(project, champion), Selection(since=since), read_labels(project.home))


def _decided(project: Project, champion: RegisteredVersion, *, now: dt.datetime, propose: bool) -> int:
    from seatrial.report import print_verdict

    verdict, _ = decide_now(project, champion, now=now)
    print_verdict(verdict, title="retrain", path="metrics/retrain.json")
    if propose:
        from seatrial.propose import tell

        print(f"retrain: {tell(project, verdict)}")
        return verdict.outcome.exit_code if verdict.outcome is Outcome.ERROR else 0
    if verdict.subject["reasons"]:
        print("retrain: a person decides: nox -s retrain -- --run, or -- --decline --reason '…'; the evidence is reports/retrain.md")
    return verdict.outcome.exit_code


def request(project: Project, words: str, *, now: dt.datetime) -> int:
    """Note that a person asks for a training; 0."""
    from seatrial.retrain_events import append_event
    from seatrial.tools import who

    append_event(project.home, Event(kind="requested", time=now, reasons=(Reason.REQUEST,), by=who(), words=words.strip()))
    print("retrain: noted; nox -s retrain -- --run begins it")
    return 0


def _decline(project: Project, champion: RegisteredVersion, words: str, *, now: dt.datetime) -> int:
    from seatrial.retrain_events import append_event
    from seatrial.tools import who

    verdict, _ = decide_now(project, champion, now=now, help_asked=False)
    reasons = tuple(map(Reason, verdict.subject["reasons"]))
    if not reasons:
        raise UsageError("nothing is asked for, so there is nothing to decline", hint="nox -s retrain says what was found")
    append_event(project.home, Event(kind="declined", time=now, reasons=reasons, by=who(), words=words.strip(), data=_data(project)))
    print(f"retrain: declined {', '.join(reasons)}; each counts again once it was gone")
    return 0


def _run(project: Project, champion: RegisteredVersion, *, propose: bool = False) -> int:
    """One at a time: who comes while a training is under way goes home, who comes after it decides by what it left."""
    try:
        with locked(project.home / "retrain.lock", wait=False):
            now = dt.datetime.now(dt.UTC)
            verdict, _ = decide_now(project, champion, now=now, alone=True)
            reasons = tuple(map(Reason, verdict.subject["reasons"]))
            if not reasons:
                print("retrain: no training is asked for · metrics/retrain.json")
                return 0
            code = train_for(project, champion, reasons, propose=propose)
            return _proposed(project, reasons) if propose and code == 0 else code
    except BlockingIOError:
        print("retrain: another training is under way; this one is not begun")
        return 3


def train_for(
    project: Project,
    champion: RegisteredVersion,
    reasons: tuple[Reason, ...],
    *,
    propose: bool = False,
    clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    steps: Callable[[Project], tuple[str, int]] | None = None,
) -> int:
    """Train for these reasons, up to the gate, and note begin and end; gives the last step's exit code.

    `steps` does the work and gives the last step with its exit code; by default the sessions, one after the other.
    """
    from seatrial.retrain_events import append_event
    from seatrial.tools import who

    append_event(project.home, Event(kind="started", time=clock(), reasons=reasons, by=who(), data=_data(project)))
    print(f"retrain: begins, because of {', '.join(reasons)}", flush=True)
    step, code = steps(project) if steps else _steps(project, steps_of(project, propose=propose))
    outcome = "passed" if code == 0 else f"{step} ended with {code}"
    append_event(project.home, Event(kind="finished", time=clock(), reasons=reasons, by=who(), outcome=outcome))
    print(f"retrain: {_passed(project, champion) if code == 0 else f'{outcome}; nothing goes live'}")
    return code


def _proposed(project: Project, reasons: tuple[Reason, ...]) -> int:
    from seatrial.propose import propose

    print(f"retrain: {propose(project, reasons)}")
    return 0


def _passed(project: Project, champion: RegisteredVersion) -> str:
    from seatrial.commands.train import manifest_digest

    if manifest_digest(project) == champion.digest:
        return "the same data and parameters gave the champion's own bytes; there is nothing to take live"
    return "the challenger passed; a person takes it live: nox -s deploy"


def _steps(project: Project, steps: tuple[str, ...]) -> tuple[str, int]:
    """Each step by itself, as its session runs it; gives the last one and its exit code."""
    shared = ["--env", project.environment, *(["--shared"] if project.shared else [])]
    for step in steps:
        command = [sys.executable, "-m", "seatrial", step, *shared]
        code = subprocess.run(command, cwd=project.root, env=dict(project.env), check=False).returncode
        if code != 0:
            return step, code
    return steps[-1], 0


def steps_of(project: Project, *, propose: bool) -> tuple[str, ...]:
    """What a training consists of; what is proposed is pushed before, so that its checks find it. Without a remote, neither way."""
    if not has_remote(project.root):
        return STEPS
    return ("pull", *STEPS, *(["push"] if propose else []))


def _data(project: Project) -> str | None:
    from seatrial.files import md5_of

    return md5_of(project.raw) if project.raw.exists() else None
