"""Score rows with a bundle: the one way from inputs to answers, for the gate, the server and batch alike.

Each input of a bundle's model is a tensor of shape (n,): float32 for numbers, integers and booleans (missing is NaN), string
for categories (missing is the empty string). Its one output is, by task, `probability` of shape (n,), `probabilities` of
shape (n, classes) or `value` of shape (n,). The model is checked before ONNX Runtime sees it, and gets its columns as two
blocks; it computes within a limit of memory, and must answer two rows in time before it is asked anything else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seatrial.bundle import Bundle, Manifest
from seatrial.errors import BundleError, DataError
from seatrial.onnx_checks import OUTPUTS, answer_shape, check_onnx
from seatrial.onnx_inputs import CODES, Codes, columns_of_blocks, join_inputs

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

KINDS = {"tensor(float)": "numbers", "tensor(string)": "categories", "tensor(int64)": "categories"}
"""ONNX Runtime's name of an input's type: the block that it takes."""


class Blocks(NamedTuple):
    """Rows as the model takes them: the numbers of all columns as one tensor, their categories as another.

    `numbers` is float32 of shape (columns of numbers * rows,), column after column in the manifest's order; `categories` holds
    strings in the same way, or their codes as int64.
    """

    rows: int
    numbers: NDArray[np.float32]
    categories: NDArray[Any]

    def taken(self, chosen: slice | NDArray[np.intp]) -> Blocks:
        """Some of the rows: those of a slice, or those with these numbers; there must be rows."""
        numbers, categories = (block.reshape(-1, self.rows)[:, chosen] for block in (self.numbers, self.categories))
        return Blocks(numbers.shape[1], numbers.ravel(), categories.ravel())


Check = Callable[[Bundle], bytes]
"""Gives a bundle's model as ONNX Runtime gets it; raises BundleError for one that may not come before it."""


def check_model(bundle: Bundle) -> bytes:
    """The check itself, in this process."""
    proto = check_onnx(bundle.model, bundle.manifest)
    join_inputs(proto, bundle.manifest.inputs)
    return bytes(proto.SerializeToString())


class Runtime:
    """A bundle in ONNX Runtime, loaded from the bytes that were hashed."""

    def __init__(self, bundle: Bundle, *, threads: int = 1, check: Check = check_model) -> None:
        """Load the model; BundleError where `check` refuses it, it cannot be loaded, or does not answer two rows.

        `codes` are the numbers that it takes for categories, None where it takes strings.
        """
        self.bundle = bundle
        self._output, self._shape = OUTPUTS[bundle.manifest.task], answer_shape(bundle.manifest)
        self._session = _session(check(bundle), threads)
        self._inputs = [(one.name, KINDS[one.type]) for one in self._session.get_inputs()]
        codes = self._session.get_modelmeta().custom_metadata_map.get(CODES)
        self.codes = None if codes is None else Codes.read(codes)
        self._try()

    def blocks(self, rows: int, numbers: Sequence[Any], categories: Sequence[str]) -> Blocks:
        """What the model takes, of the values of the inputs of either kind, column after column, `rows` of each."""
        if self.codes is None:
            taken = np.array(categories, dtype=object)
        else:
            taken = np.fromiter(map(self.codes.__getitem__, categories), np.int64, len(categories))
        return Blocks(rows, np.array(numbers, dtype=np.float32), taken)

    def score(self, blocks: Blocks) -> Probabilities:
        """The answer to each row.

        By task: probability of the positive class, shape (n,); probability of each class, shape (n, classes); value, shape
        (n,). Raises BundleError where the model gives another shape, or asks for more memory than it may.
        """
        if blocks.rows <= MAX_ROWS:
            return self._run(blocks) if blocks.rows else np.empty((0, *self._shape))
        starts = range(0, blocks.rows, MAX_ROWS)
        return np.concatenate([self._run(blocks.taken(slice(start, start + MAX_ROWS))) for start in starts])

    def score_frame(self, frame: pl.DataFrame) -> Probabilities:
        """The answer to each row of a table, as `score` gives it; columns that the model does not read are left alone."""
        manifest = self.bundle.manifest
        return self.score(as_blocks(manifest, encode_frame(manifest, frame, self.codes), frame.height))

    def labels(self, answers: Probabilities) -> list[str]:
        """The class of each answer: by the bundle's threshold, or the likeliest of several; BundleError for a regression."""
        manifest = self.bundle.manifest
        if manifest.task == "multiclass":
            return [manifest.target.classes[at] for at in answers.argmax(axis=1)]
        negative, positive, threshold = manifest.binary
        names: list[str] = np.array([negative, positive], dtype=object)[(answers >= threshold).astype(np.intp)].tolist()
        return names

    def _run(self, blocks: Blocks, options: Any = None) -> Probabilities:
        try:
            answers = self._session.run([self._output], {name: getattr(blocks, kind) for name, kind in self._inputs}, options)[0]
        except Exception as error:  # noqa: BLE001 - ONNX Runtime raises its own kinds without a common root
            raise BundleError(f"the model cannot answer: {_first_words(error)}") from None
        wanted = (blocks.rows, *self._shape)
        if answers.shape != wanted:
            raise BundleError(f"the model answers {blocks.rows} rows with the shape {answers.shape}, not {wanted}")
        return np.asarray(answers, dtype=np.float64)

    def _try(self) -> None:
        """Two rows of missing values, within a time: the answer's shape is known only once there is one."""
        import onnxruntime as ort

        numbers, categories = columns_of_blocks(self.bundle.manifest.inputs)
        blocks = self.blocks(2, 2 * len(numbers) * [np.nan], 2 * len(categories) * [""])
        options = ort.RunOptions()
        timer = threading.Timer(TRIAL_SECONDS, setattr, (options, "terminate", True))
        timer.start()
        try:
            self._run(blocks, options)
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


