"""Conditions of the contract: SQL about one row, refused where it is more than that.

The words are looked at first, so that nothing which could read a file or another row ever reaches a parser; then Polars
parses the expression (it is never evaluated as Python) and answers it for a few made-up rows of the contract's types.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from seatrial.contract_rules import Column, Condition
from seatrial.located import nearest

if TYPE_CHECKING:
    import polars as pl

FUNCTIONS = (
    *(
        "abs",
        "ceil",
        "ceiling",
        "floor",
        "round",
        "sign",
        "sqrt",
        "cbrt",
        "exp",
        "ln",
        "log",
        "log2",
        "log10",
        "mod",
        "pow",
        "power",
        "div",
    ),
    *("greatest", "least", "coalesce", "if", "ifnull", "nullif", "try_cast", "date_part", "extract"),
    *("length", "char_length", "octet_length", "lower", "upper", "initcap", "trim", "ltrim", "rtrim", "left", "right", "substr"),
    *("starts_with", "ends_with", "strpos", "replace", "reverse", "concat", "concat_ws", "regexp_like"),
)
KEYWORDS = ("and", "or", "not", "in", "between", "like", "ilike", "rlike", "regexp", "when", "then", "else", "case", "is")
CLOCKS = ("current_date", "current_time", "current_timestamp", "localtime", "localtimestamp")
QUERIES = ("select", "with", "values", "table", "union", "except", "intersect", "over", "distinct", "any", "all", "exists")

_TOKEN = re.compile(
    r"""(?P<string>'(?:[^']|'')*') | (?P<quoted>"(?:[^"]|"")+") | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<number>[0-9][0-9.]*(?:[eE][-+]?[0-9]+)?) | (?P<space>\s+) | (?P<mark><=|>=|<>|!=|==|\|\||!~|[-+*/%<>=~(),.])""",
    re.VERBOSE,
)
_PROBES: dict[str, tuple[Any, ...]] = {
    "integer": (3, None, -1, 0, 7, 3),
    "number": (0.5, 2.0, None, -4.25, 0.0, 2.0),
    "boolean": (True, False, True, None, False, True),
    "string": ("b", "a", "", "B ", None, "a"),
    "date": (dt.date(2026, 1, 2), dt.date(2020, 2, 29), dt.date(1999, 12, 31), dt.date(2026, 1, 2), dt.date(2031, 5, 6), None),
    "datetime": (
        None,
        dt.datetime(2026, 1, 2, 3),
        dt.datetime(2020, 2, 29),
        dt.datetime(2026, 1, 2),
        dt.datetime(2031, 5, 6),
        dt.datetime(1999, 1, 1),
    ),
}


def condition_problem(condition: Condition, columns: Mapping[str, Column]) -> str | None:
    """What is wrong with a condition of a contract with these columns; None where nothing is."""
    import polars as pl

    problem = _word_problem(condition.holds)
    if problem is not None:
        return problem
    try:
        expression = pl.sql_expr(condition.holds)
        if not expression.meta.eq(expression.meta.undo_aliases()):
            return f"{condition.holds!r} is no condition that can be asked: there is a word too many at its end"
        names = list(dict.fromkeys(expression.meta.root_names()))
        problem = _name_problem(names, condition, columns)
        return problem or _answer_problem(expression, {name: columns[name].type for name in names})
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        return f"{condition.holds!r} is no condition that can be asked: {_reason(error)}"


def _reason(error: BaseException) -> str:
    reason = str(error).strip().splitlines()[0].rstrip(".")
    return f"{reason}; write a date as DATE '2026-01-31'" if "string value" in reason else reason


def _word_problem(text: str) -> str | None:
    """Anything but comparisons, arithmetic and functions of one row."""
    if "--" in text or "/*" in text or "\\'" in text:
        return "a condition has no comments, and no backslash before a quote"
    tokens = []
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            return f"{text[at : at + 10]!r} is no part of a condition"
        at = found.end()
        if found.lastgroup != "space":
            tokens.append((str(found.lastgroup), found.group(), found.start()))
    return next(filter(None, map(_token_problem, tokens, [*tokens[1:], ("end", "", at)])), None)


def _token_problem(token: tuple[str, str, int], following: tuple[str, str, int]) -> str | None:
    kind, text, start = token
    word = text.lower()
    called = following[1] == "("
    if kind == "word" and following[0] in ("string", "quoted") and following[2] == start + len(text):
        return f"a space belongs between {text} and {following[1]}"
    if kind == "word" and word in QUERIES:
        return f"{text!r} asks other rows or tables: a condition is about one row"
    if (kind == "word" and word in CLOCKS) or (called and word in ("now", "today")):
        return f"{text!r} reads the clock, and the answer would change with the day; checks.freshness asks about age"
    if called and word == "cast":
        return "CAST stops at the first cell that cannot be converted; write TRY_CAST"
    if called and kind in ("word", "quoted") and not (kind == "word" and word in FUNCTIONS + KEYWORDS):
        guess = nearest(word, FUNCTIONS)
        return f"a condition has no function {text!r}{guess if 'did you mean' in guess else '; docs/contract.md lists those it has'}"
    return None


def _name_problem(names: list[str], condition: Condition, columns: Mapping[str, Column]) -> str | None:
    if not names:
        return "it names no column, so it says nothing about a row"
    for name in names:
        if name not in columns:
            return f"{name!r} is no column of this contract{nearest(name, columns)}"
        absent = sorted(set(condition.environments) - set(columns[name].environments))
        if absent:
            return f"column {name!r} does not exist for {absent[0]}; give the condition the column's environments"
    return None


def _answer_problem(expression: pl.Expr, types: Mapping[str, str]) -> str | None:
    """Whether it answers each row with true or false, the same alone as among others."""
    import polars as pl

    kinds: dict[str, Any] = {
        "integer": pl.Int64,
        "number": pl.Float64,
        "boolean": pl.Boolean,
        "string": pl.String,
        "date": pl.Date,
        "datetime": pl.Datetime("us"),
    }
    rows = pl.DataFrame({name: pl.Series(name, _PROBES[kind], dtype=kinds[kind]) for name, kind in types.items()})
    empty = rows.clear().select(answer=expression)["answer"]
    if empty.dtype != pl.Boolean:
        return f"it gives {str(empty.dtype).lower()}, not true or false; compare it with something"
    together = rows.select(answer=expression)["answer"].to_list()
    alone = [rows[at].select(answer=expression)["answer"].to_list() for at in range(rows.height)]
    return None if [[one] for one in together] == alone else "it asks other rows: a condition is about one row"
