"""Rows of a request, checked against the manifest and turned into what `Runtime.blocks` takes.

What cannot be answered raises RequestError naming column and row (counted from 0). An unknown category or a number outside
the range seen in training is answered all the same, and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from seatrial.bundle import Input, Manifest
from seatrial.errors import RequestError

FLOAT32_MAX = 3.4028234e38
INT64_MAX = 2**63 - 1
SHOWN = 60
ID_LENGTH = 256

Reader = Callable[[Any, list[int]], Any]
"""From a JSON value to what its block holds; appends the column's position to the list where the value is unusual."""

Flat = tuple[int, Sequence[Any], Sequence[Any]]
"""How many rows, and the values of the inputs of either kind (numbers, categories), column after column."""

Usual = Callable[[Sequence[Any]], Sequence[Any] | None]
"""Values that are all as training saw them, as they are taken; None where one of them needs a look of its own."""


class _Unfit(Exception):  # noqa: N818 - becomes a RequestError once the row is known
    """A value that its column cannot take; the message goes on from "column … row …"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Checked rows: what their blocks hold, and what the prediction log keeps.

    `numbers` and `categories` are values of the inputs of either kind, column after column, `count` of each. `values` gives one
    sequence for each row, in the manifest's order of inputs and each value in its input's type (it may be an iterator: read it
    once), `ids` the rows' ids, `unusual` the position of the input for each unknown category and each number outside the range of
    training, `unknown` how many values stood in columns that the model does not read.
    """

    count: int
    numbers: Sequence[Any]
    categories: Sequence[Any]
    values: Iterable[Sequence[Any]]
    ids: Sequence[str | None]
    unusual: Sequence[int]
    unknown: int = 0

    @property
    def flat(self) -> Flat:
        """What the model's blocks are made of."""
        return self.count, self.numbers, self.categories


def joined(asked: Sequence[Rows]) -> Flat:
    """Of requests of one row each, what the blocks of all together are made of."""
    numbers, categories = zip(*(rows.numbers for rows in asked), strict=True), zip(*(rows.categories for rows in asked), strict=True)
    flat = chain.from_iterable
    return len(asked), list(flat(numbers)), list(flat(categories))


class Decoder:
    """Checks rows for one manifest; holds no state between requests, so threads may share it."""

    def __init__(self, manifest: Manifest) -> None:
        self.inputs = manifest.inputs
        self._names = tuple(column.name for column in manifest.inputs)
        self._readers = tuple((column.name, _reader(column, position)) for position, column in enumerate(manifest.inputs))
        self._usual = tuple(map(_usual, manifest.inputs))
        self._are_categories = tuple(column.type == "category" for column in manifest.inputs)
        self._id = manifest.id
        self._own_id = {manifest.id} - {None, *self._names}
        self._known = {*self._names, *self._own_id}

    def records(self, records: Sequence[Any]) -> Rows:
        """Rows given as mappings from column to value; columns that the model does not read are left alone."""
        if len(records) == 1 and type(records[0]) is dict:
            return self._one(records[0])
        for row, record in enumerate(records):
            if type(record) is not dict:
                raise RequestError(f"row {row} is {_shown(record)}; a row is an object from column to value", row=row)
        columns = {name: _column_of(records, name) for name in self._names}
        if self._id is not None:
            columns[self._id] = [record.get(self._id) for record in records]
        known = len(self._names) * len(records) + (sum(self._id in record for record in records) if self._own_id else 0)
        return self._rows(columns, len(records), unknown=sum(map(len, records)) - known)

    def columns(self, columns: Mapping[str, Sequence[Any]], count: int) -> Rows:
        """Rows given as one sequence of `count` values for each column; columns that the model does not read are left alone."""
        return self._rows(columns, count, unknown=count * len(columns.keys() - self._known))

    def _rows(self, columns: Mapping[str, Sequence[Any]], count: int, *, unknown: int) -> Rows:
        unusual: list[int] = []
        numbers: list[Any] = []
        categories: list[Any] = []
        logged: list[Sequence[Any]] = []
        for (name, read), usual, is_category in zip(self._readers, self._usual, self._are_categories, strict=True):
            if name not in columns:
                raise RequestError(f"column {name!r} is missing in all rows", column=name)
            values = columns[name]
            taken = usual(values)
            if taken is None:
                taken = _read_all(name, read, values, unusual)
                logged.append([None if value is None else one for value, one in zip(values, taken, strict=True)])
            else:
                logged.append(taken)
            (categories if is_category else numbers).extend(taken)
        ids = columns.get(self._id) if self._id is not None else None
        return Rows(
            count=count,
            numbers=numbers,
            categories=categories,
            values=zip(*logged, strict=True),
            ids=[_as_id(value) for value in ids] if ids is not None else [None] * count,
            unusual=unusual,
            unknown=unknown,
        )

    def _one(self, record: dict[str, Any]) -> Rows:
        """The path of most requests: a single row, with no sequence made for each of its columns."""
        unusual: list[int] = []
        numbers: list[Any] = []
        categories: list[Any] = []
        values: list[Any] = []
        name = ""
        try:
            for (name, read), is_category in zip(self._readers, self._are_categories, strict=True):
                value = record[name]
                taken = read(value, unusual)
                (categories if is_category else numbers).append(taken)
                values.append(taken if value is not None else None)
        except KeyError:
            raise RequestError(f"column {name!r} is missing in row 0", column=name, row=0) from None
        except _Unfit as problem:
            raise RequestError(f"column {name!r}, row 0: {problem}", column=name, row=0) from None
        ids = (_as_id(record.get(self._id)) if self._id is not None else None,)
        unknown = len(record) - len(values)
        if unknown and self._own_id and self._id in record:
            unknown -= 1
        return Rows(count=1, numbers=numbers, categories=categories, values=(values,), ids=ids, unusual=unusual, unknown=unknown)


