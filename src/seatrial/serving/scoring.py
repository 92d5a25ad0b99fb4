"""MLflow's scoring protocol, `POST /invocations`: the rows of a request in any of its forms, as JSON or as CSV.

{"dataframe_records": [{"amount": 1.5, …}]}            one object for each row
{"dataframe_split": {"columns": […], "data": [[…]]}}   one list for each row
{"instances": [{"amount": 1.5, …}]}                    as TensorFlow Serving writes rows
{"inputs": {"amount": [1.5], …}}                       as it writes columns
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from seatrial.errors import RequestError
from seatrial.serving.protocols import encode, limit_rows, read_json
from seatrial.serving.rows import Decoder, Rows

FORMS = ("dataframe_records", "dataframe_split", "instances", "inputs")


def read_invocation(body: bytes, decoder: Decoder, *, max_rows: int) -> Rows:
    """The checked rows of a JSON body; RequestError for whatever is none of the forms above."""
    document = read_json(body)
    if document.get("params") == {}:  # MLflow's clients may send it, and mean nothing
        del document["params"]
    for key in document:
        if key not in FORMS:
            raise RequestError(f"the key {key[:60]!r} is not supported; send one of {', '.join(FORMS)}, and nothing beside it")
    if len(document) != 1:
        raise RequestError(f"send exactly one of {', '.join(FORMS)}")
    ((form, rows),) = document.items()
    return _READERS[form](rows, decoder, max_rows, form)


def _read_records(records: Any, decoder: Decoder, max_rows: int, form: str) -> Rows:
    if type(records) is not list:
        raise RequestError(f"{form}: expected a list of objects, one for each row")
    limit_rows(len(records), max_rows)
    return decoder.records(records)


def _read_inputs(inputs: Any, decoder: Decoder, max_rows: int, form: str) -> Rows:
    """Columns of equal length; a list of rows, which MLflow takes here too; or an object of single values, for one row."""
    if type(inputs) is not dict:
        return _read_records(inputs, decoder, max_rows, form)
    if inputs and all(type(values) is not list for values in inputs.values()):
        return decoder.records([inputs])
    lengths = {name: len(values) if type(values) is list else -1 for name, values in inputs.items()}
    count = next(iter(lengths.values()), 0)
    for name, length in lengths.items():
        if length != count:
            found = "no list" if length < 0 else f"{length} values"
            raise RequestError(f"{form}: column {name[:60]!r} has {found}, the first one has {count}", column=name[:256])
    limit_rows(count, max_rows)
    return decoder.columns({name: [_alone(value) for value in values] for name, values in inputs.items()}, count)


def _alone(value: Any) -> Any:
    """A value in a list of its own, as a column of shape (n, 1) has it, is that value."""
    return value[0] if type(value) is list and len(value) == 1 else value


def _read_split(split: Any, decoder: Decoder, max_rows: int, form: str) -> Rows:
    if type(split) is not dict:
        raise RequestError(f"{form}: expected an object with columns and data")
    unknown = sorted(split.keys() - {"columns", "data", "index"})
    if unknown:
        raise RequestError(f"{form}: the key {unknown[0][:60]!r} is not supported; known are columns, data, index")
    names, data = split.get("columns"), split.get("data")
    if type(names) is not list or not all(type(name) is str for name in names):
        raise RequestError(f"{form}.columns: expected a list of column names")
    if type(data) is not list:
        raise RequestError(f"{form}.data: expected a list of rows, each a list of values")
    limit_rows(len(data), max_rows)
    if len(names) != len(set(names)):
        twice = _first_repeated(names)
        raise RequestError(f"{form}.columns: {twice[:60]!r} stands there twice", column=twice[:256])
    for row, values in enumerate(data):
        if type(values) is not list or len(values) != len(names):
            found = f"{len(values)} values" if type(values) is list else "no list"
            raise RequestError(f"{form}.data: row {row} has {found}, there are {len(names)} columns", row=row)
    columns = zip(*data, strict=True) if data else ([] for _ in names)
    return decoder.columns(dict(zip(names, columns, strict=True)), len(data))


def _first_repeated(names: list[str]) -> str:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    raise ValueError("no name stands there twice")


_READERS: Mapping[str, Callable[[Any, Decoder, int, str], Rows]] = {
    "dataframe_records": _read_records,
    "dataframe_split": _read_split,
    "instances": _read_records,
    "inputs": _read_inputs,
}


def read_csv(body: bytes, decoder: Decoder, *, max_rows: int) -> Rows:
    """The checked rows of a CSV body with a header; an empty cell is a missing value.

    Numbers, integers and true/false (or 1/0) are read by the manifest's types; RequestError names the cell that is none.
    """
    try:
        lines = csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True)
        names = next(lines, [])
        cells = [line for line in lines if line]
    except (UnicodeDecodeError, csv.Error) as error:
        raise RequestError(f"the body is not valid CSV in UTF-8: {error}") from None
    if not names:
        raise RequestError("the body is empty; send CSV with a header")
    if len(names) != len(set(names)):
        twice = _first_repeated(names)
        raise RequestError(f"the header names {twice[:60]!r} twice", column=twice[:256])
    limit_rows(len(cells), max_rows)
    for row, line in enumerate(cells):
        if len(line) != len(names):
            raise RequestError(f"row {row} has {len(line)} cells, the header {len(names)}", row=row)
    kinds = {column.name: column.type for column in decoder.inputs}
    columns = dict(zip(names, zip(*cells, strict=True) if cells else ([] for _ in names), strict=True))
    return decoder.columns({name: _typed(values, kinds.get(name, "category")) for name, values in columns.items()}, len(cells))


def _typed(cells: Sequence[str], kind: str) -> list[Any]:
    """Cells in the manifest's type; one that is not of it stays text, which the decoder refuses with its place."""
    return [None if cell == "" else _CELLS[kind](cell) for cell in cells]


def _number(cell: str) -> Any:
    try:
        value = float(cell)
    except ValueError:
        return cell
    return value if math.isfinite(value) else cell


def _integer(cell: str) -> Any:
    try:
        return int(cell)
    except ValueError:
        return _number(cell)


def _boolean(cell: str) -> Any:
    return {"true": True, "1": True, "false": False, "0": False}.get(cell.lower(), cell)


_CELLS: Mapping[str, Callable[[str], Any]] = {"number": _number, "integer": _integer, "boolean": _boolean, "category": str}


def write_predictions(labels: Sequence[str], probabilities: Sequence[float]) -> bytes:
    """The answer to `/invocations`."""
    return encode({"predictions": [{"label": label, "probability": value} for label, value in zip(labels, probabilities, strict=True)]})
