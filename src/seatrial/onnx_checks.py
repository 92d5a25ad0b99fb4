"""ONNX looked at before a runtime sees it: self-contained, plain operators, honest sizes, the inputs of its manifest.

Operators are those that pipelines of tables are made of. What makes much of little (Loop, Expand, ConstantOfShape, Tile,
Range …), keeps state or draws random numbers is not among them. What the operators left can still do to memory is bounded
twice: constants are counted here, because ONNX Runtime computes them at load outside any limit; the rest by the limit that
`Runtime` sets on ONNX Runtime's own memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from seatrial.errors import BundleError
from seatrial.onnx_outline import check_outline
from seatrial.onnx_trees import tree_problems

if TYPE_CHECKING:
    from seatrial.manifest import Manifest


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


OUTPUT = "probability"
OUTPUTS = {"binary": OUTPUT, "multiclass": "probabilities", "regression": "value"}
"""The one output of a bundle's model for each task: shape (n,), of multiclass (n, classes)."""

IR_VERSIONS = range(4, 15)
OPSETS = {"": range(9, 29), "ai.onnx.ml": range(1, 6)}
MAX_ELEMENTS = 2**23
"""Of one constant, given or computed from others."""

ELEMENTWISE = _words(
    "Abs Acos Acosh Add And Asin Asinh Atan Atanh Cast Ceil Clip Cos Cosh Div Elu Equal Erf Exp Floor Greater GreaterOrEqual"
    " HardSigmoid HardSwish Identity IsInf IsNaN LeakyRelu Less LessOrEqual Log Max Mean Min Mod Mul Neg Not Or Pow PRelu"
    " Reciprocal Relu Round Selu Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Sub Sum Tan Tanh ThresholdedRelu Where Xor"
)
SHAPING = _words(
    "ArgMax ArgMin Compress Concat Constant CumSum Flatten Gather GatherElements GatherND Gemm LogSoftmax Hardmax MatMul"
    " ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Reshape"
    " Shape Size Slice Softmax Split Squeeze StringConcat StringNormalizer TfIdfVectorizer TopK Transpose Unsqueeze"
)
LEARNED = _words(
    "ArrayFeatureExtractor Binarizer FeatureVectorizer Imputer LabelEncoder LinearClassifier LinearRegressor Normalizer"
    " OneHotEncoder Scaler SVMClassifier SVMRegressor TreeEnsembleClassifier TreeEnsembleRegressor"
)
SHRINKING = _words(
    "ArgMax ArgMin CumSum Flatten LogSoftmax ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum Reshape Shape Size Slice Softmax"
    " Split Squeeze TopK Transpose Unsqueeze"
)
"""Operators that give no more values than their first input has."""

OPERATORS: Mapping[str, frozenset[str]] = {"": ELEMENTWISE | SHAPING, "ai.onnx.ml": LEARNED}

_FLOAT, _STRING = 1, 8
_STORED = {
    _FLOAT: ("float_data", 4),
    2: ("int32_data", 1),
    3: ("int32_data", 1),
    5: ("int32_data", 2),
    6: ("int32_data", 4),
    7: ("int64_data", 8),
    _STRING: ("string_data", 0),
    9: ("int32_data", 1),
    11: ("double_data", 8),
}
"""ONNX's number of a type: where its values are stored when they are not raw, and the bytes of one raw value."""


def check_onnx(model: bytes, manifest: Manifest) -> Any:
    """The model as `onnx.ModelProto`; refuses, with a BundleError, what is not plain ONNX for this manifest. No session is made."""
    check_outline(model)
    import onnx
    from google.protobuf.message import DecodeError

    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(model)
    except DecodeError as error:
        raise BundleError(f"the model is not ONNX: {error}") from None
    problem = next(_problems(proto, manifest), None)
    if problem is not None:
        raise BundleError(f"the model is refused: {problem}")
    return proto


def _problems(proto: Any, manifest: Manifest) -> Iterator[str]:
    yield from _version_problems(proto)
    known = proto.ByteSize()
    proto.DiscardUnknownFields()
    if proto.ByteSize() != known:
        yield "it has fields that this version of ONNX does not know"
    yield from _signature_problems(proto.graph, manifest)
    for node in proto.graph.node:
        yield from _node_problems(node)
    for tensor in proto.graph.initializer:
        yield from _tensor_problems(tensor)
    yield from _constant_problems(proto.graph)


def _version_problems(proto: Any) -> Iterator[str]:
    if proto.ir_version not in IR_VERSIONS:
        yield f"its IR version is {proto.ir_version}; from {IR_VERSIONS.start} to {IR_VERSIONS.stop - 1} are known"
    domains = [_domain(one) for one in proto.opset_import]
    for one, domain in zip(proto.opset_import, domains, strict=True):
        known = OPSETS.get(domain)
        if known is None:
            yield f"it uses operators of the domain {one.domain[:80]!r}; only ai.onnx and ai.onnx.ml are known"
        elif one.version not in known:
            yield f"it uses version {one.version} of {domain or 'ai.onnx'}; from {known.start} to {known.stop - 1} are known"
    if len(set(domains)) < len(domains) or "" not in domains:
        yield "it must say once, for each domain, which version it uses"


