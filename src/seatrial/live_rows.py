"""The rows that a version answered, read from the prediction log part by part: memory does not grow with the window.

A selection says which rows are meant. What is counted of them is mergeable: a profile of every row, and a sample for charts.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from seatrial.files import sha256_json
from seatrial.live_profile import LiveTally
from seatrial.serving.log_parts import own_name
from seatrial.serving.log_store import log_store
from seatrial.serving.predictions import collected, open_part, parts, settled

if TYPE_CHECKING:
    import polars as pl

    from seatrial.manifest import Manifest
    from seatrial.project import Project
    from seatrial.serving.log_store import LogStore

ANSWERED = ("champion", "challenger", "direct")  # a mirrored request's answer was discarded; its twin is logged too
OWN = ("digest", "variant", "simulated", "time", "probability", "id", "request_id", "latency_ms")
SEED = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which rows of the log are meant: of [`since`, `until`), the newest `last`, only `real` or `simulated` ones."""

    since: dt.datetime | None = None
    until: dt.datetime | None = None
    last: int | None = None
    only: Literal["real", "simulated"] | None = None


def own_columns(manifest: Manifest) -> dict[str, str]:
    """The log's own columns, by what they mean, as they are named beside this bundle's inputs."""
    inputs = [column.name for column in manifest.inputs]
    return {name: own_name(name, inputs) for name in OWN}


class Sample:
    """At most `most` rows of those that are added, each as likely as any other; the same rows give the same sample."""

    def __init__(self, most: int) -> None:
        import numpy as np

        self.frame: pl.DataFrame | None = None
        self._most = most
        self._draw = np.random.default_rng(SEED)

    def add(self, rows: pl.DataFrame) -> None:
        """Draw from more rows: those with the smallest numbers stay."""
        import polars as pl

        drawn = rows.with_columns(pl.Series("seatrial_draw", self._draw.random(rows.height)))
        both = drawn if self.frame is None else pl.concat([self.frame, drawn], how="diagonal_relaxed")
        self.frame = both if both.height <= self._most else both.bottom_k(self._most, by="seatrial_draw")

    @property
    def rows(self) -> pl.DataFrame:
        """The sample."""
        import polars as pl

        return pl.DataFrame() if self.frame is None else self.frame.drop("seatrial_draw")


class Current:
    """What is known about one window of answered rows of one bundle."""

    def __init__(self, manifest: Manifest, *, segments: Sequence[str] = (), sample: int = 0) -> None:
        self.rows = self.simulated = self.others = self.strange = 0
        self.first: str | None = None
        self.last: str | None = None
        self.tally = LiveTally(manifest.inputs, segments)
        self.sample = Sample(sample)
        self._own = own_columns(manifest)
        self._kept = [column.name for column in manifest.inputs]

    def add(self, rows: pl.DataFrame) -> None:
        """Count rows as the log has them."""
        import polars as pl

        if not rows.height:
            return
        self.simulated += int(rows[self._own["simulated"]].cast(pl.Boolean).fill_null(False).sum())
        times = [str(rows[self._own["time"]].min()), str(rows[self._own["time"]].max())]
        self.first, self.last = min(filter(None, (self.first, times[0]))), max(filter(None, (self.last, times[1])))
        self.add_scored(rows, rows[self._own["probability"]].cast(pl.Float64))

    def add_scored(self, rows: pl.DataFrame, answers: pl.Series | None) -> None:
        """Count rows of a table with the answers that the bundle gives to them; without answers, their inputs only."""
        import polars as pl

        self.rows += rows.height
        if answers is not None:
            self.strange += rows.height - int((answers.is_finite() & answers.is_between(0, 1)).sum())
        self.tally.add(rows, answers)
        shown = [name for name in self._kept if name in rows.columns]  # none at all where monitor.log.drop names every input
        probability = pl.Series(self._own["probability"], [None] * rows.height, dtype=pl.Float64) if answers is None else answers
        self.sample.add(rows.select(*shown, probability.alias(self._own["probability"])))

    @property
    def digest(self) -> str:
        """A name for these very rows, as far as counts tell them from others."""
        return sha256_json([self.rows, self.simulated, self.others, self.strange, self.first, self.last])


def read_window(
    project: Project,
    manifest: Manifest,
    digest: str,
    selection: Selection,
    *,
    default_last: int | None = None,
    segments: Sequence[str] = (),
    sample: int = 0,
) -> Current:
    """The rows of the log that the bundle `digest` answered and that are meant; without times and number, the newest `default_last`."""
    store = log_store(project)
    last = selection.last or (default_last if selection.since is None else None)

    def attempt() -> Current:
        found = Current(manifest, segments=segments, sample=sample)
        cut = None if last is None else _cut(project.home / "log", store, manifest, digest, selection, last)
        for rows, others in _parts(project.home / "log", store, manifest, digest, selection):
            found.others += others
            found.add(rows if cut is None else cut(rows))
        return found

    return settled(attempt)


