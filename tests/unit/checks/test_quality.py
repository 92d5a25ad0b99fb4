"""Quality checks: each limit below, at and above; a failure names column, count, examples and limit."""

import datetime as dt

import msgspec
import polars as pl
import pytest

from seatrial.checks.quality import label_checks, quality_checks
from seatrial.contract import Column, Contract, Rows, Table
from seatrial.errors import ContractError
from seatrial.params import Data
from seatrial.tables import Finding
from seatrial.verdict import Outcome

DATA = Data(raw="t.csv", target="bought", positive="yes")


def asked(cells, name, column=None, dtype=None, findings=(), **rules):
    contract = Contract(columns={"x": column or Column(**rules)})
    frame = pl.DataFrame({"x": pl.Series(cells, dtype=dtype)})
    (check,) = [one for one in quality_checks(contract, frame, findings, DATA) if one.name == name]
    return check


@pytest.mark.parametrize(("value", "outcome"), [(9, "fail"), (10, "pass"), (11, "pass"), (19, "pass"), (20, "pass"), (21, "fail")])
def test_a_range_includes_its_ends(value, outcome):
    assert asked([15, value], "quality.range", type="integer", range=(10, 20)).outcome == outcome


@pytest.mark.parametrize(("limits", "outcome"), [((None, 5), "fail"), ((5, None), "pass"), ((None, None), "pass")])
def test_a_range_may_be_open(limits, outcome):
    assert asked([6], "quality.range", type="integer", range=limits).outcome == outcome


def test_a_range_of_dates():
    limits = (dt.date(2026, 1, 1), None)
    assert asked([dt.date(2025, 12, 31)], "quality.range", type="date", range=limits).outcome == "fail"
    assert asked([dt.date(2026, 1, 1)], "quality.range", type="date", range=limits).outcome == "pass"


def test_a_failure_names_column_count_limit_and_five_examples():
    check = asked([*range(100, 108), None, 1], "quality.range", type="integer", nullable=True, range=(0, 10))
    assert check.observed == 8
    assert check.message == "column 'x': 8 rows are not between 0 and 10: 100, 101, 102, 103, 104, …"


def test_values_that_are_not_allowed():
    check = asked(["a", "b", "c", None], "quality.allowed", type="string", nullable=True, allowed=("a", "b"))
    assert (check.outcome, check.observed) == (Outcome.FAIL, 1)
    assert "not one of a, b: 'c'" in check.message


@pytest.mark.parametrize(("cell", "outcome"), [("K12", "pass"), ("K", "fail"), ("xK12", "fail"), ("K12\n", "fail")])
def test_a_pattern_holds_for_the_whole_cell(cell, outcome):
    assert asked([cell], "quality.pattern", type="string", pattern="K[0-9]+").outcome == outcome


def test_a_pattern_that_only_python_knows_is_the_contracts_fault():
    with pytest.raises(ContractError, match="pattern"):
        asked(["a"], "quality.pattern", type="string", pattern="(?=a)a")


def test_duplicates_fail_and_missing_cells_are_none():
    check = asked(["a", "b", "a", None, None], "quality.unique", type="string", nullable=True, unique=True)
    assert (check.outcome, check.observed) == (Outcome.FAIL, 2)
    assert "'a'" in check.message
    assert asked(["a", None, None], "quality.unique", type="string", nullable=True, unique=True).outcome == "pass"


@pytest.mark.parametrize(("nulls", "outcome"), [(0, "pass"), (1, "pass"), (2, "fail")])
def test_missing_cells_up_to_the_rate(nulls, outcome):
    check = asked([None] * nulls + [1] * (10 - nulls), "quality.nulls", dtype=pl.Int64, type="integer", nullable=0.1)
    assert check.outcome == outcome
    assert check.observed == nulls / 10


def test_cells_of_another_type_do_not_count_as_missing():
    finding = Finding(column="x", wanted="integer", count=1, examples=("two",))
    assert asked([None, 1], "quality.nulls", type="integer", findings=(finding,)).outcome == "pass"


@pytest.mark.parametrize(("rows", "outcome"), [(1, "fail"), (2, "pass"), (3, "pass"), (4, "fail")])
def test_the_number_of_rows(rows, outcome):
    contract = Contract(columns={"x": Column(type="integer")}, table=Table(rows=Rows(min=2, max=3)))
    assert quality_checks(contract, pl.DataFrame({"x": range(rows)}), (), DATA)[0].outcome == outcome


def test_a_key_of_two_columns_is_unique_together():
    contract = Contract(columns={"a": Column(type="integer"), "b": Column(type="integer")}, table=Table(key=("a", "b")))
    good, bad = pl.DataFrame({"a": [1, 1, 2], "b": [1, 2, 1]}), pl.DataFrame({"a": [1, 1, 2], "b": [1, 1, 1]})
    key = [check for frame in (good, bad) for check in quality_checks(contract, frame, (), DATA) if check.name == "quality.key"]
    assert [check.outcome for check in key] == ["pass", "fail"]
    assert "1 rows repeat an earlier one's: 1, 1" in key[1].message


def test_the_targets_missing_cells_are_a_check_of_their_own():
    contract = Contract(columns={"bought": Column(type="string")})
    checks = quality_checks(contract, pl.DataFrame({"bought": ["yes", None]}), (), DATA)
    assert [(check.name, check.outcome) for check in checks if check.column == "bought"] == [("label.missing", "fail")]


@pytest.mark.parametrize(
    ("labels", "positive", "words"),
    [
        (["yes", "yes"], "yes", "1 class instead of two: 'yes' (2)"),
        (["yes", "no", "maybe"], "yes", "3 classes instead of two: 'maybe' (1), 'no' (1), 'yes' (1)"),
        (["ja", "nein"], "yes", "data.positive of params.yaml is 'yes', which is none of them"),
        ([None, None], "yes", "every label is missing"),
    ],
)
def test_a_target_without_exactly_two_classes_fails_and_names_them(labels, positive, words):
    (check,) = label_checks(pl.DataFrame({"bought": pl.Series(labels, dtype=pl.String)}), DATA)
    assert check.outcome is Outcome.FAIL
    assert words in check.message


@pytest.mark.parametrize(
    ("labels", "positive"), [(["yes", "no"], "yes"), ([1, 0], 1), ([1, 0], "1"), ([True, False], True), (["a", "b"], None)]
)
def test_a_target_of_two_classes_passes_however_they_are_written(labels, positive):
    (check,) = label_checks(pl.DataFrame({"bought": labels}), msgspec.structs.replace(DATA, positive=positive))
    assert check.outcome is Outcome.PASS
