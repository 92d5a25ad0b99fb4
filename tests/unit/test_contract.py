"""The contract file: what it may say, what is refused with file and line, and the draft from data."""

from pathlib import Path

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.checks.quality import label_checks, quality_checks
from seatrial.checks.schema import schema_checks
from seatrial.contract import Column, Freshness, Statistics, check_roles, features, load_contract
from seatrial.draft import infer, remarks, to_yaml
from seatrial.errors import ContractError
from seatrial.params import Data
from seatrial.tables import typed
from seatrial.verdict import Outcome

DATA = Data(raw="data/t.csv", target="bought", positive="yes", id="key", groups=("region",))
GOOD = """\
columns:
  key: {type: string, unique: true, pattern: "K[0-9]+"}
  age: {type: integer, range: [0, null], nullable: true}
  region: {type: string, allowed: [north, south]}
  seen: {type: date, range: [2020-01-01, 2030-01-01]}
  bought: {type: string, allowed: ["yes", "no"]}
table:
  key: [key]
"""


def load(tmp_path, text):
    (tmp_path / "contract.yaml").write_text(text)
    return load_contract(tmp_path / "contract.yaml")


def refusal(tmp_path, old, new):
    assert old in GOOD
    with pytest.raises(ContractError) as caught:
        load(tmp_path, GOOD.replace(old, new))
    return str(caught.value)


def test_columns_know_their_names_and_defaults_stand_where_nothing_is_said(tmp_path):
    contract = load(tmp_path, GOOD)
    assert [column.name for column in contract.columns.values()] == ["key", "age", "region", "seen", "bought"]
    assert contract.columns["age"].nullable == 1.0
    assert contract.checks.freshness.max_age_days == 30
    assert contract.table.extra == "refuse"


def test_features_are_neither_target_nor_id_nor_dates(tmp_path):
    assert [column.name for column in features(load(tmp_path, GOOD), DATA)] == ["age", "region"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("nullable: true", "nullible: true", "contract.yaml:3: columns.age.nullible: unknown key (value True); did you mean 'nullable'?"),
        ("type: integer", "type: int", "contract.yaml:3: columns.age.type: expected"),
        ("nullable: true", "nullable: 1.5", "contract.yaml:3: columns.age.nullable"),
        ("range: [0, null]", "range: [9, 1]", "contract.yaml:3: columns.age.range: nothing lies in the range"),
        ("range: [0, null]", "range: [low, null]", "contract.yaml:3: columns.age.range"),
        ("allowed: [north, south]", "range: [0, 1]", "contract.yaml:4: columns.region.range: a string column has no range"),
        ('["yes", "no"]', "[yes, no]", "contract.yaml:6: columns.bought.allowed: True is no string; YAML reads Yes"),
        ('pattern: "K[0-9]+"', 'pattern: "K["', "contract.yaml:2: columns.key.pattern: 'K[' is no regular expression"),
        ("key: [key]", "key: [kee]", "contract.yaml:8: table.key.0: 'kee' is no column of this contract; did you mean 'key'?"),
        ("table:", "tabel:", "contract.yaml:7: tabel: unknown key"),
        ("table:", "checks: {freshness: {column: age}}\ntable:", "'age' is integer, not date or datetime"),
        ("table:", "  age: {type: number}\ntable:", "contract.yaml:7: 'age' stands here a second time"),
    ],
)
def test_a_wrong_contract_is_refused_with_its_line(tmp_path, old, new, words):
    assert words in refusal(tmp_path, old, new)


def test_a_missing_contract_says_how_to_make_one(tmp_path):
    with pytest.raises(ContractError, match="seatrial contract infer"):
        load_contract(tmp_path / "contract.yaml")


