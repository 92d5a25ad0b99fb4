"""Row checks of the contract, compiled once: for each a Polars expression that is true where a row breaks it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seatrial.errors import ContractError

if TYPE_CHECKING:
    import polars as pl

    from seatrial.contract import Column, Contract

MOST_NAMED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One question to every row of a typed table about `subject`, a column or a condition; `limit` says in words what is acceptable."""

    name: str
    subject: str
    columns: tuple[str, ...]
    broken: pl.Expr
    limit: str

    @property
    def key(self) -> str:
        """How a summary knows it: `quality.range:price`."""
        return f"{self.name}:{self.subject}"


def rules_of(contract: Contract) -> tuple[Rule, ...]:
    """All row checks of the contract; uniqueness and keys are not among them, because they are no question to a single row."""
    columns = [rule for column in contract.columns.values() for rule in _of_column(column)]
    return (*columns, *_conditions(contract))


def _of_column(column: Column) -> Iterator[Rule]:
    import polars as pl

    cell = pl.col(column.name)
    if column.range is not None:
        low, high = column.range
        yield _rule("quality.range", column, _outside(cell, low, high), f"between {_bound(low)} and {_bound(high)}")
    if column.allowed is not None:
        words = ", ".join(map(str, column.allowed[:MOST_NAMED])) + (", …" if len(column.allowed) > MOST_NAMED else "")
        yield _rule("quality.allowed", column, ~cell.is_in(list(column.allowed)), f"one of {words}")
    if column.pattern is not None:
        yield _rule("quality.pattern", column, ~cell.str.contains(f"^(?:{column.pattern})$"), f"written like {column.pattern}")


def _rule(name: str, column: Column, broken: pl.Expr, limit: str) -> Rule:
    return Rule(name=name, subject=column.name, columns=(column.name,), broken=broken, limit=limit)


def _outside(cell: pl.Expr, low: Any, high: Any) -> pl.Expr:
    import polars as pl

    below = pl.lit(False) if low is None else cell < low
    above = pl.lit(False) if high is None else cell > high
    return below | above


def _bound(limit: Any) -> str:
    return "anything" if limit is None else str(limit)


def _conditions(contract: Contract) -> Iterator[Rule]:
    import polars as pl

    for condition in contract.table.conditions:
        expression = pl.sql_expr(condition.holds)
        yield Rule(
            name="quality.condition",
            subject=condition.name,
            columns=tuple(dict.fromkeys(expression.meta.root_names())),
            broken=~expression,
            limit=condition.holds,
        )


def pattern_error(error: Exception) -> ContractError:
    """What to say where Polars refuses a rule of the contract."""
    return ContractError(f"a rule of the contract cannot be asked: {str(error).splitlines()[0]}", hint="docs/contract.md explains patterns")