def _domain(one: Any) -> str:
    return "" if one.domain == "ai.onnx" else str(one.domain)


def _signature_problems(graph: Any, manifest: Manifest) -> Iterator[str]:
    """Inputs and outputs against the manifest: names, types, and one free dimension each."""
    found = [value.name for value in graph.input]
    wanted = {column.name: _STRING if column.type == "category" else _FLOAT for column in manifest.inputs}
    if sorted(found) != sorted(wanted):
        different = sorted({*found} ^ {*wanted}) or sorted(name for name in wanted if found.count(name) > 1)
        yield f"its inputs are not the manifest's: {', '.join(map(ascii, different[:5]))}"
        return
    output = OUTPUTS[manifest.task]
    if [value.name for value in graph.output] != [output]:
        yield f"a bundle's model has the one output {output!r}; this one has {[value.name[:80] for value in graph.output[:5]]}"
    for value in (*graph.input, *graph.output):
        kind, expected = value.type.tensor_type, wanted.get(value.name, _FLOAT)
        if kind.elem_type != expected:
            yield f"{value.name!r} holds type {kind.elem_type} of ONNX, the manifest asks for {expected}"
        width = answer_shape(manifest) if value.name == output else ()
        if _sizes(kind) != (None, *width):
            yield f"{value.name!r} must have the shape (n, {width[0]})" if width else f"{value.name!r} must have the shape (n,)"
    if {tensor.name for tensor in graph.initializer} & {*found, output}:
        yield "a constant has the name of an input or of the output"


def answer_shape(manifest: Manifest) -> tuple[int, ...]:
    """The shape of the answer to one row: one number, or one probability for each class of a multiclass task."""
    return (len(manifest.target.classes),) if manifest.task == "multiclass" else ()


def _sizes(kind: Any) -> tuple[int | None, ...]:
    """The declared sizes of a tensor, None where one is free."""
    return tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in kind.shape.dim)


def _node_problems(node: Any) -> Iterator[str]:
    domain = _domain(node)
    if node.op_type not in OPERATORS.get(domain, ()):
        yield f"it uses the operator {f'{node.domain}.{node.op_type}'.lstrip('.')[:100]!r}, which no pipeline of a table needs"
    for attribute in node.attribute:
        if attribute.ref_attr_name:
            yield f"the attribute {attribute.name[:80]!r} refers to a function"
        if attribute.HasField("t"):
            yield from _tensor_problems(attribute.t)
    if node.op_type.startswith("TreeEnsemble"):
        yield from tree_problems({attribute.name: attribute for attribute in node.attribute})


def _tensor_problems(tensor: Any) -> Iterator[str]:
    """A constant's declared shape against the values that it holds."""
    name = ascii(tensor.name[:80])
    if tensor.data_location:
        yield f"the constant {name} keeps data in another file; a bundle is self-contained"
    if tensor.data_type not in _STORED:
        yield f"the constant {name} is of type {tensor.data_type} of ONNX, which no table has"
        return
    if len(tensor.dims) > 8 or any(size < 0 for size in tensor.dims) or math.prod(tensor.dims) > MAX_ELEMENTS:
        yield f"the constant {name} declares the shape {list(tensor.dims)[:9]}, more than {MAX_ELEMENTS} values or none"
    field, width = _STORED[tensor.data_type]
    fields = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data", "raw_data")
    given = {one: len(getattr(tensor, one)) for one in fields if len(getattr(tensor, one))}
    count = math.prod(tensor.dims)
    honest = ({field: count}, {"raw_data": count * width}) if count else ({},)
    if given not in honest:
        yield f"the constant {name} declares {count} values and holds {given}"


def _constant_problems(graph: Any) -> Iterator[str]:
    """Bound, node by node, what is computed from constants alone: never more values than all its inputs allow together."""
    sizes = {tensor.name: math.prod(tensor.dims) for tensor in graph.initializer}
    for node in graph.node:
        inputs = [name for name in node.input if name]
        if not all(name in sizes for name in inputs):
            continue
        if node.op_type in LEARNED - {"LabelEncoder"} or node.op_type == "TfIdfVectorizer":
            yield f"{node.op_type} is computed from constants alone"
        size = _computed_size(node, [sizes[name] for name in inputs])
        if size > MAX_ELEMENTS:
            yield f"from constants alone, {node.op_type} may make {size:.3g} values, more than {MAX_ELEMENTS}"
        sizes.update(dict.fromkeys(node.output, size))


def _computed_size(node: Any, sizes: list[int]) -> int:
    if node.op_type == "Constant":
        return max((math.prod(one.t.dims) + len(one.floats) + len(one.ints) + len(one.strings) + 1 for one in node.attribute), default=0)
    if node.op_type in ("Concat", "StringConcat"):
        return sum(sizes)
    if node.op_type in SHRINKING:
        return sizes[0]
    return math.prod(max(size, 1) for size in sizes)
