"""Two contracts compared: who has to be told of each change, and which contract a name means."""

import copy
import subprocess
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from seatrial.contract import Contract
from seatrial.contract_diff import Kind, compare, contract_at, contract_named
from seatrial.errors import ContractError, PipelineError, UsageError

BASE = yaml.safe_load("""
columns:
  key: {type: string, unique: true}
  size: {type: integer, range: [0, 10], nullable: 0.1}
  made: {type: date, range: [2020-01-01, null], role: event_time}
  region: {type: string, allowed: [north, south], allow: [variants]}
  code: {type: string, pattern: "K[0-9]+"}
  label: {type: string, environments: [training]}
table:
  rows: {min: 10, max: 100}
  key: [key]
  duplicates: 0.1
  parts: {min: 1, max: 3, names: [a.csv]}
  conditions:
    - {name: small, holds: "size < 9", share: 0.1}
checks:
  freshness: {max_age_days: 30, advisory: false}
waivers:
  - {check: quality.range, column: size, owner: ada, reason: known, expires: 2030-01-01}
""")


def changed(place, value):
    """The contract with `value` at a place such as `columns.size.range`; DROP takes it away."""
    values = copy.deepcopy(BASE)
    here = values
    *way, last = (int(part) if part.isdigit() else part for part in place.split("."))
    for part in way:
        here = here.setdefault(part, {}) if isinstance(here, dict) else here[part]
    if value is DROP:
        del here[last]
    else:
        here[last] = value
    return Contract.model_validate(values)


DROP = object()
OLD = Contract.model_validate(BASE)


@pytest.mark.parametrize(
    ("place", "value", "kind"),
    [
        ("columns.size.nullable", 0.05, "breaking"),
        ("columns.size.nullable", True, "additive"),
        ("columns.size.range", [1, 10], "breaking"),
        ("columns.size.range", [0, 9], "breaking"),
        ("columns.size.range", [-1, 9], "breaking"),
        ("columns.size.range", [-1, 11], "additive"),
        ("columns.size.range", [0, None], "additive"),
        ("columns.size.range", DROP, "additive"),
        ("columns.key.pattern", "x", "breaking"),
        ("columns.made.range", [None, None], "additive"),
        ("columns.size.type", "number", "additive"),
        ("columns.key.unique", False, "additive"),
        ("columns.code.unique", True, "breaking"),
        ("columns.code.pattern", "K[0-9]*", "breaking"),
        ("columns.code.pattern", DROP, "additive"),
        ("columns.code.allowed", ["K1"], "breaking"),
        ("columns.region.allowed", ["north"], "breaking"),
        ("columns.region.allowed", ["north", "south", "east"], "additive"),
        ("columns.region.allowed", DROP, "additive"),
        ("columns.region.allow", [], "breaking"),
        ("columns.code.allow", ["mixed"], "additive"),
        ("columns.label.environments", ["training", "serving"], "breaking"),
        ("columns.size.advisory", True, "additive"),
        ("columns.size.description", "in metres", "additive"),
        ("columns.code.role", "ignore", "additive"),
        ("columns.code", DROP, "breaking"),
        ("columns.more", {"type": "string"}, "breaking"),
        ("table.rows.min", 11, "breaking"),
        ("table.rows.min", 9, "additive"),
        ("table.rows.max", 99, "breaking"),
        ("table.rows.max", None, "additive"),
        ("table.key", [], "additive"),
        ("table.key", ["key", "region"], "additive"),
        ("table.key", ["region"], "breaking"),
        ("table.extra", "allow", "additive"),
        ("table.duplicates", 0, "breaking"),
        ("table.duplicates", True, "additive"),
        ("table.parts.min", 2, "breaking"),
        ("table.parts.max", 4, "additive"),
        ("table.parts.names", ["a.csv", "b.csv"], "breaking"),
        ("table.parts.names", [], "additive"),
        ("table.conditions", [], "additive"),
        ("table.conditions.0.holds", "size < 8", "breaking"),
        ("table.conditions.0.share", 0, "breaking"),
        ("table.conditions.0.share", 0.2, "additive"),
        ("table.conditions.0.advisory", True, "additive"),
        ("table.conditions.0.environments", ["training"], "additive"),
        ("checks.statistics.ks", 0.2, "statistical"),
        ("checks.statistics.alpha", 0.05, "statistical"),
        ("checks.statistics.advisory", True, "statistical"),
        ("checks.freshness.max_age_days", 7, "breaking"),
        ("checks.freshness.max_age_days", 90, "additive"),
        ("checks.freshness.advisory", True, "additive"),
        ("checks.label.min_share", 0.1, "breaking"),
        ("checks.label.max_auc", 1, "additive"),
        ("checks.split.max_share", 0, "additive"),
        ("waivers", [], "breaking"),
        ("waivers.0.expires", yaml.safe_load("2029-01-01"), "breaking"),
        ("waivers.0.expires", yaml.safe_load("2031-01-01"), "additive"),
        ("waivers.0.owner", "bob", "additive"),
    ],
)
def test_each_change_has_its_kind_and_place(place, value, kind):
    found = compare(OLD, changed(place, value))
    assert [change.kind for change in found] == [kind]
    wanted = place.replace("conditions.0", "conditions.small").replace("waivers.0", "waivers.quality.range:size")
    assert found[0].place.startswith(wanted)


