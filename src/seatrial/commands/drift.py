"""Compare what the champion was asked with what it was trained on: inputs, missing values, categories, predictions.

Without options the newest rows of the prediction log are judged, monitor.drift.window of them. Writes
metrics/drift.json (the verdict) and reports/drift.html (Evidently's page).
"""

from __future__ import annotations

import argparse
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, cast

from seatrial.bundle import Bundle, Input, load_bundle
from seatrial.checks.drift import ColumnFacts, Kind, Predictions, Window, drift_checks, policy_problems, window_checks
from seatrial.errors import BundleError, DataError, ParamsError, RegistryError, UsageError
from seatrial.files import md5_of, sha256_json, write_atomic
from seatrial.params import Drift
from seatrial.project import Project
from seatrial.verdict import Check, Outcome, Verdict

if TYPE_CHECKING:
    import polars as pl

    from seatrial.adapters.registry import RegisteredVersion
    from seatrial.evidently_report import ColumnPair

KIND: dict[str, Kind] = {"number": "numeric", "integer": "numeric", "boolean": "category", "category": "category"}
ANSWERED = ("champion", "challenger", "direct")  # a mirrored request's answer was discarded; its twin is logged too
MAX_CATEGORIES = 200
MAX_UNSEEN = 20
SEED = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which rows of the log are meant: from `since` on, the newest `last`, only `real` or `simulated` ones."""

    since: dt.datetime | None = None
    last: int | None = None
    only: Literal["real", "simulated"] | None = None


@dataclass(frozen=True, kw_only=True)
class _Case:
    """The champion with the rows that it learned from, and the rows that it was asked."""

    version: int
    bundle: Bundle
    window: Window
    rows: pl.DataFrame
    subject: dict[str, Any]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--since", metavar="TIME", help="rows from a moment on (2026-11-01T12:00Z) or of the last hours (24, 0.5)")
    parser.add_argument("--last", type=int, metavar="ROWS", help="the newest rows only (default without --since: monitor.drift.window)")
    parser.add_argument("--only", choices=("real", "simulated"), help="leave out what a replay sent, or everything else")


def run(project: Project, options: argparse.Namespace) -> int:
    """Judge and print; the exit code is the outcome's."""
    from seatrial.report import print_verdict

    project.settings.require_binary("drift")
    since = parse_since(options.since, now=dt.datetime.now(dt.UTC)) if options.since else None
    if options.last is not None and options.last < 1:
        raise UsageError(f"--last is {options.last}: it is a number of rows, 1 or more")
    verdict, recorded = drift(project, Selection(since=since, last=options.last, only=options.only))
    print_verdict(verdict, title="drift", path="metrics/drift.json", recorded=recorded)
    _print_losses(project)
    return verdict.outcome.exit_code


def _print_losses(project: Project) -> None:
    """Say how many answered rows nobody can judge, because a killed server took them along."""
    from seatrial.serving.losses import log_losses

    lost = log_losses(project.home / "log")
    if lost:
        rows, times = sum(loss.rows for loss in lost), len(lost)
        print(f"drift: {rows:,} answered rows are not in the log, lost in {times} end{'s' * (times > 1)} of a server (log/losses.jsonl)")


def parse_since(text: str, *, now: dt.datetime) -> dt.datetime:
    """A moment in ISO 8601 (UTC where it names no zone), or hours before `now`; UsageError for others and for the future."""
    hint = "like --since 24 (hours) or --since 2026-11-01T12:00Z"
    try:
        since = now - dt.timedelta(hours=float(text))
    except (ValueError, OverflowError):
        try:
            moment = dt.datetime.fromisoformat(text)
        except ValueError:
            raise UsageError(f"--since {text!r} is neither a number of hours nor a moment", hint=hint) from None
        since = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    if since >= now:
        raise UsageError(f"--since {text!r} lies in the future", hint=hint)
    return since


