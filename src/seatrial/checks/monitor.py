"""One window of live traffic: what was measured goes in, checks come out.

What decides: whether enough was asked, drift, requests that failed, unseen categories, latency, and the metrics by outcomes. Each
fails only where chance does not explain it: where the whole interval lies beyond the limit. Estimates and traffic are advisory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from seatrial.live_performance import Interval, Performance
from seatrial.params import MetricPolicy, Monitor
from seatrial.statistics import wilson_interval
from seatrial.verdict import Check, Outcome

CONFIDENCE = 0.98
"""Two-sided, so that a window whose true share is the limit is called beyond it once in a hundred."""

FEWER = 0.5
FEWEST_EARLIER = 3
DECISIVE = ("drift.columns", "drift.prediction", "drift.missing", "drift.simulation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """What Envoy's access log still has of a window: requests, `errors` (from 500 on) and `refused` (from 400 on), from `covered` on.

    `covered` is the share of the window's time that the log reaches back.
    """

    requests: int
    errors: int
    refused: int
    covered: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Milliseconds that requests took in the server: median, 95th and 99th percentile of `requests`."""

    p50: float
    p95: float
    p99: float
    requests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A metric by outcomes in an earlier window of the same version: the newest one that has enough of them."""

    found: Interval
    outcomes: int
    window: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that is known about a window of one version.

    `known` are metrics of earlier windows, which answer where this one's outcomes have not come yet. `unseen` are shares of the rows, by
    column; `earlier` the rows of the windows before; `groups` the primary metric's parts;
    `lacking` is the share of the window's time before the log begins.
    """

    rows: int
    simulated: int = 0
    others: int = 0
    drift: Sequence[Check] = ()
    requests: Requests | None = None
    latency: Latency | None = None
    unseen: Mapping[str, float] = field(default_factory=dict)
    performance: Performance | None = None
    groups: Mapping[str, Performance] = field(default_factory=dict)
    earlier: Sequence[int] = ()
    known: Mapping[str, Known] = field(default_factory=dict)
    lacking: float = 0.0


def monitor_checks(policy: Monitor, metrics: Mapping[str, MetricPolicy], facts: Facts) -> tuple[Check, ...]:
    """Every check of a window; with few rows, what those few can say."""
    return (
        _rows(policy, facts),
        *_window(facts),
        *(check for check in facts.drift if check.name in DECISIVE),
        _errors(policy, facts.requests),
        _latency(policy, facts.latency),
        *_unseen(policy, facts),
        *performance_checks(policy, metrics, facts),
        *_traffic(facts),
    )


def _rows(policy: Monitor, facts: Facts) -> Check:
    others = f"; {facts.others:,} rows of other versions are not in question" if facts.others else ""
    few = facts.rows < policy.drift.min_rows
    message = f"{facts.rows:,} rows were answered{others}" + (f"; {policy.drift.min_rows} are needed" if few else "")
    outcome = Outcome.INCONCLUSIVE if few else Outcome.PASS
    return Check(name="monitor.rows", outcome=outcome, message=message, observed=facts.rows, limit=policy.drift.min_rows)


def _window(facts: Facts) -> Iterator[Check]:
    """Whether the log reaches back as far as was asked."""
    if facts.lacking > 0:
        message = f"the prediction log begins within the window: {facts.lacking:.0%} of its time is not in the log (monitor.log.keep_days)"
        yield Check(name="monitor.window", outcome=Outcome.INCONCLUSIVE, message=message, observed=round(facts.lacking, 4), advisory=True)


def _errors(policy: Monitor, requests: Requests | None) -> Check:
    name = "monitor.errors"
    if requests is None or not requests.requests:
        message = "the access log has no request of this window, so nobody knows how many failed (rollout.access_log, logs/access.log)"
        return Check(name=name, outcome=Outcome.INCONCLUSIVE, message=message, advisory=True, limit=float(policy.max_errors))
    rate = requests.errors / requests.requests
    low, high = wilson_interval(requests.errors, requests.requests, CONFIDENCE)
    part = "" if requests.covered >= 1 else f" (the access log reaches back over {requests.covered:.0%} of the window)"
    message = (
        f"{requests.errors:,} of {requests.requests:,} requests failed: {rate:.2%} ({low:.2%} to {high:.2%}), {policy.max_errors:.2%} may; "
        f"{requests.refused:,} were refused as bad{part}"
    )
    outcome = Outcome.FAIL if low > policy.max_errors else Outcome.PASS
    return Check(name=name, outcome=outcome, message=message, observed=round(rate, 6), limit=float(policy.max_errors))


