"""What a bundle's training rows and answers looked like, kept in the bundle: what live traffic is compared with.

The inputs are profiles of the training rows, whole and group by group; the answers are those on the held-out rows, because on
rows that it was fitted on a model is surer of itself than anywhere else. The calibration says how often the positive class
really came where it answered p there: what performance is estimated with before labels arrive.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from seatrial.errors import BundleError
from seatrial.files import canonical_json
from seatrial.manifest import PROFILE
from seatrial.profile import MAX_VALUES, ColumnProfile, Profile, column_fields, column_from
from seatrial.sketches import EXACT, Tally
from seatrial.summary import Broken, ColumnSummary, column_profile, merged_column

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from seatrial.bundle import Bundle
    from seatrial.manifest import Input

FORMAT = 1
MAX_SEGMENTS = 20
CALIBRATION_POINTS = 200
MERGE_AT = 16
ANSWER = "probability"
NUMBERS = ("number", "integer")
STORED = {"number": "number", "integer": "integer", "boolean": "boolean", "category": "string"}
"""A profile's type for each type of input."""

Columns = Mapping[str, ColumnSummary]
Segment = tuple[str, str]
"""A column and one of its values, as text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Answered probabilities, ascending, and how often the positive class came there; in between, straight lines."""

    answered: tuple[float, ...]
    came: tuple[float, ...]

    def of(self, probability: float) -> float:
        """How often the positive class comes where this was answered."""
        at = bisect_right(self.answered, probability)
        if at in (0, len(self.answered)):
            return self.came[min(at, len(self.came) - 1)]
        low, high = self.answered[at - 1], self.answered[at]
        return self.came[at - 1] + (self.came[at] - self.came[at - 1]) * (probability - low) / (high - low)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveProfile:
    """One side of a comparison: its rows, its inputs, its answers where there are some, and the same inputs of parts of the rows."""

    inputs: Profile
    answers: ColumnProfile | None = None
    segments: Mapping[Segment, Profile]
    calibration: Calibration | None = None

    def to_bytes(self) -> bytes:
        """Canonical JSON: the same rows, the same bytes."""
        return canonical_json(
            {
                "format": FORMAT,
                "inputs": _written(self.inputs),
                "answers": None if self.answers is None else column_fields(self.answers),
                "segments": [[*segment, _written(profile)] for segment, profile in sorted(self.segments.items())],
                "calibration": None if self.calibration is None else [list(self.calibration.answered), list(self.calibration.came)],
            }
        )


def _written(profile: Profile) -> dict[str, Any]:
    return {"rows": profile.rows, "columns": {name: column_fields(column) for name, column in profile.columns.items()}}


