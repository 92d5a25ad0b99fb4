"""Tables as data frames: read whole, and typed by the data contract.

CSV cells arrive as strings and are converted by the contract, so that a word in a column of numbers is found and shown
instead of guessed away. An empty cell is a missing value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seatrial.errors import DataError

if TYPE_CHECKING:
    import polars as pl

    from seatrial.contract import Contract
    from seatrial.params import Data
    from seatrial.project import Project
    from seatrial.sources import Part

EXAMPLES = 5
DATETIMES = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%d")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Cells of one column that are not of the contract's type: how many, and up to five of them."""

    column: str
    wanted: str
    count: int
    examples: tuple[str, ...]

    def __str__(self) -> str:
        shown = ", ".join(map(repr, self.examples))
        return f"column {self.column!r}: {self.count} {'cell is' if self.count == 1 else 'cells are'} no {self.wanted}: {shown}"


def read_table(path: Path, *, delimiter: str = ",", pattern: str | None = None) -> pl.DataFrame:
    """Read a file, or all files of a folder (those that match `pattern`, where given), as one table.

    Files ending in .parquet or .pq are Parquet; others are CSV with a header, every column as text. Raises DataError for
    whatever cannot be read, with what to do.
    """
    from seatrial.params import Data
    from seatrial.sources import local_parts

    data = Data(raw=path.name, target="-", delimiter=delimiter, pattern=pattern)
    return _whole(local_parts(path, data), data)


def read_typed(project: Project, contract: Contract) -> pl.DataFrame:
    """Read the project's table, with exactly the contract's columns, in their order and of their types.

    Raises DataError where a column is missing or cells are of another type: `seatrial validate` tells all about them.
    """
    from seatrial.sources import parts_of

    frame, findings = typed(_whole(parts_of(project), project.settings.data), contract)
    missing = [name for name in contract.columns if name not in frame.columns]
    if missing or findings:
        sentences = [f"the table has no column {name!r}, which the contract names" for name in missing] + [str(one) for one in findings]
        raise DataError("\n".join(sentences[:10]), hint="see all findings: nox -s validate")
    return frame.select(list(contract.columns))


def _whole(parts: Sequence[Part], data: Data) -> pl.DataFrame:
    """All parts as one table in memory; DataError where their columns differ."""
    import polars as pl

    from seatrial.sources import batches

    frames = [pl.concat(list(batches(part, data)), rechunk=False) for part in parts]
    first = frames[0]
    for part, frame in zip(parts, frames, strict=True):
        difference = _difference(first.schema, frame.schema)
        if difference:
            raise DataError(
                f"{part.name} has another schema than {parts[0].name}: {difference}", hint="all parts of a folder need the same columns"
            )
    return pl.concat([frame.select(first.columns) for frame in frames])


def _difference(left: pl.Schema, right: pl.Schema) -> str:
    lacks, adds = [name for name in left if name not in right], [name for name in right if name not in left]
    others = [f"{name!r} is {right[name]} there and {left[name]} here" for name in left if name in right and left[name] != right[name]]
    parts = [f"it lacks {', '.join(map(repr, lacks))}" if lacks else "", f"it adds {', '.join(map(repr, adds))}" if adds else "", *others]
    return "; ".join(part for part in parts if part)


def typed(frame: pl.DataFrame, contract: Contract) -> tuple[pl.DataFrame, tuple[Finding, ...]]:
    """Give the contract's columns their types; cells that are not of it become missing, and are told of.

    Columns that the contract does not know stay as they are. Integers and numbers are Int64 and Float64, dates are Date,
    moments Datetime in UTC without a zone. A NaN counts as missing, an infinity as no number.
    """
    import polars as pl

    present = [column for name, column in contract.columns.items() if name in frame.columns]
    converted = [convert(frame[column.name], column.type) for column in present]
    before, after = (pl.DataFrame([pair[at] for pair in converted]) for at in (0, 1))
    findings = []
    for column in present:
        lost = before[column.name].is_not_null() & after[column.name].is_null()
        if lost.any():
            cells = before[column.name].filter(lost)
            examples = tuple(_shown(cell) for cell in cells.unique(maintain_order=True).head(EXAMPLES))
            findings.append(Finding(column=column.name, wanted=column.type, count=cells.len(), examples=examples))
    return frame.with_columns(after.get_columns()), tuple(findings)


