"""Conditions are SQL about one row, and nothing else gets past the contract's door."""

import polars as pl
import pytest

from seatrial.contract import Column, Condition
from seatrial.contract_conditions import FUNCTIONS, _answer_problem, condition_problem

KINDS = {"whole": "integer", "size": "number", "word": "string", "day": "date", "moment": "datetime", "flag": "boolean"}
COLUMNS = {name: Column(type=kind) for name, kind in KINDS.items()} | {"odd name": Column(type="integer")}


def problem(holds, **options):
    return condition_problem(Condition(name="x", holds=holds, **options), COLUMNS)


@pytest.mark.parametrize(
    "holds",
    [
        "size >= whole OR whole = 0",
        "whole IN (1, 2, 3) AND NOT flag",
        "word LIKE 'a%' OR word IS NULL",
        "day >= DATE '2026-01-31' AND moment > day + INTERVAL '1 day'",
        "CASE WHEN flag THEN size > 0 ELSE size IS NULL END",
        "ROUND(size, 2) = size AND whole % 2 = 0 AND size BETWEEN 0 AND 1e3",
        "EXTRACT(year FROM day) = 2026",
        "word ~ '^[a-z]+$'",
        '"odd name" > 1',
        "word = '(select'",
        "word = 'it''s'",
        "TRY_CAST(word AS INT) > 3",
        "flag",
    ],
)
def test_a_question_to_one_row_is_accepted(holds):
    assert problem(holds) is None


@pytest.mark.parametrize(
    ("holds", "words"),
    [
        ("size >", "no condition that can be asked"),
        ("size > 1; whole", "no part of a condition"),
        ("sizes > 1", "'sizes' is no column of this contract; did you mean 'size'?"),
        ("whole + 1", "it gives int64, not true or false"),
        ("1 = 1", "it names no column"),
        ("size > 1 big", "a word too many at its end"),
        ("size > word", "cannot compare"),
        ("day > '2026-01-01'", "write a date as DATE '2026-01-31'"),
        ("word ~ 'x['", "regex"),
        ("whole IN (SELECT 1)", "asks other rows or tables"),
        ("size > (SELECT max(x) FROM read_csv('/etc/passwd'))", "asks other rows or tables"),
        ("EXISTS (SELECT 1)", "asks other rows or tables"),
        ("whole > ALL (SELECT 1)", "asks other rows or tables"),
        ("whole IN (/**/SELECT 1)", "no comments"),
        ("whole > 1 -- always", "no comments"),
        ("word = '\\' OR (SELECT 1) > '", "no backslash before a quote"),
        ("word = E'x'", "a space belongs between"),
        ("read_csv('/etc/passwd') > 1", "a condition has no function 'read_csv'"),
        ("read_parquet('s3://x') IS NULL", "a condition has no function"),
        ('"sum"(whole) > 1', "a condition has no function"),
        ("SUM(whole) > whole", "a condition has no function 'SUM'"),
        ("COUNT(*) > whole", "a condition has no function"),
        ("ROW_NUMBER() OVER (ORDER BY whole) > 1", "a condition has no function"),
        ("COLUMNS('.*') > 1", "a condition has no function"),
        ("day < CURRENT_DATE", "reads the clock"),
        ("moment < NOW()", "reads the clock"),
        ("CAST(word AS INT) > 1", "write TRY_CAST"),
        ("whole::text = '1'", "no part of a condition"),
        ("__import__('os').system('true')", "a condition has no function"),
        ("`whole` > 1", "no part of a condition"),
    ],
)
def test_anything_else_is_refused_in_words(holds, words):
    assert words in problem(holds)


@pytest.mark.parametrize("holds", ["SUM(whole) > whole", "ROW_NUMBER() OVER (ORDER BY whole) > 2", "COUNT(*) > 3 AND whole > 0"])
def test_a_trial_on_made_up_rows_stands_behind_the_words(holds):
    assert "asks other rows" in _answer_problem(pl.sql_expr(holds), {"whole": "integer"})


def test_a_column_that_does_not_exist_where_the_condition_is_asked_is_refused():
    columns = COLUMNS | {"label": Column(type="string", environments=("training",))}
    everywhere = Condition(name="x", holds="label = 'a'")
    assert "'label' does not exist for serving" in condition_problem(everywhere, columns)
    assert condition_problem(everywhere.model_copy(update={"environments": ("training",)}), columns) is None


ARGUMENTS = {
    **dict.fromkeys(("length", "char_length", "octet_length"), "{}(word) > 1"),
    **dict.fromkeys(("lower", "upper", "initcap", "trim", "ltrim", "rtrim", "reverse"), "{}(word) = 'a'"),
    **dict.fromkeys(("left", "right"), "{}(word, 1) = 'a'"),
    **dict.fromkeys(("starts_with", "ends_with", "regexp_like"), "{}(word, 'a')"),
    **dict.fromkeys(("mod", "div", "pow", "power", "log", "greatest", "least", "coalesce", "ifnull", "nullif"), "{}(size, 2) > 1"),
    "if": "if(flag, size > 1, size > 2)",
    "try_cast": "try_cast(word AS int) = 1",
    "date_part": "date_part('year', day) = 2026",
    "extract": "extract(month FROM day) = 1",
    "substr": "substr(word, 1, 2) = 'a'",
    "strpos": "strpos(word, 'a') = 1",
    "replace": "replace(word, 'a', 'b') = 'b'",
    "concat": "concat(word, 'a') = 'aa'",
    "concat_ws": "concat_ws('-', word, 'a') = 'a-a'",
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_that_is_promised_works(name):
    assert problem(ARGUMENTS.get(name, "{}(size) > 1").format(name)) is None
