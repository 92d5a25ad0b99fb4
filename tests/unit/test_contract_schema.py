"""The JSON Schema that editors read: committed as it is made, and of one mind with the classes that read a contract."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from seatrial.contract import load_contract
from seatrial.contract_rules import Section
from seatrial.contract_schema import ADDRESS, SAYS, editor_line, schema, schema_bytes
from seatrial.errors import ContractError

ROOT = Path(__file__).parents[2]
FULL = """\
columns:
  key: {type: string, role: id, unique: true, pattern: "K[0-9]+", description: theirs}
  size: {type: number, nullable: true, range: [null, 1000], environments: [training], advisory: [range, nulls]}
  made: {type: date, range: [2020-01-01, null], role: event_time, allow: [future]}
  flag: {type: boolean, allowed: [true]}
table:
  rows: {min: 1, max: null}
  key: [key]
  extra: allow
  duplicates: 0.1
  parts: {min: 1, max: 2, names: [a.csv]}
  conditions: [{name: x, holds: flag OR key IS NULL, share: 0.1, advisory: true, environments: [serving]}]
checks:
  statistics: {alpha: 0.01, ks: 0.1, psi: 1, missing: 0.05, rows: 0.5, advisory: true}
  freshness: {max_age_days: 30, column: made, advisory: false}
  label: {min_share: 0, max_auc: 1, advisory: true}
  split: {max_share: 0.5, advisory: true}
waivers: [{check: quality.range, column: size, owner: ada, reason: known, expires: 2030-01-01}]
"""


class Plain(yaml.SafeLoader):
    """YAML as editors read it: dates are text."""


Plain.yaml_implicit_resolvers = {
    first: [(tag, words) for tag, words in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def problems(text):
    values = json.loads(json.dumps(yaml.load(text, Plain)))
    return [error.message for error in jsonschema.Draft202012Validator(schema()).iter_errors(values)]


def test_the_committed_schema_is_the_one_that_the_classes_make():
    assert (ROOT / "docs/contract.schema.json").read_bytes() == schema_bytes(), "run: seatrial contract schema"


def test_it_is_a_schema_of_draft_2020_12():
    jsonschema.Draft202012Validator.check_schema(schema())
    assert schema()["$schema"].endswith("2020-12/schema")


def test_every_key_is_explained_and_nothing_else():
    sections = {"Contract": schema(), **schema()["$defs"]}
    assert {name: list(section["properties"]) for name, section in sections.items()} == {name: list(keys) for name, keys in SAYS.items()}
    assert {model.__name__ for model in Section.__subclasses__()} == set(SAYS)


def test_the_sample_s_contract_is_valid():
    assert problems((ROOT / "data/contract.yaml").read_text()) == []


def test_the_documented_contracts_are_valid():
    text = (ROOT / "docs/contract.md").read_text()
    blocks = [block.split("```")[0] for block in text.split("```yaml\n")[1:]]
    whole = [block for block in blocks if block.startswith("columns:")]
    assert whole
    assert [problems(block) for block in whole] == [[]] * len(whole)


def test_a_contract_that_uses_every_key_is_valid_for_both(tmp_path):
    (tmp_path / "contract.yaml").write_text(FULL)
    load_contract(tmp_path / "contract.yaml")
    assert problems(FULL) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("unique: true", "uniqe: true"),
        ("type: boolean", "type: bool"),
        ("nullable: true", "nullable: 1.5"),
        ("[training]", "[train]"),
        ("extra: allow", "extra: maybe"),
        ("max_auc: 1", "max_auc: 0.5"),
        ("psi: 1", "psi: 0"),
        ("alpha: 0.01", "alpha: 1"),
        ("owner: ada, ", ""),
        ("role: event_time", "role: time"),
        ("range: [null, 1000]", "range: [null]"),
        ("allowed: [true]", "allowed: [true], range: [0, 1]"),
        ("type: number,", 'type: number, pattern: "x",'),
        ("type: number,", "type: number, allowed: [1],"),
        ("type: number,", "type: number, allow: [future],"),
        ("name: x, ", "name: a b, "),
    ],
)
def test_what_the_contract_refuses_the_editor_marks(tmp_path, old, new):
    assert old in FULL
    text = FULL.replace(old, new, 1)
    (tmp_path / "contract.yaml").write_text(text)
    with pytest.raises(ContractError):
        load_contract(tmp_path / "contract.yaml")
    assert problems(text)


def test_the_editor_finds_the_project_s_own_copy_or_the_published_one(tmp_path):
    contract = tmp_path / "data/contract.yaml"
    assert editor_line(contract, tmp_path) == f"# yaml-language-server: $schema={ADDRESS}"
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/contract.schema.json").write_text("{}")
    assert editor_line(contract, tmp_path) == "# yaml-language-server: $schema=../docs/contract.schema.json"
    assert editor_line(tmp_path / "contract.yaml", tmp_path) == "# yaml-language-server: $schema=docs/contract.schema.json"
