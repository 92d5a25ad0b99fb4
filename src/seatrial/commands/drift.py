"""Compare what the champion was asked with what it was trained on: inputs, missing values, categories, predictions, segments.

Without options the newest rows of the prediction log are judged, monitor.drift.window of them. Writes
metrics/drift.json (the verdict) and reports/drift.html (the page).
"""

from __future__ import annotations

import argparse
import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from seatrial.errors import UsageError
from seatrial.files import sha256_json, write_atomic
from seatrial.live_rows import Selection
from seatrial.project import Project
from seatrial.times import parse_since
from seatrial.verdict import Verdict

if TYPE_CHECKING:
    from seatrial.bundle import Bundle
    from seatrial.drift import Reference
    from seatrial.live_rows import Current


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is compared with what: rows of the log, a `table`, or the raw data of a `revision`; and the `reference`, None for training."""

    selection: Selection = field(default_factory=Selection)
    table: str | None = None
    revision: str | None = None
    reference: str | None = None


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--since", metavar="TIME", help="rows from a moment on (2026-11-01T12:00Z) or of the last hours (24, 0.5)")
    parser.add_argument("--last", type=int, metavar="ROWS", help="the newest rows only (default without --since: monitor.drift.window)")
    parser.add_argument("--only", choices=("real", "simulated"), help="leave out what a replay sent, or everything else")
    parser.add_argument("--file", metavar="TABLE", help="rows of a CSV or Parquet file or folder instead of the log's")
    parser.add_argument("--from", dest="revision", metavar="REV", help="rows of data.raw at a git revision instead of the log's")
    parser.add_argument(
        "--reference", metavar="VERSION|START..END", help="what a version learned from, or an earlier window (48..24 hours ago)"
    )


def run(project: Project, options: argparse.Namespace) -> int:
    """Judge and print; the exit code is the outcome's."""
    from seatrial.drift import methods
    from seatrial.report import print_verdict

    project.settings.require_binary("drift")
    now = dt.datetime.now(dt.UTC)
    verdict, recorded = drift(project, _question(options, now=now), now=now)
    print(f"drift: {methods(project.settings.monitor.drift)}")
    print_verdict(verdict, title="drift", path="metrics/drift.json", recorded=recorded)
    _print_losses(project)
    return verdict.outcome.exit_code


def _question(options: argparse.Namespace, *, now: dt.datetime) -> Question:
    """The options, as far as they go together."""
    if options.last is not None and options.last < 1:
        raise UsageError(f"--last is {options.last}: it is a number of rows, 1 or more")
    log = [name for name in ("since", "last", "only") if getattr(options, name) is not None]
    sources = [name for name in ("file", "revision") if getattr(options, name) is not None]
    if len(sources) > 1 or (sources and log):
        given = " and ".join(f"--{'from' if name == 'revision' else name}" for name in (*sources, *log))
        raise UsageError(f"{given} do not go together", hint="--since, --last and --only choose rows of the log")
    since = parse_since(options.since, now=now) if options.since else None
    selection = Selection(since=since, last=options.last, only=options.only)
    return Question(selection=selection, table=options.file, revision=options.revision, reference=options.reference)


def _print_losses(project: Project) -> None:
    """Say how many answered rows nobody can judge, because a killed server took them along."""
    from seatrial.serving.losses import log_losses

    lost = log_losses(project.home / "log")
    if lost:
        rows, times = sum(loss.rows for loss in lost), len(lost)
        print(f"drift: {rows:,} answered rows are not in the log, lost in {times} end{'s' * (times > 1)} of a server (log/losses.jsonl)")


def drift(project: Project, question: Question, *, now: dt.datetime) -> tuple[Verdict, bool]:
    """The verdict about the rows in question, and whether it was recorded before; writes metrics/drift.json and the page.

    Raises RegistryError where there is no champion, BundleError where its bytes are gone, DataError where the reference or the rows
    cannot be read, UsageError for a reference that is none.
    """
    from seatrial.adapters.registry import champion_of
    from seatrial.drift import drift_page, drift_verdict
    from seatrial.drift_references import bundle_of, chosen_reference

    policy = project.settings.monitor.drift
    champion = champion_of(project)
    bundle = bundle_of(project, champion)
    reference = chosen_reference(project, question.reference, champion, bundle, now=now)
    current = _current(project, bundle, question)
    subject = _subject(project, question, bundle, current, reference)
    path, page = project.verdict("drift"), project.report("drift.html")
    enough = current.rows >= policy.min_rows
    recorded = Verdict.recorded(path, kind="drift", subject=subject)
    if recorded is not None and page.exists() == enough:
        return recorded, True
    verdict = drift_verdict(policy, bundle, current, reference, subject=subject, dropped=_dropped(project, question))
    if enough:
        print(f"drift: {current.rows} rows against {reference.words}; Evidently's charts take some seconds", flush=True)
        title = f"Drift: {project.settings.registered_model} version {champion.version}{' (simulation)' if current.simulated else ''}"
        write_atomic(page, drift_page(policy, bundle, current, reference, verdict, title=title).encode())
    else:
        page.unlink(missing_ok=True)  # it was about other rows
    verdict.save(path)
    return verdict, False


def _current(project: Project, bundle: Bundle, question: Question) -> Current:
    from seatrial.drift_tables import read_current_table, read_revision
    from seatrial.live_rows import read_window

    policy, groups = project.settings.monitor.drift, bundle.manifest.groups
    if question.table is not None:
        return read_current_table(project, bundle, question.table, sample=policy.max_rows, segments=groups)
    if question.revision is not None:
        return read_revision(project, bundle, question.revision, sample=policy.max_rows, segments=groups)
    return read_window(
        project,
        bundle.manifest,
        bundle.digest,
        question.selection,
        default_last=policy.window,
        segments=groups,
        sample=policy.max_rows,
    )


def _dropped(project: Project, question: Question) -> tuple[str, ...]:
    """The inputs that the log does not keep; a table has all of its own."""
    return () if question.table or question.revision else tuple(project.settings.monitor.log.drop)


def _subject(project: Project, question: Question, bundle: Bundle, current: Current, reference: Reference) -> dict[str, Any]:
    from seatrial import __version__

    monitor = project.settings.monitor
    profile = current.tally.profile()
    return {
        "bundle": bundle.digest,
        "reference": sha256_json([reference.digest, reference.words]),
        "window": sha256_json([current.digest, profile.to_bytes().decode()]),
        "policy": sha256_json([monitor.drift.to_dict(), _dropped(project, question), question.selection.only, __version__]),
    }
