"""The files of a table, and their rows in batches of bounded size: CSV (plain, gzip, zstd) and Parquet, one file or a folder.

A part is known by the hash of its bytes; hashes are kept in `<home>/hashes.json` by size, time and inode, so that an unchanged
file is hashed once.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from seatrial.errors import DataError
from seatrial.files import canonical_json, md5_of, write_atomic

if TYPE_CHECKING:
    import polars as pl

    from seatrial.params import Data
    from seatrial.project import Project

BATCH = 250_000
RACY_SECONDS = 2.0
PARQUET = (".parquet", ".pq")
TEXT = (".csv", ".tsv", ".txt")
COMPRESSED = (".gz", ".zst")
S3 = "s3://"
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
FETCH = "check data.raw in params.yaml, or fetch the data: dvc pull"

Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One file of the table: `name` as people see it, `location` as it is opened, `digest` of its bytes.

    `partition` are the columns that the names of its folders give; `stamp` (size, time, inode) tells whether it changed since;
    `root` is the project whose DVC remotes open it, of a part in an object store.
    """

    name: str
    location: str
    format: str
    digest: str
    size: int
    partition: tuple[tuple[str, str], ...] = ()
    stamp: Stamp | None = None
    root: str = ""

    @property
    def remote(self) -> bool:
        """Whether it lies in an object store."""
        return self.location.startswith(S3)


def parts_of(project: Project) -> tuple[Part, ...]:
    """The table's files in order of name; DataError where there are none."""
    data = project.settings.data
    if data.raw.startswith(S3):
        from seatrial.object_store import parts_in_store

        return parts_in_store(project)
    hashes = _Hashes.load(project.home / "hashes.json")
    parts = local_parts(project.raw, data, digest=hashes.digest)
    hashes.save()
    return parts


def local_parts(raw: Path, data: Data, *, digest: Callable[[Path, Stamp], str] = lambda file, stamp: "") -> tuple[Part, ...]:
    """The files of a table on disk, in order of name; their digests are empty where nobody asks for them."""
    root, files = _files(raw, data)
    return tuple(_part(file, root, data, digest) for file in files)


def data_digest(parts: Sequence[Part]) -> str:
    """The table's hash: of a single file, the one that DVC knows it by; else over the names and hashes of all."""
    if len(parts) == 1 and "/" not in parts[0].name:
        return parts[0].digest
    lines = "\n".join(f"{part.name} {part.digest}" for part in parts)
    return f"md5:{hashlib.md5(lines.encode(), usedforsecurity=False).hexdigest()}"


def columns_of(part: Part, data: Data) -> dict[str, str]:
    """The part's columns and the types they are stored as; DataError where its head shows that it cannot be read."""
    if part.format == "parquet":
        from seatrial.parquet_parts import stored_types

        stored = stored_types(part, data)
    else:
        from seatrial.csv_parts import header_of

        stored = dict.fromkeys(header_of(part, data), "String")
    return {**stored, **{name: "String" for name, _ in part.partition}}


def batches(part: Part, data: Data, *, rows: int = BATCH) -> Iterator[pl.DataFrame]:
    """The part's rows as they are stored (CSV cells as text), its partition columns last; memory does not grow with rows.

    Raises DataError for what cannot be read, for a part without rows, and for one that changes while it is read.
    """
    if part.format == "parquet":
        from seatrial.parquet_parts import read
    else:
        from seatrial.csv_parts import read
    _refuse_changed(part)
    found = 0
    for batch in read(part, data, rows):
        found += batch.height
        if batch.height:
            yield _with_partition(batch, part)
    _refuse_changed(part)
    if not found:
        raise DataError(f"{part.name} has a header and no rows", hint="fetch it again: dvc pull, or check data.raw in params.yaml")


def _with_partition(batch: pl.DataFrame, part: Part) -> pl.DataFrame:
    import polars as pl

    columns = [pl.lit(None if value == NO_VALUE else value, dtype=pl.String).alias(name) for name, value in part.partition]
    return batch.with_columns(columns) if columns else batch


def _refuse_changed(part: Part) -> None:
    """DataError where the file is not the one that was hashed."""
    if part.stamp is None:
        return
    try:
        now: Stamp | None = _stamp(Path(part.location).stat())
    except OSError:
        now = None
    if now != part.stamp:
        raise DataError(f"{part.name} changed while it was read", hint="wait until it is written, then ask again")


