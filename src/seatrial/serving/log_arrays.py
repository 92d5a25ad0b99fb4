"""What the prediction log holds, as Arrow's arrays: texts that repeat are dictionaries, so that each is there once.

Nothing here loads Arrow's compute functions, which would take 12 MB of a server's memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NUMBERS = {"integer": "i8", "boolean": "?", "number": "f8"}
"""numpy's types of the kinds of inputs that are no texts."""


def array_of(kind: str, values: Sequence[Any]) -> Any:
    """One input's values as an array: JSON may say 1.0 for an integer and 1 for true, which Arrow does not take as it stands."""
    import pyarrow as pa

    type_, make = _types()[kind]
    try:
        return pa.array(values, type_)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if value is None else make(value) for value in values], type_)


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
def _types() -> dict[str, tuple[Any, Callable[[Any], Any]]]:
    """Arrow's type of each kind of input, and what makes a value of it that Arrow takes."""
    import pyarrow as pa

    texts = pa.dictionary(pa.int32(), pa.string())
    return {"integer": (pa.int64(), int), "boolean": (pa.bool_(), bool), "number": (pa.float64(), float), "category": (texts, str)}