def _latency(policy: Monitor, latency: Latency | None) -> Check:
    name, limit = "monitor.latency", policy.max_p99_ms
    if latency is None:
        return Check(name=name, outcome=Outcome.INCONCLUSIVE, message="no request says how long it took", advisory=True, limit=limit)
    times = f"{latency.p50:.1f} ms (median), {latency.p95:.1f} ms (p95), {latency.p99:.1f} ms (p99) in the server"
    message = f"{latency.requests:,} requests took {times}{f', {limit:g} ms may be' if limit else ''}"
    outcome = Outcome.FAIL if limit is not None and latency.p99 > limit else Outcome.PASS
    return Check(name=name, outcome=outcome, message=message, observed=round(latency.p99, 3), limit=limit, advisory=limit is None)


def _unseen(policy: Monitor, facts: Facts) -> Iterator[Check]:
    """The column with the most unseen categories decides."""
    if not facts.unseen or not facts.rows:
        return
    column, share = max(facts.unseen.items(), key=lambda item: (item[1], item[0]))
    low, high = wilson_interval(round(share * facts.rows), facts.rows, CONFIDENCE)
    where = f"column {column!r}: {share:.2%} of the rows ({low:.2%} to {high:.2%})" if share else "none of the rows"
    more = sum(1 for value in facts.unseen.values() if value > 0) - 1
    message = f"categories that training never saw: {where}, {policy.max_unseen:.0%} may" + (
        f"; {more} more columns have some" * (more > 0)
    )
    outcome = Outcome.FAIL if low > policy.max_unseen else Outcome.PASS
    yield Check(name="monitor.unseen", outcome=outcome, message=message, observed=round(share, 6), limit=float(policy.max_unseen))


def performance_checks(policy: Monitor, metrics: Mapping[str, MetricPolicy], facts: Facts) -> Iterator[Check]:
    """Each metric that the gate has a floor or a ceiling for: by outcomes, and estimated."""
    found = facts.performance
    if found is None:
        return
    limited = {name: one for name, one in metrics.items() if one.floor is not None or one.ceiling is not None}
    if limited and not {*found.found, *facts.known}:
        message = f"{found.labelled:,} outcomes are known, {policy.labels.min_rows} of both classes are needed: nox -s labels"
        yield Check(name="monitor.performance", outcome=Outcome.INCONCLUSIVE, message=message, advisory=True)
    for name, asked in limited.items():
        shown = asked.tier == "advisory"
        if name in found.found:
            words = f"by {found.labelled:,} outcomes, known for {found.coverage:.0%} of the answers"
            yield _bounded(f"monitor.performance.{name}", f"{name} {words}", found.found[name], asked, advisory=shown)
        elif name in facts.known:
            earlier = facts.known[name]
            words = f"{name} by {earlier.outcomes:,} outcomes of {earlier.window}, the newest window with enough of them"
            yield _bounded(f"monitor.performance.{name}", words, earlier.found, asked, advisory=shown)
        if name in found.estimated:
            yield _bounded(f"monitor.estimate.{name}", f"{name} estimated without outcomes", found.estimated[name], asked, advisory=True)


def _bounded(check: str, words: str, found: Interval, asked: MetricPolicy, *, advisory: bool) -> Check:
    """Fail where the whole interval lies beyond the gate's floor or ceiling."""
    beyond = (asked.floor is not None and found.high < asked.floor) or (asked.ceiling is not None and found.low > asked.ceiling)
    limit = asked.floor if asked.floor is not None else asked.ceiling
    kind = "floor" if asked.floor is not None else "ceiling"
    return Check(
        name=check,
        outcome=Outcome.FAIL if beyond else Outcome.PASS,
        message=f"{words}: {found}, the gate's {kind} is {limit:g}",
        observed=round(found.value, 6),
        limit=limit,
        advisory=advisory,
    )


def _traffic(facts: Facts) -> Iterator[Check]:
    """Whether far fewer rows came than lately; advisory, because only people know holidays."""
    if len(facts.earlier) < FEWEST_EARLIER:
        return
    usual = median(facts.earlier)
    fewer = facts.rows < FEWER * usual
    message = f"{facts.rows:,} rows, {usual:,.0f} were usual in the {len(facts.earlier)} windows before"
    outcome = Outcome.FAIL if fewer else Outcome.PASS
    yield Check(name="monitor.traffic", outcome=outcome, message=message, observed=facts.rows, limit=FEWER * usual, advisory=True)
