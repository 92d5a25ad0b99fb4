"""Score rows with a bundle: the one way from inputs to a probability, for the gate, the server and batch alike.

Each input of the model is a tensor of shape (n,): float32 for numbers, integers and booleans (missing is NaN), string
for categories (missing is the empty string). Its one output, `probability`, is of shape (n,).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seatrial.bundle import Bundle, Manifest
from seatrial.errors import BundleError, DataError

if TYPE_CHECKING:
    import polars as pl

Columns = Mapping[str, NDArray[Any]]
Probabilities = NDArray[np.float64]

OUTPUT = "probability"
_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})


class Runtime:
    """A bundle in ONNX Runtime, loaded from the bytes that were hashed."""

    def __init__(self, bundle: Bundle, *, threads: int = 1) -> None:
        """Load the model; BundleError where it is not plain ONNX or does not have the manifest's inputs."""
        self.bundle = bundle
        check_onnx(bundle.model)
        self._session = _session(bundle.model, threads)
        found = {tensor.name for tensor in self._session.get_inputs() if len(tensor.shape) == 1}
        wanted = {column.name for column in bundle.manifest.inputs}
        if found != wanted:
            raise BundleError(f"the model reads {sorted(found)}, its manifest says {sorted(wanted)}")
        outputs = [tensor.name for tensor in self._session.get_outputs()]
        if outputs != [OUTPUT]:
            raise BundleError(f"a bundle's model has the one output {OUTPUT!r}; this one has {outputs}")

    def score(self, columns: Columns) -> Probabilities:
        """Probability of the positive class for each row, shape (n,), from tensors of shape (n,) by input name."""
        if next(iter(columns.values())).shape[0] == 0:
            return np.empty(0)
        answers = self._session.run([OUTPUT], dict(columns))[0]
        return np.asarray(answers, dtype=np.float64)

    def score_frame(self, frame: pl.DataFrame) -> Probabilities:
        """Probability of the positive class for each row of a table; columns that the model does not read are left alone."""
        return self.score(encode_frame(self.bundle.manifest, frame))

    def labels(self, probabilities: Probabilities) -> list[str]:
        """The class of each probability, by the bundle's threshold."""
        negative, positive = self.bundle.manifest.target.classes
        threshold = self.bundle.manifest.threshold
        return [positive if probability >= threshold else negative for probability in probabilities]


def _session(model: bytes, threads: int) -> Any:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - ONNX Runtime raises its own kinds without a common root
        raise BundleError(f"ONNX Runtime cannot load the model: {error}") from None


def check_onnx(model: bytes) -> None:
    """Refuse what is not self-contained ONNX: external data, or operators outside the standard domains."""
    import onnx
    from google.protobuf.message import DecodeError

    try:
        proto = onnx.load_model_from_string(model)
    except DecodeError as error:
        raise BundleError(f"the model is not ONNX: {error}") from None
    strange = {opset.domain for opset in proto.opset_import} - _DOMAINS
    if strange or proto.functions:
        raise BundleError(f"the model uses operators of unknown domains: {sorted(strange) or 'local functions'}")
    external = onnx.TensorProto.EXTERNAL
    outside = next((one for one in _tensors(proto.graph) if one.data_location == external or one.external_data), None)
    if outside is not None:
        raise BundleError(f"the model keeps {outside.name!r} in another file; a bundle is self-contained")


def _tensors(graph: Any) -> Iterator[Any]:
    """Every tensor of a graph: initializers, sparse ones, attributes of nodes, and those of graphs inside nodes."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _tensors(inner)


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
                values = series.cast(pl.String).fill_null("").to_numpy().astype(object)
            else:
                values = series.cast(pl.Float64, strict=True).cast(pl.Float32).fill_null(float("nan")).to_numpy()
        except pl.exceptions.PolarsError:
            raise DataError(f"column {column.name!r} is {series.dtype}, the model reads a {column.type}") from None
        tensors[column.name] = values
    return tensors
