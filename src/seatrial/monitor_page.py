"""The monitor's page: the verdict about one window, and every measure over all windows. One file that loads nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from seatrial.html import escape, page, table, tag
from seatrial.monitor_history import Record
from seatrial.report import reason
from seatrial.trends import STYLE, Line, Point, heat_map, trend
from seatrial.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from seatrial.alerts import Alert
    from seatrial.params import Settings

SHOWN = 60
"""So many windows are drawn, the newest."""

LISTED = 31


def monitor_page(settings: Settings, record: Record, verdict: Verdict, records: Sequence[Record], alerts: Mapping[str, Alert]) -> str:
    """The page as HTML; `records` are all windows, oldest first, `record` among them the one that the verdict is about."""
    drawn = records[-SHOWN:]
    simulation = " (simulation)" if record.value("simulated") else ""
    title = f"Live: {settings.model.name} in {settings.environment}{simulation}"
    sections = (
        _head(title, record, verdict),
        _alerts(alerts),
        _trends(settings, drawn),
        _drift(drawn),
        _groups(settings, record),
        _table(records),
    )
    return page(title, *sections, style=STYLE)


def _head(title: str, record: Record, verdict: Verdict) -> str:
    found = [check for check in verdict.worst_first() if check.outcome is not Outcome.PASS]
    items = "".join(
        f"<li>{tag(one.outcome.value, advisory=one.advisory)} <code>{escape(one.name)}</code> {escape(one.message)}</li>" for one in found
    )
    simulated = int(record.value("simulated") or 0)
    note = (
        f"<p><strong>Simulation:</strong> a replay sent {simulated:,} of these rows; they say little about live traffic.</p>"
        if simulated
        else ""
    )
    state = "over" if record.whole else "under way or chosen by hand"
    return (
        f"<h1>{escape(title)}</h1>"
        f'<div class="card verdict {verdict.outcome.value}"><p><strong>{verdict.outcome.value}</strong>: {escape(reason(verdict))}</p>'
        f"<p>Version {record.version}, window {escape(record.window.name)} ({state}); "
        f"{record.value('rows') or 0:,.0f} rows.</p>{note}<ul>{items}</ul></div>"
    )


def _alerts(alerts: Mapping[str, Alert]) -> str:
    if not alerts:
        return ""
    rows = [[f"<code>{escape(one.check)}</code>", escape(one.since), escape(one.message)] for _, one in sorted(alerts.items())]
    return f"<h2>Open alerts</h2>{table(('check', 'since window', 'what'), rows)}"


def _trends(settings: Settings, records: Sequence[Record]) -> str:
    cards = "".join(_cards(settings, records))
    legend = (
        "A dot is a window: red where its check failed, hollow where a replay sent rows. The broken red line is the limit, the band an"
        " interval of 95 %; a broken upright line is where another version began to answer."
    )
    return f'<h2>Over windows</h2><p class="soft small">{legend}</p><div class="trends">{cards}</div>'


def _cards(settings: Settings, records: Sequence[Record]) -> Iterator[str]:
    """A card for each measure that has a value somewhere."""
    monitor = settings.monitor
    yield _card("Rows", [_line(records, "rows", "rows", "first", check="monitor.rows")], records)
    yield _card("Failed requests", [_line(records, "errors", "failed", "first", check="monitor.errors")], records, limit=monitor.max_errors)
    times = [
        _line(records, name, label, tone)
        for name, label, tone in (("p99_ms", "p99", "first"), ("p95_ms", "p95", "second"), ("p50_ms", "median", "third"))
    ]
    yield _card("Latency in the server, ms", times, records, limit=monitor.max_p99_ms)
    yield _card("Columns that drifted", [_checked(records, "drift.columns")], records, limit=float(monitor.drift.max_columns))
    yield _card(
        "Distance of the answers", [_line(records, "distance", "distance", "first", part="the answers", check="drift.prediction")], records
    )
    yield _card("More missing than in training", [_checked(records, "drift.missing")], records, limit=monitor.drift.missing_increase)
    yield _card("Rows with unseen categories", [_checked(records, "monitor.unseen")], records, limit=monitor.max_unseen)
    for name in dict.fromkeys((settings.model.primary, *settings.gate.metrics)):
        asked = settings.gate.metrics.get(name)
        known = _line(records, "metric", "by outcomes", "first", part=name, check=f"monitor.performance.{name}")
        guess = _line(records, "estimate", "estimated", "guess", part=name)
        limit = None if asked is None else asked.floor if asked.floor is not None else asked.ceiling
        yield _card(name, [guess, known], records, limit=limit)
    yield _card("Answers with an outcome", [_line(records, "coverage", "share", "first")], records)


def _card(title: str, lines: Sequence[Line], records: Sequence[Record], *, limit: float | None = None) -> str:
    changes = [at for at, one in enumerate(records) if at and one.digest != records[at - 1].digest]
    drawing = trend(title, lines, [_short(one) for one in records], limit=limit, changes=changes)
    names = ", ".join(line.name for line in lines) if len(lines) > 1 else ""
    return f'<article class="card"><h3>{escape(title)}</h3><p class="soft small">{escape(names)}</p>{drawing}</article>' if drawing else ""


def _line(records: Sequence[Record], measure: str, name: str, tone: str, *, part: str = "", check: str = "") -> Line:
    points = []
    for one in records:
        found, judged = one.find(measure, part), one.find("check", check)
        failed = judged is not None and judged.word in ("fail", "error")
        bounds = (found.low, found.high) if found is not None and measure in ("metric", "estimate") else (None, None)
        value = None if found is None else found.value
        points.append(Point(value=value, low=bounds[0], high=bounds[1], failed=failed, simulated=bool(one.value("simulated"))))
    return Line(name=name, tone=tone, points=points)


def _checked(records: Sequence[Record], check: str) -> Line:
    return _line(records, "check", check, "first", part=check, check=check)


def _drift(records: Sequence[Record]) -> str:
    """Each column's distance as a share of its limit, those that drifted most on top."""
    known = [{one.part: one.value / one.high for one in record.all("distance") if one.value is not None and one.high} for record in records]
    names = sorted({name for one in known for name in one}, key=lambda name: (-max(one.get(name, 0.0) for one in known), name))
    if not names:
        return ""
    rows = {name: [one.get(name) for one in known] for name in names}
    drawing = heat_map(rows, [_short(one) for one in records], words=f"distances of {len(names)} columns over {len(records)} windows")
    note = "A cell is a column in a window: the darker, the nearer its distance is to the limit; red from the limit on."
    return f'<h2>Drift by column</h2><p class="soft small">{note}</p><div class="card scroll">{drawing}</div>'


