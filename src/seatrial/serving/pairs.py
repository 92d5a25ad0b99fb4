"""A mirrored request's two answers side by side: the champion's, which the client got, and the challenger's, which nobody did."""

from __future__ import annotations

import datetime as dt
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from seatrial.serving.predictions import READ_TRIES, parts

if TYPE_CHECKING:
    import polars as pl

    from seatrial.serving.log_store import LogStore

ROWS = 1_000_000
"""Of both versions' answers that are in memory at a time: a row without its inputs takes some 150 bytes."""

JOINED = ("request_id", "row", "time", "label", "probability", "label_mirror", "probability_mirror")
READ = ("request_id", "time", "version", "variant", "label", "probability")


def joined(
    folder: Path,
    champion: int | str,
    challenger: int | str,
    *,
    since: dt.datetime | None = None,
    store: LogStore | None = None,
    rows: int = ROWS,
) -> Iterator[pl.DataFrame]:
    """One row for each row of each request that both versions answered, the challenger behind the mirror, in portions.

    Columns: request_id, row (from 0, within the request), time, label, probability, label_mirror, probability_mirror. A request
    whose id was answered more than once by a version is left out, as its rows would pair at random. A log of any size is read
    in about `rows` rows at a time, portioned by request id, so portions are in no order of time. `since` is aware; DataError
    where the store cannot be read.
    """
    import polars as pl

    with tempfile.TemporaryDirectory() as scratch:
        found = _scanned(folder, Path(scratch), since, store)
        if not found:
            return
        wanted = pl.col("version").is_in([str(champion), str(challenger)])
        log = pl.concat(found).filter(wanted if since is None else wanted & (pl.col("time") >= since))
        total = int(log.select(pl.len()).collect(engine="streaming").item())
        portions = max(1, -(-total // rows))
        for portion in range(portions):
            chosen = log.filter(pl.col("request_id").hash(seed=0) % portions == portion).collect(engine="streaming")
            own = chosen.filter((pl.col("version") == str(champion)) & (pl.col("variant") != "mirror"))
            yield paired(own, chosen.filter(pl.col("version") == str(challenger))).select(JOINED)


def paired(own: pl.DataFrame, mirrored: pl.DataFrame) -> pl.DataFrame:
    """The answers of two versions joined by request id and row; columns of `mirrored`, of which the mirror's count, end in _mirror."""
    import polars as pl

    other = _answered_once(mirrored.filter(pl.col("variant") == "mirror"))
    return _answered_once(own).join(other, on=["request_id", "row"], suffix="_mirror")


def own_columns(path: Path, names: Sequence[str] = READ) -> pl.LazyFrame:
    """The log's own columns of one part, by their plain names, whatever they are called beside this model's inputs."""
    import polars as pl

    scanned = pl.scan_parquet(path, hive_partitioning=False)
    stored = scanned.collect_schema().names()
    return scanned.select(pl.col(f"seatrial_{name}" if f"seatrial_{name}" in stored else name).alias(name) for name in names)


def _scanned(folder: Path, scratch: Path, since: dt.datetime | None, store: LogStore | None) -> list[pl.LazyFrame]:
    """Every part to be read on demand; what lies in the store is fetched to the disk first.

    A part on the disk is linked, so that it stays readable while others merge or remove it. Listed again where some went meanwhile.
    """
    found: list[Path | None] = []
    for number in range(READ_TRIES):
        held = scratch / str(number)
        held.mkdir()
        listed = parts(folder, since=since, store=store)
        found = [_held(part, held / f"{at}.parquet", store) for at, part in enumerate(listed)]
        if all(path is not None for path in found):
            break
    return [own_columns(path) for path in found if path is not None]


def _held(part: PurePath, at: Path, store: LogStore | None) -> Path | None:
    """A name of our own for a part's bytes; None where they are gone."""
    if isinstance(part, Path):
        return _linked(part, at)
    data = store.read(part) if store else None
    if data is None:
        return None
    at.write_bytes(data)
    return at


def _linked(part: Path, at: Path) -> Path | None:
    try:
        os.link(part, at)
    except FileNotFoundError:
        return None
    except OSError:  # another file system: the part itself has to do
        return part
    return at


def _answered_once(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows of requests that were answered once, numbered within their request; a repeated id would pair at random."""
    import polars as pl

    once = rows.filter(pl.col("time").n_unique().over("request_id") == 1)
    return once.with_columns(row=pl.int_range(pl.len()).over("request_id"))