def drift(project: Project, selection: Selection) -> tuple[Verdict, bool]:
    """The verdict about the selected rows, and whether it was recorded before; writes metrics/drift.json and the page.

    Raises RegistryError where there is no champion, BundleError where its bytes are gone, DataError where the training rows
    at hand are not those of the champion, ParamsError for a test that does not exist.
    """
    policy = project.settings.monitor.drift
    if problems := policy_problems(policy):
        raise ParamsError(problems)
    case = _case(project, selection)
    path, page = project.verdict("drift"), project.report("drift.html")
    enough = case.window.rows >= policy.min_rows
    recorded = Verdict.recorded(path, kind="drift", subject=case.subject)
    if recorded is not None and page.exists() == enough:
        return recorded, True
    if enough:
        verdict, html = _judge(project, policy, case)
        write_atomic(page, html.encode())
    else:
        verdict = Verdict(kind="drift", subject=case.subject, checks=window_checks(policy, case.window))
        page.unlink(missing_ok=True)  # it was about other rows
    verdict.save(path)
    return verdict, False


def _case(project: Project, selection: Selection) -> _Case:
    from seatrial.adapters.registry import read_alias
    from seatrial.serving.log_store import log_store
    from seatrial.serving.predictions import parts, read_log

    champion = read_alias(project, "champion")
    if champion is None:
        name = project.settings.registered_model
        raise RegistryError(f"{name!r} has no champion yet, so there is nothing to compare with", hint="take one live: nox -s gate deploy")
    bundle = _live_bundle(project, champion)
    reference = _check_reference(project, champion, bundle)
    folder, store = project.home / "log", log_store(project)
    names = [f"{part.parent.name}/{part.name}" for part in parts(folder, since=selection.since, store=store)]
    rows, window = select_rows(read_log(folder, since=selection.since, store=store), bundle, selection, project.settings.monitor.drift)
    subject = {
        "bundle": bundle.digest,
        "reference": reference,
        "window": sha256_json([names, rows.height, window.simulated, window.others, _span(rows, bundle)]),
        "policy": _policy(project, selection),
    }
    return _Case(version=champion.version, bundle=bundle, window=window, rows=rows, subject=subject)


def _policy(project: Project, selection: Selection) -> str:
    from seatrial import __version__

    monitor = project.settings.monitor
    return sha256_json([monitor.drift.to_dict(), monitor.log.drop, selection.only, __version__])


def _live_bundle(project: Project, champion: RegisteredVersion) -> Bundle:
    """The champion's bundle: from the content store, else the one at hand if it is the same, else from the registry."""
    from seatrial.adapters.registry import fetch_bundle

    store = project.home / "store"
    for folder in (store / champion.digest.removeprefix("sha256:"), project.bundle):
        try:
            return load_bundle(folder, expected=champion.digest)
        except BundleError:
            continue
    return load_bundle(fetch_bundle(project, champion, store), expected=champion.digest)


def _check_reference(project: Project, champion: RegisteredVersion, bundle: Bundle) -> str:
    """The hash of the training rows at hand; DataError where the champion learned from others."""
    hint = f"check out the commit that trained version {champion.version}, then: dvc pull data/processed (or nox -s train)"
    try:
        found = md5_of(project.train_data)
    except OSError:
        raise DataError("data/processed/train.parquet is missing: drift compares with the champion's training rows", hint=hint) from None
    if found != bundle.manifest.training.data:
        promised = bundle.manifest.training.data
        raise DataError(
            f"data/processed/train.parquet is {found}, but the champion (version {champion.version}) learned from {promised}", hint=hint
        )
    return found


def select_rows(log: pl.DataFrame, bundle: Bundle, selection: Selection, policy: Drift) -> tuple[pl.DataFrame, Window]:
    """The rows of the log that this bundle answered and that are meant, oldest first, and what they are."""
    import polars as pl

    own = _own_columns(bundle)
    absent = [name for name in own.values() if name not in log.columns]
    log = log.with_columns(*(pl.lit(None).alias(name) for name in absent))
    answered = log.filter(pl.col(own["variant"]).is_in(ANSWERED))
    rows = answered.filter(pl.col(own["digest"]) == bundle.digest)
    others = answered.height - rows.height
    simulated = pl.col(own["simulated"]).cast(pl.Boolean).fill_null(False)
    if selection.only is not None:
        rows = rows.filter(simulated if selection.only == "simulated" else ~simulated)
    last = selection.last or (policy.window if selection.since is None else rows.height)
    rows = rows.sort(own["time"]).tail(last)
    return rows, Window(rows=rows.height, simulated=rows.filter(simulated).height, others=others)


def _own_columns(bundle: Bundle) -> dict[str, str]:
    """The log's own columns, by what they mean, as they are named beside this bundle's inputs."""
    from seatrial.serving.predictions import own_name

    inputs = [column.name for column in bundle.manifest.inputs]
    return {name: own_name(name, inputs) for name in ("digest", "variant", "simulated", "time", "probability")}


