"""pydantic's findings as sentences about a place in a file."""

from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from seatrial import findings
from seatrial.located import PlacedError, read_yaml


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
    return list(findings.sentences(located, raised.value, model))


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
