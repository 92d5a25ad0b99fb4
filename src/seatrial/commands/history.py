"""What was champion when, who promoted it, and on what evidence; every rollout with its end and reason.

Read from the journal and the gate's ledger of this home: neither endpoint nor registry has to answer. Times are UTC.
0 · 3 where `--at` asks for a time of which nothing is known.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
from collections.abc import Sequence

from seatrial import rollout_records as records
from seatrial.errors import UsageError
from seatrial.history import History, Past, Reign, champion_at, from_ledger, read_history, rollout_of, to_dict, way_back_of
from seatrial.looks import read_looks
from seatrial.project import Project
from seatrial.report import one_line

SHOWN = 30


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--at", metavar="TIME", help="what was champion then: 2026-11-20T10:00, in UTC where it names no zone")
    parser.add_argument("--registry", action="store_true", help="ask the registry's ledger, which knows the other machines too")
    parser.add_argument("--limit", type=int, default=SHOWN, help=f"how many of the newest rollouts are shown; 0 is all (default {SHOWN})")
    parser.add_argument("--json", action="store_true", help="print JSON for programs: all of it")


def run(project: Project, options: argparse.Namespace) -> int:
    """Print the past; the exit code is 3 where nothing is known of the time that was asked about."""
    at = _time(options.at)
    past = ledger_history(project) if options.registry else read_history(project.home)
    if at is not None:
        return _answer(past, at, as_json=options.json)
    if options.json:
        print(json.dumps(to_dict(past), indent=2))
    else:
        _show(past, options.limit)
    return 0


def ledger_history(project: Project) -> History:
    """The history of this environment's model by the registry's ledger."""
    from seatrial.adapters.ledger import read_ledger

    return from_ledger(read_ledger(project), read_looks(project.home))


def _time(text: str | None) -> dt.datetime | None:
    if text is None:
        return None
    found = records.when(text)
    if found is None:
        raise UsageError(f"--at: {text!r} is no time", hint="write it as 2026-11-20T10:00, or 2026-11-20T10:00+01:00")
    return found


def _answer(past: History, at: dt.datetime, *, as_json: bool) -> int:
    reign = champion_at(past, at)
    rollout = rollout_of(past, reign) if reign else None
    if as_json:
        told = {"at": at.isoformat(), "known": reign is not None, "reign": None, "rollout": None, "source": past.source}
        whole = to_dict(History(source="", rollouts=(rollout,) if rollout else (), reigns=(reign,) if reign else ()))
        told |= {key: whole[kind][0] for key, kind in (("reign", "reigns"), ("rollout", "rollouts")) if whole[kind]}
        print(json.dumps(told, indent=2))
    else:
        print("\n".join([*_noted(past), *answer_lines(past, at, reign, rollout)]))
    return 0 if reign is not None else 3


def answer_lines(past: History, at: dt.datetime, reign: Reign | None, rollout: Past | None) -> list[str]:
    """Who was champion at a time, in lines."""
    then = _clock(at.isoformat())
    if reign is None:
        return [f"history: {then}: nothing is known; {past.source} {_begins(past)}"]
    if reign.champion is None:
        return [f"history: {then}: nothing was champion, since {_clock(reign.since)} ({one_line(reign.event)})"]
    lines = [f"history: {then}: version {reign.champion.version} was champion, {reign.champion.digest}, since {_clock(reign.since)}"]
    back = way_back_of(past, reign)
    if back is not None:
        lines.append(f"  again, after version {back.version}: {one_line(back.reason)}")
    return lines + (
        _evidence_lines(rollout) if rollout else [f"  made so by: {one_line(reign.event)}; its rollout is not in {past.source}"]
    )


def _begins(past: History) -> str:
    return f"begins at {_clock(past.reigns[0].since)}" if past.reigns else "holds no champion"


def _evidence_lines(rollout: Past) -> list[str]:
    """Who promoted it, and on what evidence."""
    gate = rollout.gate
    judged = f"{gate.outcome}, asked by {gate.who} at {_clock(gate.when)}" if gate and gate.outcome else "not in this machine's ledger"
    lines = [
        f"  promoted {_clock(rollout.ended)} by {rollout.who or 'somebody'}, started by {rollout.started_by or 'somebody'}",
        f"  rollout {rollout.id}: {rollout.outcome}{' (simulated)' if rollout.simulated else ''}: {one_line(rollout.reason)}",
        f"  gate {gate.verdict if gate else 'not recorded'}: {judged}",
        f"  approval: {one_line(rollout.approval) if rollout.approval else 'nobody was asked'}",
    ]
    before = rollout.champion
    return [*lines, f"  before it: version {before.version}, {before.digest}" if before else "  before it: no champion"]


def _noted(past: History) -> list[str]:
    return [f"history: {note}" for note in past.notes]


def _show(past: History, limit: int) -> None:
    shown = past.rollouts if limit <= 0 else past.rollouts[-limit:]
    for line in _noted(past):
        print(line)
    if len(shown) < len(past.rollouts):
        print(f"history: {len(past.rollouts) - len(shown)} earlier ones are not shown; --limit 0 shows all")
    if not past.rollouts:
        print(f"history: no rollout is recorded in {past.source}; deploy a version: nox -s deploy")
    elif sys.stdout.isatty():
        _table(shown)
    else:
        print("\n".join(plain_lines(shown)))
    if past.reigns:
        last = past.reigns[-1]
        who = f"version {last.champion.version}" if last.champion else "nobody"
        print(f"history: champion is {who} since {_clock(last.since)}")


HEAD = ("began", "ended", "version", "champion", "how", "outcome", "gate", "who", "reason")


def cells(one: Past) -> tuple[str, ...]:
    """One rollout as the table's cells."""
    gate = f"{_short(one.gate.verdict)}{f' {one.gate.outcome}' if one.gate.outcome else ''}" if one.gate else "–"
    who = ", ".join(dict.fromkeys(filter(None, (one.started_by, one.who)))) or "–"
    reason = one_line(one.reason) + (f" · approved by {one_line(one.approval)}" if one.approval else "")
    return (
        _clock(one.started),
        _clock(one.ended),
        f"{one.version} {_short(one.bundle)}",
        f"{one.champion.version} {_short(one.champion.digest)}" if one.champion else "–",
        one.how + (" (simulated)" if one.simulated else ""),
        one.outcome or "–",
        gate,
        who,
        reason,
    )


def plain_lines(shown: Sequence[Past]) -> list[str]:
    """The table in columns of text, for files and CI."""
    rows = [HEAD, *map(cells, shown)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(HEAD) - 1)]
    return ["  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]) for row in rows]


def _table(shown: Sequence[Past]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    tones = {"fail": "red", "error": "dark_orange", "inconclusive": "yellow", "pass": "green"}
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for name in HEAD:
        table.add_column(name, overflow="fold")
    for one in shown:
        style = tones.get(one.outcome or "", "")
        table.add_row(*(Text(cell, style=style if name in ("how", "outcome") else "") for name, cell in zip(HEAD, cells(one), strict=True)))
    Console().print(table)


def _short(digest: str) -> str:
    kind, _, digits = digest.partition(":")
    return f"{digits[:12]}" if digits else kind[:12]


def _clock(time: str | None) -> str:
    """A recorded time to the second, in UTC."""
    if not time:
        return "–"
    found = records.when(time)
    return f"{found:%Y-%m-%d %H:%M:%S}" if found else time[:30]
