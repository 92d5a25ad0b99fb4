"""What may stand in each mapping of a contract: a column, the table, a condition, the limits of checks, a waiver."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
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
    model_validator,
)

from seatrial.located import PlacedError

Number = StrictInt | StrictFloat
Share = Annotated[Number, Field(gt=0, lt=1)]
NotNegative = Annotated[Number, Field(ge=0)]
Count = Annotated[StrictInt, Field(gt=0)]
Text = Annotated[StrictStr, Field(min_length=1)]
Name = Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
Type = Literal["integer", "number", "boolean", "string", "date", "datetime"]
Role = Literal["feature", "id", "target", "group", "event_time", "ignore"]
Environment = Literal["training", "serving"]
Oddity = Literal["mixed", "variants", "future"]
Advisable = Literal["nulls", "range", "allowed", "pattern", "unique", "constant", "mixed", "variants", "future"]
Day = Annotated[dt.date, Strict()]
Moment = Annotated[dt.datetime, Strict()]
Bound = StrictInt | StrictFloat | Moment | Day
Value = StrictBool | StrictInt | StrictStr


def _rate(value: Any) -> Any:
    return float(value) if isinstance(value, bool) else value


def _said(value: str) -> str:
    if not value.strip():
        raise ValueError("says nothing; whoever reads the report has to understand it")
    return value


def _check_name(value: str) -> str:
    if not re.fullmatch(r"[a-z]+\.[a-z_]+", value):
        raise ValueError(f"{value!r} is no name of a check, such as quality.range; metrics/validation.json has them")
    return value


def _once(values: tuple[Any, ...]) -> tuple[Any, ...]:
    twice = next((value for at, value in enumerate(values) if value in values[:at]), None)
    if twice is not None:
        raise ValueError(f"{twice!r} stands here twice")
    return values


Part = Annotated[StrictFloat | StrictInt, Field(ge=0, le=1)]
Rate = Annotated[Part, BeforeValidator(_rate, json_schema_input_type=StrictBool | Part)]
Said = Annotated[StrictStr, AfterValidator(_said)]
Environments = Annotated[tuple[Environment, ...], Field(min_length=1), AfterValidator(_once)]

BOTH: Environments = get_args(Environment)
RANGED: dict[str, tuple[type, ...]] = {"integer": (int,), "number": (int, float), "date": (dt.date,), "datetime": (dt.date,)}
LISTED: dict[str, type] = {"integer": int, "string": str, "boolean": bool}
DATED = ("date", "datetime")
LOOK_AROUND = re.compile(r"(?<!\\)(?:\\\\)*(?:\(\?<?[=!]|\\[1-9])")
ODD: dict[str, tuple[str, ...]] = {"mixed": ("string",), "variants": ("string",), "future": DATED}


class Section(BaseModel):
    """One mapping of the contract: frozen, and closed to keys that nobody reads."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Column(Section):
    """One column: its type, which share of its cells may be missing, which values it may hold, and what it is for."""

    type: Type
    nullable: Rate = 0.0
    range: tuple[Bound | None, Bound | None] | None = None
    allowed: Annotated[tuple[Value, ...], Field(min_length=1)] | None = None
    unique: StrictBool = False
    pattern: Text | None = None
    role: Role | None = None
    environments: Environments = BOTH
    allow: Annotated[tuple[Oddity, ...], AfterValidator(_once)] = ()
    advisory: StrictBool | Annotated[tuple[Advisable, ...], AfterValidator(_once)] = False
    description: Text | None = None
    _name: str = PrivateAttr(default="")

    @property
    def name(self) -> str:
        """The column's name in the table."""
        return self._name

    def advises(self, rule: str) -> bool:
        """Whether what this column's rule finds is shown and cannot block; `rule` is `range`, or a check such as `quality.range`."""
        if isinstance(self.advisory, bool):
            return self.advisory
        name = rule.rpartition(".")[2]
        return ("nulls" if name == "missing" else name) in self.advisory  # labels have a check of their own: label.missing

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
        if self.pattern is not None and LOOK_AROUND.search(self.pattern):
            yield "pattern", f"{self.pattern!r} looks around or back, which Rust's regular expressions cannot"
        if self.role is not None:
            yield from (("role", problem) for problem in self._role_problems(self.role))
        for oddity in self.allow:
            if self.type not in ODD[oddity]:
                yield "allow", f"{oddity!r} is only asked of {' and '.join(ODD[oddity])} columns, this one is {self.type}"

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

    def _role_problems(self, role: Role) -> Iterator[str]:
        if role == "event_time" and self.type not in DATED:
            yield f"the event time has to be a date or datetime, this column is {self.type}"
        if role in ("feature", "group") and self.type in DATED:
            yield f"a {self.type} column is no feature and no group; leave the role out, or say event_time or ignore"


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


