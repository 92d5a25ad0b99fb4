"""Which rows a model was trained on: one 64-bit hash for each, kept with the bundle.

A row's hash covers its cells in the model's inputs and the target, by value and not by how a table stores them: a number is
the same in a column of integers or of floats, and nothing, NaN and the empty string are the same missing cell, as they are
for the model. It depends on no library's idea of a hash, so it is the same on any machine. Of n training rows, a row that is
none of them is taken for one with probability n / 2⁶⁴.
"""

from __future__ import annotations

import hashlib
import operator
import sys
from array import array
from typing import TYPE_CHECKING, Any

from seatrial.errors import BundleError, DataError
from seatrial.manifest import TRAINED_ON

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from seatrial.bundle import Bundle
    from seatrial.manifest import Manifest

_ROW = b"seatrial row 1"
_TEXT = b"seatrial text 1"
"""What sets these hashes apart from others; another number where the encoding ever changes."""


def trained_on(bundle: Bundle) -> NDArray[np.uint64] | None:
    """Hashes of the rows that a bundle was trained on, in rising order; None where it was made before they were kept."""
    data = bundle.files.get(TRAINED_ON)
    return None if data is None else read_row_hashes(data, TRAINED_ON)


def row_hashes(frame: pl.DataFrame, manifest: Manifest) -> NDArray[np.uint64]:
    """The hash of each row of a table, in its order, over the manifest's inputs and its target.

    Raises DataError where a column is missing or of another type.
    """
    import numpy as np

    columns: dict[str, str] = {column.name: column.type for column in manifest.inputs}
    missing = [name for name in (*columns, manifest.target.name) if name not in frame.columns]
    if missing:
        raise DataError(f"the table has no column {', '.join(map(repr, missing))}, which the rows' hashes cover")
    columns[manifest.target.name] = "target"
    cells = np.empty((frame.height, len(columns)), dtype="<u8")
    for at, name in enumerate(sorted(columns)):
        cells[:, at] = _cells(frame.get_column(name), columns[name])
    rows, width = memoryview(cells.tobytes()), cells.shape[1] * 8
    hashed = b"".join(_hash(rows[start : start + width], _ROW) for start in range(0, len(rows), width))
    return np.frombuffer(hashed, dtype="<u8").astype(np.uint64)


def _cells(series: pl.Series, kind: str) -> NDArray[np.uint64]:
    """Each cell as 64 bits: a number's IEEE double, a text's hash."""
    import polars as pl

    is_text = kind == "category" or (kind == "target" and not (series.dtype.is_numeric() or series.dtype == pl.Boolean))
    try:
        return _texts(series) if is_text else _numbers(series)
    except pl.exceptions.PolarsError:
        raise DataError(f"column {series.name!r} is {series.dtype}, the manifest says {kind}") from None


def _numbers(series: pl.Series) -> NDArray[np.uint64]:
    import numpy as np
    import polars as pl

    values = series.cast(pl.Float64, strict=True).fill_null(float("nan")).to_numpy() + 0.0  # -0.0 becomes 0.0
    bits = values.astype("<f8").view("<u8")
    return np.where(np.isnan(values), np.uint64(0x7FF8000000000000), bits)


def _texts(series: pl.Series) -> NDArray[np.uint64]:
    import numpy as np
    import polars as pl

    texts = series.cast(pl.String).fill_null("").rank("dense") - 1
    known = series.cast(pl.String).fill_null("").unique().sort()
    hashed: Any = np.array([int.from_bytes(_hash(text.encode(), _TEXT), "little") for text in known], dtype=np.uint64)
    return np.asarray(hashed[texts.to_numpy()], dtype=np.uint64)


def _hash(data: bytes | memoryview, person: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=8, person=person).digest()


def write_row_hashes(hashes: NDArray[np.uint64]) -> bytes:
    """The bundle's file: each hash once, in rising order, 8 bytes each, the lowest first."""
    import numpy as np

    return np.unique(hashes).astype("<u8").tobytes()


def check_row_hashes(data: bytes, place: str) -> None:
    """Raise BundleError where a bundle's file of hashes is not whole, or not in rising order; loads no array library."""
    if len(data) % 8:
        raise BundleError(f"{place} has {len(data)} bytes, which are no whole 64-bit hashes")
    hashes = array("Q", data)
    if sys.byteorder == "big":
        hashes.byteswap()
    if not all(map(operator.lt, hashes, memoryview(hashes)[1:])):
        raise BundleError(f"{place} is not in rising order, so it was not written by training")


def read_row_hashes(data: bytes, place: str) -> NDArray[np.uint64]:
    """The hashes in a bundle's file; BundleError where they are not whole, or not in rising order."""
    import numpy as np

    check_row_hashes(data, place)
    return np.frombuffer(data, dtype="<u8").astype(np.uint64)