def _files(raw: Path, data: Data) -> tuple[Path, list[Path]]:
    """The folder that names are relative to, and the files in order of name."""
    if not raw.is_dir():
        return raw.parent, [_single(raw, data)]
    candidates = _readable(raw.glob(data.pattern or "**/*"))
    files = candidates if data.pattern else [file for file in candidates if format_of(file.name)]
    if not files:
        sentence = f"the folder {data.raw} holds no table: no file {_wanted(data)}"
        raise DataError(sentence, hint="check data.raw and data.pattern in params.yaml")
    return raw, sorted(files, key=lambda file: file.relative_to(raw).as_posix())


def _single(raw: Path, data: Data) -> Path:
    try:
        raw.stat()
    except FileNotFoundError:
        raise DataError(f"there is no table at {data.raw}", hint=FETCH) from None
    except OSError as error:
        raise DataError(f"{data.raw} cannot be read ({error.strerror or error})") from None
    if not raw.is_file():
        raise DataError(f"{data.raw} is neither a file nor a folder", hint=FETCH)
    return raw


def _readable(candidates: Iterator[Path]) -> list[Path]:
    """The regular files among them; a folder that leads back into itself is refused."""
    try:
        return [path for path in candidates if path.is_file()]
    except OSError as error:
        raise DataError(f"{Path(error.filename or '').name or 'the folder'} cannot be read ({error.strerror or error})") from None


def _wanted(data: Data) -> str:
    return f"matches data.pattern {data.pattern!r}" if data.pattern else "ends in .csv, .csv.gz, .csv.zst or .parquet"


def format_of(name: str) -> str | None:
    """csv or parquet, by the file's name; None where it is neither."""
    plain = name.lower()
    for suffix in COMPRESSED:
        plain = plain.removesuffix(suffix)
    if plain.endswith(PARQUET):
        return "parquet" if plain == name.lower() else None
    return "csv" if plain.endswith(TEXT) else None


def _part(file: Path, root: Path, data: Data, digest: Callable[[Path, Stamp], str]) -> Part:
    name = file.relative_to(root).as_posix()
    try:
        stamp = _stamp(file.stat())
        if not stamp[0]:
            raise DataError(f"{name} is empty", hint=FETCH)
        known = digest(file, stamp)
    except OSError as error:
        raise DataError(f"{name} cannot be read ({error.strerror or error})") from None
    return Part(
        name=name,
        location=str(file),
        format=format_of(file.name) or "csv",
        digest=known,
        size=stamp[0],
        partition=partition_of(name, data),
        stamp=stamp,
    )


def partition_of(name: str, data: Data) -> tuple[tuple[str, str], ...]:
    """The columns of data.partitions, by the folders `column=value` of a part's name; DataError where one is missing."""
    folders = dict(piece.split("=", 1) for piece in name.split("/")[:-1] if "=" in piece)
    missing = [column for column in data.partitions if column not in folders]
    if missing:
        raise DataError(
            f"{name}: no folder {missing[0]}=… in its path, which data.partitions names", hint="check data.partitions in params.yaml"
        )
    return tuple((column, unquote(folders[column])) for column in data.partitions)


def _stamp(stat: os.stat_result) -> Stamp:
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


@dataclass(slots=True, kw_only=True)
class _Hashes:
    """Hashes of files by path and stamp; one that was written just now is hashed again, because its time may not tell."""

    path: Path
    known: dict[str, list[object]]
    changed: bool = False

    @classmethod
    def load(cls, path: Path) -> _Hashes:
        try:
            known = json.loads(path.read_bytes())
        except (OSError, ValueError):
            known = {}
        return cls(path=path, known=known if isinstance(known, dict) else {})

    def digest(self, file: Path, stamp: Stamp) -> str:
        """The file's md5, from the record where the stamp is the same."""
        kept = self.known.get(str(file))
        if kept is not None and kept[:3] == list(stamp):
            return str(kept[3])
        digest = md5_of(file)
        if time.time() - stamp[1] / 1e9 > RACY_SECONDS:
            self.known[str(file)] = [*stamp, digest]
            self.changed = True
        return digest

    def save(self) -> None:
        """Keep what is new."""
        if self.changed:
            write_atomic(self.path, canonical_json(self.known))