def _shown(cell: Any) -> str:
    text = str(cell)
    return text if len(text) <= 60 else f"{text[:57]}..."


def convert(series: pl.Series, kind: str) -> tuple[pl.Series, pl.Series]:
    """A column with its missing cells as nulls, and the same in a type of the contract; cells that are not of it become missing."""
    import polars as pl

    if series.dtype in (pl.Categorical, pl.Enum):
        series = series.cast(pl.String)
    if series.dtype == pl.String:
        series = series.set(series == "", None)
    elif series.dtype.is_float():
        series = series.fill_nan(None)
    if series.dtype == pl.Null:
        series = series.cast(pl.String)
    return series, _CONVERSIONS[kind](series)


def _to_string(series: pl.Series) -> pl.Series:
    import polars as pl

    plain = series.dtype == pl.String or series.dtype.is_integer()
    return series.cast(pl.String) if plain else _none(series, pl.String())


def _to_number(series: pl.Series) -> pl.Series:
    import polars as pl

    if not (series.dtype == pl.String or series.dtype.is_numeric()):
        return _none(series, pl.Float64())
    numbers = series.cast(pl.Float64, strict=False)
    return numbers.set(~numbers.is_finite(), None)


def _to_integer(series: pl.Series) -> pl.Series:
    """Whole numbers, also where they are written as 3.0."""
    import polars as pl

    if series.dtype.is_integer():
        return series.cast(pl.Int64, strict=False)
    numbers = _to_number(series)
    whole = numbers.set(numbers != numbers.round(), None).cast(pl.Int64, strict=False)
    if series.dtype != pl.String:
        return whole
    exact = series.cast(pl.Int64, strict=False)
    return exact.zip_with(exact.is_not_null(), whole)


def _to_boolean(series: pl.Series) -> pl.Series:
    import polars as pl

    if series.dtype == pl.Boolean:
        return series
    if series.dtype.is_integer():
        series = series.cast(pl.String)
    if series.dtype != pl.String:
        return _none(series, pl.Boolean())
    words = {"true": True, "1": True, "false": False, "0": False}
    return series.str.to_lowercase().replace_strict(words, default=None, return_dtype=pl.Boolean)


def _to_date(series: pl.Series) -> pl.Series:
    import polars as pl

    if series.dtype == pl.Date:
        return series
    if series.dtype != pl.String:
        return _none(series, pl.Date())
    return series.set(series.str.len_chars() != 10, None).str.to_date("%Y-%m-%d", strict=False)


def _to_datetime(series: pl.Series) -> pl.Series:
    import polars as pl

    moment = pl.Datetime("us")
    if isinstance(series.dtype, pl.Datetime):
        aware = series.dtype.time_zone is not None
        return (series.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if aware else series).cast(moment)
    if series.dtype == pl.Date:
        return series.cast(moment)
    if series.dtype != pl.String:
        return _none(series, moment)
    plain = [pl.col("cell").str.to_datetime(form, strict=False, time_unit="us") for form in DATETIMES]
    zoned = pl.col("cell").str.to_datetime("%+", strict=False, time_unit="us", time_zone="UTC").dt.replace_time_zone(None)
    return series.alias("cell").to_frame().select(pl.coalesce(*plain, zoned).alias(series.name)).to_series()


def _none(series: pl.Series, dtype: pl.DataType) -> pl.Series:
    import polars as pl

    return pl.Series(series.name, [None] * series.len(), dtype=dtype)


_CONVERSIONS: dict[str, Callable[[pl.Series], pl.Series]] = {
    "string": _to_string,
    "number": _to_number,
    "integer": _to_integer,
    "boolean": _to_boolean,
    "date": _to_date,
    "datetime": _to_datetime,
}
