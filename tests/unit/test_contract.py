"""The contract file: what it may say, and what is refused with file and line."""

import contextlib
import gc
import math
import re
import time
from pathlib import Path

import msgspec
import pytest

from seatrial import contract_rules
from seatrial.contract import check_roles, features, load_contract
from seatrial.contract_conditions import FUNCTIONS
from seatrial.errors import ContractError
from seatrial.params import Data

ROOT = Path(__file__).parents[2]

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
        ('pattern: "K[0-9]+"', 'pattern: "(?=K)K.*"', "contract.yaml:2: columns.key.pattern: '(?=K)K.*' looks around or back"),
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


ROLES = """\
columns:
  key: {type: string, role: id}
  region: {type: string, role: group}
  seen: {type: datetime, role: event_time}
  note: {type: string, role: ignore}
  bought: {type: string, role: target, environments: [training]}
"""


def test_roles_that_agree_with_params_are_accepted(tmp_path):
    contract = load(tmp_path, ROLES)
    check_roles(contract, DATA)
    assert [column.name for column in features(contract, DATA)] == ["region"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("role: id", "role: target", "contract.yaml:2: columns.key.role: target, but params.yaml: data.id is 'key'"),
        ("role: group", "role: feature", "contract.yaml:3: columns.region.role: feature, but params.yaml: data.groups is ['region']"),
        ("role: ignore", "role: group", "contract.yaml:5: columns.note.role: group, but params.yaml: data.groups is ['region']"),
    ],
)
def test_a_role_that_contradicts_params_is_refused_with_both_places(tmp_path, old, new, words):
    text = ROLES.replace("role: target", "role: feature") if "target" in new else ROLES
    with pytest.raises(ContractError) as caught:
        check_roles(load(tmp_path, text.replace(old, new)), DATA)
    assert words in str(caught.value)


def test_the_event_time_is_the_clock_and_a_named_clock_has_to_be_it(tmp_path):
    assert load(tmp_path, ROLES).checks.freshness.column == "seen"
    other = ROLES.replace("note: {type: string, role: ignore}", "note: {type: date}")
    with pytest.raises(ContractError, match="it is 'note', but 'seen' has the role event_time"):
        load(tmp_path, f"{other}checks: {{freshness: {{column: note}}}}\n")


SERVING = """\
columns:
  key: {type: string}
  size: {type: number}
  seen: {type: date, role: event_time, environments: [training]}
  bought: {type: string, environments: [training]}
table:
  conditions:
    - {name: small, holds: "size < 9"}
    - {name: paid, holds: "bought = 'no' OR size > 0", environments: [training]}
waivers:
  - {check: quality.range, column: size, owner: ada, reason: known, expires: 2030-01-01}
  - {check: label.balance, column: bought, owner: ada, reason: known, expires: 2030-01-01}
  - {check: quality.condition, column: paid, owner: ada, reason: known, expires: 2030-01-01}
"""


def test_within_an_environment_only_what_exists_there_is_left(tmp_path):
    contract = load(tmp_path, SERVING)
    serving = contract.within("serving")
    assert [*serving.columns] == ["key", "size"]
    assert [condition.name for condition in serving.table.conditions] == ["small"]
    assert [waiver.column for waiver in serving.waivers] == ["size"]
    assert serving.checks.freshness.column is None
    assert contract.within("training") == contract


def test_an_unknown_environment_is_refused(tmp_path):
    with pytest.raises(ContractError, match="no environment 'servin'; did you mean 'serving'"):
        load(tmp_path, SERVING).within("servin")


