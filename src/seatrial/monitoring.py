"""One window of one version, measured: its rows, drift, requests, latency, outcomes; and the verdict about it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from seatrial.checks.drift import Window as Asked
from seatrial.checks.drift import window_checks
from seatrial.checks.monitor import Facts, Known, Requests, monitor_checks, performance_checks
from seatrial.drift import PREDICTION, Reference, drift_verdict
from seatrial.files import sha256_json
from seatrial.live_health import latency_of, requests_of
from seatrial.live_performance import Interval, Performance, by_group, joined, performance
from seatrial.live_profile import profile_of_bundle
from seatrial.live_rows import Current, Selection, read_answers, read_window
from seatrial.monitor_history import Measure, Record
from seatrial.verdict import Check, Verdict
from seatrial.windows import Window

if TYPE_CHECKING:
    import polars as pl

    from seatrial.bundle import Bundle
    from seatrial.project import Project

CONFIDENCE = 0.95
USUAL = 7
"""Windows before, whose rows are called usual."""

LABELLED = ("metric", "estimate", "group", "labelled", "coverage", "delay_s", "labels")
"""The measures that change when outcomes come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """The version that a window is asked about: its number, its bundle, and what it is compared with."""

    number: int
    bundle: Bundle
    reference: Reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """All outcomes that are known, and a name for that state of knowledge."""

    labels: pl.DataFrame
    mark: str


def measure(
    project: Project,
    version: Version,
    window: Window,
    outcomes: Outcomes,
    *,
    earlier: Sequence[Record],
    begins: dt.datetime,
    now: dt.datetime,
) -> tuple[Record, Verdict]:
    """Read the window's parts of the logs, and judge.

    `earlier` are the windows before it, oldest first; `begins` is the log's first day.
    """
    bundle, settings = version.bundle, project.settings
    selection = Selection(since=window.since, until=window.until)
    current = read_window(project, bundle.manifest, bundle.digest, selection, segments=bundle.manifest.groups)
    answers = read_answers(project, bundle.manifest, bundle.digest, selection)
    drift = _drift(project, version, current)
    whole, groups = performances(project, bundle, joined(answers, outcomes.labels))
    facts = Facts(
        rows=current.rows,
        simulated=current.simulated,
        others=current.others,
        drift=drift,
        requests=requests_of(project.home / "endpoint/logs/access.log", window, now=now),
        latency=latency_of(answers),
        unseen={check.column or "": float(check.observed or 0) for check in drift if check.name.startswith("drift.unseen.")},
        performance=whole,
        groups=groups,
        earlier=tuple(int(one.value("rows") or 0) for one in earlier[-USUAL:]),
        lacking=max((begins - window.since) / (window.until - window.since), 0.0),
        known=_known([one for one in earlier if one.digest == bundle.digest]),
    )
    checks = monitor_checks(settings.monitor, settings.gate.metrics, facts)
    subject = subject_of(project, bundle.digest, window, outcomes.mark) | {"rows": current.digest}
    verdict = Verdict(kind="monitor", subject=subject, checks=checks)
    measures = (*_live(facts), *labelled_measures(whole, groups, settings.model.primary, outcomes.mark), *_checks(checks))
    return record_of(version, window, measures, now=now), verdict


def _known(records: Sequence[Record]) -> dict[str, Known]:
    """Each metric as the newest window has it whose outcomes are known."""
    return {
        one.part: Known(found=Interval(value=one.value, low=one.low, high=one.high), outcomes=one.rows or 0, window=record.window.name)
        for record in records
        for one in record.all("metric")
        if one.value is not None and one.low is not None and one.high is not None
    }


def measured_again(project: Project, version: Version, record: Record, outcomes: Outcomes, *, now: dt.datetime) -> Record:
    """A window as it was measured, but for what outcomes say: that is measured by those that are known now."""
    settings = project.settings
    selection = Selection(since=record.window.since, until=record.window.until)
    answers = read_answers(project, version.bundle.manifest, record.digest, selection)
    whole, groups = performances(project, version.bundle, joined(answers, outcomes.labels))
    checks = tuple(performance_checks(settings.monitor, settings.gate.metrics, Facts(rows=whole.answered, performance=whole)))
    judged = {check.name for check in checks}
    kept = [one for one in record.measures if one.name not in LABELLED and one.part not in judged]
    fresh = [*labelled_measures(whole, groups, settings.model.primary, outcomes.mark), *_checks(checks)]
    return replace(record, measures=(*kept, *fresh), recorded=now)


def subject_of(project: Project, digest: str, window: Window, mark: str) -> dict[str, str]:
    """What a verdict is about, as far as it is known before anything is read: the version, the window, the outcomes, the policy."""
    from seatrial import __version__

    told = [project.settings.monitor.to_dict(), project.settings.gate.to_dict()["metrics"], __version__]
    return {
        "bundle": digest,
        "window": window.name,
        "outcomes": mark,
        "policy": sha256_json(told),
    }


