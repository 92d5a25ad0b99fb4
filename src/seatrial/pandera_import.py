"""A pandera schema as a contract: what pandera checks becomes the rule that asks the same, the rest is told of.

A schema comes from a Python file that its user names together with the object (`checks.py:schema`: the file is run), or
from pandera's own YAML.
"""

from __future__ import annotations

import datetime as dt
import importlib.util
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from seatrial.contract import Contract
from seatrial.contract_conditions import condition_problem
from seatrial.contract_rules import Column, Condition
from seatrial.errors import ContractError, UsageError

OURS = "seatrial"
KINDS = (
    (r"u?int", "integer"),
    (r"float|decimal|double", "number"),
    (r"bool", "boolean"),
    (r"datetime|timestamp", "datetime"),
    (r"date", "date"),
    (r"str|string|utf8|object|categor|enum|large_string", "string"),
)
HELPERS = ("nullable", "unique")
TABLE_HELPERS = ("rows", "duplicates")
DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A contract, and one sentence for each thing in the schema that it cannot say."""

    contract: Contract
    lost: tuple[str, ...]


def load_schema(name: str) -> Any:
    """The schema that `file.py:object` or a pandera YAML file holds.

    Raises UsageError for a name that says neither, ContractError for a file that cannot be read or is no schema.
    """
    if name.endswith((".yaml", ".yml")):
        return _from_yaml(Path(name))
    file, _, attribute = name.rpartition(":")
    if not file.endswith(".py") or not attribute.isidentifier():
        remedy = "the Python file is run, so name what to take from it"
        raise UsageError(f"{name!r} is no schema: say FILE.py:OBJECT, such as checks.py:schema, or name pandera's YAML", hint=remedy)
    return _from_python(Path(file), attribute)


def _from_yaml(path: Path) -> Any:
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
        api = (yaml.safe_load(text) or {}).get("api", "pandas")
        if api == "polars":
            from pandera.io.polars_io import from_yaml
        else:
            from pandera.io.pandas_io import from_yaml
        return from_yaml(text)
    except ModuleNotFoundError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever pandera finds wrong with somebody's file
        raise ContractError(f"{path.name} cannot be read as a pandera schema: {_first_line(error)}") from None


def _from_python(path: Path, attribute: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"_schema_of_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ContractError(f"there is no Python file {path.name}")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except ModuleNotFoundError as error:
        raise ContractError(f"{path.name} needs the package {error.name!r}", hint="install it, then import again") from None
    except Exception as error:  # noqa: BLE001 - whatever somebody's file does when it is run
        raise ContractError(f"{path.name} cannot be run: {type(error).__name__}: {_first_line(error)}") from None
    if not hasattr(module, attribute):
        raise ContractError(f"{path.name} defines no {attribute!r}")
    found = getattr(module, attribute)
    return found.to_schema() if hasattr(found, "to_schema") else found


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


@dataclass(slots=True, kw_only=True)
class _Reading:
    """What is known so far of the contract that a schema says."""

    columns: dict[str, dict[str, Any]] = field(default_factory=dict)
    conditions: list[dict[str, Any]] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


def from_schema(schema: Any) -> Imported:
    """The contract that a pandera DataFrameSchema says; ContractError for another object, or a schema that no contract can say."""
    if not hasattr(schema, "columns") or not hasattr(schema, "strict"):
        raise ContractError(f"this is no pandera DataFrameSchema but {type(schema).__name__}")
    reading = _Reading()
    for name, column in schema.columns.items():
        if getattr(column, "regex", False):
            reading.lost.append(f"column {name!r} is a pattern of names; write its columns down one by one")
        else:
            _read_column(str(name), column, reading)
    ours = _ours(schema)
    _read_table(schema, ours, reading)
    values: dict[str, Any] = {key: ours[key] for key in ("checks", "waivers") if key in ours}
    values |= {"columns": reading.columns}
    values["table"] = _table(schema, ours, reading)
    try:
        contract = Contract.model_validate(values)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        raise ContractError(f"no contract can say this schema: {'.'.join(map(str, problem['loc']))}: {problem['msg']}") from None
    return Imported(contract=contract, lost=tuple(reading.lost))


def _ours(part: Any) -> dict[str, Any]:
    """What `seatrial contract export` left in the metadata."""
    metadata = getattr(part, "metadata", None)
    found = metadata.get(OURS) if isinstance(metadata, Mapping) else None
    return dict(found) if isinstance(found, Mapping) else {}


def _read_column(name: str, column: Any, reading: _Reading) -> None:
    ours = _ours(column)
    kind = ours.pop("type", None) or _type(name, column, reading)
    values: dict[str, Any] = {"type": kind}
    if column.nullable:
        values["nullable"] = 1.0
    if column.unique:
        values["unique"] = True
    if getattr(column, "description", None):
        values["description"] = column.description
    categories = getattr(column.dtype, "categories", None)
    if categories is not None and kind == "string":
        values["allowed"] = [str(value) for value in categories]
    reading.columns[name] = values
    _read_checks(name, column, values, reading)
    values |= ours
    if not column.required and "environments" not in ours:
        reading.lost.append(f"column {name!r} may be missing there; a contract's column may not, but see environments")
    if getattr(column, "parsers", None):
        reading.lost.append(f"column {name!r} has parsers; a contract changes no data")


def _type(name: str, column: Any, reading: _Reading) -> str:
    text = str(column.dtype).lower()
    found = next((kind for pattern, kind in KINDS if re.match(pattern, text)), None)
    if column.dtype is None or found is None:
        reading.lost.append(f"column {name!r} has {'no type' if column.dtype is None else f'the type {column.dtype}'}; string is assumed")
    return found or "string"


def _read_checks(name: str, column: Any, values: dict[str, Any], reading: _Reading) -> None:
    warned: set[str] = set()
    for check in column.checks:
        if check.name in HELPERS and _ours(column):
            continue
        rule = _rule(name, check, values)
        if isinstance(rule, Condition):
            problem = condition_problem(rule, {name: Column(type=values["type"])})
            if problem is None:
                reading.conditions.append(rule.model_dump(exclude_defaults=True) | {"name": _free_name(rule.name, reading)})
                continue
            rule = None
        if rule is None:
            reading.lost.append(f"column {name!r}: the check {check.error or check.name or 'without a name'} has no counterpart")
        elif check.raise_warning:
            warned.add(rule)
    if warned:
        values["advisory"] = sorted(warned)


def _free_name(name: str, reading: _Reading) -> str:
    taken = {condition["name"] for condition in reading.conditions}
    return next(
        name if at == 1 else f"{name}_{at}" for at in range(1, len(taken) + 2) if (name if at == 1 else f"{name}_{at}") not in taken
    )


def _rule(name: str, check: Any, values: dict[str, Any]) -> str | Condition | None:
    """Write a check into a column's values and give the rule's name; or the condition that says it, or None."""
    said = check.statistics or {}
    match check.name:
        case "isin":
            return _allow(values, list(said["allowed_values"]))
        case "equal_to":
            return _allow(values, [said["value"]]) or _narrow(values, said["value"], said["value"])
        case "in_range":
            low = _inclusive(said["min_value"], values, said["include_min"], +1)
            high = _inclusive(said["max_value"], values, said["include_max"], -1)
            return None if low is None or high is None else _narrow(values, low, high)
        case "greater_than_or_equal_to":
            return _narrow(values, said["min_value"], None)
        case "less_than_or_equal_to":
            return _narrow(values, None, said["max_value"])
        case "greater_than":
            low = _inclusive(said["min_value"], values, False, +1)
            return _narrow(values, low, None) if low is not None else _condition(name, "above", f"> {_sql(said['min_value'])}", check)
        case "less_than":
            high = _inclusive(said["max_value"], values, False, -1)
            return _narrow(values, None, high) if high is not None else _condition(name, "below", f"< {_sql(said['max_value'])}", check)
        case "not_equal_to":
            return _condition(name, "not", f"<> {_sql(said['value'])}", check)
        case "notin":
            return _condition(name, "none_of", f"NOT IN ({', '.join(map(_sql, said['forbidden_values']))})", check)
        case _:
            return _pattern(values, check.name, said)


def _condition(name: str, word: str, rest: str, check: Any) -> Condition | None:
    """`rest` asked of the column in SQL."""
    if '"' in name:
        return None
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip("_.-")
    return Condition(name=f"{plain or 'column'}_{word}", holds=f'"{name}" {rest}', advisory=check.raise_warning)


def _sql(value: Any) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return f"DATE '{value.isoformat()}'" if type(value) is dt.date else str(value)


def _inclusive(limit: Any, values: dict[str, Any], include: bool, step: int) -> Any:
    """The same limit with itself accepted; None where there is none next to it."""
    if include:
        return limit
    if values["type"] == "integer" and isinstance(limit, int):
        return limit + step
    return _plain(limit) + step * DAY if values["type"] == "date" else None


def _plain(limit: Any) -> Any:
    """Dates and moments of pandas and numbers of numpy as Python's own."""
    if hasattr(limit, "to_pydatetime"):
        limit = limit.to_pydatetime()
    return limit.item() if hasattr(limit, "item") else limit


