"""Records of many windows, for pages and decisions."""

import datetime as dt

from seatrial.monitor_history import Measure, Record
from seatrial.windows import Window

START = dt.datetime(2026, 8, 1, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
DIGEST = "sha256:" + "a" * 64


def record(
    day, *, failing=(), inconclusive=(), advice=(), digest=DIGEST, version=3, whole=True, simulated=0.0, rows=700.0, metric=None, **more
):
    """One day: its checks, and its measures."""
    window = Window(since=START + day * DAY, until=START + (day + 1) * DAY)
    names = ("monitor.rows", "drift.columns", "drift.prediction", "drift.missing", "monitor.errors", "monitor.unseen")
    checks = [Measure(name="check", part=name, value=0.0, high=1.0, word=_word(name, failing, inconclusive)) for name in names]
    checks += [Measure(name="check", part=name, word="fail") for name in failing if name not in names]
    checks += [Measure(name="advice", part=name, word="fail") for name in advice]
    found = [Measure(name=name, value=value) for name, value in {"rows": rows, "simulated": simulated, **more}.items()]
    if metric is not None:
        found.append(Measure(name="metric", part="roc_auc", value=metric, low=metric - 0.03, high=metric + 0.03, rows=500))
        found.append(Measure(name="estimate", part="roc_auc", value=0.84, low=0.83, high=0.85, rows=700))
    return Record(window=window, version=version, digest=digest, whole=whole, recorded=window.until, measures=(*found, *checks))


def _word(name, failing, inconclusive):
    return "fail" if name in failing else "inconclusive" if name in inconclusive else "pass"
