"""Measure a window of live traffic: rows, failed requests, latency, drift, outcomes; keep it, draw it, tell who carries the pager.

    nox -s monitor                                   # the newest whole window; those that nobody measured are caught up with
    seatrial monitor --open                          # the window under way, so far
    seatrial monitor --since 2026-11-01 --until 2026-11-08

Windows are monitor.window_hours long. Writes metrics/monitor.json (the verdict), reports/monitor.html (the page), and monitor.prom in
SEATRIAL_HOME for Prometheus. What is asked with --open or --since is shown, not kept, and told nobody.
"""

from __future__ import annotations

import argparse
import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seatrial.errors import UsageError
from seatrial.files import locked, write_atomic
from seatrial.project import Project
from seatrial.times import parse_since
from seatrial.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seatrial.alerts import Alert
    from seatrial.monitor_history import Record
    from seatrial.monitor_run import Found, Monitor
    from seatrial.windows import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which window: one with its bounds, the one under way, or (neither) the newest whole one."""

    window: Window | None = None
    under_way: bool = False


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--open", action="store_true", help="the window under way, so far")
    parser.add_argument("--since", metavar="TIME", help="a window from this moment on (2026-11-01T12:00Z), or of the last hours (24)")
    parser.add_argument("--until", metavar="TIME", help="and up to this one (default: now)")


def run(project: Project, options: argparse.Namespace) -> int:
    """Measure and print; the exit code is the outcome's."""
    from seatrial.report import print_verdict

    project.settings.require_binary("monitor")
    now = dt.datetime.now(dt.UTC)
    verdict, recorded = monitor(project, question_of(options, now=now), now=now)
    print_verdict(verdict, title=f"monitor {verdict.subject['window']}", path="metrics/monitor.json", recorded=recorded)
    return verdict.outcome.exit_code


def question_of(options: argparse.Namespace, *, now: dt.datetime) -> Question:
    """The options, as far as they go together; UsageError where they do not."""
    from seatrial.windows import Window

    if options.open and (options.since or options.until):
        raise UsageError("--open does not go with --since and --until", hint="--open is the window under way")
    if options.until and not options.since:
        raise UsageError("--until needs --since", hint="like --since 2026-11-01 --until 2026-11-08")
    if not options.since:
        return Question(under_way=options.open)
    since = parse_since(options.since, now=now)
    until = parse_since(options.until, now=now, name="--until") if options.until else now
    if since >= until:
        raise UsageError(f"--until {options.until} is not after --since {options.since}")
    return Question(window=Window(since=since, until=until))


def monitor(project: Project, question: Question, *, now: dt.datetime) -> tuple[Verdict, bool]:
    """The verdict about the window in question, and whether it was recorded before.

    Raises RegistryError where there is no champion, DataError where the log, the outcomes or the history cannot be read.
    """
    from seatrial.monitor_run import Monitor

    with locked(project.home / "monitor.lock"):
        run = Monitor(project, now=now, say=lambda words: print(f"monitor: {words}", flush=True))
        chosen = question.window or (run.open_window() if question.under_way else None)
        fresh = None if chosen else run.catch_up()
        newest = None if chosen or fresh else run.newest()
        recorded = None if newest is None else _recorded(project, run, newest)
        if recorded is not None:
            return recorded, True
        kept = fresh or (None if newest is None else run.look(newest.window))
        if kept is None:
            return _finished(project, run, run.look(chosen or run.open_window()), {}, kept=False), False
        return _finished(project, run, kept, _tell(project, kept, now=now), kept=True), False


def _recorded(project: Project, run: Monitor, record: Record) -> Verdict | None:
    """The verdict in metrics/monitor.json, if it is about this window, these outcomes and this policy."""
    from seatrial.errors import VerdictError
    from seatrial.monitoring import subject_of

    try:
        verdict = Verdict.load(project.verdict("monitor"), kind="monitor")
    except VerdictError:
        return None
    wanted = subject_of(project, record.digest, record.window, run.mark)
    same = all(verdict.subject.get(key) == value for key, value in wanted.items())
    return verdict if same and project.report("monitor.html").exists() else None


def _open_alerts(project: Project) -> dict[str, Alert]:
    from seatrial.alerts import read_alerts

    return read_alerts(project.home / "alerts.json")


def _tell(project: Project, found: Found, *, now: dt.datetime) -> dict[str, Alert]:
    """Keep which alerts are open, and send what is new, where params.yaml asks for it."""
    from seatrial.alerts import message_about, weigh, write_alerts
    from seatrial.notify import Notifier

    settings = project.settings
    again = dt.timedelta(hours=settings.monitor.alert_again_hours)
    alerts, news = weigh(_open_alerts(project), found.verdict, now=now, again=again)
    for alert in (*news.opened, *news.still):
        print(f"monitor: alert {alert.check}: {alert.message}", flush=True)
    for alert in news.over:
        print(f"monitor: over: {alert.check}, open since {alert.since}", flush=True)
    if news and "alert" in settings.notify.events:
        simulated = bool(found.record.value("simulated"))
        window = found.record.window.name
        message = message_about(
            news, model=f"{settings.model.name} in {settings.environment}", version=found.record.version, window=window, simulated=simulated
        )
        Notifier(project, print, goes_on="the monitor").tell(message)
    write_alerts(project.home / "alerts.json", alerts)  # after the message: who is killed in between tells it twice rather than never
    return alerts


def _finished(project: Project, run: Monitor, found: Found, alerts: Mapping[str, Alert], *, kept: bool) -> Verdict:
    """Write the page and the verdict; the numbers for Prometheus only where the window is kept."""
    from seatrial.monitor_page import monitor_page
    from seatrial.monitor_text import prometheus_text

    settings = project.settings
    page = monitor_page(settings, found.record, found.verdict, run.records, alerts)
    write_atomic(project.report("monitor.html"), page.encode())
    if kept:
        text = prometheus_text(found.record, alerts, model=settings.model.name, environment=settings.environment)
        write_atomic(project.home / "monitor.prom", text.encode())
    found.verdict.save(project.verdict("monitor"))
    return found.verdict
