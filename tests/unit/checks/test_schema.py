"""Schema checks: columns that are missing, extra or of another type, parts that disagree or are not there."""

import pytest

from seatrial.checks.schema import schema_checks
from seatrial.contract import Column, Contract, Parts, Table
from seatrial.summary import Broken, ColumnSummary, Example, PartFacts, Summary
from seatrial.verdict import Outcome

CONTRACT = Contract(columns={"age": Column(type="integer"), "colour": Column(type="string")})
STORED = {"age": "Int64", "colour": "String"}


def summary(*stored, **columns):
    """A table of parts a.csv, b.csv, … that store these columns; columns of the contract are summarised as given."""
    parts = tuple(PartFacts(name=f"{'abcdefgh'[at]}.csv", digest="md5:0", rows=5, stored=one) for at, one in enumerate(stored))
    found = {
        name: ColumnSummary(type=CONTRACT.columns[name].type, count=5) for name in CONTRACT.columns if any(name in one for one in stored)
    }
    return Summary(rows=5 * len(parts), parts=parts, columns={**found, **columns})


def failed(checks):
    return [(check.name, check.column) for check in checks if check.outcome is not Outcome.PASS]


def with_parts(**rules):
    return CONTRACT.model_copy(update={"table": Table(parts=Parts(**rules))})


def test_the_contracts_columns_in_any_order_pass():
    checks = schema_checks(CONTRACT, summary({"colour": "String", "age": "Int64"}))
    assert failed(checks) == []
    assert {check.name for check in checks} == {"schema.columns", "schema.type", "schema.parts"}


def test_a_missing_and_an_extra_column_fail_each_and_are_likened_to_each_other():
    checks = schema_checks(CONTRACT, summary({"age": "Int64", "color": "String"}))
    assert failed(checks) == [("schema.columns", "colour"), ("schema.columns", "color")]
    assert "did you mean 'color'?" in checks[0].message
    assert "table.extra: allow" in checks[1].message


def test_an_extra_column_passes_where_the_contract_allows_it():
    contract = CONTRACT.model_copy(update={"table": Table(extra="allow")})
    checks = schema_checks(contract, summary({**STORED, "more": "String"}))
    assert failed(checks) == []
    assert "1 more that it allows" in checks[0].message


def test_an_extra_column_of_one_part_is_named_with_its_part():
    checks = schema_checks(CONTRACT, summary(STORED, {**STORED, "more": "String"}, STORED))
    assert failed(checks) == [("schema.columns", "more")]
    assert "'more' (only in b.csv)" in checks[0].message


@pytest.mark.parametrize(("unread", "outcome"), [(0, "pass"), (1, "fail")])
def test_no_cell_may_be_of_another_type(unread, outcome):
    cells = ColumnSummary(type="integer", count=5 - unread, unread=Broken(count=unread))
    (check,) = [one for one in schema_checks(CONTRACT, summary(STORED, age=cells)) if (one.name, one.column) == ("schema.type", "age")]
    assert (check.outcome, check.observed, check.limit) == (outcome, unread, 0)


def test_cells_of_another_type_are_named_with_count_row_and_part():
    examples = (Example(part="a.csv", row=3, value="'two'"), Example(part="b.csv", row=1, value="'x'"))
    cells = ColumnSummary(type="integer", count=7, unread=Broken(count=3, examples=examples))
    (check,) = [one for one in schema_checks(CONTRACT, summary(STORED, STORED, age=cells)) if one.outcome is Outcome.FAIL]
    assert (check.name, check.column, check.observed, check.limit) == ("schema.type", "age", 3, 0)
    assert check.message == "column 'age': 3 of 10 cells are not an integer: 'two' (a.csv, row 3), 'x' (b.csv, row 1), …"


def test_a_column_that_a_part_lacks_fails_and_names_the_part():
    checks = schema_checks(CONTRACT, summary(STORED, {"age": "Int64"}, STORED))
    assert failed(checks) == [("schema.parts", "colour")]
    assert checks[-1].message == "column 'colour' is missing in 1 of 3 parts: b.csv"


def test_a_column_that_all_parts_lack_is_only_missing():
    assert failed(schema_checks(CONTRACT, summary({"age": "Int64"}, {"age": "Int64"}))) == [("schema.columns", "colour")]


def test_a_column_of_two_stored_types_fails_and_names_the_unusual_part():
    checks = schema_checks(CONTRACT, summary(STORED, STORED, {**STORED, "age": "Float64"}))
    assert failed(checks) == [("schema.parts", "age")]
    assert checks[-1].message == "column 'age' is stored as Int64 in 2 parts, but as Float64 in c.csv"


def test_parts_that_differ_only_in_columns_the_contract_allows_pass():
    contract = CONTRACT.model_copy(update={"table": Table(extra="allow")})
    assert failed(schema_checks(contract, summary(STORED, {**STORED, "more": "String"}, {**STORED, "more": "Int64"}))) == []


@pytest.mark.parametrize(("count", "outcome"), [(1, "fail"), (2, "pass"), (3, "pass"), (4, "fail")])
def test_the_number_of_parts(count, outcome):
    check = schema_checks(with_parts(min=2, max=3), summary(*[STORED] * count))[-1]
    assert (check.name, check.outcome, check.observed, check.limit) == ("schema.parts", outcome, count, "2 to 3")


def test_a_part_that_is_expected_by_name_is_missed():
    expecting = with_parts(names=("a.csv", "bb.csv", "c.csv"))
    check = schema_checks(expecting, summary(STORED, STORED, STORED))[-1]
    assert (check.name, check.outcome, check.observed) == ("schema.parts", "fail", 1)
    assert check.message.startswith("1 of the 3 parts that the contract names is missing: bb.csv")
    assert failed(schema_checks(with_parts(names=("a.csv", "c.csv")), summary(STORED, STORED, STORED))) == []
