import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from seatrial.bundle import Input, Training
from seatrial.manifest import Manifest
from seatrial.onnx_checks import check_onnx
from seatrial.onnx_inputs import CODES, Codes, join_inputs
from tests.bundles import TARGET

NUMBERS, CATEGORIES = ("amount", "visits", "age"), ("colour", "plan")
KINDS = {**dict.fromkeys(NUMBERS, "number"), **dict.fromkeys(CATEGORIES, "category")}
WORDS = ("blue", "green", "")


def manifest(*names):
    return Manifest(
        inputs=tuple(Input(name=name, type=KINDS.get(name, "number"), nullable=True) for name in names),
        target=TARGET,
        threshold=0.5,
        training=Training(data="md5:0", rows=1, estimator="none", params={}),
        libraries={},
        files={"model.onnx": ""},
    )


def model(nodes, names, *, opset=17):
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.STRING if KINDS.get(name) == "category" else TensorProto.FLOAT, [None])
        for name in names
    ]
    outputs = [helper.make_tensor_value_info("probability", TensorProto.FLOAT, [None])]
    graph = helper.make_graph(nodes, "sum", inputs, outputs)
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 2)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def coded(name, *, to=None):
    """The place of a category's text among WORDS."""
    options = {"keys_strings": WORDS, "values_floats": [1.5, 2.25, 4.125], "default_float": -1.0, "domain": "ai.onnx.ml"}
    return helper.make_node("LabelEncoder", [name], [to or f"{name}_code"], **options)


def summed(names):
    """A model that adds up all columns, each read by its own name."""
    nodes = [coded(name) for name in names if KINDS.get(name) == "category"]
    terms = [f"{name}_code" if KINDS.get(name) == "category" else name for name in names]
    return [*nodes, helper.make_node("Sum", terms, ["probability"])]


def tensors(names, rows):
    draw = np.random.default_rng(rows)
    return {
        name: draw.choice(np.array([*WORDS, "unknown"], dtype=object), rows)
        if KINDS.get(name) == "category"
        else draw.normal(size=rows).astype(np.float32)
        for name in names
    }


def answers(proto, columns):
    import onnxruntime as ort

    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(["probability"], columns)[0].tolist()


def joined(proto, names):
    """The model with its inputs joined, once it passed the check as every bundle's does."""
    changed = check_onnx(proto.SerializeToString(), manifest(*names))
    join_inputs(changed, manifest(*names).inputs)
    onnx.checker.check_model(changed)
    return changed


def same(proto, names):
    """Whether the joined model answers as the model itself does, to the last bit; gives the joined one."""
    changed = joined(proto, names)
    numbers, categories = ([name for name in names if (KINDS.get(name) == "category") == kind] for kind in (False, True))
    inputs = [value.name for value in changed.graph.input]
    for rows in (1, 2, 7):
        columns = tensors(names, rows)
        blocks = [np.concatenate([columns[name] for name in kind]) for kind in (numbers, categories) if kind]
        assert answers(changed, dict(zip(inputs, blocks, strict=True))) == answers(proto, columns)
    return changed


def operators(proto):
    return [node.op_type for node in proto.graph.node]


@pytest.mark.parametrize("opset", [9, 11, 13, 17, 18, 22])
def test_two_blocks_get_the_answers_that_the_columns_get(opset):
    names = (*NUMBERS, *CATEGORIES)
    changed = same(model(summed(names), names, opset=opset), names)
    assert [value.name for value in changed.graph.input] == ["numbers", "categories"]
    assert operators(changed).count("Split") == 2


def test_columns_of_both_kinds_may_alternate_in_the_manifest():
    names = ("amount", "colour", "visits", "plan", "age")
    same(model(summed(names), names), names)


def test_a_model_that_puts_the_columns_together_itself_takes_the_block_as_it_is():
    nodes = [
        helper.make_node("Concat", CATEGORIES, ["texts"], axis=0),
        coded("texts", to="codes"),
        helper.make_node("Concat", NUMBERS, ["values"], axis=0),
        helper.make_node("ReduceSum", ["values"], ["total"], keepdims=1),
        helper.make_node("ReduceSum", ["codes"], ["code"], keepdims=1),
        helper.make_node("Add", ["total", "code"], ["probability"]),
    ]
    names = (*NUMBERS, *CATEGORIES)
    changed = same(model(nodes, names), names)
    assert operators(changed) == ["LabelEncoder", "ReduceSum", "ReduceSum", "Add"]


