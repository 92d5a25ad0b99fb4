"""What was measured in each window, kept as Parquet: one row a measure, so that any tool can read it and it can grow.

Each run adds one part below `.seatrial/history/date=YYYY-MM-01/`; parts of a month are merged as they become many. With
`monitor.history` the same parts lie in an object store as well: what is not there is taken there, what only it has is fetched, so the
history outlives the machine. Of a window that was measured again, what was recorded last holds.
"""

from __future__ import annotations

import datetime as dt
import io
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from seatrial.errors import DataError
from seatrial.files import sha256_bytes, write_atomic
from seatrial.serving.compaction import compact, superseded
from seatrial.windows import Window

if TYPE_CHECKING:
    import polars as pl

    from seatrial.project import Project
    from seatrial.serving.log_store import LogStore

FEWEST = 30
KEY = ("since", "until", "digest")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One number about a window: what (`name`), of which `part` (a column, a metric, a check), with bounds, of how many `rows`."""

    name: str
    part: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    rows: int | None = None
    word: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One window of one version as it was measured; `whole` where the window was over by then."""

    window: Window
    version: int
    digest: str
    whole: bool
    recorded: dt.datetime
    measures: tuple[Measure, ...]

    def value(self, name: str, part: str = "") -> float | None:
        """One measure's value; None where it was not measured."""
        found = self.find(name, part)
        return None if found is None else found.value

    def find(self, name: str, part: str = "") -> Measure | None:
        """One measure; None where it was not measured."""
        return next((one for one in self.measures if one.name == name and one.part == part), None)

    def all(self, name: str) -> list[Measure]:
        """The measures of one name, part by part."""
        return [one for one in self.measures if one.name == name]


class History:
    """All records of one environment: on the disk, and in a store where there is one."""

    def __init__(self, folder: Path, store: LogStore | None = None) -> None:
        self._folder = folder
        self._store = store

    def records(self) -> list[Record]:
        """Every window, oldest first, each version's as it was recorded last; DataError for a part that cannot be read."""
        self._fetch()
        return list(_records([_read(path) for path in self._parts()]))

    def add(self, records: Sequence[Record], *, now: dt.datetime) -> None:
        """Keep these on the disk, then in the store; where that fails, a DataError says why, and the next call takes them there."""
        if records:
            data = _written(records)
            month = self._folder / f"date={max(one.window.until for one in records):%Y-%m}-01"
            month.mkdir(parents=True, exist_ok=True)
            write_atomic(month / f"h-{now:%Y%m%dT%H%M%S%f}-{sha256_bytes(data)[7:19]}.parquet", data)
            compact(month, now=time.time(), fewest=FEWEST, settled=0.0)
        self._send()

    def _parts(self) -> list[Path]:
        found = sorted(self._folder.glob("date=*/[!.]*.parquet"))
        twice = superseded(found)
        return [path for path in found if path not in twice]

    def _fetch(self) -> None:
        """Take what only the store has; a part that was merged here is not taken again."""
        if self._store is None:
            return
        for part in self._store.parts():
            at = self._folder / part
            if not at.exists() and (data := self._store.read(part)) is not None:
                write_atomic(at, data)

    def _send(self) -> None:
        """Take to the store what it lacks, then remove there what a merged part holds."""
        if self._store is None:
            return
        mine = {PurePath(path.parent.name, path.name): path for path in self._parts()}
        there = self._store.parts()
        for part in sorted(set(mine) - set(there)):
            self._store.write(part, mine[part].read_bytes())
        local = {self._folder / part for part in there} | set(mine.values())
        for path in superseded(sorted(local)):
            self._store.remove(PurePath(path.parent.name, path.name))


def project_history(project: Project) -> History:
    """The history of a project's environment."""
    from seatrial.serving.log_store import open_store, remote_settings

    uri = project.settings.monitor.history
    return History(
        history_folder(project.home), None if uri is None else open_store(uri, remote_settings(project.root, uri), what="the history")
    )


def history_folder(home: Path) -> Path:
    """Where it lies on the disk."""
    return home / "history"


def _schema() -> dict[str, Any]:
    import polars as pl

    moment = pl.Datetime("us", "UTC")
    return {
        "since": moment,
        "until": moment,
        "recorded": moment,
        "version": pl.Int64(),
        "digest": pl.String(),
        "whole": pl.Boolean(),
        "name": pl.String(),
        "part": pl.String(),
        "value": pl.Float64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
        "rows": pl.Int64(),
        "word": pl.String(),
    }


def _written(records: Sequence[Record]) -> bytes:
    import polars as pl

    rows = [
        (
            one.window.since,
            one.window.until,
            one.recorded,
            one.version,
            one.digest,
            one.whole,
            measure.name,
            measure.part,
            measure.value,
            measure.low,
            measure.high,
            measure.rows,
            measure.word,
        )
        for one in records
        for measure in one.measures
    ]
    sink = io.BytesIO()
    pl.DataFrame(rows, schema=_schema(), orient="row").write_parquet(sink, compression="zstd")
    return sink.getvalue()


def _read(path: Path) -> pl.DataFrame:
    import polars as pl

    try:
        return pl.read_parquet(path, hive_partitioning=False).select(list(_schema())).cast(pl.Schema(_schema()))
    except (pl.exceptions.PolarsError, OSError) as error:
        name = f"{path.parent.name}/{path.name}"
        raise DataError(f"the history's part {name} cannot be read: {error}", hint="move it away; its windows are measured again") from None


def _records(frames: Sequence[pl.DataFrame]) -> Iterator[Record]:
    """The newest record of each window and version."""
    import polars as pl

    if not frames:
        return
    rows = pl.concat(frames)
    newest = rows.filter(pl.col("recorded") == pl.col("recorded").max().over(KEY)).unique(maintain_order=True)
    for _, part in newest.sort(*KEY, maintain_order=True).group_by(KEY, maintain_order=True):
        first = part.row(0, named=True)
        yield Record(
            window=Window(since=first["since"], until=first["until"]),
            version=first["version"],
            digest=first["digest"],
            whole=first["whole"],
            recorded=first["recorded"],
            measures=tuple(Measure(**row) for row in part.select("name", "part", "value", "low", "high", "rows", "word").to_dicts()),
        )
