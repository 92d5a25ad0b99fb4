"""YAML whose values know their line, and sentences about what is wrong with them."""

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from seatrial.located import PlacedError, YamlProblem, nearest, read_yaml


class Item(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    size: int
    kind: Literal["small", "large"] = "small"


class Root(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    items: dict[str, Item] = {}
    row: list[int | Literal["mirror"]] = []
    first: Item | None = None

    @model_validator(mode="after")
    def _no_zero(self):
        if 0 in self.row:
            raise PlacedError("0 is no weight", "row", self.row.index(0))
        return self


def sentences(tmp_path, text, model=Root):
    path = tmp_path / "file.yaml"
    path.write_text(text)
    located = read_yaml(path)
    with pytest.raises(ValidationError) as raised:
        model.model_validate(located.values)
    return list(located.sentences(raised.value, model))


def test_each_key_and_item_knows_its_line(tmp_path):
    path = tmp_path / "file.yaml"
    path.write_text("a:\n  b: 1\n\n  c:\n    - 2\n    - {d: 3}\n")
    located = read_yaml(path)
    places = [("a",), ("a", "b"), ("a", "c"), ("a", "c", 0), ("a", "c", 1, "d")]
    assert [located.line(place) for place in places] == [1, 2, 4, 5, 6]
    assert located.values == {"a": {"b": 1, "c": [2, {"d": 3}]}}


def test_a_place_that_is_not_there_has_the_line_of_what_is_around_it(tmp_path):
    path = tmp_path / "file.yaml"
    path.write_text("a:\n  b: 1\nc: 2\n")
    located = read_yaml(path)
    assert located.line(("a", "nosuch", 3)) == 1
    assert located.line(("nosuch",)) == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("first: {sise: 1}\n", "file.yaml:1: first.sise: unknown key (value 1); did you mean 'size'?"),
        ("items:\n  one:\n    size: 1\n    knd: small\n", "file.yaml:4: items.one.knd: unknown key (value 'small'); did you mean 'kind'?"),
        ("zzz: 1\n", "file.yaml:1: zzz: unknown key (value 1); known are items, row, first"),
        ("items:\n  one: {size: big}\n", "file.yaml:2: items.one.size: expected a valid integer, found 'big'"),
        ("items:\n  one: {}\n", "file.yaml:2: items.one.size: missing; add it"),
        ("first:\n  size: 1\n  kind: huge\n", "file.yaml:3: first.kind: expected 'small' or 'large', found 'huge'"),
        ("row: 7\n", "file.yaml:1: row: expected a list, found 7"),
        ("row:\n  - 1\n  - 0\n", "file.yaml:3: row.1: 0 is no weight"),
    ],
)
def test_a_sentence_names_file_line_key_value_and_what_is_expected(tmp_path, text, sentence):
    found = sentences(tmp_path, text)
    assert sentence in [line.replace("valid list", "list") for line in found]


def test_the_branches_of_a_union_give_one_sentence(tmp_path):
    found = sentences(tmp_path, "row: [1, many]\n")
    assert found == ["file.yaml:1: row.1: expected a valid integer or 'mirror', found 'many'"]


def test_every_problem_is_said_not_only_the_first(tmp_path):
    assert len(sentences(tmp_path, "row: 7\nzzz: 1\nfirst: {size: x}\n")) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1\n", "file.yaml:2: not valid YAML"),
        ("a: 1\nb: 2\na: 3\n", "file.yaml:3: 'a' stands here a second time (first on line 1); keep one"),
        ("a:\n  - {b: 1, b: 2}\n", "file.yaml:2: 'b' stands here a second time"),
        ("", "file.yaml:1: expected a mapping such as `key: value`, found NoneType"),
        ("- 1\n", "file.yaml:1: expected a mapping such as `key: value`, found list"),
        ("a: !!python/object/apply:os.system [id]\n", "not valid YAML"),
        ("a: 2026-13-45\n", "not valid YAML"),
        ("a: &x [*x]\n", "file.yaml"),
        ("a: \x00\n", "not valid YAML"),
    ],
)
def test_a_file_that_is_no_mapping_of_yaml_is_refused(tmp_path, text, message):
    path = tmp_path / "file.yaml"
    path.write_text(text)
    with pytest.raises(YamlProblem) as raised:
        read_yaml(path)
    assert message in str(raised.value)


def test_a_file_that_is_missing_or_no_text_is_refused(tmp_path):
    with pytest.raises(YamlProblem, match="there is no such file"):
        read_yaml(tmp_path / "file.yaml")
    (tmp_path / "file.yaml").write_bytes(b"a: \xff\xfe\n")
    with pytest.raises(YamlProblem, match="cannot be read"):
        read_yaml(tmp_path / "file.yaml")
    with pytest.raises(YamlProblem, match="cannot be read"):
        read_yaml(tmp_path)


@given(st.text(max_size=60))
def test_no_text_breaks_the_reader(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("any") / "file.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        values = read_yaml(path).values
    except YamlProblem as problem:
        values = {"said": str(problem)}
    assert "file.yaml" in values.get("said", "file.yaml")
    assert isinstance(values, dict)


@pytest.mark.parametrize(
    ("name", "words"), [("roc_ac", "; did you mean 'roc_auc'?"), ("zzz", "; known are roc_auc, f1"), ("f1", "; did you mean 'f1'?")]
)
def test_the_nearest_known_name_is_offered_or_all_of_them(name, words):
    assert nearest(name, ["roc_auc", "f1"]) == words
    assert nearest(name, []) == ""