def stacked(columns, *more, axis=0):
    """Columns put together, and again as rows of a matrix whose sum by column is the answer."""
    return [
        helper.make_node("Concat", columns, ["values"], axis=axis),
        helper.make_node("Constant", [], ["shape"], value=helper.make_tensor("", TensorProto.INT64, [2], [len(columns), -1])),
        helper.make_node("Reshape", ["values", "shape"], ["matrix"]),
        helper.make_node("Constant", [], ["first"], value=helper.make_tensor("", TensorProto.INT64, [], [0])),
        helper.make_node("Gather", ["matrix", "first"], ["top" if more else "probability"], axis=0),
        *more,
    ]


@pytest.mark.parametrize(
    ("nodes", "kept"),
    [
        (stacked(NUMBERS[::-1]), ["Split", "Concat"]),
        (stacked(NUMBERS, helper.make_node("Sum", ["top", "age"], ["probability"])), ["Split", "Constant"]),
        (stacked((*NUMBERS, "age")), ["Split", "Concat"]),
    ],
    ids=["in another order", "and one is read on its own", "and one twice"],
)
def test_what_the_model_reads_otherwise_is_split(nodes, kept):
    assert operators(same(model(nodes, NUMBERS), NUMBERS))[:2] == kept


def test_columns_side_by_side_are_no_block():
    given = [
        helper.make_node("Constant", [], ["shape"], value=helper.make_tensor("", TensorProto.INT64, [2], [-1, 1])),
        *[helper.make_node("Reshape", [name, "shape"], [f"{name}_tall"]) for name in NUMBERS],
        helper.make_node("Concat", [f"{name}_tall" for name in NUMBERS], ["matrix"], axis=1),
        helper.make_node("ReduceMax", ["matrix"], ["probability"], axes=[1], keepdims=0),
    ]
    assert operators(same(model(given, NUMBERS), NUMBERS))[0] == "Split"
    beside = joined(model(stacked(NUMBERS, axis=1), NUMBERS), NUMBERS)
    assert operators(beside)[:2] == ["Split", "Concat"]


def test_an_answer_that_is_the_columns_put_together_keeps_its_name():
    changed = joined(model([helper.make_node("Concat", NUMBERS, ["probability"], axis=0)], NUMBERS), NUMBERS)
    assert operators(changed) == ["Split", "Concat"]
    block = np.arange(6, dtype=np.float32)
    assert answers(changed, {"numbers": block}) == block.tolist()


def test_a_column_that_is_alone_of_its_kind_stays_as_it_is():
    names = ("amount", "colour")
    proto = model(summed(names), names)
    before = proto.SerializeToString()
    assert joined(proto, names).SerializeToString() == before


@pytest.mark.parametrize("names", [NUMBERS, CATEGORIES])
def test_columns_of_one_kind_are_one_input(names):
    assert len(same(model(summed(names), names), names).graph.input) == 1


def test_a_column_that_the_model_does_not_read_is_in_the_block_all_the_same():
    nodes = [helper.make_node("Sum", ["amount", "age"], ["probability"])]
    same(model(nodes, NUMBERS), NUMBERS)


@pytest.mark.parametrize("taken", ["numbers", "numbers_"])
def test_a_block_has_a_name_that_nothing_else_has(taken):
    names = ("numbers", "numbers_", "visits") if taken == "numbers_" else ("numbers", "visits")
    changed = same(model(summed(names), names), names)
    assert changed.graph.input[0].name == taken + "_"


@pytest.mark.parametrize("spare", [[], [helper.make_node("Neg", ["visits"], ["numbers"])]], ids=["read by none", "made for none"])
def test_what_has_no_use_keeps_its_name_too(spare):
    names = ("visits", "age") if spare else ("visits", "age", "numbers")
    changed = joined(model([*spare, helper.make_node("Sum", ["visits", "age"], ["probability"])], names), names)
    assert changed.graph.input[0].name == "numbers_"