def _span(rows: pl.DataFrame, bundle: Bundle) -> list[str]:
    times = rows[_own_columns(bundle)["time"]]
    return [str(times.min()), str(times.max())]


def _judge(project: Project, policy: Drift, case: _Case) -> tuple[Verdict, str]:
    """All checks, and the page about them."""
    from seatrial.evidently_report import compare, framed
    from seatrial.serving.runtime import Runtime
    from seatrial.stages import read_rows

    reference = read_rows(project.train_data)
    print(
        f"drift: comparing {case.window.rows} rows with {reference.height} training rows; Evidently takes some seconds to load", flush=True
    )
    inputs = case.bundle.manifest.inputs
    kept = [column for column in inputs if column.name not in project.settings.monitor.log.drop]
    then, now = _sample(reference, policy.max_rows), _sample(case.rows, policy.max_rows)
    tested = [_tested(column, then, now, policy) for column in kept if _comparable(measure(column, then, now))]
    answers = now[_own_columns(case.bundle)["probability"]]
    fair = _sample(_unseen_rows(project, case.bundle, reference), policy.max_rows)
    predicted = _predictions(Runtime(case.bundle).score_frame(fair), answers, inputs, policy)
    scores, html = compare(tested, alone=predicted, drifted_share=_share(policy, len(tested)))
    facts = [replace(measure(one, reference, case.rows, logged=one in kept), score=scores.get(one.name)) for one in inputs]
    predictions = Predictions(strange=_strange(case), score=scores[predicted[0].name] if predicted else None)
    verdict = Verdict(kind="drift", subject=case.subject, checks=drift_checks(policy, case.window, facts, predictions))
    title = f"Drift: {project.settings.registered_model} version {case.version}{' (simulation)' if case.window.simulated else ''}"
    return verdict, framed(html, title=title, head=page_head(verdict, policy, case.window, reference.height))


def _unseen_rows(project: Project, bundle: Bundle, reference: pl.DataFrame) -> pl.DataFrame:
    """The rows that the champion was held back from: on those that it was fitted on, a model is surer of itself than anywhere.

    The training rows stand in where the held-out rows at hand are not the ones that its manifest names.
    """
    from seatrial.stages import read_rows

    held_out = bundle.manifest.training.held_out
    known = bool(held_out) and project.test_data.exists() and md5_of(project.test_data) == held_out
    return read_rows(project.test_data) if known else reference


def measure(column: Input, reference: pl.DataFrame, current: pl.DataFrame, *, logged: bool = True) -> ColumnFacts:
    """What is missing and unseen in one column, on all rows."""
    kind = KIND[column.type]
    then = plain(reference[column.name], column)
    missing = then.null_count() / max(then.len(), 1)
    if not logged or column.name not in current.columns:
        return ColumnFacts(name=column.name, kind=kind, reference_missing=missing, current_missing=None)
    now = plain(current[column.name], column)
    share, examples = _unseen(now, then) if column.type == "category" else (None, ())
    return ColumnFacts(
        name=column.name,
        kind=kind,
        reference_missing=missing,
        current_missing=now.null_count() / max(now.len(), 1),
        unseen=share,
        examples=examples,
    )


def plain(values: pl.Series, column: Input) -> pl.Series:
    """A column as both windows are compared: float64 or string, null for what is missing, infinite or an empty string."""
    import polars as pl

    if KIND[column.type] == "numeric":
        numbers = values.cast(pl.Float64, strict=False)
        return numbers.set(~numbers.is_finite(), None)
    if column.type == "boolean" and values.dtype.is_numeric():
        values = values.cast(pl.Boolean)
    words = values.cast(pl.String)
    return words.set(words == "", None)


def _unseen(now: pl.Series, then: pl.Series) -> tuple[float, tuple[str, ...]]:
    """The share of all rows with a category that is new, and up to three of those, the most frequent first."""
    new = now.filter(now.is_not_null() & ~now.is_in(then.drop_nulls().unique().implode()))
    return new.len() / max(now.len(), 1), tuple(word[:40] for word in _frequent(new, 3))


