"""Score rows with a bundle: the one way from inputs to answers, for the gate, the server and batch alike.

Each input of the model is a tensor of shape (n,): float32 for numbers, integers and booleans (missing is NaN), string
for categories (missing is the empty string). Its one output is, by task, `probability` of shape (n,), `probabilities` of
shape (n, classes) or `value` of shape (n,). The model is checked before ONNX Runtime sees it, computes within a limit of
memory, and must answer two rows in time before it is asked anything else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seatrial.bundle import Bundle, Manifest
from seatrial.errors import BundleError, DataError
from seatrial.onnx_checks import OUTPUTS, answer_shape, check_onnx

if TYPE_CHECKING:
    import polars as pl

Columns = Mapping[str, NDArray[Any]]
Probabilities = NDArray[np.float64]
"""A model's answers, shape (n,) or (n, classes): probabilities, or the values of a regression."""

MAX_WORK_BYTES = 512 * 2**20
"""Memory that the tensors of all models in this process may take together, constants included."""

MAX_ROWS = 4_096
"""Rows that the model is given at once: more are scored in parts, so that memory does not grow with the table."""

TRIAL_SECONDS = 3.0


Check = Callable[[Bundle], None]
"""Raises BundleError for a bundle whose model may not come before ONNX Runtime."""


def check_model(bundle: Bundle) -> None:
    """The check itself, in this process."""
    check_onnx(bundle.model, bundle.manifest)


class Runtime:
    """A bundle in ONNX Runtime, loaded from the bytes that were hashed."""

    def __init__(self, bundle: Bundle, *, threads: int = 1, check: Check = check_model) -> None:
        """Load the model; BundleError where `check` refuses it, it cannot be loaded, or does not answer two rows."""
        self.bundle = bundle
        self._output, self._shape = OUTPUTS[bundle.manifest.task], answer_shape(bundle.manifest)
        check(bundle)
        self._session = _session(bundle.model, threads)
        self._try()

    def score(self, columns: Columns) -> Probabilities:
        """The answer to each row, from tensors of shape (n,) by input name.

        By task: probability of the positive class, shape (n,); probability of each class, shape (n, classes); value, shape
        (n,). Raises BundleError where the model gives another shape, or asks for more memory than it may.
        """
        rows = next(iter(columns.values())).shape[0]
        if rows <= MAX_ROWS:
            return self._run(dict(columns), rows) if rows else np.empty((0, *self._shape))
        starts = range(0, rows, MAX_ROWS)
        parts = ({name: values[start : start + MAX_ROWS] for name, values in columns.items()} for start in starts)
        return np.concatenate([self._run(part, min(MAX_ROWS, rows - start)) for part, start in zip(parts, starts, strict=True)])

    def score_frame(self, frame: pl.DataFrame) -> Probabilities:
        """The answer to each row of a table, as `score` gives it; columns that the model does not read are left alone."""
        return self.score(encode_frame(self.bundle.manifest, frame))

    def labels(self, answers: Probabilities) -> list[str]:
        """The class of each answer: by the bundle's threshold, or the likeliest of several; BundleError for a regression."""
        manifest = self.bundle.manifest
        if manifest.task == "multiclass":
            return [manifest.target.classes[at] for at in answers.argmax(axis=1)]
        negative, positive, threshold = manifest.binary
        names: list[str] = np.array([negative, positive], dtype=object)[(answers >= threshold).astype(np.intp)].tolist()
        return names

    def _run(self, tensors: dict[str, NDArray[Any]], rows: int, options: Any = None) -> Probabilities:
        try:
            answers = self._session.run([self._output], tensors, options)[0]
        except Exception as error:  # noqa: BLE001 - ONNX Runtime raises its own kinds without a common root
            raise BundleError(f"the model cannot answer: {_first_words(error)}") from None
        if answers.shape != (rows, *self._shape):
            raise BundleError(f"the model answers {rows} rows with the shape {answers.shape}, not {(rows, *self._shape)}")
        return np.asarray(answers, dtype=np.float64)

    def _try(self) -> None:
        """Two rows of missing values, within a time: the answer's shape is known only once there is one."""
        import onnxruntime as ort

        missing = {"category": np.array(["", ""], dtype=object)}
        number = np.full(2, np.nan, dtype=np.float32)
        options = ort.RunOptions()
        timer = threading.Timer(TRIAL_SECONDS, setattr, (options, "terminate", True))
        timer.start()
        try:
            self._run({column.name: missing.get(column.type, number) for column in self.bundle.manifest.inputs}, 2, options)
        finally:
            timer.cancel()


def _session(model: bytes, threads: int) -> Any:
    import onnxruntime as ort

    _limit_memory()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.use_env_allocators", "1")
    try:
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - ONNX Runtime raises its own kinds without a common root
        raise BundleError(f"ONNX Runtime cannot load the model: {_first_words(error)}") from None


@cache
def _limit_memory() -> None:
    """Give ONNX Runtime one pool for this process, which ends at a limit: a model that asks for more gets an error at once."""
    import onnxruntime as ort

    place = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    ort.create_and_register_allocator(place, ort.OrtArenaCfg({"max_mem": MAX_WORK_BYTES}))


def _first_words(error: Exception) -> str:
    """ONNX Runtime's message without its stack trace."""
    return str(error).splitlines()[0][:300]


def encode_frame(manifest: Manifest, frame: pl.DataFrame) -> dict[str, NDArray[Any]]:
    """The model's tensors from a table; DataError names a column that is missing or of another type."""
    import polars as pl

    missing = [column.name for column in manifest.inputs if column.name not in frame.columns]
    if missing:
        raise DataError(f"the table has no column {', '.join(map(repr, missing))}, which the model reads")
    tensors: dict[str, NDArray[Any]] = {}
    for column in manifest.inputs:
        series = frame.get_column(column.name)
        try:
            if column.type == "category":
                values = _strings(series)
            else:
                values = series.cast(pl.Float64, strict=True).cast(pl.Float32).fill_null(float("nan")).to_numpy()
        except pl.exceptions.PolarsError:
            raise DataError(f"column {column.name!r} is {series.dtype}, the model reads a {column.type}") from None
        tensors[column.name] = values
    return tensors


def _strings(series: pl.Series) -> NDArray[Any]:
    """Categories as objects, missing ones as empty strings; those of an enumeration share one string each, made but once."""
    import polars as pl

    if not isinstance(series.dtype, pl.Enum):
        return series.cast(pl.String).fill_null("").to_numpy().astype(object)
    names = np.array([*series.dtype.categories, ""], dtype=object)
    return names.take(series.to_physical().cast(pl.Int64).fill_null(-1).to_numpy())
