"""The data contract: what each column of the table may hold, and what the table as a whole must keep.

Roles (target, id, groups) are named in params.yaml, not here, so that one contract can serve several models.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    Strict,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationError,
    model_validator,
)

from seatrial.errors import ContractError
from seatrial.findings import sentences
from seatrial.located import PlacedError, YamlProblem, nearest, read_yaml
from seatrial.params import Data

Number = StrictInt | StrictFloat
Share = Annotated[Number, Field(gt=0, lt=1)]
NotNegative = Annotated[Number, Field(ge=0)]
Count = Annotated[StrictInt, Field(gt=0)]
Text = Annotated[StrictStr, Field(min_length=1)]
Type = Literal["integer", "number", "boolean", "string", "date", "datetime"]
Day = Annotated[dt.date, Strict()]
Moment = Annotated[dt.datetime, Strict()]
Bound = StrictInt | StrictFloat | Moment | Day
Value = StrictBool | StrictInt | StrictStr


def _rate(value: Any) -> Any:
    return float(value) if isinstance(value, bool) else value


Rate = Annotated[StrictFloat | StrictInt, BeforeValidator(_rate), Field(ge=0, le=1)]

RANGED: dict[str, tuple[type, ...]] = {"integer": (int,), "number": (int, float), "date": (dt.date,), "datetime": (dt.date,)}
LISTED: dict[str, type] = {"integer": int, "string": str, "boolean": bool}
INFER = "draft one from the data: seatrial contract infer"


class Section(BaseModel):
    """One mapping of the contract: frozen, and closed to keys that nobody reads."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Column(Section):
    """One column: its type, which share of its cells may be missing, and which values it may hold."""

    type: Type
    nullable: Rate = 0.0
    range: tuple[Bound | None, Bound | None] | None = None
    allowed: Annotated[tuple[Value, ...], Field(min_length=1)] | None = None
    unique: StrictBool = False
    pattern: Text | None = None
    description: Text | None = None
    _name: str = PrivateAttr(default="")

    @property
    def name(self) -> str:
        """The column's name in the table."""
        return self._name

    @model_validator(mode="after")
    def _fits_its_type(self) -> Column:
        for key, problem in self._problems():
            raise PlacedError(problem, key)
        return self

    def _problems(self) -> Iterator[tuple[str, str]]:
        if self.range is not None:
            yield from (("range", problem) for problem in self._range_problems(self.range))
        if self.allowed is not None:
            yield from (("allowed", problem) for problem in self._allowed_problems(self.allowed))
        if self.pattern is not None and self.type != "string":
            yield "pattern", f"only a string column has a pattern, this one is {self.type}"
        if self.pattern is not None and not _is_pattern(self.pattern):
            yield "pattern", f"{self.pattern!r} is no regular expression"

    def _range_problems(self, limits: tuple[Any, Any]) -> Iterator[str]:
        kinds = RANGED.get(self.type)
        given = [limit for limit in limits if limit is not None]
        if kinds is None:
            yield f"a {self.type} column has no range; use allowed"
        elif not all(isinstance(limit, kinds) for limit in given):
            yield f"the limits of a column of type {self.type} must be of that type, found {given}"
        elif len(given) == 2 and _moment(given[0]) > _moment(given[1]):
            yield f"nothing lies in the range {given}; the smaller limit comes first"

    def _allowed_problems(self, values: tuple[Any, ...]) -> Iterator[str]:
        kind = LISTED.get(self.type)
        strange = [value for value in values if type(value) is not kind]
        if kind is None:
            yield f"a {self.type} column has no list of allowed values; use range"
        elif strange:
            remedy = "; YAML reads Yes, No, on and off as booleans: put them in quotes" if isinstance(strange[0], bool) else ""
            yield f"{strange[0]!r} is no {self.type}{remedy}"


def _moment(limit: Any) -> Any:
    """Dates and moments in one order."""
    return dt.datetime.combine(limit, dt.time()) if type(limit) is dt.date else limit


def _is_pattern(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


class Rows(Section):
    """How many rows the table may have."""

    min: Annotated[StrictInt, Field(ge=0)] = 1
    max: Count | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Rows:
        if self.max is not None and self.max < self.min:
            raise PlacedError(f"no table has at least {self.min} and at most {self.max} rows", "max")
        return self


class Table(Section):
    """What holds for the table as a whole: its rows, the columns that together name a row, and columns not listed here."""

    rows: Rows = Rows()
    key: tuple[Text, ...] = ()
    extra: Literal["refuse", "allow"] = "refuse"


class Statistics(Section):
    """How far the data may move from the reference: a change has to be this large, and significant at `alpha`."""

    alpha: Share = 0.01
    ks: Share = 0.1
    psi: Annotated[StrictInt | StrictFloat, Field(gt=0)] = 0.2
    missing: Share = 0.05
    rows: Share = 0.5
    advisory: StrictBool = False


class Freshness(Section):
    """How old the newest record may be: of a date column, or of `data.snapshot` where `column` is null."""

    max_age_days: NotNegative = 30
    column: Text | None = None
    advisory: StrictBool = True


class Checks(Section):
    """The limits of the checks that are not a single column's."""

    statistics: Statistics = Statistics()
    freshness: Freshness = Freshness()


class Contract(Section):
    """All of data/contract.yaml."""

    columns: Annotated[dict[StrictStr, Column], Field(min_length=1)]
    table: Table = Table()
    checks: Checks = Checks()

    @model_validator(mode="after")
    def _names_its_columns(self) -> Contract:
        for name, column in self.columns.items():
            column._name = name
        for at, name in enumerate(self.table.key):
            self._known(name, "table", "key", at)
        clock = self.checks.freshness.column
        if clock is not None:
            self._known(clock, "checks", "freshness", "column")
            if self.columns[clock].type not in ("date", "datetime"):
                raise PlacedError(f"{clock!r} is {self.columns[clock].type}, not date or datetime", "checks", "freshness", "column")
        return self

    def _known(self, name: str, *place: str | int) -> None:
        if name not in self.columns:
            raise PlacedError(f"{name!r} is no column of this contract{nearest(name, self.columns)}", *place)


def load_contract(path: Path) -> Contract:
    """Read a contract; ContractError with one sentence, file and line for each problem."""
    if not path.exists():
        raise ContractError(f"there is no contract at {path.name}", hint=INFER)
    try:
        located = read_yaml(path)
    except YamlProblem as error:
        raise ContractError(str(error)) from None
    try:
        return Contract.model_validate(located.values)
    except ValidationError as error:
        raise ContractError("\n".join(list(sentences(located, error, Contract))[:10]), hint="docs/contract.md explains every key") from None


def check_roles(contract: Contract, data: Data) -> None:
    """ContractError where params.yaml gives a role to a column that the contract does not know."""
    roles = [("target", data.target), *([("id", data.id)] if data.id else []), *(("groups", name) for name in data.groups)]
    problems = [
        f"params.yaml: data.{role} is {name!r}, which is no column of {Path(data.contract).name}{nearest(name, contract.columns)}"
        for role, name in roles
        if name not in contract.columns
    ]
    if problems:
        raise ContractError(
            "\n".join(problems), hint="name the column as the contract does, or draft it anew: seatrial contract infer --force"
        )


def features(contract: Contract, data: Data) -> tuple[Column, ...]:
    """The columns that a model may read: all but the target, the id, dates and moments, in the contract's order."""
    roles = {data.target, data.id}
    return tuple(column for name, column in contract.columns.items() if name not in roles and column.type not in ("date", "datetime"))