def read_answers(project: Project, manifest: Manifest, digest: str, selection: Selection) -> pl.DataFrame:
    """The window's answers without their inputs: columns key (the row's id, else the request's), time, probability, latency_ms,
    request_id, simulated, and the manifest's groups.
    """
    import polars as pl

    own, store = own_columns(manifest), log_store(project)
    groups = [name for name in manifest.groups if name in {column.name for column in manifest.inputs}]

    def attempt() -> pl.DataFrame:
        wanted = [
            pl.coalesce(pl.col(own["id"]).cast(pl.String), pl.col(own["request_id"]).cast(pl.String)).alias("key"),
            pl.col(own["time"]).cast(pl.Datetime("us", "UTC")).alias("time"),
            *(pl.col(own[name]).cast(pl.Float64).alias(name) for name in ("probability", "latency_ms")),
            pl.col(own["request_id"]).cast(pl.String).alias("request_id"),
            pl.col(own["simulated"]).cast(pl.Boolean).fill_null(False).alias("simulated"),
            *(pl.col(name).cast(pl.String) for name in groups),
        ]
        columns = (*own.values(), *groups)
        found = [rows.select(wanted) for rows, _ in _parts(project.home / "log", store, manifest, digest, selection, columns=columns)]
        empty = pl.DataFrame({name: [] for name in columns}).cast({own["time"]: pl.Datetime("us", "UTC")})
        return pl.concat([empty.select(wanted), *found])

    return settled(attempt)


def labelled_rows(
    project: Project, manifest: Manifest, digest: str, selection: Selection, labels: pl.DataFrame, *, most: int
) -> pl.DataFrame:
    """The newest `most` answered rows whose outcome is known, oldest first: the inputs, seatrial_key, seatrial_time, seatrial_p
    (the answer) and seatrial_outcome.

    An id that was answered several times counts once, with its last answer.
    """
    import polars as pl

    own, store = own_columns(manifest), log_store(project)
    inputs = [column.name for column in manifest.inputs]
    key = pl.coalesce(pl.col(own["id"]).cast(pl.String), pl.col(own["request_id"]).cast(pl.String))
    wanted = [key.alias("seatrial_key"), pl.col(own["time"]).alias("seatrial_time"), pl.col(own["probability"]).alias("seatrial_p")]
    known = labels.select(pl.col("id").alias("seatrial_key"), pl.col("outcome").alias("seatrial_outcome"))

    def attempt() -> pl.DataFrame:
        found = pl.DataFrame()
        for rows, _ in _parts(project.home / "log", store, manifest, digest, selection):
            there = [name for name in inputs if name in rows.columns]
            part = rows.select(*wanted, *there).join(known, on="seatrial_key", how="inner")
            both = pl.concat([found, part], how="diagonal_relaxed") if found.width else part
            found = both.sort("seatrial_time").unique(subset="seatrial_key", keep="last", maintain_order=True).tail(most)
        return found

    return settled(attempt)


def _parts(
    folder: Path, store: LogStore | None, manifest: Manifest, digest: str, selection: Selection, *, columns: Sequence[str] = ()
) -> Iterator[tuple[pl.DataFrame, int]]:
    """Part by part: the rows of this bundle that are meant (`columns` of them, where some are named), and how many answered rows of
    others there were.
    """
    import polars as pl

    own = own_columns(manifest)
    for part in parts(folder, since=selection.since, until=selection.until, store=store):
        lazy = open_part(part, store)
        there = lazy.collect_schema().names()
        lazy = lazy.with_columns(pl.lit(None).alias(name) for name in {*own.values(), *columns} if name not in there)
        if columns:
            lazy = lazy.select(columns)
        time = pl.col(own["time"])
        if selection.since is not None:
            lazy = lazy.filter(time >= selection.since)
        if selection.until is not None:
            lazy = lazy.filter(time < selection.until)
        answered = collected(lazy.filter(pl.col(own["variant"]).is_in(ANSWERED)), part)
        rows = answered.filter(pl.col(own["digest"]) == digest)
        others = answered.height - rows.height
        if selection.only is not None:
            simulated = pl.col(own["simulated"]).cast(pl.Boolean).fill_null(False)
            rows = rows.filter(simulated if selection.only == "simulated" else ~simulated)
        yield rows, others


def _cut(
    folder: Path, store: LogStore | None, manifest: Manifest, digest: str, selection: Selection, last: int
) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """What leaves the newest `last` rows of all parts; of rows of the very moment where they begin, the first that come."""
    import polars as pl

    time = own_columns(manifest)["time"]
    newest = pl.Series(time, [], dtype=pl.Datetime("us", "UTC"))
    for rows, _ in _parts(
        folder,
        store,
        manifest,
        digest,
        selection,
        columns=tuple(own_columns(manifest)[name] for name in ("digest", "variant", "simulated", "time")),
    ):
        newest = pl.concat([newest, rows[time].cast(newest.dtype)]).top_k(last)
    if not newest.len():
        return lambda rows: rows
    begin: Any = newest.min()
    left = int((newest == begin).sum())

    def cut(rows: pl.DataFrame) -> pl.DataFrame:
        nonlocal left
        later, at = rows.filter(pl.col(time) > begin), rows.filter(pl.col(time) == begin).head(left)
        left -= at.height
        return pl.concat([later, at])

    return cut
