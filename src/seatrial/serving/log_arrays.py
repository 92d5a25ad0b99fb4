"""What the prediction log holds, as Arrow's arrays: texts that repeat are dictionaries, so that each is there once.

Nothing here loads Arrow's compute functions, which would take 12 MB of a server's memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NUMBERS = {"integer": "i8", "boolean": "?", "number": "f8"}
"""numpy's types of the kinds of inputs that are no texts."""


def array_of(kind: str, values: Sequence[Any]) -> Any:
    """Values of one kind as an array; among numbers an integer that no float holds exactly becomes the nearest."""
    import pyarrow as pa

    try:
        return pa.array(values, _types()[kind])
    except pa.ArrowInvalid:
        if kind != "number":
            raise
        return pa.array([None if value is None else float(value) for value in values], _types()[kind])


def array_from(kind: str, numbers: NDArray[np.float64]) -> Any:
    """Numbers of shape (n,) as an array of one kind; NaN is null."""
    import numpy as np
    import pyarrow as pa

    null = np.isnan(numbers)
    return pa.array(np.where(null, 0, numbers).astype(NUMBERS[kind]), mask=null)


def moments_from(microseconds: NDArray[np.int64]) -> Any:
    """Microseconds since 1970 of shape (n,) as an array of moments."""
    import pyarrow as pa

    return pa.array(microseconds, moments())


def texts_from(texts: Sequence[str], codes: NDArray[np.int16]) -> Any:
    """The texts at positions of shape (n,) as an array; a position below 0 is null."""
    import numpy as np
    import pyarrow as pa

    indices = pa.array(codes.astype(np.int32), mask=codes < 0)
    return pa.DictionaryArray.from_arrays(indices, pa.array(texts, pa.string()))


def repeated(text: str, count: int) -> Any:
    """One text so many times."""
    import numpy as np

    return texts_from([text], np.zeros(count, dtype=np.int16))


def moments() -> Any:
    """Arrow's type of a moment."""
    import pyarrow as pa

    return pa.timestamp("us", tz="UTC")


@cache
def _types() -> dict[str, Any]:
    """Arrow's type of each kind of input."""
    import pyarrow as pa

    texts = pa.dictionary(pa.int32(), pa.string())
    return {"integer": pa.int64(), "boolean": pa.bool_(), "number": pa.float64(), "category": texts}
