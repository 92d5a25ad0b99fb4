"""Would a training help? The champion's pipeline fitted again, on recent rows whose outcome is known too, and judged as the gate judges.

The newest third of those rows is kept from the fit and answers the question, by the paired comparison of the gate's metrics with
what the champion answered there. It is evidence, not the challenger: training goes its own way, through the pipeline.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from seatrial.checks.comparison import Question, answer, metric_questions
from seatrial.checks.performance import Level
from seatrial.live_rows import Selection, labelled_rows
from seatrial.manifest import ANALYSIS
from seatrial.matrix import design_matrix
from seatrial.params import MetricPolicy
from seatrial.verdict import Check, Outcome, worst

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from seatrial.bundle import Bundle
    from seatrial.project import Project

KEPT_BACK = 3
"""One of so many rows, the newest, is judged on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refit:
    """What the refit showed: `helps` (True: better beyond chance, False: not acceptable, None: nobody can say), and the checks.

    `fitted` and `judged` are rows; `training` how many of the champion's own training rows were among the fitted ones.
    """

    helps: bool | None
    message: str
    checks: tuple[Check, ...] = ()
    fitted: int = 0
    training: int = 0
    judged: int = 0


def would_it_help(project: Project, bundle: Bundle, selection: Selection, labels: pl.DataFrame) -> Refit:
    """Fit and compare; where there are too few rows, or the pipeline cannot be had, `helps` is None and the message says so."""
    policy = project.settings.retrain
    if ANALYSIS not in bundle.files:
        return Refit(helps=None, message="the champion's bundle keeps no scikit-learn pipeline, so nothing can be fitted again")
    rows = labelled_rows(project, bundle.manifest, bundle.digest, selection, labels, most=policy.refit_rows)
    if rows.height < policy.refit_min_rows or rows["seatrial_outcome"].n_unique() < 2:
        message = (
            f"{rows.height:,} recent rows have an outcome, {policy.refit_min_rows:,} of both classes are needed (retrain.refit_min_rows)"
        )
        return Refit(helps=None, message=message)
    cut = rows.height - rows.height // KEPT_BACK
    fitted, judged = rows.head(cut), rows.tail(rows.height - cut)
    if judged["seatrial_outcome"].n_unique() < 2 or fitted["seatrial_outcome"].n_unique() < 2:
        return Refit(helps=None, message="recent outcomes are of one class, so nothing can be compared")
    return _compared(project, bundle, fitted, judged)


def _compared(project: Project, bundle: Bundle, fitted: pl.DataFrame, judged: pl.DataFrame) -> Refit:
    import numpy as np

    from seatrial.metrics import Scores

    gate, primary = project.settings.gate, project.settings.model.primary
    manifest = bundle.manifest
    own = _training(project, bundle, project.settings.retrain.refit_rows)
    pipeline = _fit(bundle, fitted, own)
    labels = _positive(bundle, judged)
    before = np.asarray(judged["seatrial_p"], dtype=np.float64)
    after = np.asarray(pipeline.predict_proba(design_matrix(judged, manifest.inputs))[:, 1], dtype=np.float64)
    level = Level(confidence=float(gate.confidence), resamples=gate.resamples, seed=gate.seed)
    scores = [Scores(probabilities=one, threshold=manifest.binary.threshold) for one in (after, before)]
    questions = metric_questions(_asked(gate.metrics, primary), labels, scores[0], scores[1], level)
    checks = answer(questions, level)
    helps = _helps(questions, checks, primary, level)
    training = 0 if own is None else own.height
    return Refit(
        helps=helps, message=_words(helps, primary), checks=checks, fitted=fitted.height + training, training=training, judged=judged.height
    )


def _asked(metrics: Mapping[str, MetricPolicy], primary: str) -> dict[str, MetricPolicy]:
    """The gate's metrics; the primary one is compared here also where the gate only holds it to a floor."""
    own = metrics.get(primary, MetricPolicy())
    return {**metrics, primary: own if own.margin is not None else replace(own, margin=0.0)}


def _helps(questions: list[Question], checks: tuple[Check, ...], primary: str, level: Level) -> bool | None:
    """Better in the primary metric beyond chance, and worse in none: the gate's own claims."""
    decided = worst(check.outcome for check in checks if not check.advisory)
    better = any(one.metric.name == primary and one.p_better < level.alpha for one in questions)
    if decided is Outcome.FAIL:
        return False
    return True if better and decided is Outcome.PASS else None


def _words(helps: bool | None, primary: str) -> str:
    if helps is None:
        return f"a refit on recent rows is not shown to be better in {primary}, nor to be worse than the gate allows"
    return (
        f"a refit on recent rows is better in {primary}, beyond chance"
        if helps
        else "a refit on recent rows would not pass the gate's comparison"
    )


def _training(project: Project, bundle: Bundle, most: int) -> pl.DataFrame | None:
    """The champion's own training rows where they are at hand, of more than `most` a sample."""
    from seatrial.files import md5_of
    from seatrial.stages import read_rows

    if not project.train_data.exists() or md5_of(project.train_data) != bundle.manifest.training.data:
        return None
    rows = read_rows(project.train_data)
    return rows if rows.height <= most else rows.sample(most, seed=0)


def _fit(bundle: Bundle, rows: pl.DataFrame, own: pl.DataFrame | None) -> Any:
    """The champion's pipeline with its settings, fitted on recent rows and on those that it learned from."""
    import numpy as np
    import pandas as pd
    from sklearn.base import clone

    from seatrial.analysis import load_skops

    inputs = bundle.manifest.inputs
    tables, labels = [design_matrix(rows, inputs)], [_positive(bundle, rows)]
    if own is not None:
        tables.append(design_matrix(own, inputs))
        labels.append(np.asarray(own[bundle.manifest.target.name].cast(str) == bundle.manifest.binary.positive, dtype=np.int64))
    pipeline = clone(load_skops(bundle.files[ANALYSIS]))
    return pipeline.fit(pd.concat(tables, ignore_index=True), np.concatenate(labels))


def _positive(bundle: Bundle, rows: pl.DataFrame) -> NDArray[np.int64]:
    import numpy as np

    return np.asarray(rows["seatrial_outcome"] == bundle.manifest.binary.positive, dtype=np.int64)
