"""Quality checks: each limit below, at and above; a failure names column, count, limit and examples with their rows."""

import datetime as dt

import pytest

from seatrial.checks.quality import quality_checks
from seatrial.contract import Column, Condition, Contract, Rows, Table
from seatrial.params import Data
from seatrial.sketches import Tally, Values
from seatrial.summary import Broken, ColumnSummary, Example, PartFacts, Summary
from seatrial.verdict import Outcome

DATA = Data(raw="t.csv", target="bought", id="id")
NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)


def values(*cells):
    tally = Tally()
    tally.add(cells, [1] * len(cells))
    return tally.freeze()


def column_of(cells, kind, **facts):
    """A column's summary, its values counted one by one; None is a missing cell."""
    present = [cell for cell in cells if cell is not None]
    given = {"count": len(present), "missing": Broken(count=len(cells) - len(present)), "values": values(*present)}
    return ColumnSummary(type=kind, **{**given, **facts})


def summary(rows=10, parts=1, broken=None, repeats=None, **columns):
    names = dict.fromkeys(columns, "String")
    facts = tuple(PartFacts(name=f"{'ab'[at]}.csv", digest="md5:0", rows=rows // parts, stored=names) for at in range(parts))
    return Summary(rows=rows, parts=facts, columns=columns, broken=broken or {}, repeats=repeats or {})


def asked(name, found, column, *, subject="x", **table):
    """The check `name` of a table with the one column x; None where it is not asked."""
    contract = Contract(columns={"x": column}, table=Table(**table))
    checks = [one for one in quality_checks(contract, found, DATA, NOW) if (one.name, one.column) == (name, subject)]
    assert len(checks) < 2
    return checks[0] if checks else None


def rule_check(rule, count, column, *, parts=1, examples=(), cells=(15, 16)):
    found = summary(parts=parts, broken={f"{rule}:x": Broken(count=count, examples=examples)}, x=column_of(cells, column.type))
    return asked(rule, found, column)


RULES = [
    ("quality.range", Column(type="integer", range=(10, 20)), "between 10 and 20"),
    ("quality.range", Column(type="integer", range=(None, 20)), "between anything and 20"),
    ("quality.allowed", Column(type="integer", allowed=(15, 16)), "one of 15, 16"),
    ("quality.pattern", Column(type="string", pattern="K[0-9]+"), "written like K[0-9]+"),
]


@pytest.mark.parametrize(("rule", "column", "words"), RULES)
@pytest.mark.parametrize(("count", "outcome"), [(0, "pass"), (1, "fail"), (2, "fail")])
def test_no_row_may_break_a_rule_of_its_column(rule, column, words, count, outcome):
    check = rule_check(rule, count, column)
    assert (check.outcome, check.observed, check.limit, check.advisory) == (outcome, count, 0, False)
    assert words in check.message


@pytest.mark.parametrize(("rule", "column", "words"), RULES)
def test_a_rule_of_a_column_may_only_advise(rule, column, words):
    assert rule_check(rule, 1, column.model_copy(update={"advisory": (rule.removeprefix("quality."),)})).advisory
    assert not rule_check(rule, 1, column.model_copy(update={"advisory": ("nulls",)})).advisory


def test_a_failure_names_column_counts_limit_and_examples_with_their_rows():
    examples = (Example(part="a.csv", row=3, value="100"), Example(part="b.csv", row=9, value="7"))
    column = Column(type="integer", range=(10, 20))
    assert rule_check("quality.range", 3, column, examples=examples).message == (
        "column 'x': 3 of 2 values are not between 10 and 20: 100 (row 3), 7 (row 9), …"
    )
    assert "100 (a.csv, row 3), 7 (b.csv, row 9)" in rule_check("quality.range", 2, column, examples=examples, parts=2).message
    assert rule_check("quality.range", 2, column, examples=examples).message.endswith("7 (row 9)")


def test_a_rule_about_a_column_that_is_not_there_is_not_asked():
    assert asked("quality.range", summary(), Column(type="integer", range=(0, 1))) is None


def test_a_value_that_is_nearly_allowed_is_likened_to_it():
    column = Column(type="string", allowed=("DSL", "No"))
    check = rule_check("quality.allowed", 4, column, cells=("DSL", "No", "dsl", "No ", "Fibre"))
    assert check.message.endswith("; only case or white space tells 'No ' from 'No', 'dsl' from 'DSL'")
    assert "white space" not in rule_check("quality.allowed", 1, column, cells=("DSL", "No", "Fibre")).message


def conditions(count, share, *, advisory=False, rows=10, examples=()):
    condition = Condition(name="covers", holds="x >= 1", share=share, advisory=advisory)
    found = summary(rows=rows, broken={"quality.condition:covers": Broken(count=count, examples=examples)}, x=column_of([1, 2], "integer"))
    return asked("quality.condition", found, Column(type="integer"), subject="covers", conditions=(condition,))


@pytest.mark.parametrize(("count", "outcome"), [(0, "pass"), (1, "pass"), (2, "pass"), (3, "fail")])
def test_a_condition_may_be_broken_in_a_share_of_the_rows(count, outcome):
    check = conditions(count, 0.2)
    assert (check.outcome, check.observed, check.limit) == (outcome, count / 10, 0.2)


def test_a_broken_condition_says_what_does_not_hold_where():
    check = conditions(1, 0, examples=(Example(part="a.csv", row=4, value="x = 0"),))
    assert check.message == "condition 'covers' (x >= 1) is broken in 1 of 10 rows (10.00%), at most 0.00% may break it: x = 0 (row 4)"
    assert conditions(1, 0, advisory=True).advisory
    assert not check.advisory


def test_one_row_of_many_is_never_shown_as_none():
    assert "(0.00002%)" in conditions(2, 0, rows=10_000_000).message


@pytest.mark.parametrize(("nulls", "outcome"), [(0, "pass"), (1, "pass"), (2, "fail")])
def test_missing_cells_up_to_the_rate(nulls, outcome):
    check = asked(
        "quality.nulls", summary(x=column_of([None] * nulls + [1] * (10 - nulls), "integer")), Column(type="integer", nullable=0.1)
    )
    assert (check.outcome, check.observed, check.limit) == (outcome, nulls / 10, 0.1)


def test_missing_cells_are_named_by_row_and_id():
    missing = Broken(count=2, examples=(Example(part="a.csv", row=3, value="'C3'"), Example(part="a.csv", row=8, value="")))
    check = asked("quality.nulls", summary(x=column_of([1] * 8, "integer", missing=missing)), Column(type="integer"))
    assert check.message == "column 'x': 2 of 10 cells are missing (20.00%), at most 0.00% may be; first in row 3 ('C3'), row 8"


def test_cells_of_another_type_do_not_count_as_missing():
    found = column_of([1] * 9, "integer", unread=Broken(count=1))
    check = asked("quality.nulls", summary(x=found), Column(type="integer"))
    assert (check.outcome, check.observed) == (Outcome.PASS, 0.0)
    assert "0 of 10 cells" in check.message


def test_an_empty_column_fails_unless_all_may_be_missing():
    found = summary(x=column_of([None] * 10, "integer"))
    check = asked("quality.nulls", found, Column(type="integer", nullable=0.99))
    assert (check.outcome, check.observed) == (Outcome.FAIL, 1.0)
    assert "it is empty" in check.message
    assert asked("quality.nulls", found, Column(type="integer", nullable=1)).outcome is Outcome.PASS
    assert asked("quality.constant", found, Column(type="integer", nullable=1)) is None


def test_missing_cells_may_only_advise():
    found = summary(x=column_of([None, 1], "integer"))
    assert asked("quality.nulls", found, Column(type="integer", advisory=True)).advisory
    assert asked("quality.nulls", found, Column(type="integer", advisory=("nulls",))).advisory


@pytest.mark.parametrize(("rows", "outcome"), [(1, "fail"), (2, "pass"), (3, "pass"), (4, "fail")])
def test_the_number_of_rows(rows, outcome):
    check = asked("quality.rows", summary(rows=rows), Column(type="integer"), subject=None, rows=Rows(min=2, max=3))
    assert (check.outcome, check.observed, check.limit) == (outcome, rows, "2 to 3")


REPEATED = (Example(part="a.csv", row=7, value="'a'"),)


@pytest.mark.parametrize(("count", "outcome"), [(0, "pass"), (1, "fail"), (2, "fail")])
def test_a_unique_columns_rows_do_not_repeat(count, outcome):
    found = summary(repeats={"unique:x": Broken(count=count, examples=REPEATED[:count])}, x=column_of(["a"], "string"))
    check = asked("quality.unique", found, Column(type="string", unique=True))
    assert (check.outcome, check.observed, check.limit) == (outcome, count, 0)


def test_a_repeated_value_is_named_with_its_row():
    found = summary(repeats={"unique:x": Broken(count=1, examples=REPEATED)}, x=column_of(["a"], "string"))
    check = asked("quality.unique", found, Column(type="string", unique=True, advisory=("unique",)))
    assert check.message == "column 'x': 1 row repeats the value of an earlier one: 'a' (row 7)"
    assert check.advisory


@pytest.mark.parametrize(("count", "outcome"), [(0, "pass"), (1, "fail"), (2, "fail")])
def test_a_key_names_one_row_each(count, outcome):
    found = summary(repeats={"key": Broken(count=count, examples=REPEATED[:count])}, x=column_of(["a"], "string"))
    check = asked("quality.key", found, Column(type="string"), subject=None, key=("x",))
    assert (check.outcome, check.observed) == (outcome, count)
    assert ("'a' (row 7)" in check.message) is bool(count)


@pytest.mark.parametrize(("count", "outcome"), [(0, "pass"), (1, "pass"), (2, "pass"), (3, "fail")])
def test_a_share_of_the_rows_may_repeat(count, outcome):
    found = summary(repeats={"rows": Broken(count=count, examples=REPEATED)}, x=column_of(["a"], "string"))
    check = asked("quality.duplicates", found, Column(type="string"), subject=None, duplicates=0.2)
    assert (check.outcome, check.observed, check.limit) == (outcome, count / 10, 0.2)
    assert ("'a' (row 7)" in check.message) is (count == 3)


def test_repeated_rows_are_not_asked_where_nobody_looked_for_them():
    assert asked("quality.duplicates", summary(), Column(type="string"), subject=None) is None


@pytest.mark.parametrize(
    ("cells", "outcome"), [([5], None), ([5, 5], "fail"), ([5, 5, None], "fail"), ([5, 6], "pass"), ([None, None], None)]
)
def test_a_constant_column_fails_from_two_rows_on(cells, outcome):
    check = asked("quality.constant", summary(x=column_of(cells, "integer")), Column(type="integer", nullable=1))
    assert (check and check.outcome) == outcome


@pytest.mark.parametrize(
    ("column", "asks"),
    [
        (Column(type="integer", allowed=(5,)), False),
        (Column(type="integer", allowed=(5, 6)), True),
        (Column(type="integer", range=(5, 5)), False),
        (Column(type="integer", range=(5, 6)), True),
        (Column(type="integer", range=(None, None)), True),
    ],
)
def test_a_column_is_no_constant_where_the_contract_admits_one_value(column, asks):
    check = asked("quality.constant", summary(x=column_of([5, 5], "integer")), column)
    assert (check is not None) is asks
    if asks:
        assert check.message == "column 'x': all 2 values are 5, but the contract admits others: it tells nothing"


def test_a_constant_target_is_the_labels_to_say():
    contract = Contract(columns={"bought": Column(type="string")})
    found = summary(bought=column_of(["yes", "yes", None], "string"))
    assert [check.name for check in quality_checks(contract, found, DATA, NOW) if check.column == "bought"] == [
        "quality.mixed",
        "quality.variants",
    ]


@pytest.mark.parametrize(("rule", "cells"), [("constant", "55"), ("mixed", ["5", "a"]), ("variants", ["a", "A", "a ", "b"] * 3)])
def test_an_oddity_may_only_advise(rule, cells):
    found = summary(x=column_of(list(cells), "string"))
    check = asked(f"quality.{rule}", found, Column(type="string", advisory=(rule,)))
    assert (check.outcome, check.advisory) == (Outcome.FAIL, True)
    assert not asked(f"quality.{rule}", found, Column(type="string")).advisory


@pytest.mark.parametrize(
    ("cells", "outcome"), [(["a", "b"], "pass"), (["a", "b", "1.5"], "fail"), (["a", "1", "2"], "fail"), (["1", "2"], "pass")]
)
def test_words_and_numbers_do_not_mix(cells, outcome):
    assert asked("quality.mixed", summary(x=column_of(cells, "string")), Column(type="string")).outcome == outcome


def test_mixed_columns_say_how_many_of_each_and_show_the_rarer_kind():
    check = asked("quality.mixed", summary(x=column_of(["a", "b", "c", "7"], "string")), Column(type="string"))
    assert check.message == "column 'x': 1 number among 3 words: '7'; say allow: [mixed] where that is right"
    assert check.observed == 1
    check = asked("quality.mixed", summary(x=column_of(["1", "2", "3", "n/a", "-"], "string")), Column(type="string"))
    assert check.message == "column 'x': 2 words among 3 numbers: '-', 'n/a'; say allow: [mixed] where that is right"


def test_mixed_columns_are_counted_where_values_are_only_sketched():
    found = ColumnSummary(type="string", count=100_000, values=Values(exact=None, number_like=40_000))
    check = asked("quality.mixed", summary(x=found), Column(type="string"))
    assert "40000 numbers among 60000 words" in check.message


@pytest.mark.parametrize(
    "column",
    [
        Column(type="string", allow=("mixed",)),
        Column(type="string", allowed=("a", "1")),
        Column(type="string", pattern="."),
        Column(type="string", unique=True),
    ],
)
def test_mixing_is_not_asked_where_the_contract_says_how_text_is_written(column):
    assert asked("quality.mixed", summary(x=column_of(["a", "1"], "string")), column) is None


def test_mixing_and_variants_are_not_asked_of_the_id():
    contract = Contract(columns={"id": Column(type="string")})
    found = summary(id=column_of(["a", "A", "a ", "1", "a", "a"], "string"))
    assert not {check.name for check in quality_checks(contract, found, DATA, NOW)} & {"quality.mixed", "quality.variants"}


@pytest.mark.parametrize(
    ("cells", "outcome"), [(["No", "Yes"], "pass"), (["No", "no"], "fail"), (["No", "No "], "fail"), (["N o", "No"], "pass")]
)
def test_spellings_of_one_category_fail(cells, outcome):
    assert asked("quality.variants", summary(x=column_of(cells * 5, "string")), Column(type="string")).outcome == outcome


def test_spellings_are_named_with_their_rows():
    found = summary(x=column_of(["No"] * 5 + ["no"] * 2 + ["A b", "a  B", "Yes"], "string"))
    check = asked("quality.variants", found, Column(type="string"))
    assert check.message == (
        "column 'x': 2 groups of values differ only by case or white space: 'A b' (1 row), 'a  B' (1 row); 'No' (5 rows), 'no' (2 rows)"
    )


@pytest.mark.parametrize("column", [Column(type="string", allow=("variants",)), Column(type="string", allowed=("No", "no"))])
def test_spellings_are_not_asked_where_the_contract_lists_or_allows_them(column):
    assert asked("quality.variants", summary(x=column_of(["No", "no"] * 5, "string")), column) is None


@pytest.mark.parametrize(
    ("newest", "outcome"),
    [("2026-11-20", "pass"), ("2026-11-21", "pass"), ("2026-11-22", "fail"), ("2027-01-01", "fail")],
)
def test_dates_lie_at_most_a_day_ahead(newest, outcome):
    check = asked("quality.future", summary(x=column_of(["2026-01-01", newest], "date")), Column(type="date"))
    assert (check.outcome, check.observed, check.limit, check.volatile) == (outcome, int(outcome == "fail"), 0, True)


@pytest.mark.parametrize(("moment", "outcome"), [("11:59:59", "pass"), ("12:00:00", "pass"), ("12:00:01", "fail")])
def test_moments_lie_at_most_a_day_ahead_in_utc(moment, outcome):
    found = summary(x=column_of([f"2026-11-21 {moment}.000000"], "datetime"))
    now = NOW.astimezone(dt.timezone(dt.timedelta(hours=-8)))
    contract = Contract(columns={"x": Column(type="datetime")})
    (check,) = [one for one in quality_checks(contract, found, DATA, now) if one.name == "quality.future"]
    assert check.outcome == outcome


def test_dates_in_the_future_are_counted_and_shown_newest_first():
    found = summary(x=column_of(["2026-01-01", "2031-01-01", "2027-05-01", "2031-01-01"], "date"))
    check = asked("quality.future", found, Column(type="date", advisory=("future",)))
    assert check.message == "column 'x': 3 of 4 values lie more than a day after 2026-11-20: 2031-01-01 (2 rows), 2027-05-01 (1 row)"
    assert check.advisory


def test_of_dates_that_were_not_counted_the_newest_is_looked_at():
    found = ColumnSummary(type="date", count=50, low="2020-01-01", high="2031-01-01")
    check = asked("quality.future", summary(x=found), Column(type="date"))
    assert check.message == "column 'x': the newest value lies more than a day after 2026-11-20: 2031-01-01"
    past = ColumnSummary(type="date", count=50, low="2020-01-01", high="2026-11-20")
    assert asked("quality.future", summary(x=past), Column(type="date")).outcome is Outcome.PASS


def test_the_future_is_not_asked_where_it_is_allowed():
    found = summary(x=column_of(["2031-01-01"], "date"))
    assert asked("quality.future", found, Column(type="date", allow=("future",))) is None


def test_what_passes_says_the_same_tomorrow():
    contract = Contract(columns={"x": Column(type="date")})
    found = summary(x=column_of(["2026-11-19"], "date"))
    assert quality_checks(contract, found, DATA, NOW) == quality_checks(contract, found, DATA, NOW + dt.timedelta(days=40))


def test_an_empty_table_is_only_too_short():
    contract = Contract(columns={"x": Column(type="integer", range=(0, 1))})
    found = Summary(rows=0, broken={"quality.range:x": Broken()}, columns={"x": ColumnSummary(type="integer")}, repeats={"rows": Broken()})
    assert [check.name for check in quality_checks(contract, found, DATA, NOW) if check.outcome is not Outcome.PASS] == ["quality.rows"]
