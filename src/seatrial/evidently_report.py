"""Evidently: the tests of two tables, column by column, and its page about them.

The only file that knows Evidently. Each column's test and limit are named, because Evidently chooses others for other
numbers of rows; columns without a value on one side must not come here, because one of them aborts the whole report.
Evidently's telemetry is off, and the page carries a policy that forbids it to load anything.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from seatrial.checks.drift import Kind
from seatrial.errors import DataError
from seatrial.html import escape

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; font-src data:; img-src data: blob:"
STYLE = """
.seatrial { max-width: 74rem; margin: 1rem auto; padding: 0 1rem; font: 15px/1.5 system-ui, sans-serif; color: #1c2530 }
.seatrial h1 { font-size: 1.5rem; margin: 0 0 .3rem } .seatrial p { margin: .3rem 0 } .seatrial li { margin: .2rem 0 }
.seatrial .pass { color: #1a7f4b } .seatrial .fail { color: #c0303b } .seatrial .error { color: #b3541e }
.seatrial .inconclusive { color: #8a6a00 }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What Evidently gave for one column of the samples: its distance, and whether that is drift to Evidently."""

    value: float
    drifted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnPair:
    """One column of both tables and the test that is asked of it.

    Numeric values are float64 with NaN for what is missing, categories are strings with None. Both sides hold a value.
    """

    name: str
    kind: Kind
    method: str
    limit: float
    reference: NDArray[np.float64] | Sequence[str | None]
    current: NDArray[np.float64] | Sequence[str | None]


def compare(columns: Sequence[ColumnPair], *, alone: Sequence[ColumnPair] = (), drifted_share: float) -> tuple[dict[str, Score], str]:
    """Ask each column its test; gives the scores by name and Evidently's page.

    `columns` are summed up on the page, where from `drifted_share` of them on drift is declared; those in `alone` (the
    prediction) stand for themselves. Raises DataError where Evidently cannot work with the values.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of NumPy and pandas inside Evidently, about what the scores show anyway
        try:
            snapshot = _run(columns, alone, drifted_share)
            return _scores(snapshot.dict(), [*columns, *alone]), snapshot.get_html_str(as_iframe=False)
        except (ValueError, ArithmeticError) as error:
            raise DataError(f"Evidently cannot compare these rows: {error}", hint="look at the newest rows of the prediction log") from None


def framed(html: str, *, title: str, head: str) -> str:
    """Evidently's page under a title, with `head` (HTML) above it, and closed to the network."""
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    lead = f"<head>{policy}<title>{escape(title)}</title><style>{STYLE}</style>"
    body = f'<body><section class="seatrial"><h1>{escape(title)}</h1>{head}</section>'
    return html.lstrip().replace("<head>", lead, 1).replace("<body>", body, 1)


def _run(columns: Sequence[ColumnPair], alone: Sequence[ColumnPair], drifted_share: float) -> Any:
    os.environ["DO_NOT_TRACK"] = "1"  # before the import, so that Evidently's event logger stays silent
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift
    from evidently.presets import DataDriftPreset

    _register_ks_distance()
    every = [*columns, *alone]
    definition = DataDefinition(
        numerical_columns=[_shown(column.name) for column in every if column.kind == "numeric"],
        categorical_columns=[_shown(column.name) for column in every if column.kind == "category"],
    )
    preset = DataDriftPreset(
        columns=[_shown(column.name) for column in columns],
        per_column_method={_shown(column.name): column.method for column in columns},
        per_column_threshold={_shown(column.name): column.limit for column in columns},
        drift_share=drifted_share,
    )
    single = [ValueDrift(column=_shown(column.name), method=column.method, threshold=column.limit) for column in alone]
    current = Dataset.from_pandas(_frame(every, "current"), definition)
    reference = Dataset.from_pandas(_frame(every, "reference"), definition)
    return Report([*([preset] if columns else []), *single], include_tests=True).run(current, reference)


def _register_ks_distance() -> None:
    """Teach Evidently `ks_stat`, the distance D: its own `ks` is the p-value, which many rows make small for nothing."""
    from evidently.legacy.calculations.stattests import registry
    from evidently.legacy.core import ColumnType
    from scipy.stats import ks_2samp  # type: ignore[import-untyped]

    def distance(reference: Any, current: Any, _kind: Any, limit: float) -> tuple[float, bool]:
        found = float(ks_2samp(reference, current, method="asymp").statistic)
        return found, found >= limit

    test = registry.StatTest(
        name="ks_stat", display_name="K-S distance", allowed_feature_types=[ColumnType.Numerical], default_threshold=0.1
    )
    registry.register_stattest(test, distance)


def _frame(columns: Sequence[ColumnPair], side: Literal["reference", "current"]) -> pd.DataFrame:
    """One table of all columns; a shorter one (the prediction's reference is other rows) ends in missing values, which no test counts."""
    import pandas as pd

    return pd.DataFrame({_shown(column.name): pd.Series(_safe(column, getattr(column, side))) for column in columns})


def _safe(column: ColumnPair, values: Any) -> Any:
    if column.kind == "numeric":
        return values
    return [None if value is None else _shown(value) for value in values]


def _shown(text: str) -> str:
    """Text from requests as it may stand in Evidently's script blocks, which do not escape it."""
    return text.replace("<", "‹").replace(">", "›").replace("&", "＆")


def _scores(report: Mapping[str, Any], columns: Sequence[ColumnPair]) -> dict[str, Score]:
    """Evidently's own answer for each column: its score, and whether its test failed."""
    values = {one["config"]["column"]: float(one["value"]) for one in report["metrics"] if "column" in one["config"]}
    failed = {one["metric_config"]["params"]["column"] for one in report["tests"] if one["id"] == "drift" and one["status"] == "FAIL"}
    return {column.name: Score(value=values[_shown(column.name)], drifted=_shown(column.name) in failed) for column in columns}
