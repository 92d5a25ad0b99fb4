"""Parquet parts: their stored types, and their rows in batches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from seatrial.errors import DataError

if TYPE_CHECKING:
    import polars as pl

    from seatrial.params import Data
    from seatrial.sources import Part

ENCRYPTED = b"PARE"


def stored_types(part: Part, data: Data) -> dict[str, str]:
    """Names and stored types of a part's columns; DataError for what is no whole Parquet file, and for nested columns."""
    schema = _schema(part, data)
    for name, kind in schema.items():
        if kind.is_nested():
            raise DataError(f"{part.name}: column {name!r} holds {kind}, no single values", hint="write its fields as columns of their own")
    return {name: str(kind) for name, kind in schema.items()}


def read(part: Part, data: Data, rows: int) -> Iterator[pl.DataFrame]:
    """The part's rows, in order."""
    stored_types(part, data)
    if part.remote:
        yield from _read_remote(part, data, rows)
        return
    with _told(part):
        yield from _scan(part).collect_batches(chunk_size=rows, maintain_order=True)


def _schema(part: Part, data: Data) -> pl.Schema:
    import polars as pl

    with _told(part):
        if not part.remote:
            return _scan(part).collect_schema()
        import pyarrow.parquet as pq

        from seatrial.object_store import opened

        with opened(part) as stream:
            empty = pq.ParquetFile(stream).schema_arrow.empty_table()
        frame = pl.from_arrow(empty)
        assert isinstance(frame, pl.DataFrame)
        return frame.schema


def _scan(part: Part) -> pl.LazyFrame:
    import polars as pl

    return pl.scan_parquet(part.location, glob=False, hive_partitioning=False)


def _read_remote(part: Part, data: Data, rows: int) -> Iterator[pl.DataFrame]:
    import polars as pl
    import pyarrow.parquet as pq

    from seatrial.object_store import opened

    with _told(part), opened(part) as stream:
        for batch in pq.ParquetFile(stream).iter_batches(rows):
            frame = pl.from_arrow(batch)
            assert isinstance(frame, pl.DataFrame)
            yield frame


@contextmanager
def _told(part: Part) -> Iterator[None]:
    """What the libraries raise, as one sentence."""
    import polars as pl
    import pyarrow as pa

    try:
        yield
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, pa.ArrowException, OSError) as error:
        if _is_encrypted(part):
            raise DataError(f"{part.name} is encrypted Parquet, which cannot be read", hint="decrypt it before it is delivered") from None
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{part.name} is no whole Parquet file ({reason})", hint="it may be truncated; fetch it again: dvc pull") from None


def _is_encrypted(part: Part) -> bool:
    if part.remote:
        return False
    try:
        with open(part.location, "rb") as stream:  # noqa: PTH123 - a location is text
            return stream.read(4) == ENCRYPTED
    except OSError:
        return False
