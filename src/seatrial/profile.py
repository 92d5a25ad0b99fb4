"""A profile: one small summary of a table, in git, that later data is compared with.

Numbers are kept as 101 quantiles, columns of few values as their counts: the readable face of a `Summary`, whose parts
can be merged. Everything that reads a profile goes through `ColumnProfile`.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from seatrial.errors import ContractError
from seatrial.files import canonical_json, shown_path, write_atomic

FORMAT = 1
STEPS = 100
MAX_VALUES = 50
DIGITS = 9
AMONG = ("numbers_among", 0)

ACCEPT = "make one from the data: seatrial validate --accept, or seatrial contract infer where there is no contract either"


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """A distribution function: the share of values up to each of `points`, as steps or with straight lines between them."""

    points: tuple[float, ...]
    shares: tuple[float, ...]
    steps: bool

    def share(self, x: float, *, through: bool) -> float:
        """The share of values up to x, with x itself (`through`) or without."""
        at = (bisect_right if through else bisect_left)(self.points, x)
        if at == 0:
            return 0.0
        if self.steps or at == len(self.points) or self.points[at] == self.points[at - 1]:
            return self.shares[at - 1]
        part = (x - self.points[at - 1]) / (self.points[at] - self.points[at - 1])
        return self.shares[at - 1] + part * (self.shares[at] - self.shares[at - 1])


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnProfile:
    """What one column holds: `count` cells with a value, `nulls` without.

    `values` are the most frequent values as text with their counts, at most 50, most frequent first: of categories and
    booleans, and of numbers that have no more than 50; other numbers have `quantiles` at 0, 1, … 100 % instead. Dates have
    `low` and `high` only, as ISO text. Of text, `numbers_among` counts the cells that read as numbers, and `variants` are
    groups of values that differ only by case or white space, at most five.
    """

    type: str
    count: int
    nulls: int
    distinct: int
    mean: float | None = None
    std: float | None = None
    low: float | str | None = None
    high: float | str | None = None
    quantiles: tuple[float, ...] | None = None
    values: tuple[tuple[str, int], ...] | None = None
    numbers_among: int = 0
    variants: tuple[tuple[str, ...], ...] = ()

    @property
    def missing(self) -> float:
        """The share of cells without a value."""
        rows = self.count + self.nulls
        return self.nulls / rows if rows else 0.0

    @property
    def other(self) -> int:
        """Cells whose value is not among `values`."""
        return self.count - sum(count for _, count in self.values or ())

    @property
    def complete(self) -> bool:
        """Whether `values` are all the values there are."""
        return self.values is not None and self.other == 0

    @property
    def numeric(self) -> bool:
        """Whether it holds numbers, so that `distribution` and `median` have a meaning."""
        return self.type in ("integer", "number") and self.count > 0

    @property
    def median(self) -> float | None:
        """The middle value of its numbers."""
        if not self.numeric:
            return None
        points, shares = self.distribution.points, self.distribution.shares
        return points[bisect_left(shares, 0.5)]

    @property
    def distribution(self) -> Distribution:
        """How its numbers are distributed: exact where all values are listed, else by the quantiles."""
        if not self.complete:
            points = self.quantiles or ()
            return Distribution(points=points, shares=tuple(at / STEPS for at in range(len(points))), steps=False)
        pairs = sorted((float(value), count) for value, count in self.values or ())
        sums = accumulate(count for _, count in pairs)
        return Distribution(points=tuple(value for value, _ in pairs), shares=tuple(total / self.count for total in sums), steps=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A table's rows and columns; `data` is the hash of the table it was made from."""

    rows: int
    columns: dict[str, ColumnProfile]
    data: str | None = None

    def to_bytes(self) -> bytes:
        """JSON with one line a column, so that a pull request shows which column moved; one table, one sequence of bytes."""
        lines = [f"{json.dumps(name, ensure_ascii=False)}: {_line(column)}" for name, column in sorted(self.columns.items())]
        columns = ",\n    ".join(lines)
        head = f'"columns": {{\n    {columns}\n  }},\n  "data": {json.dumps(self.data)},\n  "format": {FORMAT},\n  "rows": {self.rows}'
        return f"{{\n  {head}\n}}\n".encode()

    def save(self, path: Path) -> None:
        """Write to `path`, whole or not at all."""
        write_atomic(path, self.to_bytes())


def _line(column: ColumnProfile) -> str:
    return canonical_json(column_fields(column)).decode()


def column_fields(column: ColumnProfile) -> dict[str, Any]:
    """A column as JSON has it, without what is empty; `column_from` reads it."""
    return {key: value for key, value in asdict(column).items() if value not in (None, ()) and (key, value) != AMONG}


def load_profile(path: Path) -> Profile:
    """Read a profile; ContractError where it is missing, torn or of another format."""
    try:
        value = json.loads(path.read_bytes())
        if value["format"] != FORMAT:
            raise ValueError(f"format {value['format']}, this version reads format {FORMAT}")
        columns = {name: column_from(fields) for name, fields in value["columns"].items()}
        return Profile(rows=int(value["rows"]), columns=columns, data=value["data"])
    except FileNotFoundError:
        raise ContractError(f"there is no reference profile at {shown_path(path)}", hint=ACCEPT) from None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ContractError(f"{shown_path(path)} is no reference profile ({error})", hint=ACCEPT) from None


def column_from(fields: dict[str, Any]) -> ColumnProfile:
    """The column that `column_fields` wrote; ValueError, TypeError or KeyError where it is none."""
    quantiles, values = fields.get("quantiles"), fields.get("values")
    if quantiles is not None and len(quantiles) != STEPS + 1:
        raise ValueError(f"{len(quantiles)} quantiles instead of {STEPS + 1}")
    lists = {
        "quantiles": None if quantiles is None else tuple(float(value) for value in quantiles),
        "values": None if values is None else tuple((str(value), int(count)) for value, count in values),
        "variants": tuple(tuple(str(value) for value in group) for group in fields.get("variants", ())),
    }
    return ColumnProfile(**{**fields, **lists})


def rounded(value: float) -> float:
    """Nine digits: enough to compare, and free of the last bits, which depend on the order of a sum."""
    return float(f"{value:.{DIGITS}g}")
