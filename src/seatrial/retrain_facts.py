"""What a decision to train again is made from: the monitor's history, the data, and what was decided before."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING

from seatrial.errors import DataError
from seatrial.files import md5_of
from seatrial.looks import read_looks
from seatrial.monitor_history import Record, project_history
from seatrial.retrain import Day, Event, Facts
from seatrial.retrain_events import read_events
from seatrial.tools import SELF_DRIVEN

if TYPE_CHECKING:
    from seatrial.project import Project


def gather(project: Project, digest: str, *, alone: bool = False) -> tuple[Facts, tuple[Record, ...]]:
    """The facts about the champion of this digest, and its whole windows; `alone` where no training can be under way."""
    events = read_events(project.home)
    records = tuple(one for one in project_history(project).records() if one.whole and one.digest == digest and _counts(project, one))
    data = md5_of(project.raw) if project.raw.exists() else None
    facts = Facts(
        windows=[day_of(one) for one in records],
        trained=_trained(project, digest),
        data=data,
        trained_on=_trained_on(project, events),
        events=finished_only(events) if alone else events,
    )
    return facts, records


def finished_only(events: Sequence[Event]) -> tuple[Event, ...]:
    """The events without a training that was started and never came to its end: it was killed, and may be begun again."""
    last = max((at for at, one in enumerate(events) if one.kind in ("started", "finished")), default=-1)
    return tuple(one for at, one in enumerate(events) if one.kind != "started" or at != last)


def _counts(project: Project, record: Record) -> bool:
    """A window that a replay was sent into says something only where the whole environment is for trying."""
    return not record.value("simulated") or project.environment in SELF_DRIVEN


def day_of(record: Record) -> Day:
    """A window as the decision knows it: performance counts in windows that have outcomes of their own."""
    drift = [one.word == "fail" for one in record.all("check") if one.part.startswith("drift.")]
    performance = [one.word == "fail" for one in record.all("check") if one.part.startswith("monitor.performance.")]
    return Day(
        until=record.window.until,
        drift=any(drift) if drift else None,
        performance=any(performance) if performance and record.all("metric") else None,
    )


def _trained(project: Project, digest: str) -> dt.datetime | None:
    """When the champion's bundle was judged first: no bundle says when it was made."""
    times = [dt.datetime.fromisoformat(one.when) for one in read_looks(project.home) if one.bundle == digest]
    return min((one if one.tzinfo else one.replace(tzinfo=dt.UTC) for one in times), default=None)


def _trained_on(project: Project, events: Sequence[Event]) -> str | None:
    """The raw data of the newest training: as dvc.lock has it, for a folder as the newest run of ours noted it."""
    import yaml

    path = project.root / "dvc.lock"
    try:
        stages = dict((yaml.safe_load(path.read_text()) or {})["stages"]) if path.exists() else {}
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"dvc.lock cannot be read: {reason}", hint="take it from git again: git checkout dvc.lock") from None
    found = [
        str(dep.get("md5", ""))
        for stage in stages.values()
        for dep in stage.get("deps", ())
        if dep.get("path") == project.settings.data.raw
    ]
    if found and not found[0].endswith(".dir"):
        return f"md5:{found[0]}"
    return next((one.data for one in reversed(events) if one.kind == "started" and one.data), None)
