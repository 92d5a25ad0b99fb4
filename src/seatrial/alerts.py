"""Which alerts are open: told once when a check begins to fail, again only after long, and once when it is over.

A decision is a function of what was open before and the newest verdict; the state is one small file.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from seatrial.errors import DataError
from seatrial.files import pretty_json, write_atomic
from seatrial.notify import Message
from seatrial.verdict import Check, Outcome, Verdict

MOST = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A check that fails: since which window, and when somebody was told last."""

    check: str
    since: str
    told: dt.datetime
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What there is to tell: alerts that are new, that are still open after long, and that are over."""

    opened: tuple[Alert, ...] = ()
    still: tuple[Alert, ...] = ()
    over: tuple[Alert, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self.opened or self.still or self.over)


def weigh(before: Mapping[str, Alert], verdict: Verdict, *, now: dt.datetime, again: dt.timedelta) -> tuple[dict[str, Alert], News]:
    """The alerts that are open after this verdict, and what is to be told. What cannot be judged leaves an alert as it is."""
    window = str(verdict.subject["window"])
    failing = {check.name: check for check in verdict.checks if _alarming(check)}
    passing = {check.name for check in verdict.checks if check.outcome is Outcome.PASS}
    opened = {name: Alert(check=name, since=window, told=now, message=one.message) for name, one in failing.items() if name not in before}
    kept, still, over = {}, [], []
    for name, alert in before.items():
        if name in passing:
            over.append(alert)
            continue
        message = failing[name].message if name in failing else alert.message
        late = name in failing and now - alert.told >= again
        kept[name] = Alert(check=name, since=alert.since, told=now if late else alert.told, message=message)
        still += [kept[name]] if late else []
    return kept | opened, News(opened=tuple(opened.values()), still=tuple(still), over=tuple(over))


def _alarming(check: Check) -> bool:
    """A blocking check that failed or could not be made, or a window in which nobody asked anything."""
    silent = check.name == "monitor.rows" and check.observed == 0
    return check.blocks and (check.outcome in (Outcome.FAIL, Outcome.ERROR) or silent)


def message_about(news: News, *, model: str, version: int, window: str, simulated: bool) -> Message:
    """One message for all news of one window."""
    simulation = " [simulation]" if simulated else ""
    bad = (*news.opened, *news.still)
    state = f"fails {len(bad)} check{'s' * (len(bad) > 1)}" if bad else "is well again"
    title = f"{model}: version {version} {state} in {window}{simulation}"
    lines = [f"{alert.check}: {alert.message[:200]}{' (since ' + alert.since + ')' if alert in news.still else ''}" for alert in bad]
    lines += [f"over: {alert.check}, since {alert.since}" for alert in news.over]
    more = [f"… and {len(lines) - MOST} more"] if len(lines) > MOST else []
    todo = "read reports/monitor.html; the way back is nox -s rollback" if bad else "nothing"
    return Message(kind="alert", title=title, body="\n".join(["Why:", *lines[:MOST], *more, f"What to do: {todo}"]))


def read_alerts(path: Path) -> dict[str, Alert]:
    """The open alerts; none where nobody wrote any. DataError where the file is none of ours."""
    try:
        found = json.loads(path.read_bytes())
        return {
            name: Alert(check=name, since=str(one["since"]), told=dt.datetime.fromisoformat(one["told"]), message=str(one["message"]))
            for name, one in found["open"].items()
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(
            f"the open alerts in {path.name} cannot be read: {error}", hint=f"remove {path}; what fails still is told again"
        ) from None


def write_alerts(path: Path, alerts: Mapping[str, Alert]) -> None:
    """Keep them, whole or not at all."""
    found = {name: {"since": one.since, "told": one.told.isoformat(), "message": one.message} for name, one in alerts.items()}
    write_atomic(path, pretty_json({"open": found}))