def test_a_block_has_no_name_of_what_the_model_makes_or_keeps():
    nodes = [helper.make_node("Sum", [*NUMBERS, "numbers_"], ["numbers"]), helper.make_node("Identity", ["numbers"], ["probability"])]
    proto = model(nodes, NUMBERS)
    proto.graph.initializer.append(helper.make_tensor("numbers_", TensorProto.FLOAT, [1], [1.0]))
    assert same(proto, NUMBERS).graph.input[0].name == "numbers__"


KNOWN = {"keys_strings": WORDS, "values_int64s": [7, -3, 2**40], "default_int64": 5}


def numbered(encoder, *more, read=CATEGORIES):
    """All categories numbered by one dictionary; the answer is the sum of the numbers."""
    return [
        helper.make_node("Concat", read, ["texts"], axis=0),
        helper.make_node("LabelEncoder", ["texts"], ["codes"], domain="ai.onnx.ml", **encoder),
        helper.make_node("Cast", ["codes"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["floats"], ["probability" if not more else "total"], keepdims=1),
        *more,
    ]


def coded_model(encoder, *more, **options):
    return model(numbered(encoder, *more, **options), CATEGORIES)


def test_a_model_that_only_numbers_its_categories_takes_the_numbers():
    proto = coded_model(KNOWN)
    changed = joined(proto, CATEGORIES)
    assert operators(changed) == ["Cast", "ReduceSum"]
    assert changed.graph.input[0].type.tensor_type.elem_type == TensorProto.INT64
    assert [one.key for one in changed.metadata_props] == [CODES]
    codes = Codes.read(changed.metadata_props[0].value)
    assert dict(codes) == {"blue": 7, "green": -3, "": 2**40}
    for rows in (1, 2, 9):
        columns = tensors(CATEGORIES, rows)
        numbers = np.array([codes[word] for name in CATEGORIES for word in columns[name]], dtype=np.int64)
        assert answers(changed, {"categories": numbers}) == answers(proto, columns)


def test_what_the_dictionary_does_not_have_is_minus_one_where_the_model_says_nothing():
    changed = joined(coded_model({"keys_strings": ["blue"], "values_int64s": [1]}), CATEGORIES)
    codes = Codes.read(changed.metadata_props[0].value)
    assert (codes["blue"], codes["unknown"], codes[""]) == (1, -1, -1)
    assert "unknown" not in codes


SUM = helper.make_node("Sum", ["total", "plan_code"], ["probability"])


@pytest.mark.parametrize(
    "proto",
    [
        coded_model({"keys_strings": WORDS, "values_floats": [1.0, 2.0, 3.0]}),
        coded_model(KNOWN, coded("plan"), SUM),
        coded_model(KNOWN, read=CATEGORIES[::-1]),
        coded_model(KNOWN, coded("texts", to="plan_codes"), helper.make_node("Max", ["total", "plan_codes"], ["probability"])),
    ],
    ids=["other values than whole numbers", "one column read on its own", "another order", "two readers"],
)
def test_a_model_that_does_more_with_its_categories_gets_strings(proto):
    changed = joined(proto, CATEGORIES)
    assert changed.graph.input[0].type.tensor_type.elem_type == TensorProto.STRING
    assert not changed.metadata_props
    assert answers(changed, {"categories": np.array(["blue", "green"], dtype=object)}) is not None


@pytest.mark.parametrize(
    "more",
    [
        {"keys_strings": ["blue", "blue", ""]},
        {"keys_strings": [b"blue", b"\xff", b""]},
        {"values_int64s": [1, 2]},
        {"values_floats": [1.0, 2.0, 3.0]},
    ],
    ids=["a word twice", "no text", "fewer numbers than words", "two kinds of values"],
)
def test_what_is_no_plain_dictionary_is_left_to_the_model(more):
    changed = joined(coded_model({**KNOWN, **more}), CATEGORIES)
    assert operators(changed)[0] == "LabelEncoder"
    assert not changed.metadata_props


def test_only_a_label_encoder_is_a_dictionary():
    proto = coded_model(KNOWN)
    proto.graph.node[1].op_type = "Normalizer"
    join_inputs(proto, manifest(*CATEGORIES).inputs)
    assert operators(proto)[0] == "Normalizer"
