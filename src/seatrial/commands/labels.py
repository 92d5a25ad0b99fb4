"""Keep outcomes that became known, and say how many of the answers have one, and how well the champion did.

    seatrial labels outcomes.csv --known decided_at

The same file twice is once; later outcomes correct earlier ones. Without a table it only says how things stand.
"""

from __future__ import annotations

import argparse
import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING

from seatrial.errors import UsageError
from seatrial.live_rows import Selection, read_answers
from seatrial.project import Project
from seatrial.times import parse_since

if TYPE_CHECKING:
    import polars as pl

    from seatrial.bundle import Bundle
    from seatrial.labels import Added
    from seatrial.live_performance import Performance

CONFIDENCE = 0.95


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("tables", nargs="*", metavar="TABLE", help="CSV or Parquet files, folders of them, or globs in quotes")
    parser.add_argument("--id", help="the column with the row's id (default: data.id)")
    parser.add_argument("--outcome", help="the column with what came true (default: data.target)")
    parser.add_argument("--known", help="the column that says when it became known (default: now, when it is added)")
    parser.add_argument("--spelled", action="append", default=[], metavar="WORD=CLASS", help="what another spelling means: --spelled 1=Yes")
    parser.add_argument(
        "--since", metavar="TIME", help="report on answers from a moment on, or of the last hours (default: all that are kept)"
    )


def run(project: Project, options: argparse.Namespace) -> int:
    """Keep what is new and report; 0, or an exception that says why nothing was kept."""
    from seatrial.adapters.registry import champion_of
    from seatrial.drift_references import bundle_of

    project.settings.require_binary("labels")
    now = dt.datetime.now(dt.UTC)
    since = parse_since(options.since, now=now) if options.since else None
    champion = champion_of(project)
    bundle = bundle_of(project, champion)
    if options.tables:
        _print_added(keep(project, bundle, options, now=now))
    report(project, bundle, Selection(since=since), version=champion.version)
    return 0


def keep(project: Project, bundle: Bundle, options: argparse.Namespace, *, now: dt.datetime) -> Added:
    """Add the tables that the options name; UsageError where a column or a spelling cannot be."""
    from seatrial.labels import Columns, add_labels

    classes = bundle.manifest.target.classes
    identity = options.id or project.settings.data.id
    if identity is None:
        raise UsageError("rows have no id: data.id of params.yaml is null", hint="name the column with the request's id: --id request_id")
    columns = Columns(id=identity, outcome=options.outcome or project.settings.data.target, known=options.known)
    return add_labels(project, options.tables, columns, classes=classes, spelled=_spelled(options.spelled, classes), now=now)


def _spelled(pairs: Sequence[str], classes: Sequence[str]) -> dict[str, str]:
    found = dict(pair.rpartition("=")[::2] for pair in pairs)
    for word, name in found.items():
        if not word or name not in classes:
            raise UsageError(f"--spelled {word}={name}: {name!r} is no class of the target", hint=f"classes are {', '.join(classes)}")
    return found


def _print_added(added: Added) -> None:
    again = f", {added.repeated} of them kept before" if added.repeated else ""
    empty = f"; {added.empty:,} rows have no id or no outcome yet" if added.empty else ""
    print(f"labels: {added.outcomes:,} outcomes added from {added.files} file{'s' * (added.files != 1)}{again}{empty}")


def report(project: Project, bundle: Bundle, selection: Selection, *, version: int) -> Performance:
    """Print coverage, delay and the metrics of a version: by outcomes, by group, and estimated."""
    from seatrial.labels import read_labels
    from seatrial.live_performance import by_group, joined, performance
    from seatrial.live_profile import profile_of_bundle

    labels = read_labels(project.home)
    rows = joined(read_answers(project, bundle.manifest, bundle.digest, selection), labels)
    profile = profile_of_bundle(bundle)
    names = tuple(project.settings.gate.metrics) or (project.settings.model.primary,)

    def measured(part: pl.DataFrame) -> Performance:
        return performance(
            bundle,
            part,
            metrics=names,
            calibration=None if profile is None else profile.calibration,
            confidence=CONFIDENCE,
            min_labels=project.settings.monitor.labels.min_rows,
        )

    found = measured(rows)
    _print_coverage(found, labels.join(rows, left_on="id", right_on="key", how="anti").height, version, len(labels))
    if found.answered:
        groups = {
            f"{column} = {value}": measured(part)
            for column in bundle.manifest.groups
            if column in rows.columns
            for value, part in by_group(rows, column).items()
        }
        _print_metrics({"all": found, **groups}, names, minimum=project.settings.monitor.labels.min_rows)
    return found


def _print_coverage(found: Performance, unknown: int, version: int, labels: int) -> None:
    print(f"labels: {found.labelled:,} of {found.answered:,} answers of version {version} have an outcome ({found.coverage:.1%})")
    if unknown:
        print(f"labels: {unknown:,} of {labels:,} outcomes are of no answer in question; they wait for theirs")
    if found.delays_s:
        print(f"labels: outcomes came after {_long(found.delays_s[0])} (median), nine of ten within {_long(found.delays_s[1])}")
    if found.early:
        print(f"labels: {found.early:,} outcomes were known before the answer: look at the clocks, and at what --known names")
    if found.changed:
        print(f"labels: {found.changed:,} outcomes were corrected; the latest holds")


def _long(seconds: float) -> str:
    for size, word in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= size:
            return f"{seconds / size:.1f} {word}"
    return f"{seconds:.1f} seconds"


def _print_metrics(parts: dict[str, Performance], names: Sequence[str], *, minimum: int) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("metric", "by outcomes (95 %)", "estimated (95 %)")
    for part, found in parts.items():
        table.add_section()
        table.add_row(f"{part}: {found.answered:,} answers, {found.labelled:,} outcomes", "", "", style="bold")
        for name in names:
            known, guess = found.found.get(name), found.estimated.get(name)
            missing = f"needs {minimum} outcomes, both classes"
            table.add_row(f"  {name}", missing if known is None else str(known), "–" if guess is None else str(guess))
    Console().print(table)
    print("labels: the estimate holds while probabilities mean what they meant on the held-out rows; outcomes show where they no longer do")
