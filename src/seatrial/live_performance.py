"""How well a version answered in one window: by the outcomes that came, and estimated for all its answers before they come.

The estimate is confidence-based (CBPE): the calibration in the bundle says how often the positive class comes where p was answered;
outcomes are drawn by it, and each metric is computed on the draws. It holds where that relation still holds, that is, where only
the mix of the rows has changed. Where the relation itself changes (concept drift) only outcomes show it, and both stand side by side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from seatrial.bundle import Bundle
    from seatrial.live_profile import Calibration

DRAWS = 200
MOST_ROWS = 20_000
"""Rows that outcomes are drawn for: of more, a sample; the estimate's own error is far smaller than that of outcomes."""

RESAMPLES = 2_000
SEED = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A metric's value between its two-sided bounds."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """One window of one version, or of one group in it.

    `answered` rows, of which `labelled` have an outcome; `found` are the metrics by outcomes, `estimated` by the calibration, both
    by name. `delays_s` are the median and the 90th percentile of the seconds from answer to outcome; `early` outcomes were known
    before the answer, as one clock at least says; `changed` were corrected.
    """

    answered: int
    labelled: int
    found: Mapping[str, Interval] = field(default_factory=dict)
    estimated: Mapping[str, Interval] = field(default_factory=dict)
    delays_s: tuple[float, float] | None = None
    early: int = 0
    changed: int = 0

    @property
    def coverage(self) -> float:
        """The share of the answers whose outcome is known."""
        return self.labelled / self.answered if self.answered else 0.0


def joined(answers: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
    """Answers as `read_answers` gives them, with outcomes where those are known: outcome, known and changed beside their columns.

    An id that was answered several times counts once, with its last answer in the window.
    """
    last = answers.sort("time").unique(subset="key", keep="last", maintain_order=True)
    return last.join(labels, left_on="key", right_on="id", how="left")


def performance(
    bundle: Bundle, rows: pl.DataFrame, *, metrics: Sequence[str], calibration: Calibration | None, confidence: float, min_labels: int
) -> Performance:
    """The metrics of joined rows; by outcomes with at least `min_labels` of them and both classes, estimated with a calibration."""
    import numpy as np
    import polars as pl

    labelled = rows.filter(pl.col("outcome").is_not_null())
    delays = (labelled["known"] - labelled["time"]).dt.total_seconds(fractional=True) if labelled.height else pl.Series(dtype=pl.Float64)
    later = delays.filter(delays >= 0)
    return Performance(
        answered=rows.height,
        labelled=labelled.height,
        found=_found(bundle, labelled, metrics, confidence) if labelled.height >= min_labels else {},
        estimated=estimated(bundle, np.asarray(rows["probability"]), metrics, calibration, confidence)
        if calibration and rows.height
        else {},
        delays_s=(float(later.quantile(0.5) or 0), float(later.quantile(0.9) or 0)) if later.len() else None,
        early=delays.len() - later.len(),
        changed=int(labelled["changed"].sum()),
    )


def _found(bundle: Bundle, rows: pl.DataFrame, metrics: Sequence[str], confidence: float) -> dict[str, Interval]:
    import numpy as np

    from seatrial.metrics import Scores
    from seatrial.resampling import estimate_metrics

    binary = bundle.manifest.binary
    labels = np.asarray(rows["outcome"] == binary.positive, dtype=np.int64)
    if labels.min() == labels.max():
        return {}
    scores = Scores(probabilities=np.asarray(rows["probability"], dtype=np.float64), threshold=binary.threshold)
    alpha = (1 - confidence) / 2
    found = estimate_metrics(metrics, labels, scores, resamples=RESAMPLES, seed=SEED)
    return {name: Interval(value=one.value, low=one.lower(alpha), high=one.upper(alpha)) for name, one in found.items()}


def estimated(
    bundle: Bundle, answers: NDArray[np.float64], metrics: Sequence[str], calibration: Calibration, confidence: float
) -> dict[str, Interval]:
    """Each metric over 200 draws of outcomes by the calibration: mean and quantiles; none for one that a draw leaves undefined."""
    import numpy as np

    from seatrial.metrics import Scores
    from seatrial.metrics_tasks import metrics_of

    draw = np.random.default_rng(SEED)
    if len(answers) > MOST_ROWS:
        answers = draw.choice(answers, MOST_ROWS, replace=False)
    scores = Scores(probabilities=answers, threshold=bundle.manifest.binary.threshold)
    if scores.strange:
        return {}
    chances = np.interp(answers, calibration.answered, calibration.came)
    drawn = [(draw.random(len(answers)) < chances).astype(np.int64) for _ in range(DRAWS)]
    known = metrics_of("binary")
    values = {name: np.array([known[name].value(labels, scores) for labels in drawn]) for name in metrics}
    low, high = (1 - confidence) / 2, (1 + confidence) / 2
    return {
        name: Interval(value=float(found.mean()), low=float(np.quantile(found, low)), high=float(np.quantile(found, high)))
        for name, found in values.items()
        if np.isfinite(found).all()
    }


def by_group(rows: pl.DataFrame, column: str) -> dict[str, pl.DataFrame]:
    """The joined rows of each value of a column, by the value as text."""
    return {str(value): part for (value,), part in sorted(rows.group_by(column), key=lambda item: str(item[0][0])) if value is not None}
