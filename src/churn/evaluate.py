"""Stage `evaluate`: what `dvc metrics diff` and `dvc plots diff` compare."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seatrial.bundle import load_bundle
from seatrial.files import pretty_json, write_atomic
from seatrial.metrics import METRICS
from seatrial.project import Project
from seatrial.serving.runtime import Runtime
from seatrial.stages import read_rows, run_stage

CURVE_POINTS = 200
CALIBRATION_BINS = 10
SHUFFLES = 3

Labels = NDArray[np.int64]
Scores = NDArray[np.float64]


def evaluate(project: Project) -> None:
    """Score the held-out rows with the bundle; write metrics/evaluation.json and metrics/plots/*.csv."""
    runtime = Runtime(load_bundle(project.bundle))
    manifest = runtime.bundle.manifest
    rows = read_rows(project.test_data)
    labels = np.asarray(rows[manifest.target.name].cast(str) == manifest.binary.positive, dtype=np.int64)
    scores = runtime.score_frame(rows)
    values = measure(labels, scores, manifest.binary.threshold)
    write_atomic(project.evaluation, pretty_json(values))
    plots = project.evaluation.parent / "plots"
    _write_curves(plots, labels, scores)
    _write_csv(plots / "confusion.csv", ("actual", "predicted"), _confusion(labels, scores, runtime))
    _write_csv(plots / "importance.csv", ("feature", "importance"), importance(runtime, rows, labels, seed=project.settings.train.seed))
    primary = project.settings.model.primary
    print(f"evaluate: {len(labels)} held-out rows, {primary} {values[primary]}")


def measure(labels: Labels, scores: Scores, threshold: float) -> dict[str, float]:
    """Every metric of the task, rounded to six digits, with the number of rows and positives."""
    values = {name: round(float(metric(labels, scores, threshold)), 6) for name, metric in METRICS.items()}
    return values | {"rows": len(labels), "positives": int(labels.sum()), "threshold": threshold}


def _write_curves(plots: Path, labels: Labels, scores: Scores) -> None:
    from sklearn.calibration import calibration_curve
    from sklearn.metrics import precision_recall_curve, roc_curve

    false_positive, true_positive, _ = roc_curve(labels, scores)
    _write_csv(plots / "roc.csv", ("false_positive_rate", "true_positive_rate"), _thinned(false_positive, true_positive))
    precision, recall, _ = precision_recall_curve(labels, scores)
    _write_csv(plots / "precision_recall.csv", ("recall", "precision"), _thinned(recall, precision))
    observed, predicted = calibration_curve(labels, scores, n_bins=CALIBRATION_BINS, strategy="quantile")
    _write_csv(plots / "calibration.csv", ("predicted", "observed"), _thinned(predicted, observed))


def _thinned(x: NDArray[Any], y: NDArray[Any]) -> list[tuple[float, float]]:
    """At most CURVE_POINTS points of a curve, ends included."""
    chosen = np.unique(np.linspace(0, len(x) - 1, num=min(CURVE_POINTS, len(x)), dtype=int))
    return [(round(float(x[at]), 6), round(float(y[at]), 6)) for at in chosen]


def _confusion(labels: Labels, scores: Scores, runtime: Runtime) -> list[tuple[str, str]]:
    classes = runtime.bundle.manifest.target.classes
    return list(zip((classes[label] for label in labels), runtime.labels(scores), strict=True))


def importance(runtime: Runtime, rows: Any, labels: Labels, *, seed: int) -> list[tuple[str, float]]:
    """Permutation importance (Breiman 2001): by how much ROC AUC falls when a column is shuffled; largest first."""
    roc_auc = METRICS["roc_auc"]
    threshold = runtime.bundle.manifest.binary.threshold
    whole = roc_auc(labels, runtime.score_frame(rows), threshold)
    generator = np.random.default_rng(seed)
    orders = [generator.permutation(len(labels)) for _ in range(SHUFFLES)]
    falls = {}
    for column in runtime.bundle.manifest.inputs:
        shuffled = [rows.with_columns(rows[column.name].gather(order)) for order in orders]
        falls[column.name] = whole - float(np.mean([roc_auc(labels, runtime.score_frame(one), threshold) for one in shuffled]))
    return sorted(((name, round(fall, 6)) for name, fall in falls.items()), key=lambda pair: (-pair[1], pair[0]))


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_atomic(path, text.getvalue().encode())


if __name__ == "__main__":
    run_stage(evaluate)