def as_blocks(manifest: Manifest, columns: Columns, rows: int) -> Blocks:
    """The rows of tensors of shape (rows,) by input."""
    numbers, categories = ([columns[name] for name in names] for names in columns_of_blocks(manifest.inputs))
    return Blocks(rows, np.concatenate(numbers or [_NO_NUMBERS]), np.concatenate(categories or [_NO_CATEGORIES]))


_NO_NUMBERS = np.empty(0, dtype=np.float32)
_NO_CATEGORIES = np.empty(0, dtype=object)


def encode_frame(manifest: Manifest, frame: pl.DataFrame, codes: Codes | None = None) -> dict[str, NDArray[Any]]:
    """A tensor of shape (n,) for each input from a table; DataError names a column that is missing or of another type.

    Categories are strings, or what `codes` says for them.
    """
    import polars as pl

    missing = [column.name for column in manifest.inputs if column.name not in frame.columns]
    if missing:
        raise DataError(f"the table has no column {', '.join(map(repr, missing))}, which the model reads")
    tensors: dict[str, NDArray[Any]] = {}
    for column in manifest.inputs:
        series = frame.get_column(column.name)
        try:
            if column.type == "category":
                values = _strings(series) if codes is None else _coded(series, codes)
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
    return _enumerated(series, np.array([*series.dtype.categories, ""], dtype=object))


def _coded(series: pl.Series, codes: Codes) -> NDArray[np.int64]:
    """The codes of categories, missing ones as that of the empty string."""
    import polars as pl

    if isinstance(series.dtype, pl.Enum):
        return _enumerated(series, np.array([codes[name] for name in (*series.dtype.categories, "")], dtype=np.int64))
    return series.cast(pl.String).fill_null("").replace_strict(codes, default=codes.other, return_dtype=pl.Int64).to_numpy()


def _enumerated(series: pl.Series, taken: NDArray[Any]) -> NDArray[Any]:
    """What is taken for each value of an enumeration, last of all for a missing one."""
    import polars as pl

    return taken.take(series.to_physical().cast(pl.Int64).fill_null(-1).to_numpy())
