"""A contract written as YAML says the same when it is read again, and editors find nothing wrong with it."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from seatrial.contract import Contract, load_contract
from seatrial.contract_schema import schema
from seatrial.contract_yaml import scalar, to_yaml

ROOT = Path(__file__).parents[2]
FULL = Contract.model_validate(
    yaml.safe_load("""
columns:
  "yes": {type: string, role: id, unique: true, pattern: "K[0-9]+\\\\\\\\.", description: "a: b # c"}
  "odd: name": {type: number, nullable: true, range: [null, 1000], environments: [training], advisory: [range, nulls]}
  made: {type: date, range: [2020-01-01, null], role: event_time, allow: [future]}
  seen: {type: datetime, range: [2020-01-01 10:11:12.5, 2030-01-01], advisory: true}
  flag: {type: boolean, allowed: [true]}
  tiny: {type: number, range: [1.0e-7, 1.0e+300]}
table:
  rows: {min: 0, max: 7}
  key: ["yes", made]
  extra: allow
  duplicates: 0.1
  parts: {min: 2, max: 3, names: [a.csv, "b c.csv"]}
  conditions: [{name: x, holds: "flag OR \\"odd: name\\" > 1", share: 0.1, advisory: true, environments: [training]}]
checks:
  statistics: {alpha: 0.05, ks: 0.2, psi: 1, missing: 0.1, rows: 0.1, advisory: true}
  freshness: {max_age_days: 1.5, advisory: false}
  label: {min_share: 0, max_auc: 1, advisory: true}
  split: {max_share: 0.5, advisory: true}
waivers: [{check: quality.range, column: "odd: name", owner: ada, reason: "known: until\\nit is mended", expires: 2030-01-01}]
""")
)


def read(tmp_path, text):
    (tmp_path / "contract.yaml").write_text(text)
    return load_contract(tmp_path / "contract.yaml")


@pytest.mark.parametrize("contract", [FULL, load_contract(ROOT / "data/contract.yaml")], ids=["full", "sample"])
def test_what_is_written_reads_as_the_same_contract(tmp_path, contract):
    assert read(tmp_path, to_yaml(contract, head=("# one", ""))) == contract


def test_editors_find_nothing_wrong_with_it():
    values = yaml.safe_load(to_yaml(FULL))
    plain = json.loads(json.dumps(values, default=str))
    assert [error.message for error in jsonschema.Draft202012Validator(schema()).iter_errors(plain)] == []


def test_remarks_stand_behind_what_they_are_about(tmp_path):
    notes = {"made": "when\nwas it", "table.rows": "so few", "table.duplicates": "so many", "checks.label": "odd"}
    text = to_yaml(FULL, remarks=notes)
    lines = {line.split("   # look at this: ")[1]: line.split(":")[0].strip() for line in text.splitlines() if "look at this" in line}
    assert lines == {"when was it": "made", "so few": "rows", "so many": "duplicates", "odd": "label"}
    assert read(tmp_path, text) == FULL


def test_only_what_is_not_the_default_is_written_of_a_column():
    assert "  a: {type: string}\n" in to_yaml(Contract.model_validate({"columns": {"a": {"type": "string"}}}))


@given(
    st.one_of(st.text(max_size=20), st.sampled_from(["Yes", "null", "~", "1e5", "0x1F", "on", "=", "<<", "2026-01-01", "😀\x7f", "\ufeff"]))
)
def test_any_text_is_read_as_it_was_written(text):
    assert yaml.safe_load(f"- {scalar(text)}") == [text]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_number_is_read_as_it_was_written(number):
    assert yaml.safe_load(scalar(number)) == number
