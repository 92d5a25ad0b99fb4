"""The data contract: what each column of the table may hold, and what the table as a whole must keep.

Which columns are target, id and groups is named in params.yaml; a role written here has to agree with it (`check_roles`).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PrivateAttr, StrictStr, ValidationError, model_validator

from seatrial.contract_rules import (
    BOTH,
    DATED,
    Checks,
    Column,
    Condition,
    Freshness,
    Label,
    Parts,
    Role,
    Rows,
    Section,
    Split,
    Statistics,
    Table,
    Waiver,
)
from seatrial.errors import ContractError
from seatrial.files import shown_path
from seatrial.findings import sentences
from seatrial.located import Located, PlacedError, YamlProblem, nearest, read_yaml
from seatrial.params import Data

__all__ = [
    "Checks",
    "Column",
    "Condition",
    "Contract",
    "Freshness",
    "Label",
    "Parts",
    "Rows",
    "Split",
    "Statistics",
    "Table",
    "Waiver",
    "check_roles",
    "features",
    "load_contract",
    "parse_contract",
]

INFER = "draft one from the data: seatrial contract infer"
EXPLAINED = "docs/contract.md explains every key"
SINGLE = ("id", "target", "event_time")


class Contract(Section):
    """All of data/contract.yaml."""

    columns: Annotated[dict[StrictStr, Column], Field(min_length=1)]
    table: Table = Table()
    checks: Checks = Checks()
    waivers: tuple[Waiver, ...] = ()
    _source: _Source = PrivateAttr(default_factory=lambda: _Source())

    @model_validator(mode="after")
    def _fits_together(self) -> Contract:
        for name, column in self.columns.items():
            column._name = name
        self._refuse_second_roles()
        self._refuse_strange_keys()
        self._set_clock()
        if self.table.conditions:
            self._refuse_strange_conditions()
        return self

    def _refuse_second_roles(self) -> None:
        for role in SINGLE:
            several = [name for name, column in self.columns.items() if column.role == role]
            if len(several) > 1:
                raise PlacedError(f"{several[0]!r} has the role {role} already, and a table has only one", "columns", several[1], "role")

    def _refuse_strange_keys(self) -> None:
        for at, name in enumerate(self.table.key):
            self._refuse_unknown(name, "table", "key", at)
            if set(self.columns[name].environments) != set(BOTH):
                words = f"{name!r} does not exist in every environment, so it cannot be part of the key"
                raise PlacedError(words, "table", "key", at)

    def _refuse_unknown(self, name: str, *place: str | int) -> None:
        if name not in self.columns:
            raise PlacedError(f"{name!r} is no column of this contract{nearest(name, self.columns)}", *place)

    def _set_clock(self) -> None:
        """The event-time column is the clock; a clock that is named has to be it, and a date."""
        place = ("checks", "freshness", "column")
        event = next((name for name, column in self.columns.items() if column.role == "event_time"), None)
        clock = self.checks.freshness.column
        if clock is not None:
            self._refuse_unknown(clock, *place)
            if self.columns[clock].type not in DATED:
                raise PlacedError(f"{clock!r} is {self.columns[clock].type}, not date or datetime", *place)
            if event not in (None, clock):
                raise PlacedError(f"it is {clock!r}, but {event!r} has the role event_time; name one of them", *place)
        elif event is not None:
            object.__setattr__(self, "checks", _with_clock(self.checks, event))

    def _refuse_strange_conditions(self) -> None:
        from seatrial.contract_conditions import condition_problem

        for at, condition in enumerate(self.table.conditions):
            problem = condition_problem(condition, self.columns)
            if problem is not None:
                raise PlacedError(problem, "table", "conditions", at, "holds")

    def within(self, environment: str) -> Contract:
        """This contract with only the columns, conditions and waivers that exist in `environment`: training or serving.

        Raises ContractError for another environment, or where nothing is left.
        """
        if environment not in BOTH:
            raise ContractError(f"a contract knows no environment {environment!r}{nearest(environment, BOTH)}")
        columns = {name: column for name, column in self.columns.items() if environment in column.environments}
        conditions = tuple(condition for condition in self.table.conditions if environment in condition.environments)
        if not columns:
            raise ContractError(f"no column of the contract exists for {environment}", hint="look at the columns' environments")
        gone = {*self.columns} - {*columns} | {one.name for one in self.table.conditions} - {one.name for one in conditions}
        clock = self.checks.freshness.column
        changes: dict[str, Any] = {
            "columns": columns,
            "table": self.table.model_copy(update={"conditions": conditions}),
            "checks": _with_clock(self.checks, clock if clock in columns else None),
            "waivers": tuple(waiver for waiver in self.waivers if waiver.column not in gone),
        }
        return self.model_copy(update=changes)

    def place_of(self, *place: str | int) -> str:
        """Where a key of this contract stands, as `contract.yaml:7: columns.size.role`; no file and line where it was not read."""
        name = ".".join(map(str, place))
        located = self._source.located
        return f"{shown_path(located.path)}:{located.line(place)}: {name}" if located else f"the contract: {name}"


def _with_clock(checks: Checks, column: str | None) -> Checks:
    return checks.model_copy(update={"freshness": checks.freshness.model_copy(update={"column": column})})


class _Source:
    """The file that a contract was read from; equal to any other, because a contract is what it says, not where it stands."""

    __slots__ = ("located",)

    def __init__(self, located: Located | None = None) -> None:
        self.located = located

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Source)

    def __hash__(self) -> int:
        return 0


def load_contract(path: Path) -> Contract:
    """Read a contract; ContractError with one sentence, file and line for each problem."""
    if not path.exists():
        raise ContractError(f"there is no contract at {shown_path(path)}", hint=INFER)
    try:
        located = read_yaml(path)
    except YamlProblem as error:
        raise ContractError(str(error)) from None
    return parse_contract(located)


def parse_contract(located: Located) -> Contract:
    """A contract from YAML that was read already; ContractError as `load_contract`."""
    try:
        contract = Contract.model_validate(located.values)
    except ValidationError as error:
        raise ContractError("\n".join(islice(sentences(located, error, Contract), 10)), hint=EXPLAINED) from None
    contract._source = _Source(located)
    return contract


def check_roles(contract: Contract, data: Data) -> None:
    """ContractError where params.yaml gives a role to a column that the contract does not know, or that has another one there."""
    problems = (*_unknown_roles(contract, data), *_other_roles(contract, data))
    if problems:
        raise ContractError(
            "\n".join(problems[:10]), hint="name the column as the contract does, or draft it anew: seatrial contract infer --force"
        )


def _unknown_roles(contract: Contract, data: Data) -> Iterator[str]:
    roles = [("target", data.target), *([("id", data.id)] if data.id else []), *(("groups", name) for name in data.groups)]
    for role, name in roles:
        if name not in contract.columns:
            yield f"params.yaml: data.{role} is {name!r}, which is no column of {Path(data.contract).name}{nearest(name, contract.columns)}"


def _other_roles(contract: Contract, data: Data) -> Iterator[str]:
    told: dict[str, Role] = {**dict.fromkeys(data.groups, "group"), data.target: "target"}
    if data.id:
        told[data.id] = "id"
    says: dict[str, str] = {
        "id": f"data.id is {data.id!r}",
        "target": f"data.target is {data.target!r}",
        "group": f"data.groups is {list(data.groups)}",
    }
    for name, column in contract.columns.items():
        wanted = told.get(name)
        if column.role is None or column.role == wanted or (wanted is None and column.role not in says):
            continue
        reason = says[wanted or column.role]
        yield f"{contract.place_of('columns', name, 'role')}: {column.role}, but params.yaml: {reason}; mend one of them"


def features(contract: Contract, data: Data) -> tuple[Column, ...]:
    """The columns that a model may read: all but the target, the id, what the contract ignores, dates and moments, in its order."""
    roles = {data.target, data.id}
    return tuple(
        column
        for name, column in contract.columns.items()
        if name not in roles and column.type not in DATED and column.role != "ignore" and "serving" in column.environments
    )