def test_what_goes_one_way_breaking_goes_back_additive():
    for place, value in (
        ("columns.size.nullable", 0.05),
        ("table.rows.min", 11),
        ("table.extra", "allow"),
        ("columns.size.advisory", True),
    ):
        new = changed(place, value)
        assert {compare(OLD, new)[0].kind, compare(new, OLD)[0].kind} == {"breaking", "additive"}


def test_values_that_came_and_went_are_two_changes():
    kinds = {change.kind: (change.old, change.new) for change in compare(OLD, changed("columns.region.allowed", ["north", "east"]))}
    assert kinds == {"breaking": ("[south]", "-"), "additive": ("-", "[east]")}


def test_a_stricter_rule_that_only_advises_refuses_nothing():
    new = changed("columns.size", {"type": "integer", "range": [0, 5], "nullable": 0.1, "advisory": ["range"]})
    assert {change.kind for change in compare(OLD, new)} == {"additive"}
    assert "only advises" in str(next(change for change in compare(OLD, new) if change.place == "columns.size.range"))


def test_a_rule_that_blocks_from_now_on_is_breaking():
    old = changed("columns.size.advisory", ["range", "nulls"])
    assert [change.kind for change in compare(old, changed("columns.size.advisory", ["range"]))] == ["breaking"]


def test_a_column_that_is_gone_may_still_be_delivered_where_others_are_allowed():
    new = changed("columns.code", DROP).model_copy(update={"table": changed("table.extra", "allow").table})
    assert {change.place: change.kind for change in compare(OLD, new)} == {"columns.code": "additive", "table.extra": "additive"}


def test_breaking_changes_come_first():
    values = copy.deepcopy(BASE)
    values["columns"]["size"]["range"] = [-1, 11]
    values["checks"]["statistics"] = {"psi": 0.5}
    values["table"]["rows"] = {"min": 99}
    found = compare(OLD, Contract.model_validate(values))
    assert [change.kind for change in found] == ["breaking", "statistical", "additive", "additive"]


RANGES = st.tuples(*[st.one_of(st.none(), st.integers(-5, 5))] * 2).filter(lambda ends: None in ends or ends[0] <= ends[1])


@given(RANGES, RANGES, st.integers(-7, 7))
def test_a_range_change_is_breaking_exactly_where_a_value_is_lost(old, new, value):
    def contract(ends):
        return Contract.model_validate({"columns": {"a": {"type": "integer", "range": list(ends)}}})

    def holds(ends, value):
        return (ends[0] is None or value >= ends[0]) and (ends[1] is None or value <= ends[1])

    lost = any(holds(old, one) and not holds(new, one) for one in range(-7, 8))
    assert (Kind.BREAKING in [change.kind for change in compare(contract(old), contract(new))]) == lost
    assert compare(contract(old), contract(old)) == ()
    assert not (holds(old, value) and not holds(new, value)) or lost


def git(folder, *arguments):
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path):
    """Two commits of a contract in a folder below the repository's root."""
    root = tmp_path / "project"
    (root / "data").mkdir(parents=True)
    git(tmp_path, "init", "-q")
    for low in (1, 2):
        (root / "data/contract.yaml").write_text(f"columns: {{a: {{type: integer, range: [{low}, 9]}}}}\n")
        git(tmp_path, "add", ".")
        git(tmp_path, "commit", "-qm", f"{low}")
    (root / "data/contract.yaml").write_text("columns: {a: {type: integer, range: [3, 9]}}\n")
    return root


def low(contract):
    return contract.columns["a"].range[0]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("HEAD", 2), ("HEAD:", 2), ("HEAD~1", 1), ("HEAD~1:", 1), ("HEAD:./data/contract.yaml", 2), ("HEAD:project/data/contract.yaml", 2)],
)
def test_a_revision_names_the_contract_as_it_was(repository, name, wanted):
    assert low(contract_named(name, repository, repository / "data/contract.yaml")) == wanted


def test_a_file_is_a_name_too(repository):
    path = repository / "data/contract.yaml"
    assert low(contract_named(str(path), repository, path)) == 3


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("v9", UsageError, "'v9' is neither a file nor a git revision"),
        ("", UsageError, "neither a file nor a git revision"),
        ("--output=x", UsageError, "neither a file nor a git revision"),
        ("HEAD:./data/other.yaml", UsageError, "HEAD has no file data/other.yaml"),
    ],
)
def test_a_name_that_means_nothing_is_refused(repository, name, error, words):
    with pytest.raises(error, match=words):
        contract_named(name, repository, repository / "data/contract.yaml")


def test_outside_of_a_repository_two_files_are_asked_for(tmp_path):
    with pytest.raises(PipelineError, match="no git repository"):
        contract_at("HEAD", tmp_path, "contract.yaml")


def test_an_old_contract_that_cannot_be_read_is_named_by_its_commit(repository):
    path = repository / "data/contract.yaml"
    for text in ("columns: {a: {typ: integer}}\n", "columns: [\n"):
        path.write_text(text)
        git(repository, "commit", "-qam", "broken")
        with pytest.raises(ContractError, match=r"[0-9a-f]{10}:contract\.yaml:\d: "):
            contract_named("HEAD", repository, path)


def test_a_contract_equals_itself():
    sample = Path(__file__).parents[2] / "data/contract.yaml"
    contract = contract_named(str(sample), sample.parent, sample)
    assert compare(contract, contract) == ()