def _column_of(records: Sequence[dict[str, Any]], name: str) -> list[Any]:
    try:
        return [record[name] for record in records]
    except KeyError:
        row = next(row for row, record in enumerate(records) if name not in record)
        raise RequestError(f"column {name!r} is missing in row {row}", column=name, row=row) from None


def _read_all(name: str, read: Reader, values: Sequence[Any], unusual: list[int]) -> list[Any]:
    taken: list[Any] = []
    try:
        for value in values:
            taken.append(read(value, unusual))  # noqa: PERF401 - how many were taken says which row was not
    except _Unfit as problem:
        row = len(taken)
        raise RequestError(f"column {name!r}, row {row}: {problem}", column=name, row=row) from None
    return taken


def _reader(column: Input, position: int) -> Reader:
    if column.type == "category":
        return _category_reader(column, position)
    if column.type == "boolean":
        return _boolean_reader(column)
    return _number_reader(column, position, whole=column.type == "integer")


def _usual(column: Input) -> Usual:
    """For a column's values; what is known of a category is given as the manifest's own string, so that the log holds it once."""
    if column.type == "category":
        return _known_of(column.categories or ())
    if column.type == "boolean":
        return lambda values: values if set(map(type, values)) == {bool} else None
    kinds = {int} if column.type == "integer" else {int, float}
    low = -FLOAT32_MAX if column.minimum is None else column.minimum
    high = FLOAT32_MAX if column.maximum is None else column.maximum

    def usual(values: Sequence[Any]) -> Sequence[Any] | None:
        plain = bool(values) and kinds.issuperset(map(type, values)) and low <= min(values) and max(values) <= high
        return values if plain else None

    return usual


def _known_of(categories: Iterable[str]) -> Usual:
    own = {value: value for value in categories}

    def usual(values: Sequence[Any]) -> Sequence[Any] | None:
        try:
            return list(map(own.__getitem__, values))
        except (KeyError, TypeError):  # one is unknown, or is nothing that a category can be
            return None

    return usual


def _number_reader(column: Input, position: int, *, whole: bool) -> Reader:
    low = -FLOAT32_MAX if column.minimum is None else column.minimum
    high = FLOAT32_MAX if column.maximum is None else column.maximum
    expected = "an integer" if whole else "a number"

    def read(value: Any, unusual: list[int]) -> float:
        kind = type(value)
        if kind is float or kind is int:
            if whole and kind is float and not value.is_integer():
                raise _Unfit(f"expected an integer, found {_shown(value)}")
            if not low <= value <= high:
                _refuse_too_large(value, INT64_MAX if whole else FLOAT32_MAX)
                unusual.append(position)
            return int(value) if whole and kind is float else value
        return _missing(column, value, expected)

    return read


def _refuse_too_large(value: float, limit: float) -> None:
    if not -limit <= value <= limit:
        raise _Unfit(f"{_shown(value)} is beyond what the model can hold ({limit:.3g})")


def _boolean_reader(column: Input) -> Reader:
    def read(value: Any, unusual: list[int]) -> float:
        kind = type(value)
        if kind is bool or ((kind is int or kind is float) and value in (0, 1)):
            return bool(value)
        return _missing(column, value, "true or false (or 1 or 0)")

    return read


def _category_reader(column: Input, position: int) -> Reader:
    own = None if column.categories is None else {value: value for value in column.categories}

    def read(value: Any, unusual: list[int]) -> str:
        if type(value) is str:
            if own is None:
                return value
            if value not in own:
                unusual.append(position)
            return own.get(value, value)
        _missing(column, value, "a string")
        return ""

    return read


def _missing(column: Input, value: Any, expected: str) -> float:
    """The value that stands for null, where null is allowed."""
    if value is not None:
        raise _Unfit(f"expected {expected}, found {_shown(value)}")
    if not column.nullable:
        raise _Unfit(f"expected {expected}, found null, which is not allowed here")
    return float("nan")


def _shown(value: Any) -> str:
    """A value as it stood in the JSON, cut to a length that an answer can carry."""
    import json

    if isinstance(value, str):
        return json.dumps(value if len(value) <= SHOWN else value[:SHOWN] + "…", ensure_ascii=False)
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    if type(value) is int and abs(value) >= 10**SHOWN:
        return f"an integer of more than {SHOWN} digits"
    return json.dumps(value)


def _as_id(value: Any) -> str | None:
    """An id as the log keeps it: a string of bounded length, or None for what is no id."""
    if type(value) is str:
        return value[:ID_LENGTH]
    return str(value) if type(value) is int and abs(value) <= INT64_MAX else None
