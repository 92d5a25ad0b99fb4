"""The rows as a scikit-learn pipeline reads them: the same values that the served model is given, so that both answer alike.

Numbers, integers and booleans are float32 (missing is NaN), categories are strings (missing is the empty string).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from seatrial.manifest import Input

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


def design_matrix(frame: pl.DataFrame, inputs: Iterable[Input]) -> pd.DataFrame:
    """The inputs' columns of the rows, shape (n, inputs)."""
    import pandas as pd
    import polars as pl

    columns = {}
    for column in inputs:
        series = frame[column.name]
        if column.type == "category":
            columns[column.name] = series.cast(pl.String).fill_null("").to_numpy().astype(object)
        else:
            columns[column.name] = series.cast(pl.Float64).cast(pl.Float32).fill_null(float("nan")).to_numpy()
    return pd.DataFrame(columns)
