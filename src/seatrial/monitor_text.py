"""The newest window for Prometheus: a file for the textfile collector of its node exporter, replaced whole by each run.

Gauges only, without a time: a scraper stamps what it reads, and `seatrial_window_end_seconds` says how old it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from seatrial.alerts import Alert
from seatrial.monitor_history import Measure, Record

NAMES = {
    "rows": ("seatrial_window_rows", "", "Rows answered in the window."),
    "simulated": ("seatrial_window_simulated_rows", "", "Rows among them that a replay sent."),
    "requests": ("seatrial_window_requests", "", "Requests in Envoy's access log."),
    "errors": ("seatrial_window_error_ratio", "", "Share of the requests that failed."),
    "refused": ("seatrial_window_refused_ratio", "", "Share of the requests that were refused as bad."),
    "p50_ms": ("seatrial_window_latency_p50_milliseconds", "", "Median latency in the server."),
    "p95_ms": ("seatrial_window_latency_p95_milliseconds", "", "95th percentile of the latency in the server."),
    "p99_ms": ("seatrial_window_latency_p99_milliseconds", "", "99th percentile of the latency in the server."),
    "distance": ("seatrial_drift_distance", "column", "Distance of a column to the reference."),
    "missing": ("seatrial_drift_missing_increase", "column", "How much larger the share of missing cells is than in the reference."),
    "unseen": ("seatrial_drift_unseen_ratio", "column", "Share of the rows with a category that training never saw."),
    "coverage": ("seatrial_outcome_coverage_ratio", "", "Share of the answers whose outcome is known."),
    "metric": ("seatrial_performance", "metric", "A metric by outcomes."),
    "estimate": ("seatrial_performance_estimate", "metric", "A metric, estimated without outcomes."),
    "check": ("seatrial_check_passed", "check", "1 where a check passed, 0 where it did not."),
}


def prometheus_text(record: Record, alerts: Mapping[str, Alert], *, model: str, environment: str) -> str:
    """The text exposition format, version 0.0.4."""
    own = {"model": model, "environment": environment, "version": str(record.version)}
    lines = list(
        _family("seatrial_window_end_seconds", "When the window ended, in seconds since 1970.", [(own, record.window.until.timestamp())])
    )
    for kind, (name, label, words) in NAMES.items():
        found = [(own | ({label: one.part} if label else {}), value) for one in record.all(kind) if (value := _value(one)) is not None]
        lines += _family(name, words, found)
    opened = [({**own, "check": name}, 1.0) for name in sorted(alerts)]
    lines += _family("seatrial_alert_open", "1 for each alert that is open.", opened)
    return "\n".join(lines) + "\n"


def _value(one: Measure) -> float | None:
    return float(one.word == "pass") if one.name == "check" else one.value


def _family(name: str, words: str, samples: list[tuple[dict[str, str], float]]) -> Iterator[str]:
    if not samples:
        return
    yield f"# HELP {name} {words}"
    yield f"# TYPE {name} gauge"
    for labels, value in samples:
        told = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        yield f"{name}{{{told}}} {value!r}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
