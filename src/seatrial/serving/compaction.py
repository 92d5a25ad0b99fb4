"""The prediction log's small parts merged into large ones, so that a day is hundreds of files and not a hundred thousand.

A merged part names the parts that it holds. It is written whole before those are removed, and a reader leaves out what a merged
part names: killed at any moment, the log has every row once.

A server has this done by a process of its own (`python -m seatrial.serving.compaction FOLDER`): in the thread that writes the log,
merging would let it fall behind for seconds, and the memory that it takes would stay with the server.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from seatrial.adapters.leash import die_with_parent
from seatrial.files import locked, write_atomic

MERGED = "-merged-"
LOCK = ".compact.lock"
HOLDS = b"seatrial.holds"
FEWEST, MOST = 50, 1_000
LOWEST = 19
MOST_BYTES = 8 * 2**20
"""Of the parts that are merged at a time: compressed rows of tables take some ten times that in memory, one part at a time."""

SETTLED_S = 60.0
"""Parts younger than this are left alone: somebody may be reading the list that they stand in."""


def start_compaction(folder: Path) -> subprocess.Popen[bytes]:
    """Begin to merge the small parts of all days of a log, in a process that ends with this one (on Linux) and gives way to others."""
    return subprocess.Popen([sys.executable, "-I", "-m", "seatrial.serving.compaction", str(folder)], stdin=subprocess.DEVNULL)


def main(folder: str) -> None:
    """Merge the small parts of each day; what goes wrong with one is said on stderr, and the log goes on with small parts there."""
    if sys.platform == "linux":
        die_with_parent()
    os.nice(LOWEST)
    for day in sorted(Path(folder).glob("date=*")):
        try:
            compact(day, now=time.time())
        except Exception as error:  # noqa: BLE001 - the other days go on
            print(f"prediction log: the parts of {day.name} are not merged: {error}", file=sys.stderr, flush=True)


def compact(day: Path, *, now: float, fewest: int = FEWEST, settled: float = SETTLED_S) -> int:
    """Merge the settled small parts of one day's folder, version by version; gives how many were merged. `now` as time.time().

    Several servers share a log: where another one is at it, nothing is done. What is claimed stays as it is.
    """
    try:
        with locked(day / LOCK, wait=False):
            return sum(_merge(day, chosen) for chosen in _groups(_small(day, now, settled), fewest))
    except BlockingIOError:
        return 0


def claim(day: Path, *, now: float, settled: float = SETTLED_S) -> list[Path]:
    """Mark the settled parts of one day's folder, so that nobody merges them from now on; gives all that are marked.

    Whoever copies parts elsewhere claims them first: a part that was copied and then merged would be there twice.
    """
    with locked(day / LOCK):
        for path in _settled(day, now, settled):
            if not claim_of(path).exists():
                write_atomic(claim_of(path), b"")
        return [path for path in sorted(day.glob("[!.]*.parquet")) if claim_of(path).exists()]


def claim_of(path: Path) -> Path:
    """The mark beside a part."""
    return path.with_name(f".{path.name}.claimed")


def _small(day: Path, now: float, settled: float) -> list[Path]:
    return [path for path in _settled(day, now, settled) if MERGED not in path.name and not claim_of(path).exists()]


def _settled(day: Path, now: float, settled: float) -> list[Path]:
    """Whole parts, by version and then in order of name; first what a merge that was killed has left is finished."""
    for path in superseded(sorted(day.glob("[!.]*.parquet"))):
        path.unlink(missing_ok=True)
    return [path for path in sorted(day.glob("[!.]*.parquet")) if now - path.stat().st_mtime >= settled]


def _groups(paths: list[Path], fewest: int) -> Iterator[list[Path]]:
    """Parts that are merged into one: of one version, bounded in number and bytes, and never only a few."""
    for _, own in groupby(paths, key=lambda path: path.name.partition("-")[0]):
        chosen: list[Path] = []
        size = 0
        for path in own:
            chosen.append(path)
            size += path.stat().st_size
            if len(chosen) == MOST or size >= MOST_BYTES:
                yield chosen
                chosen, size = [], 0
        if len(chosen) >= fewest:
            yield chosen


def _merge(day: Path, chosen: list[Path]) -> int:
    """Write one part with the rows of all, then remove them."""
    if len(chosen) < 2:
        return 0
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.unify_schemas([pq.read_schema(path).remove_metadata() for path in chosen], promote_options="permissive")
    named = schema.with_metadata({HOLDS: json.dumps([path.name for path in chosen]).encode()})
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, named, compression="zstd") as writer:
        for path in chosen:
            table = pa.concat_tables([schema.empty_table(), pq.read_table(path, partitioning=None)], promote_options="permissive")
            writer.write_table(table.select(schema.names).cast(named))
    version, first = chosen[0].name.partition("-")[0], chosen[0].stem.partition("-")[2]
    merged, newest = day / f"{version}{MERGED}{first}.parquet", max(path.stat().st_mtime_ns for path in chosen)
    write_atomic(merged, sink.getvalue())
    os.utime(merged, ns=(newest, newest))  # readers go by when rows were written
    for path in chosen:
        path.unlink(missing_ok=True)
    return len(chosen)


def superseded(paths: Iterable[Path]) -> set[Path]:
    """Parts whose rows a merged part of the same folder holds as well."""
    paths = list(paths)
    merged = [path for path in paths if MERGED in path.name]
    if not merged or len(merged) == len(paths):
        return set()
    held = {path.parent / name for path in merged for name in _held(path)}
    return held & set(paths)


def _held(path: Path) -> list[str]:
    """The names of the parts that a merged one holds; none where it is gone by now."""
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_schema(path).metadata or {}
    except (OSError, ValueError):  # an unreadable part is named by who reads its rows
        return []
    return [str(name) for name in json.loads(metadata.get(HOLDS, b"[]"))]


if __name__ == "__main__":
    main(sys.argv[1])