def test_advisory_names_rules_by_the_names_of_their_checks(tmp_path):
    column = load(tmp_path, "columns: {a: {type: integer, range: [0, 1], advisory: [range, nulls]}}\n").columns["a"]
    asked = ("range", "quality.range", "nulls", "label.missing", "unique", "quality.constant")
    assert [column.advises(rule) for rule in asked] == [True, True, True, True, False, False]
    assert load(tmp_path, "columns: {a: {type: integer, advisory: true}}\n").columns["a"].advises("quality.constant")


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        ("table: {duplicates: 1.5}", "contract.yaml:3: table.duplicates: expected"),
        ("table: {parts: {min: 3, max: 2}}", "no table has at least 3 and at most 2 parts"),
        ("table: {parts: {names: [a, a]}}", "table.parts.names: 'a' stands here twice"),
        (
            "table: {conditions: [{name: x, hold: 'size > 1'}]}",
            "table.conditions.0.hold: unknown key (value 'size > 1'); did you mean 'holds'?",
        ),
        ("table: {conditions: [{name: x, holds: 'size > 1'}, {name: x, holds: 'size > 2'}]}", "there is a condition 'x' already"),
        ("checks: {label: {min_share: 0.6}}", "checks.label.min_share: expected"),
        ("checks: {label: {max_auc: 0.4}}", "checks.label.max_auc: expected"),
        ("checks: {split: {max_share: -1}}", "checks.split.max_share: expected"),
        ("waivers: [{check: quality.range, reason: r, expires: 2030-01-01}]", "contract.yaml:3: waivers.0.owner: missing; add it"),
        ("waivers: [{check: quality.range, owner: o, expires: 2030-01-01}]", "waivers.0.reason: missing; add it"),
        ("waivers: [{check: quality.range, owner: o, reason: r}]", "waivers.0.expires: missing; add it"),
        ("waivers: [{check: quality.range, owner: o, reason: ' ', expires: 2030-01-01}]", "waivers.0.reason: says nothing"),
        ("waivers: [{check: quality.range, owner: o, reason: r, expires: soon}]", "waivers.0.expires: expected a valid date, found 'soon'"),
        ("waivers: [{check: range, owner: o, reason: r, expires: 2030-01-01}]", "'range' is no name of a check"),
    ],
)
def test_a_wrong_table_check_or_waiver_is_refused(tmp_path, rest, words):
    with pytest.raises(ContractError) as caught:
        load(tmp_path, f"columns:\n  size: {{type: number}}\n{rest}\n")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ("type: string, role: evnt_time", "columns.size.role: expected 'feature'"),
        ("type: string, role: event_time", "the event time has to be a date or datetime, this column is string"),
        ("type: date, role: feature", "a date column is no feature"),
        ("type: number, allow: [mixed]", "'mixed' is only asked of string columns, this one is number"),
        ("type: string, allow: [future]", "'future' is only asked of date and datetime columns"),
        ("type: string, environments: []", "columns.size.environments: expected a list of at least 1 item"),
        ("type: string, environments: [train]", "columns.size.environments.0: expected 'training' or 'serving', found 'train'"),
        ("type: string, advisory: [rang]", "columns.size.advisory: expected a valid boolean or 'nulls'"),
    ],
)
def test_a_wrong_column_is_refused(tmp_path, keys, words):
    with pytest.raises(ContractError) as caught:
        load(tmp_path, f"columns:\n  size: {{{keys}}}\n")
    assert words in str(caught.value)


def test_two_columns_of_a_role_that_there_is_once_are_refused(tmp_path):
    with pytest.raises(ContractError, match=r"contract\.yaml:3: columns\.b\.role: 'a' has the role id already"):
        load(tmp_path, "columns:\n  a: {type: string, role: id}\n  b: {type: string, role: id}\n")


def test_a_key_needs_columns_that_exist_everywhere(tmp_path):
    with pytest.raises(ContractError, match=r"table\.key\.0: 'a' does not exist in every environment"):
        load(tmp_path, "columns:\n  a: {type: string, environments: [training]}\n  b: {type: string}\ntable: {key: [a]}\n")


TRIES = 5


def wide(kind, columns=5000):
    return "columns:\n" + "".join(f"  c{at}: {{type: {kind}, range: [0, {at + 1}], nullable: 0.1}}\n" for at in range(columns))


def seconds_to_read(path, text):
    """CPU of reading a contract; without the garbage collector, which looks at all that other tests have left as well."""
    path.write_text(text)
    gc.disable()
    try:
        started = time.process_time()
        with contextlib.suppress(ContractError):
            load_contract(path)
        return time.process_time() - started
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("kind", "more"), [("integer", "table: {conditions: [{name: x, holds: 'c1 < c2'}]}\n"), ("intege", "")], ids=["right", "wrong"]
)
def test_reading_costs_as_much_as_there_are_columns_and_not_as_their_square(tmp_path, kind, more):
    path, few, many = tmp_path / "contract.yaml", math.inf, math.inf
    for _ in range(TRIES):  # whatever else the machine does only makes it longer
        few, many = min(few, seconds_to_read(path, wide(kind, 1_000) + more)), min(many, seconds_to_read(path, wide(kind, 8_000) + more))
        if many / few < 24:
            return
    pytest.fail(f"eight times as many columns took {many / few:.0f} times as long; where it is their square, it is sixty-four")


def test_the_sample_s_contract_reads_as_it_always_did():
    contract = load_contract(ROOT / "data/contract.yaml")
    assert len(contract.columns) == 21
    assert contract.within("serving").columns == contract.columns
    assert contract.table.conditions == ()
    assert contract.waivers == ()


def sections():
    found = [model for model in vars(contract_rules).values() if isinstance(model, type) and issubclass(model, contract_rules.Section)]
    return [model for model in found if model is not contract_rules.Section]


def test_the_documented_contract_is_one_and_every_key_is_documented(tmp_path):
    text = (ROOT / "docs/contract.md").read_text()
    contract = load(tmp_path, text.split("```yaml\n")[1].split("```")[0])
    assert contract.checks.freshness.column == "ordered"
    for section in sections():
        assert [key for key in section.model_fields if not re.search(rf"`([a-z_]+[.])*{key}`", text)] == [], section.__name__


def test_every_function_of_conditions_is_documented():
    text = (ROOT / "docs/contract.md").read_text()
    assert [name for name in FUNCTIONS if f"`{name}`" not in text] == []