class Parts(Section):
    """Which files the table consists of: how many, and names that must be among them (as the reports write them)."""

    min: Count = 1
    max: Count | None = None
    names: Annotated[tuple[Text, ...], AfterValidator(_once)] = ()

    @model_validator(mode="after")
    def _ordered(self) -> Parts:
        if self.max is not None and self.max < max(self.min, len(self.names)):
            raise PlacedError(f"no table has at least {max(self.min, len(self.names))} and at most {self.max} parts", "max")
        return self


class Condition(Section):
    """What holds between the columns of each row, as SQL: a row breaks it where it is false (not where it is null)."""

    name: Name
    holds: Said
    share: Rate = 0.0
    advisory: StrictBool = False
    environments: Environments = BOTH


class Table(Section):
    """What holds for the table as a whole: rows, key, columns not listed here, repeated rows, parts, conditions."""

    rows: Rows = Rows()
    key: Annotated[tuple[Text, ...], AfterValidator(_once)] = ()
    extra: Literal["refuse", "allow"] = "refuse"
    duplicates: Rate = 0.0
    parts: Parts = Parts()
    conditions: tuple[Condition, ...] = ()

    @model_validator(mode="after")
    def _names_each_condition_once(self) -> Table:
        names = [condition.name for condition in self.conditions]
        for at, name in enumerate(names):
            if name in names[:at]:
                raise PlacedError(
                    f"there is a condition {name!r} already; its name is how reports and waivers know it", "conditions", at, "name"
                )
        return self


class Statistics(Section):
    """How far the data may move from the reference: a change has to be this large, and significant at `alpha`."""

    alpha: Share = 0.01
    ks: Share = 0.1
    psi: Annotated[StrictInt | StrictFloat, Field(gt=0)] = 0.2
    missing: Share = 0.05
    rows: Share = 0.5
    advisory: StrictBool = False


class Freshness(Section):
    """How old the newest record may be: of the event-time column, of `column`, or else of `data.snapshot`."""

    max_age_days: NotNegative = 30
    column: Text | None = None
    advisory: StrictBool = True


class Label(Section):
    """What the target must keep: the share of its smallest class, and how well a single feature may tell it."""

    min_share: Annotated[Number, Field(ge=0, le=0.5)] = 0.01
    max_auc: Annotated[Number, Field(gt=0.5, le=1)] = 0.995
    advisory: StrictBool = False


class Split(Section):
    """Which share of the held-out rows may also stand, but for the id, among the training rows.

    Advisory by default: in a table of few columns different subjects look alike. Rows that are equal with their id always block.
    """

    max_share: Rate = 0.01
    advisory: StrictBool = True


class Checks(Section):
    """The limits of the checks that are not a single column's."""

    statistics: Statistics = Statistics()
    freshness: Freshness = Freshness()
    label: Label = Label()
    split: Split = Split()


class Waiver(Section):
    """One finding that a person answers for until a day: the check, its column (or condition), who, why, until when."""

    check: Annotated[StrictStr, AfterValidator(_check_name)]
    column: Text | None = None
    owner: Said
    reason: Said
    expires: Day