def _groups(settings: Settings, record: Record) -> str:
    rows = [
        [escape(one.part), f"{one.value:.3f}", f"{one.low:.3f} to {one.high:.3f}", f"{one.rows:,}"]
        for one in record.all("group")
        if one.value is not None and one.low is not None and one.high is not None and one.rows is not None
    ]
    if not rows:
        return ""
    header = ("group", settings.model.primary, "95 %", "outcomes")
    return f"<h2>Groups</h2>{table(header, rows, numbers=header[1:])}"


def _table(records: Sequence[Record]) -> str:
    """The windows in words, newest first."""
    rows = [[escape(one.window.name), str(one.version), *_numbers(one), _state(one)] for one in reversed(records[-LISTED:])]
    header = ("window", "version", "rows", "failed", "p99 ms", "outcomes", "state")
    return f"<h2>Windows</h2>{table(header, rows, numbers=header[1:6])}"


def _numbers(record: Record) -> list[str]:
    errors, p99, coverage = record.value("errors"), record.value("p99_ms"), record.value("coverage")
    return [
        f"{record.value('rows') or 0:,.0f}",
        "" if errors is None else f"{errors:.2%}",
        "" if p99 is None else f"{p99:.1f}",
        "" if coverage is None else f"{coverage:.0%}",
    ]


def _state(record: Record) -> str:
    failed = [one.part for one in record.all("check") if one.word != "pass"]
    words = [*(["simulation"] if record.value("simulated") else []), *(["so far"] if not record.whole else [])]
    shown = "".join(f"<code>{escape(name)}</code> " for name in failed[:4]) or tag("pass")
    return f"{shown} {escape(', '.join(words))}"


def _short(record: Record) -> str:
    """A window's begin, as short as tells it from others."""
    since = record.window.since
    return f"{since:%m-%d}" if not (since.hour or since.minute) else f"{since:%m-%d %H:%M}"