def read_live_profile(data: bytes, place: str) -> LiveProfile:
    """The profile in a bundle's file; BundleError where it is none of this format."""
    try:
        value = json.loads(data)
        if value["format"] != FORMAT:
            raise ValueError(f"format {value['format']}, this version reads format {FORMAT}")
        calibration = value["calibration"]
        return LiveProfile(
            inputs=_read(value["inputs"]),
            answers=None if value["answers"] is None else column_from(value["answers"]),
            segments={(str(column), str(part)): _read(profile) for column, part, profile in value["segments"]},
            calibration=None if calibration is None else _calibration(*calibration),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BundleError(f"{place} is no profile of training rows: {error}") from None


def _read(value: Mapping[str, Any]) -> Profile:
    return Profile(rows=int(value["rows"]), columns={name: column_from(fields) for name, fields in value["columns"].items()})


def _calibration(answered: Sequence[float], came: Sequence[float]) -> Calibration:
    if len(answered) != len(came) or not answered or any(right <= left for left, right in pairwise(answered)):
        raise ValueError("a calibration is two lists of one length, the first ascending")
    return Calibration(answered=tuple(map(float, answered)), came=tuple(map(float, came)))


def profile_of_bundle(bundle: Bundle) -> LiveProfile | None:
    """What the bundle keeps about its training rows; None in bundles that were made before there was such a file."""
    data = bundle.files.get(PROFILE)
    return None if data is None else read_live_profile(data, f"the bundle's {PROFILE}")


def training_profile(
    rows: pl.DataFrame,
    inputs: Sequence[Input],
    *,
    segments: Sequence[str],
    answers: NDArray[np.float64],
    positive: NDArray[np.bool_] | None = None,
) -> LiveProfile:
    """The profile of training `rows`, of the `answers` on the held-out rows, and of which of those came out `positive`."""
    tally = LiveTally(inputs, segments)
    tally.add(rows)
    found = tally.profile()
    return LiveProfile(
        inputs=found.inputs,
        answers=_column(answers_summary(answers)),
        segments=found.segments,
        calibration=None if positive is None else calibration_of(answers, positive),
    )


def calibration_of(answers: NDArray[np.float64], positive: NDArray[np.bool_]) -> Calibration:
    """Isotonic regression of outcomes on answers (Zadrozny and Elkan 2002), at 200 points at most, six digits each.

    Its ends are drawn in by half a row, so that no answer is ever held for certain.
    """
    import numpy as np
    from sklearn.isotonic import IsotonicRegression

    least = 0.5 / max(len(answers), 1)
    fitted = IsotonicRegression(y_min=least, y_max=1 - least, out_of_bounds="clip").fit(answers, positive.astype(np.float64))
    points = np.unique(np.round(np.quantile(answers, np.linspace(0, 1, CALIBRATION_POINTS), method="nearest"), 6))
    return Calibration(answered=tuple(points.tolist()), came=tuple(np.round(fitted.predict(points), 6).tolist()))


class LiveTally:
    """Adds rows up, part by part: each input over all rows, and over the rows of each segment.

    A segment is one value of a column in `segments`; of more than 20 values the most frequent are kept.
    """

    def __init__(self, inputs: Sequence[Input], segments: Sequence[str] = ()) -> None:
        self.rows = 0
        self._inputs = tuple(inputs)
        self._by = {column.name: column for column in inputs if column.name in segments}
        self._whole: dict[str, list[ColumnSummary]] = {column.name: [] for column in inputs}
        self._parts: dict[Segment, tuple[int, dict[str, list[ColumnSummary]]]] = {}
        self._answers: list[ColumnSummary] = []

    def add(self, rows: pl.DataFrame, answers: pl.Series | None = None) -> None:
        """Count a part of the rows; an input that it lacks is missing in all of them."""
        ready = plain_frame(rows, self._inputs)
        self.rows += ready.height
        _extend(self._whole, summarise(ready, self._inputs))
        for column in self._by.values():
            for (value,), part in ready.filter(ready[column.name].is_not_null()).group_by(column.name):
                segment = (column.name, _as_value(value))
                count, found = self._parts.setdefault(segment, (0, {one.name: [] for one in self._inputs}))
                _extend(found, summarise(part, self._inputs))
                self._parts[segment] = (count + part.height, found)
        if answers is not None:
            self._answers.append(answers_summary(answers.drop_nulls().to_numpy()))
        if len(self._whole[self._inputs[0].name]) >= MERGE_AT:
            self._merge()

    def _merge(self) -> None:
        """Keep one summary a column, so that memory does not grow with the parts."""
        for columns in (self._whole, *(found for _, found in self._parts.values())):
            columns |= {name: [merged_column(found)] for name, found in columns.items() if len(found) > 1}
        self._answers = [merged_column(self._answers)] if self._answers else []

    @property
    def columns(self) -> dict[str, ColumnSummary]:
        """Each input as it was counted so far."""
        self._merge()
        return {name: found[0] if found else ColumnSummary(type="string") for name, found in self._whole.items()}

    def profile(self, *, listed: bool = False) -> LiveProfile:
        """What was counted so far; `listed` names the frequent values of text that hardly repeats, too, which no file should keep."""
        frequent = sorted(self._parts.items(), key=lambda item: (-item[1][0], item[0]))
        chosen = [
            (segment, found) for column in self._by for segment, found in [one for one in frequent if one[0][0] == column][:MAX_SEGMENTS]
        ]
        return LiveProfile(
            inputs=_profile(self.rows, self.columns, listed=listed),
            answers=_column(merged_column(self._answers)) if self._answers else None,
            segments={
                segment: _profile(count, {name: merged_column(one) for name, one in found.items()}) for segment, (count, found) in chosen
            },
        )


def _extend(columns: dict[str, list[ColumnSummary]], found: Columns) -> None:
    for name, summary in found.items():
        columns[name].append(summary)


def _profile(rows: int, columns: Columns, *, listed: bool = False) -> Profile:
    return Profile(rows=rows, columns={name: _column(column, listed=listed) for name, column in columns.items()})


def _column(column: ColumnSummary, *, listed: bool = False) -> ColumnProfile:
    """Of numbers whose different values nobody counts, quantiles are kept."""
    found = column_profile(column, distinct=EXACT + 1 if column.type in NUMBERS and column.values.exact is None else None)
    return replace(found, values=column.values.most_frequent(MAX_VALUES)) if listed and column.type == "string" else found


def _as_value(value: object) -> str:
    """A value as segments are named: 1 and 1.0 are one."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def plain_frame(rows: pl.DataFrame, inputs: Sequence[Input]) -> pl.DataFrame:
    """The inputs as they are compared: float64 or string, null for what is missing, not finite or an empty string."""
    import polars as pl

    empty = pl.Series([None] * rows.height, dtype=pl.String)
    return pl.DataFrame([plain(rows[one.name] if one.name in rows.columns else empty, one).alias(one.name) for one in inputs])


def plain(values: pl.Series, column: Input) -> pl.Series:
    """A column as both sides are compared: float64 or string, null for what is missing, infinite or an empty string."""
    import polars as pl

    if column.type in NUMBERS:
        numbers = values.cast(pl.Float64, strict=False)
        return numbers.set(~numbers.is_finite(), None)
    if column.type == "boolean" and values.dtype.is_numeric():
        values = values.cast(pl.Boolean)
    words = values.cast(pl.String)
    return words.set(words == "", None)


def summarise(ready: pl.DataFrame, inputs: Sequence[Input]) -> dict[str, ColumnSummary]:
    """Each input of rows that `plain_frame` made, as one part: counts, moments and which values there are."""
    return {column.name: _summary(ready[column.name], STORED[column.type]) for column in inputs}


def answers_summary(answers: NDArray[np.float64]) -> ColumnSummary:
    """Answered probabilities as a column; what is no number counts as missing."""
    import polars as pl

    values = pl.Series(ANSWER, answers, dtype=pl.Float64)
    return _summary(values.set(~values.is_finite(), None), "number")


def _summary(values: pl.Series, kind: str) -> ColumnSummary:
    there = values.drop_nulls()
    tally = Tally(distinct=kind not in NUMBERS)
    counted = there.value_counts(name="seatrial_count")
    if kind in NUMBERS and counted.height > EXACT:
        tally.add_numbers(there.to_numpy(writable=True))
    else:
        tally.add(counted[there.name].to_list(), counted["seatrial_count"].to_list())
    mean = float(there.mean()) if kind in NUMBERS and there.len() else None  # type: ignore[arg-type]
    return ColumnSummary(
        type=kind,
        count=there.len(),
        missing=Broken(count=values.null_count()),
        low=None if mean is None else float(there.min()),  # type: ignore[arg-type]
        high=None if mean is None else float(there.max()),  # type: ignore[arg-type]
        mean=mean,
        deviations=0.0 if mean is None else float(((there - mean) ** 2).sum()),
        values=tally.freeze(),
    )
