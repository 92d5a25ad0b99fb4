"""YAML whose values know their line, and sentences about what is wrong with them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.located import YamlProblem, nearest, read_yaml


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
