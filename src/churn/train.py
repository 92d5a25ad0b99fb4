"""Stage `train`: fit the pipeline, find its threshold, write the bundle."""

from __future__ import annotations

import warnings
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from churn.features import build_pipeline, model_inputs
from churn.graph import to_onnx
from seatrial.analysis import dump_skops
from seatrial.bundle import ANALYSIS, GOLDEN, MODEL, PROFILE, TRAINED_ON, Bundle, Input, Manifest, Target, Training, write_bundle
from seatrial.contract import features, load_contract
from seatrial.errors import BundleError, DataError, ParamsError
from seatrial.files import md5_of, pretty_json, sha256_bytes
from seatrial.live_profile import training_profile
from seatrial.matrix import design_matrix
from seatrial.params import Train
from seatrial.project import Project
from seatrial.row_hashes import row_hashes, write_row_hashes
from seatrial.serving.runtime import Runtime
from seatrial.stages import read_rows, run_stage

if TYPE_CHECKING:
    import polars as pl
    from sklearn.pipeline import Pipeline

FOLDS = 5
GOLDEN_ROWS = 16
TOLERANCE = 1e-5
LIBRARIES = ("numpy", "onnx", "onnxruntime", "scikit-learn", "skl2onnx")


def train(project: Project) -> None:
    """Fit on the training rows and write `artifacts/model`; the held-out rows only prove that ONNX answers as scikit-learn does."""
    from threadpoolctl import threadpool_limits

    settings = project.settings
    if settings.model.task != "binary":
        raise ParamsError((f"params.yaml: model.task: {settings.model.task!r} is not trained by this pipeline; it trains binary models",))
    rows, held_out = read_rows(project.train_data), read_rows(project.test_data)
    columns = features(load_contract(project.contract), settings.data)
    inputs = model_inputs(rows, columns)
    matrix, labels = design_matrix(rows, inputs), labels_of(rows, project)
    # A sum of floats depends on how many threads share it, so their number is a parameter and not the machine's.
    with threadpool_limits(limits=settings.train.threads), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*unknown categories.*", category=UserWarning)
        threshold = choose_threshold(settings.train, inputs, matrix, labels)
        pipeline = build_pipeline(inputs, settings.train).fit(matrix, labels)
        expected = pipeline.predict_proba(design_matrix(held_out, inputs))[:, 1]
    manifest = _manifest(project, rows, inputs, threshold)
    digest = write_checked(project, pipeline, manifest, held_out, expected, learned=rows)
    print(f"train: {settings.train.estimator} on {rows.height} rows, threshold {threshold}, bundle {digest}")


def write_checked(
    project: Project,
    pipeline: Pipeline,
    manifest: Manifest,
    held_out: pl.DataFrame,
    expected: NDArray[np.float64],
    *,
    learned: pl.DataFrame,
) -> str:
    """Write the bundle once its ONNX gives scikit-learn's answer on every held-out row; BundleError where one differs.

    `learned` are the rows that the pipeline was fitted on: their hashes and their profile go with the bundle.
    """
    onnx = to_onnx(pipeline, manifest.inputs)
    found = _score(manifest, onnx, held_out)
    difference = float(np.abs(found - expected).max())
    if not difference <= TOLERANCE:
        raise BundleError(f"the ONNX model differs from scikit-learn by {difference:.2g} on the held-out rows, more than {TOLERANCE:g}")
    golden = golden_rows(manifest.inputs, held_out, found)
    came = np.asarray(held_out[manifest.target.name].cast(str) == manifest.binary.positive)
    profile = training_profile(learned, manifest.inputs, segments=manifest.groups, answers=found, positive=came)
    files = {
        MODEL: onnx,
        ANALYSIS: dump_skops(pipeline),
        GOLDEN: pretty_json(golden),
        TRAINED_ON: write_row_hashes(row_hashes(learned, manifest)),
        PROFILE: profile.to_bytes(),
    }
    return write_bundle(project.bundle, manifest, files)