@pytest.mark.parametrize(("role", "value"), [("target", "baught"), ("id", "kee"), ("groups", ("regio",))])
def test_a_role_for_an_unknown_column_is_refused_with_the_nearest(tmp_path, role, value):
    contract = load(tmp_path, GOOD)
    check_roles(contract, DATA)
    with pytest.raises(ContractError, match=rf"data\.{role} is .* did you mean"):
        check_roles(contract, msgspec.structs.replace(DATA, **{role: value}))


def table(**columns):
    return pl.DataFrame({name: pl.Series(values, dtype=pl.String) for name, values in columns.items()})


def test_the_draft_finds_the_narrowest_type_of_each_column():
    frame = table(
        key=["a1", "a2", "a3", "a4"],
        whole=["1", "-2", "3", None],
        number=["1", "2.5", "1e3", "4"],
        flag=["true", "False", "true", "true"],
        day=["2026-01-02", "2026-01-03", None, None],
        moment=["2026-01-02T03:04:05", "2026-01-02 03:04:05", None, None],
        zip=["00123", "04321", "10000", "20000"],
        empty=[None, None, None, None],
        bought=["yes", "no", "yes", "no"],
    )
    found = {name: column.type for name, column in infer(frame, DATA).columns.items()}
    kinds = ("string", "integer", "number", "boolean", "date", "datetime", "string", "string", "string")
    assert found == dict(zip(frame.columns, kinds, strict=True))


def test_the_draft_gives_slack_but_none_to_flags_nor_across_zero():
    frame = table(key=list("abcd"), size=["0", "40", "70", "100"], flag=["0", "1", "0", "1"], bought=["yes", "no", "yes", "no"])
    contract = infer(frame, DATA)
    assert contract.columns["size"].range == (0, 110)
    assert contract.columns["flag"].range == (0, 1)
    assert contract.columns["bought"].allowed == ("no", "yes")
    assert contract.columns["key"].unique
    assert contract.table.rows.min == 2
    assert contract.table.key == ("key",)


def test_an_id_that_repeats_is_drafted_as_it_is_and_marked():
    frame = table(key=["a", "a"], bought=["yes", "no"])
    contract = infer(frame, DATA)
    assert not contract.columns["key"].unique
    assert "not unique" in remarks(frame, contract, DATA)["key"]
    assert "# look at this: the id" in to_yaml(contract, remarks=remarks(frame, contract, DATA), raw="t.csv", rows=2)


CELLS = st.one_of(
    st.none(),
    st.integers(-(10**6), 10**6).map(str),
    st.floats(-1e9, 1e9).map(repr),
    st.text("abyesNo,:#'\"- é{}[]", min_size=1, max_size=6),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(CELLS, CELLS), min_size=2, max_size=12))
def test_the_draft_written_and_read_again_passes_on_its_own_data(tmp_path_factory, rows):
    frame = table(
        key=[str(at) for at in range(len(rows))],
        one=[row[0] for row in rows],
        two=[row[1] for row in rows],
        bought=["yes" if at % 2 else "no" for at in range(len(rows))],
    )
    drafted = infer(frame, DATA)
    text = to_yaml(drafted, remarks=remarks(typed(frame, drafted)[0], drafted, DATA), raw=DATA.raw, rows=frame.height)
    contract = load(tmp_path_factory.mktemp("draft"), text)
    assert contract == drafted
    ready, findings = typed(frame, contract)
    checks = (
        *schema_checks(contract, frame.columns, findings),
        *quality_checks(contract, ready, findings, DATA),
        *label_checks(ready, DATA),
    )
    assert [check.message for check in checks if check.outcome is not Outcome.PASS] == []


def test_the_documented_contract_is_one_and_every_key_is_documented(tmp_path):
    text = (Path(__file__).parents[2] / "docs/contract.md").read_text()
    contract = load(tmp_path, text.split("```yaml\n")[1].split("```")[0])
    assert contract.checks.freshness.column == "ordered"
    for section in (Column, Statistics, Freshness):
        assert [key for key in section.model_fields if f"`{key}`" not in text] == []