def _frequent(values: pl.Series, limit: int) -> list[str]:
    """The most frequent values; equally frequent ones in order."""
    import polars as pl

    name = values.name
    counts = values.drop_nulls().to_frame().group_by(name).len("seatrial_count")
    return cast("list[str]", counts.sort(pl.col("seatrial_count"), pl.col(name), descending=[True, False])[name].head(limit).to_list())


def _comparable(column: ColumnFacts) -> bool:
    return column.reference_missing < 1 and column.current_missing is not None and column.current_missing < 1


def _sample(frame: pl.DataFrame, rows: int) -> pl.DataFrame:
    return frame if frame.height <= rows else frame.sample(rows, seed=SEED)


def _tested(column: Input, reference: pl.DataFrame, current: pl.DataFrame, policy: Drift) -> ColumnPair:
    """One column with the test of its type, ready for Evidently."""
    from seatrial.evidently_report import ColumnPair

    kind = KIND[column.type]
    then, now = plain(reference[column.name], column), plain(current[column.name], column)
    chosen = policy.numeric if kind == "numeric" else policy.category
    before: Any
    after: Any
    if kind == "numeric":
        before, after = (side.fill_null(float("nan")).to_numpy() for side in (then, now))
    else:
        before, after = _bounded(then, now)
    return ColumnPair(name=column.name, kind=kind, method=chosen.method, limit=float(chosen.limit), reference=before, current=after)


def _bounded(then: pl.Series, now: pl.Series) -> tuple[list[str | None], list[str | None]]:
    """Categories as lists: the frequent ones, and `(other)` for what is rare, because anybody can send a million new words."""
    known = _frequent(then, MAX_CATEGORIES)
    kept = {*known, *_frequent(now.filter(now.is_not_null() & ~now.is_in(known)), MAX_UNSEEN)}
    before, after = ([word if word is None or word in kept else "(other)" for word in side.to_list()] for side in (then, now))
    return before, after


def _predictions(before: Any, answers: pl.Series, inputs: Sequence[Input], policy: Drift) -> list[ColumnPair]:
    """The champion's probabilities on rows that it never saw and the logged ones; nothing where none was logged."""
    import polars as pl

    from seatrial.evidently_report import ColumnPair

    names = {column.name for column in inputs}
    now = answers.cast(pl.Float64).fill_nan(None)
    if now.null_count() == now.len():
        return []
    return [
        ColumnPair(
            name=next(name for name in ("prediction", "probability", "seatrial_prediction") if name not in names),
            kind="numeric",
            method=policy.numeric.method,
            limit=float(policy.numeric.limit),
            reference=before,
            current=now.fill_null(float("nan")).to_numpy(),
        )
    ]


def _strange(case: _Case) -> int:
    import polars as pl

    answers = case.rows[_own_columns(case.bundle)["probability"]].cast(pl.Float64)
    return answers.len() - int((answers.is_finite() & answers.is_between(0, 1)).sum())


def _share(policy: Drift, columns: int) -> float:
    """Evidently declares drift from this share of the columns on: from one more than may drift."""
    return min(1.0, round((policy.max_columns + 0.5) / max(columns, 1), 4))


def page_head(verdict: Verdict, policy: Drift, window: Window, trained: int) -> str:
    """What stands above Evidently's page (HTML): the verdict, what did not pass, and what was compared."""
    from seatrial.html import escape
    from seatrial.report import reason

    found = [check for check in verdict.worst_first() if check.outcome is not Outcome.PASS]
    more = f"<li>… and {len(found) - 10} more in metrics/drift.json</li>" if len(found) > 10 else ""
    sampled = max(window.rows, trained) > policy.max_rows
    sample = f" Of a side with more than {policy.max_rows} rows Evidently saw that many, drawn with seed {SEED}." if sampled else ""
    return (
        f'<p><strong class="{verdict.outcome.value}">{verdict.outcome.value}</strong>: {escape(reason(verdict))}</p>'
        f"<ul>{''.join(_item(check) for check in found[:10])}{more}</ul>"
        f"<p>{window.rows} logged rows (current) against {trained} training rows (reference).{sample} Missing values and unseen"
        " categories are counted on all rows; the tests below leave missing values out, and know nothing of empty columns.</p>"
    )


def _item(check: Check) -> str:
    from seatrial.html import escape

    word = f"{check.outcome.value}{' (advisory)' if check.advisory else ''}"
    return f'<li><span class="{check.outcome.value}">{word}</span> <code>{escape(check.name)}</code> {escape(check.message)}</li>'