def labels_of(rows: pl.DataFrame, project: Project) -> NDArray[np.int64]:
    """Whether each row is of the positive class, as 0 and 1, shape (n,)."""
    data = project.settings.data
    return np.asarray(rows[data.target].cast(str) == positive_class(project, rows), dtype=np.int64)


def positive_class(project: Project, rows: pl.DataFrame) -> str:
    """The positive class as a string: `data.positive`, or the last of the classes in order where it is not given."""
    return target_of(project, rows).classes[1]


def target_of(project: Project, rows: pl.DataFrame) -> Target:
    """The target's two classes, negative first."""
    data = project.settings.data
    classes = sorted(str(value) for value in rows[data.target].cast(str).unique())
    positive = classes[-1] if data.positive is None else _as_string(data.positive)
    if len(classes) != 2 or positive not in classes:
        raise DataError(
            f"column {data.target!r} holds {', '.join(map(repr, classes[:5]))}: a binary target has two classes, one of them {positive!r}",
            hint="mend data.target or data.positive in params.yaml",
        )
    negative = next(value for value in classes if value != positive)
    return Target(name=data.target, classes=(negative, positive), positive=positive)


def _as_string(value: str | bool | int) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def choose_threshold(settings: Train, inputs: tuple[Input, ...], matrix: Any, labels: NDArray[np.int64]) -> float:
    """`train.threshold`, or the one with the best F1 on cross-validated scores of the training rows."""
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    if settings.threshold != "f1":
        return float(settings.threshold)
    folds = StratifiedKFold(min(FOLDS, int(np.bincount(labels).min())), shuffle=True, random_state=settings.seed)
    scores = cross_val_predict(build_pipeline(inputs, settings), matrix, labels, cv=folds, method="predict_proba")[:, 1]
    return best_f1_threshold(labels, scores)


def best_f1_threshold(labels: NDArray[np.int64], scores: NDArray[np.float64]) -> float:
    """The threshold, of 0.01, 0.02, … 0.99, with the highest F1; of equals the middle one."""
    grid = np.arange(1, 100) / 100
    predicted = scores[None, :] >= grid[:, None]
    hits = (predicted & (labels == 1)).sum(axis=1)
    f1 = 2 * hits / (predicted.sum(axis=1) + labels.sum())
    best = np.flatnonzero(f1 == f1.max())
    return float(grid[best[len(best) // 2]])


def _manifest(project: Project, rows: pl.DataFrame, inputs: tuple[Input, ...], threshold: float) -> Manifest:
    settings = project.settings
    return Manifest(
        inputs=tuple(column for column in inputs if column.type != "category" or column.categories),
        target=target_of(project, rows),
        threshold=threshold,
        id=settings.data.id,
        groups=settings.data.groups,
        training=Training(
            data=md5_of(project.train_data),
            held_out=md5_of(project.test_data),
            rows=rows.height,
            estimator=settings.train.estimator,
            params=settings.train.to_dict(),
        ),
        libraries={name: version(name) for name in LIBRARIES},
        files={MODEL: ""},  # write_bundle fills these in
    )


def _score(manifest: Manifest, onnx: bytes, rows: pl.DataFrame) -> NDArray[np.float64]:
    bundle = Bundle(manifest=manifest, digest=sha256_bytes(onnx), files={MODEL: onnx})
    return Runtime(bundle).score_frame(rows)


def golden_rows(inputs: tuple[Input, ...], rows: pl.DataFrame, probabilities: NDArray[np.float64]) -> list[dict[str, Any]]:
    """Rows spread over the held-out table, with the answer that the model gives: what a server must repeat before it serves."""
    chosen = np.unique(np.linspace(0, rows.height - 1, num=min(GOLDEN_ROWS, rows.height), dtype=int))
    records = rows.select([column.name for column in inputs])[chosen.tolist()].to_dicts()
    return [{"row": record, "probability": round(float(probabilities[at]), 6)} for record, at in zip(records, chosen, strict=True)]


if __name__ == "__main__":
    run_stage(train)
