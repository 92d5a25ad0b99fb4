"""Game day: break a scratch endpoint on purpose, under load, and see whether what is promised is kept.

Nothing of the live endpoint, the registry or the project is touched. Exit 1 where a promise is not kept; writes
metrics/drill.json and reports/drill.html.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from seatrial.errors import SeatrialError, UsageError
from seatrial.files import pretty_json, write_atomic
from seatrial.located import nearest
from seatrial.progress import counting
from seatrial.project import Project

if TYPE_CHECKING:
    from seatrial.drill.drills import Drill
    from seatrial.drill.report import Drilled
    from seatrial.drill.rig import Rig
    from seatrial.drill.sweep import Point, Result

SHORT = ("crash", "hang", "mirrored-lie", "controller-gone", "supervisord-crash", "torn-route", "rollback")
"""One drill of each kind."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--list", action="store_true", help="list the drills and what they promise; break nothing")
    parser.add_argument("--only", nargs="+", metavar="DRILL", help="these drills only")
    parser.add_argument("--short", action="store_true", help=f"one of each kind: {', '.join(SHORT)}")
    parser.add_argument("--sweep", action="store_true", help="break the controller at each step that it makes durable, one run for each")
    parser.add_argument("--random", type=int, metavar="N", help="kill the controller at N random moments")
    parser.add_argument("--action", choices=("kill", "raise", "enospc"), default="kill", help="with --sweep: how it breaks (default: kill)")
    parser.add_argument("--every", type=int, default=1, metavar="K", help="with --sweep: each Kth point only (default: 1)")
    parser.add_argument("--seed", type=int, default=0, help="with --random: which moments (default: 0)")


def run(project: Project, options: argparse.Namespace) -> int:
    """Drill; 0 where every promise was kept, 1 where one was not."""
    project.settings.require_binary("drill")
    drills = _chosen(options)
    if options.list:
        return _list(drills)
    if not (project.bundle / "manifest.json").exists():
        raise UsageError(f"there is no bundle in {project.bundle.name}/ to drill with", hint="train one first: nox -s train")
    if options.sweep or options.random is not None:
        return _sweep(project, options)
    return _drill(project, drills)


def _chosen(options: argparse.Namespace) -> list[Drill]:
    """The drills that are asked for; UsageError for options that do not go together and names that do not exist."""
    from seatrial.drill.game_day import DRILLS

    if (options.sweep or options.random is not None) and (options.only or options.short):
        raise UsageError("--only and --short choose drills; a sweep has none", hint="leave one of them out")
    if options.sweep and options.random is not None:
        raise UsageError("--sweep and --random are two sweeps", hint="run one after the other")
    if options.every < 1 or (options.random is not None and options.random < 1):
        raise UsageError(f"--every {options.every} --random {options.random}: both count from 1")
    known = {drill.name: drill for drill in DRILLS}
    names = options.only or (SHORT if options.short else tuple(known))
    for name in names:
        if name not in known:
            raise UsageError(f"there is no drill {name!r}{nearest(name, list(known))}", hint="seatrial drill --list names them")
    return [known[name] for name in names]


def _list(drills: Sequence[Drill]) -> int:
    width = max(len(drill.name) for drill in drills)
    for drill in drills:
        print(f"{drill.name:<{width}}  {drill.fault}")
    return 0


def _drill(project: Project, drills: Sequence[Drill]) -> int:
    from seatrial.drill.report import as_json, drill_page
    from seatrial.drill.rig import rig

    with rig(project) as made:
        made.plan(steps=["mirror", 50, 100])
        made.release()
        drilled = list(_carried_out(made, drills))
    found = as_json(drilled)
    write_atomic(project.verdict("drill"), pretty_json(found))
    write_atomic(project.report("drill.html"), drill_page(drilled).encode())
    _print_table(drilled)
    print(f"drill: {'every promise was kept' if found['kept'] else 'a promise was not kept'} · metrics/drill.json · reports/drill.html")
    return 0 if found["kept"] else 1


def _carried_out(made: Rig, drills: Sequence[Drill]) -> Iterable[Drilled]:
    from seatrial.drill.report import Drilled

    with counting(len(drills), "drill: breaking things") as progress:
        for drill in drills:
            try:
                one = Drilled(drill=drill, happened=drill.run(made))
            except SeatrialError as error:
                one = Drilled(drill=drill, error=str(error))
                made.end_all()
            progress()
            yield one


def _print_table(drilled: Sequence[Drilled]) -> None:
    from rich.console import Console
    from rich.table import Table

    from seatrial.drill.report import HEADER

    shown = Table(box=None, pad_edge=False)
    for name in HEADER:
        shown.add_column(name, justify="left" if name in (HEADER[0], HEADER[-1]) else "right")
    for one in drilled:
        shown.add_row(*one.cells)
    Console(width=None if os.isatty(1) else 120).print(shown)
    for one in drilled:
        for problem in one.problems:
            print(f"{one.drill.name}: {problem}")


def _sweep(project: Project, options: argparse.Namespace) -> int:
    from seatrial.drill.report import sweep_words
    from seatrial.drill.rig import rig
    from seatrial.drill.sweep import at_random, clean_seconds, count, prepare

    with rig(project) as made:
        prepare(made)
        if options.random:
            points = list(at_random(options.random, seconds=clean_seconds(made), seed=options.seed))
        else:
            points = list(count(made, action=options.action))
        results = list(_broken(made, points[:: options.every]))
    for one in results:
        for problem in one.problems:
            print(f"{one.point.words}: {problem}")
    print(f"drill: {sweep_words(results)}")
    return 1 if any(one.problems or one.harmed for one in results) else 0


def _broken(made: Rig, points: Sequence[Point]) -> Iterable[Result]:
    from seatrial.drill.sweep import break_at

    with counting(len(points), "drill: breaking the controller") as progress:
        for point in points:
            yield break_at(made, point)
            progress()