def record_of(version: Version, window: Window, measures: Sequence[Measure], *, now: dt.datetime) -> Record:
    """What the history keeps of it."""
    return Record(
        window=window,
        version=version.number,
        digest=version.bundle.digest,
        whole=window.whole(now),
        recorded=now,
        measures=tuple(measures),
    )


def _drift(project: Project, version: Version, current: Current) -> tuple[Check, ...]:
    policy = project.settings.monitor.drift
    if current.rows < policy.min_rows:
        return window_checks(policy, Asked(rows=current.rows, simulated=current.simulated, others=current.others))
    dropped = tuple(project.settings.monitor.log.drop)
    return drift_verdict(policy, version.bundle, current, version.reference, subject={}, dropped=dropped).checks


def performances(project: Project, bundle: Bundle, rows: pl.DataFrame) -> tuple[Performance, dict[str, Performance]]:
    """How well the joined rows were answered: all of them, by every metric of the gate, and each group, by the primary one."""
    settings, profile = project.settings, profile_of_bundle(bundle)
    calibration = None if profile is None else profile.calibration

    def measured(part: pl.DataFrame, metrics: Sequence[str]) -> Performance:
        return performance(
            bundle, part, metrics=metrics, calibration=calibration, confidence=CONFIDENCE, min_labels=settings.monitor.labels.min_rows
        )

    primary = settings.model.primary
    whole = measured(rows, tuple(dict.fromkeys((primary, *settings.gate.metrics))))
    columns = [column for column in bundle.manifest.groups if column in rows.columns]
    groups = {
        f"{column} = {value}": measured(part, (primary,)) for column in columns for value, part in sorted(by_group(rows, column).items())
    }
    return whole, groups


def labelled_measures(whole: Performance, groups: Mapping[str, Performance], primary: str, mark: str) -> list[Measure]:
    """What outcomes say, as it is kept."""
    found = [
        Measure(name="labels", word=mark),
        Measure(name="labelled", value=float(whole.labelled), rows=whole.answered),
        Measure(name="coverage", value=whole.coverage, rows=whole.answered),
    ]
    if whole.delays_s is not None:
        found.append(Measure(name="delay_s", value=whole.delays_s[0], high=whole.delays_s[1], rows=whole.labelled))
    for kind, values, rows in (("metric", whole.found, whole.labelled), ("estimate", whole.estimated, whole.answered)):
        found += [Measure(name=kind, part=name, value=one.value, low=one.low, high=one.high, rows=rows) for name, one in values.items()]
    for group, part in groups.items():
        if primary in part.found:
            one = part.found[primary]
            found.append(Measure(name="group", part=group, value=one.value, low=one.low, high=one.high, rows=part.labelled))
    return found


def _live(facts: Facts) -> list[Measure]:
    """What the logs say, as it is kept."""
    found = [
        Measure(name="rows", value=float(facts.rows), rows=facts.rows),
        Measure(name="simulated", value=float(facts.simulated), rows=facts.rows),
        Measure(name="others", value=float(facts.others)),
    ]
    if facts.latency is not None:
        times = (("p50_ms", facts.latency.p50), ("p95_ms", facts.latency.p95), ("p99_ms", facts.latency.p99))
        found += [Measure(name=name, value=value, rows=facts.latency.requests) for name, value in times]
    found += _asked(facts.requests)
    for check in facts.drift:
        if check.column is not None and isinstance(check.observed, int | float):
            limit = None if check.limit is None else float(check.limit)
            kind = next((kind for kind in ("missing", "unseen") if check.name == f"drift.{kind}.{check.column}"), None)
            kind = "distance" if check.name == f"drift.{check.column}" else kind
            if kind is not None:
                word = str(check.outcome)
                found.append(Measure(name=kind, part=check.column, value=float(check.observed), high=limit, rows=facts.rows, word=word))
        if check.name == "drift.prediction" and isinstance(check.observed, float):
            found.append(
                Measure(name="distance", part=PREDICTION, value=check.observed, high=float(check.limit or 0), word=str(check.outcome))
            )
    return found


def _asked(requests: Requests | None) -> list[Measure]:
    if requests is None:
        return []
    return [
        Measure(name="requests", value=float(requests.requests)),
        Measure(name="errors", value=requests.errors / requests.requests, rows=requests.requests),
        Measure(name="refused", value=requests.refused / requests.requests, rows=requests.requests),
        Measure(name="covered", value=requests.covered),
    ]


def _checks(checks: Sequence[Check]) -> list[Measure]:
    """The outcomes of all checks; an advisory one is named so, because nobody acts on it alone."""
    return [
        Measure(
            name="advice" if check.advisory else "check",
            part=check.name,
            value=float(check.observed) if isinstance(check.observed, int | float) else None,
            high=float(check.limit) if isinstance(check.limit, int | float) else None,
            word=str(check.outcome),
        )
        for check in checks
    ]