def _limit(limit: Any, kind: str) -> Any:
    limit = _plain(limit)
    if isinstance(limit, str) and kind in ("date", "datetime"):
        limit = dt.datetime.fromisoformat(limit)
    if kind == "date" and isinstance(limit, dt.datetime) and limit.time() == dt.time():
        return limit.date()
    return int(limit) if kind == "integer" and isinstance(limit, float) and limit.is_integer() else limit


def _narrow(values: dict[str, Any], low: Any, high: Any) -> str | None:
    """Both limits of this check and of those before it."""
    if values["type"] not in ("integer", "number", "date", "datetime"):
        return None
    low, high = (_limit(limit, values["type"]) for limit in (low, high))
    before = values.get("range", [None, None])
    lows, highs = ([limit for limit in pair if limit is not None] for pair in ((low, before[0]), (high, before[1])))
    values["range"] = [max(lows) if lows else None, min(highs) if highs else None]
    return "range"


def _allow(values: dict[str, Any], allowed: list[Any]) -> str | None:
    if values["type"] not in ("integer", "string", "boolean"):
        return None
    allowed = [_plain(value) for value in allowed]
    values["allowed"] = [value for value in values.get("allowed", allowed) if value in allowed]
    return "allowed"


def _pattern(values: dict[str, Any], name: str | None, said: Mapping[str, Any]) -> str | None:
    """A whole-cell pattern for pandera's checks of text; a contract's column has one."""
    pattern = _regex(name, said)
    if pattern is None or values["type"] != "string" or "pattern" in values:
        return None
    values["pattern"] = pattern
    return "pattern"


