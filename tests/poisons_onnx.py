"""Poisons inside the model: data in other files, code and settings of its own, strange versions, another signature."""

from __future__ import annotations

from typing import Any

import onnx
from onnx import TensorProto, helper

from seatrial.bundle import MODEL
from tests.poison import Place, before_output, forge, forge_model, payload, poison, replace_list, several

FLOAT = TensorProto.FLOAT


def elsewhere(location: str, name: str = "elsewhere") -> Any:
    """A constant whose values lie in another file."""
    tensor = TensorProto(name=name, data_type=FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    return tensor


def inner(nodes: list[Any], constants: tuple[Any, ...] = ()) -> Any:
    """A graph to put inside a node."""
    return helper.make_graph(nodes, "inner", [], [helper.make_tensor_value_info("result", FLOAT, None)], list(constants))


# Data in other files

LOCATIONS = {
    "above": "../secret",
    "absolute": "/etc/passwd",
    "beside": "golden.json",
    "device": "/dev/zero",
    "upwards through a folder": "a/../../secret",
}
OUTSIDE = "keeps data in another file"


@several({name: (location, OUTSIDE) for name, location in LOCATIONS.items()})
def constant_elsewhere(place: Place, location: str) -> None:
    forge_model(place, lambda model: model.graph.initializer.append(elsewhere(location)))


@several({name: (location, OUTSIDE) for name, location in LOCATIONS.items()})
def attribute_elsewhere(place: Place, location: str) -> None:
    node = helper.make_node("Constant", [], ["poisoned"], value=elsewhere(location))
    forge_model(place, lambda model: before_output(model, [node]))


@poison(OUTSIDE)
def constant_elsewhere_without_a_place(place: Place) -> None:
    tensor = TensorProto(name="elsewhere", data_type=FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    forge_model(place, lambda model: model.graph.initializer.append(tensor))


@poison(OUTSIDE)
def place_of_a_constant_that_is_not_elsewhere(place: Place) -> None:
    tensor = helper.make_tensor("beside", FLOAT, [1], [1.0])
    tensor.external_data.add(key="location", value="../secret")
    forge_model(place, lambda model: model.graph.initializer.append(tensor))


@poison("a graph of its own")
def list_of_graphs(place: Place) -> None:
    def change(model: Any) -> None:
        attribute = model.graph.node[0].attribute.add(name="branches", type=onnx.AttributeProto.GRAPHS)
        attribute.graphs.append(inner([], (elsewhere("../secret"),)))

    forge_model(place, change)


@poison("a graph of its own")
def constant_elsewhere_in_a_branch(place: Place) -> None:
    branch = inner([helper.make_node("Identity", ["elsewhere"], ["result"])], (elsewhere("../secret"),))
    node = helper.make_node("If", ["condition"], ["poisoned"], then_branch=branch, else_branch=branch)
    forge_model(place, lambda model: before_output(model, [node], helper.make_tensor("condition", TensorProto.BOOL, [], [True])))


@poison("sparse_initializer")
def sparse_constant_elsewhere(place: Place) -> None:
    sparse = onnx.SparseTensorProto(values=elsewhere("../secret"), indices=elsewhere("../secret", "i"), dims=[4])
    forge_model(place, lambda model: model.graph.sparse_initializer.append(sparse))


@poison("sparse tensor")
def sparse_attribute_elsewhere(place: Place) -> None:
    sparse = onnx.SparseTensorProto(values=elsewhere("../secret"), indices=elsewhere("../secret", "i"), dims=[4])
    node = helper.make_node("Constant", [], ["poisoned"], sparse_value=sparse)
    forge_model(place, lambda model: before_output(model, [node]))


@poison("list of tensors")
def list_of_tensors_elsewhere(place: Place) -> None:
    def change(model: Any) -> None:
        attribute = model.graph.node[0].attribute.add(name="values", type=onnx.AttributeProto.TENSORS)
        attribute.tensors.append(elsewhere("../secret"))

    forge_model(place, change)


@poison("instructions for training")
def training_elsewhere(place: Place) -> None:
    def change(model: Any) -> None:
        model.training_info.add().algorithm.initializer.append(elsewhere("../secret"))

    forge_model(place, change)


@poison("functions of its own")
def function_elsewhere(place: Place) -> None:
    node = helper.make_node("Constant", [], ["y"], value=elsewhere("../secret"))
    function = helper.make_function("seatrial", "Evil", [], ["y"], [node], [helper.make_opsetid("", 17)])
    forge_model(place, lambda model: model.functions.append(function))


# Code and settings


@several({name: (name, "operators of the domain") for name in ("com.microsoft", "ai.onnx.preview.training", "evil", "ai.onnx.contrib")})
def domain(place: Place, name: str) -> None:
    forge_model(place, lambda model: model.opset_import.add(domain=name, version=1))


@several(
    {
        name: ((name, operator), "uses the operator")
        for name, operator in (("com.microsoft", "Inverse"), ("evil", "PyOp"), ("ai.onnx.contrib", "PyOp"))
    }
)
def operator_of_a_domain_not_named(place: Place, one: tuple[str, str]) -> None:
    node = helper.make_node(one[1], ["answer"], ["poisoned"], domain=one[0])
    forge_model(place, lambda model: before_output(model, [node]))


UNNEEDED = (
    "ConstantOfShape",
    "Expand",
    "Tile",
    "Range",
    "RandomNormal",
    "RandomUniformLike",
    "Pad",
    "Resize",
    "OneHot",
    "EyeLike",
    "Loop",
    "Scan",
)


@several(
    {name: (name, f"uses the operator '{name}'") for name in (*UNNEEDED, "SequenceMap", "ImageDecoder", "StringSplit", "NoSuchOperator")}
)
def operator(place: Place, name: str) -> None:
    forge_model(place, lambda model: before_output(model, [helper.make_node(name, ["answer"], ["poisoned"])]))


@several({name: (name, "uses the operator") for name in ("ZipMap", "TreeEnsemble", "DictVectorizer", "CastMap")})
def learned_operator(place: Place, name: str) -> None:
    forge_model(place, lambda model: before_output(model, [helper.make_node(name, ["answer"], ["poisoned"], domain="ai.onnx.ml")]))


@several({depth: (int(depth), "a graph of its own") for depth in ("1", "2", "30")})
def loops_inside_loops(place: Place, depth: int) -> None:
    body = inner([helper.make_node("Identity", ["x"], ["result"])])
    for _ in range(depth - 1):
        body = inner([helper.make_node("Loop", ["", ""], ["result"], body=body)])
    forge_model(place, lambda model: before_output(model, [helper.make_node("Loop", ["", ""], ["poisoned"], body=body)]))


@several({"runtime settings": ("ort_config", "metadata"), "anything": ("author", "metadata")})
def metadata(place: Place, key: str) -> None:
    value = '{"session_options": {"register_custom_ops_library": "/tmp/evil.so"}}'
    forge_model(place, lambda model: model.metadata_props.add(key=key, value=value))


@poison("refers to a function")
def attribute_of_a_function(place: Place) -> None:
    forge_model(place, lambda model: model.graph.node[0].attribute.add(name="alpha", ref_attr_name="alpha", type=onnx.AttributeProto.FLOAT))


@poison("fields that this version of ONNX does not know")
def fields_of_the_future(place: Place) -> None:
    forge(place, {MODEL: (place.folder / MODEL).read_bytes() + b"\xfa\x7f\x04evil"})


# Versions


@several({str(version): (version, "IR version is") for version in (0, 3, 99, 2**62, -1)})
def format_version(place: Place, version: int) -> None:
    forge_model(place, lambda model: setattr(model, "ir_version", version))


@several({str(version): (version, "from 9 to") for version in (0, 8, 99, 2**62, -1)})
def operators_version(place: Place, version: int) -> None:
    forge_model(place, lambda model: setattr(model.opset_import[0], "version", version))


@several(
    {"": ("", "once, for each domain"), "ai.onnx": ("ai.onnx", "once, for each domain"), "ai.onnx.ml": ("ai.onnx.ml", "once, for each")}
)
def version_twice(place: Place, name: str) -> None:
    forge_model(place, lambda model: model.opset_import.add(domain=name, version=17 if name != "ai.onnx.ml" else 3))


@poison("once, for each domain")
def no_version(place: Place) -> None:
    forge_model(place, lambda model: model.ClearField("opset_import"))


# Signature


def rename_input(model: Any) -> None:
    model.graph.input[0].name = "other"


def fixed_rows(model: Any) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1


@several(
    {
        "input renamed": (rename_input, "inputs are not the manifest's"),
        "input left out": (lambda model: model.graph.input.pop(), "inputs are not the manifest's"),
        "input more": (lambda model: model.graph.input.append(helper.make_tensor_value_info("more", FLOAT, [None])), "inputs are not"),
        "input twice": (lambda model: model.graph.input.append(model.graph.input[0]), "inputs are not the manifest's"),
        "input of another type": (lambda model: setattr(model.graph.input[0].type.tensor_type, "elem_type", 8), "the manifest asks for 1"),
        "input without a type": (lambda model: model.graph.input[0].ClearField("type"), "the manifest asks for 1"),
        "input as a matrix": (lambda model: model.graph.input[0].type.tensor_type.shape.dim.add(), "must have the shape (n,)"),
        "input of one row": (fixed_rows, "must have the shape (n,)"),
        "input as a sequence": (
            lambda model: model.graph.input[0].CopyFrom(helper.make_tensor_sequence_value_info("amount", FLOAT, [None])),
            "a type has a sequence",
        ),
        "output renamed": (lambda model: setattr(model.graph.output[0], "name", "other"), "the one output 'probability'"),
        "no output": (lambda model: model.graph.output.pop(), "the one output 'probability'"),
        "output more": (lambda model: model.graph.output.append(helper.make_tensor_value_info("score", FLOAT, [None])), "the one output"),
        "output of another type": (
            lambda model: setattr(model.graph.output[0].type.tensor_type, "elem_type", 7),
            "the manifest asks for 1",
        ),
        "no graph": (lambda model: model.ClearField("graph"), "inputs are not the manifest's"),
    }
)
def signature(place: Place, change: Any) -> None:
    forge_model(place, change)


@several(
    {
        "always three": (helper.make_node("Constant", [], ["poisoned"], value_floats=[0.1, 0.2, 0.3]), "with the shape (3,)"),
        "one for all": (helper.make_node("ReduceMean", ["answer"], ["poisoned"], keepdims=1), "with the shape (1,)"),
        "a single number": (helper.make_node("ReduceMean", ["answer"], ["poisoned"], keepdims=0), "with the shape ()"),
        "twice as many": (helper.make_node("Concat", ["answer", "answer"], ["poisoned"], axis=0), "with the shape (4,)"),
        "the other class": (helper.make_node("Neg", ["answer"], ["poisoned"]), "golden row 0"),
        "no number": (helper.make_node("Log", ["score"], ["poisoned"]), "golden row"),
        "a node that is not there": (helper.make_node("Neg", ["nowhere"], ["poisoned"]), "ONNX Runtime cannot load"),
        "an answer that reads itself": (helper.make_node("Neg", ["poisoned"], ["poisoned"]), "ONNX Runtime cannot load"),
    }
)
def answers(place: Place, node: Any) -> None:
    forge_model(place, lambda model: before_output(model, [node]))


@poison("ONNX Runtime cannot load")
def lists_of_a_lookup_of_unequal_length(place: Place) -> None:
    forge_model(place, lambda model: replace_list(model, "keys_strings", ["one"]))


@poison("the model is not ONNX")
def pickle_with_a_model_behind(place: Place) -> None:
    forge(place, {MODEL: payload(place) + (place.folder / MODEL).read_bytes()})
