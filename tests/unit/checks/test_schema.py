"""Schema checks: columns that are missing, extra or of another type."""

from seatrial.checks.schema import schema_checks
from seatrial.contract import Column, Contract, Table
from seatrial.tables import Finding
from seatrial.verdict import Outcome

CONTRACT = Contract(columns={"age": Column(type="integer"), "colour": Column(type="string")})


def failed(checks):
    return [(check.name, check.column) for check in checks if check.outcome is not Outcome.PASS]


def test_the_contracts_columns_in_any_order_pass():
    checks = schema_checks(CONTRACT, ["colour", "age"], ())
    assert failed(checks) == []
    assert {check.name for check in checks} == {"schema.columns", "schema.type"}


def test_a_missing_and_an_extra_column_fail_each_and_are_likened_to_each_other():
    checks = schema_checks(CONTRACT, ["age", "color"], ())
    assert failed(checks) == [("schema.columns", "colour"), ("schema.columns", "color")]
    assert "did you mean 'color'?" in checks[0].message
    assert "table.extra: allow" in checks[1].message


def test_an_extra_column_passes_where_the_contract_allows_it():
    contract = CONTRACT.model_copy(update={"table": Table(extra="allow")})
    checks = schema_checks(contract, ["age", "colour", "more"], ())
    assert failed(checks) == []
    assert "1 more that it allows" in checks[0].message


def test_cells_of_another_type_fail_with_their_count_and_examples():
    finding = Finding(column="age", wanted="integer", count=2, examples=("two", "x"))
    (check,) = [one for one in schema_checks(CONTRACT, ["age", "colour"], (finding,)) if one.outcome is Outcome.FAIL]
    assert (check.name, check.column, check.observed, check.limit) == ("schema.type", "age", 2, 0)
    assert "'two', 'x'" in check.message