def _regex(name: str | None, said: Mapping[str, Any]) -> str | None:
    rest = "(?s:.*)"
    match name:
        case "str_matches":
            whole = re.fullmatch(r"\^\(\?:(.*)\)(\$|\\Z)", str(said["pattern"]), re.DOTALL)
            return whole.group(1) if whole else f"{_text(said['pattern'])}{rest}"
        case "str_contains":
            return f"{rest}{_text(said['pattern'])}{rest}"
        case "str_startswith":
            return f"{re.escape(said['string'])}{rest}"
        case "str_endswith":
            return f"{rest}{re.escape(said['string'])}"
        case "str_length":
            low, high = said.get("min_value") or 0, said.get("max_value")
            exact = said.get("exact_value")
            return f"(?s:.{{{exact}}})" if exact is not None else f"(?s:.{{{low},{'' if high is None else high}}})"
        case _:
            return None


def _text(pattern: Any) -> str:
    return f"(?:{getattr(pattern, 'pattern', pattern)})"


def _read_table(schema: Any, ours: Mapping[str, Any], reading: _Reading) -> None:
    """What the schema says of the frame as a whole and no key of the contract can."""
    known = {*TABLE_HELPERS, *(condition["name"] for condition in ours.get("table", {}).get("conditions", ()))}
    told = [check for check in schema.checks if check.name not in known]
    lost = [
        f"the schema's check {check.error or check.name or 'without a name'} has no counterpart; see table.conditions" for check in told
    ]
    reading.lost += lost
    if schema.strict == "filter":
        reading.lost.append("strict='filter' removes other columns; a contract changes no data, so they are allowed")
    for key, words in (("index", "an index"), ("ordered", "an order of its columns"), ("parsers", "parsers")):
        if getattr(schema, key, None):
            reading.lost.append(f"the schema has {words}, which a contract does not know")


def _table(schema: Any, ours: Mapping[str, Any], reading: _Reading) -> dict[str, Any]:
    table = dict(ours.get("table", {}))
    unique = schema.unique or []
    given = list(_without_taken(table.get("conditions", ()), reading.conditions))
    exported = OURS in (schema.metadata or {})
    return {
        **({} if exported else {"rows": {"min": 0}, "duplicates": 1.0}),
        **table,
        **({"conditions": given} if given else {}),
        "key": [unique] if isinstance(unique, str) else list(unique),
        "extra": "refuse" if schema.strict is True else "allow",
    }


def _without_taken(theirs: Any, read: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    yield from theirs
    names = {condition["name"] for condition in theirs}
    yield from (condition for condition in read if condition["name"] not in names)
