"""A run of the monitor: which windows are to be measured, by which version, and what becomes of the measures.

Whole windows that nobody measured yet are caught up with, oldest first. Where outcomes came since, what they say about earlier
windows is measured again. Everything else is read from the history, so that a run reads the parts of its own windows only.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.adapters.registry import champion_of, find_version
from seatrial.drift_references import bundle_of, training_reference
from seatrial.errors import SeatrialError
from seatrial.files import sha256_json
from seatrial.labels import labels_folder, read_labels
from seatrial.live_rows import ANSWERED
from seatrial.monitor_history import History, Record, project_history
from seatrial.monitoring import Outcomes, Version, measure, measured_again
from seatrial.serving.log_store import log_store
from seatrial.serving.predictions import collected, open_part, parts, settled
from seatrial.windows import Window, whole_windows, window_at

if TYPE_CHECKING:
    from seatrial.adapters.registry import RegisteredVersion
    from seatrial.project import Project
    from seatrial.verdict import Verdict

MOST_WINDOWS = 31
"""So many windows are caught up with, and measured again when outcomes come."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The window in question as it was measured just now, and its verdict."""

    record: Record
    verdict: Verdict


class Monitor:
    """One run over one project at one moment."""

    def __init__(self, project: Project, *, now: dt.datetime, say: Say) -> None:
        self._project = project
        self._now = now
        self._say = say
        self._history: History = project_history(project)
        self._champion = champion_of(project)
        self._versions: dict[str, Version] = {}
        mark = labels_mark(project.home)  # before they are read: what is added meanwhile is new to the next run
        self._outcomes = Outcomes(labels=read_labels(project.home), mark=mark)
        self._records = {(one.window, one.digest): one for one in self._history.records()}

    @property
    def records(self) -> tuple[Record, ...]:
        """Everything that is known, oldest first."""
        return tuple(sorted(self._records.values(), key=lambda one: (one.window, one.recorded)))

    def catch_up(self) -> Found | None:
        """Measure every whole window that is missing; gives the newest of them, None where nothing was missing."""
        known = {one.window for one in self._records.values() if one.whole}
        found: Found | None = None
        fresh = self._refreshed()
        for window in self._windows():
            version = None if window in known else self._version_in(window)
            if window in known or (version is None and not self._records):
                continue
            found = self._measured(window, version or self._of(self._champion))
            fresh.append(found.record)
            self._say(f"measured {window.name}: {found.record.value('rows') or 0:,.0f} rows of version {found.record.version}")
        self._history.add(fresh, now=self._now)
        return found

    def newest(self) -> Record | None:
        """The newest whole window; None where there is none yet."""
        return next((one for one in reversed(self.records) if one.whole), None)

    def look(self, window: Window) -> Found:
        """Measure one window, whole or not, and keep nothing of it beyond this run."""
        return self._measured(window, self._version_in(window) or self._of(self._champion))

    def _windows(self) -> list[Window]:
        """The whole windows that the log reaches back to."""
        first = first_day(self._project)
        hours = self._project.settings.monitor.window_hours
        return [] if first is None else whole_windows(first, self._now, hours, most=MOST_WINDOWS)

    def open_window(self) -> Window:
        """The window that is under way."""
        return window_at(self._now, self._project.settings.monitor.window_hours)

    @property
    def mark(self) -> str:
        """A name for the outcomes that are known by now."""
        return self._outcomes.mark

    def _measured(self, window: Window, version: Version) -> Found:
        earlier = [one for one in self.records if one.whole and one.window < window]
        record, verdict = measure(
            self._project, version, window, self._outcomes, earlier=earlier, begins=self._begins(window), now=self._now
        )
        self._records[window, record.digest] = record
        return Found(record=record, verdict=verdict)

    def _begins(self, window: Window) -> dt.datetime:
        """The log's first day; of an empty log, the window lacks nothing but rows."""
        return first_day(self._project) or window.since

    def _refreshed(self) -> list[Record]:
        """Records of the log's windows whose outcomes are others by now, measured again as far as outcomes go."""
        windows = set(self._windows())
        stale = [one for one in self.records if one.whole and one.window in windows and not self._current(one)]
        fresh = [found for one in stale if (found := self._again(one)) is not None]
        self._records |= {(one.window, one.digest): one for one in fresh}
        return fresh

    def _current(self, record: Record) -> bool:
        mark = record.find("labels")
        return mark is not None and mark.word == self._outcomes.mark

    def _again(self, record: Record) -> Record | None:
        version = self._by_digest(record.digest)
        if version is None:
            return None
        return measured_again(self._project, version, record, self._outcomes, now=self._now)

    def _version_in(self, window: Window) -> Version | None:
        """The version that answered most rows of a window; None where nobody answered, or nobody knows who it was."""
        counts = answered_by(self._project, window)
        for digest, rows in counts.most_common():
            version = self._by_digest(digest)
            if version is not None:
                return version
            self._say(f"{window.name}: {rows:,} rows were answered by {digest[:19]}…, which the registry does not hold")
        return None

    def _by_digest(self, digest: str) -> Version | None:
        if digest in self._versions:
            return self._versions[digest]
        if digest == self._champion.digest:
            return self._of(self._champion)
        found = find_version(self._project, digest)
        try:
            return None if found is None else self._of(found)
        except SeatrialError as error:  # an earlier version whose bytes or rows are gone is no reason to ask nothing about this one
            self._say(f"version {found.version if found else '?'} cannot be judged any more: {error}".partition("\n")[0])
            return None

    def _of(self, version: RegisteredVersion) -> Version:
        if version.digest not in self._versions:
            bundle = bundle_of(self._project, version)
            reference = training_reference(self._project, version, bundle)
            self._versions[version.digest] = Version(number=version.version, bundle=bundle, reference=reference)
        return self._versions[version.digest]


def labels_mark(home: Path) -> str:
    """A name for all outcomes that are kept: another one as soon as there are more."""
    return sha256_json(sorted(path.name for path in labels_folder(home).glob("[0-9]*-*.parquet")))[:19]


def first_day(project: Project) -> dt.datetime | None:
    """The first day that the prediction log has a part of; None where it is empty."""
    found = parts(project.home / "log", store=log_store(project))
    return None if not found else dt.datetime.fromisoformat(found[0].parent.name.removeprefix("date=")).replace(tzinfo=dt.UTC)


def answered_by(project: Project, window: Window) -> Counter[str]:
    """How many rows each bundle, by its digest, answered in a window."""

    def attempt() -> Counter[str]:
        counts: Counter[str] = Counter()
        for digest, rows in _answered(project, window):
            counts[digest] += rows
        return counts

    return settled(attempt)


def _answered(project: Project, window: Window) -> Iterator[tuple[str, int]]:
    import polars as pl

    store = log_store(project)
    for part in parts(project.home / "log", since=window.since, until=window.until, store=store):
        lazy = open_part(part, store)
        there = lazy.collect_schema().names()
        time, variant, digest = (
            pl.col(f"seatrial_{name}" if f"seatrial_{name}" in there else name) for name in ("time", "variant", "digest")
        )
        asked = lazy.filter((time >= window.since) & (time < window.until) & variant.is_in(ANSWERED))
        yield from collected(asked.group_by(digest.alias("digest")).len(), part).iter_rows()
