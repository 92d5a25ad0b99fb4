"""From plain YAML values to frozen msgspec structs, with every problem at once: where it is, what was expected, what was found.

msgspec's own conversion stops at the first problem and does not say what may stand there; here it is asked field by field.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, get_args, get_origin

import msgspec

from seatrial.located import Place, PlacedError, nearest

Problem = tuple[Place, str]
S = TypeVar("S", bound=msgspec.Struct)

_ITEM = re.compile(r"\$\[(\d+)\]")


def convert(cls: type[S], values: Any) -> tuple[S | None, list[Problem]]:
    """The struct that a mapping describes, or None and all that is wrong with it."""
    try:
        whole = msgspec.convert(values, cls)  # what is right, which is nearly always, is converted at once
    except (msgspec.ValidationError, TypeError):
        return _examine(cls, values, ())
    return _examine(cls, values, ()) if any(not math.isfinite(one) for one in _numbers(values)) else (whole, [])


def _examine(cls: type[S], values: Any, at: Place) -> tuple[S | None, list[Problem]]:
    """The same field by field, for the sentences."""
    if not isinstance(values, Mapping):
        return None, [(at, f"expected a mapping, found {values!r}")]
    fields = msgspec.structs.fields(cls)
    known = [field.name for field in fields]
    problems = [
        ((*at, str(key)), f"unknown key (value {value!r}){nearest(str(key), known)}") for key, value in values.items() if key not in known
    ]
    found: dict[str, Any] = {}
    for field in fields:
        if field.name in values:
            found[field.name], more = _value(field.type, values[field.name], (*at, field.name))
            problems += more
        elif field.required:
            problems.append(((*at, field.name), "missing; add it"))
    return (None, problems) if problems else _construct(cls, found, at)


def _construct(cls: type[S], found: dict[str, Any], at: Place) -> tuple[S | None, list[Problem]]:
    try:
        return cls(**found), []
    except PlacedError as error:
        return None, [((*at, *error.place), str(error))]


def _value(kind: Any, value: Any, at: Place) -> tuple[Any, list[Problem]]:
    """One field's value: a section, a mapping or list of sections, or anything that msgspec converts by itself."""
    section = _section(kind)
    if section is not None and get_origin(kind) is dict:
        return _sections(section, value, at)
    if section is not None and get_origin(kind) is tuple:
        return _listed(section, value, at)
    if section is not None and not (value is None and type(None) in get_args(kind)):
        return _examine(section, value, at)
    try:
        converted = msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        return None, [_unfit(kind, value, at, str(error))]
    bad = next((one for one in _numbers(converted) if not math.isfinite(one)), None)
    return (converted, []) if bad is None else (None, [(at, f"expected {_words(kind)}, found {value!r}")])


def _sections(section: type[msgspec.Struct], value: Any, at: Place) -> tuple[Any, list[Problem]]:
    if not isinstance(value, Mapping):
        return None, [(at, f"expected a mapping, found {value!r}")]
    built = {str(name): _examine(section, inner, (*at, str(name))) for name, inner in value.items()}
    return {name: one for name, (one, _) in built.items()}, [problem for _, problems in built.values() for problem in problems]


def _listed(section: type[msgspec.Struct], value: Any, at: Place) -> tuple[Any, list[Problem]]:
    if not isinstance(value, list):
        return None, [(at, f"expected a list, found {value!r}")]
    built = [_examine(section, inner, (*at, number)) for number, inner in enumerate(value)]
    return tuple(one for one, _ in built), [problem for _, problems in built for problem in problems]


def _section(kind: Any) -> type[msgspec.Struct] | None:
    """The struct in an annotation: the annotation itself, one that may be null, or the values of a mapping or list."""
    options = (kind, *get_args(kind))
    return next((one for one in options if isinstance(one, type) and issubclass(one, msgspec.Struct)), None)


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, float):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _numbers(item)


def _unfit(kind: Any, value: Any, at: Place, message: str) -> Problem:
    """The problem at the value itself, or at the item of a list that msgspec names."""
    item = _ITEM.search(message)
    if item is None:
        return at, f"expected {_words(kind)}, found {value!r}"
    number = int(item[1])
    inner = msgspec.inspect.type_info(kind)
    words = describe(inner.item_type) if isinstance(inner, msgspec.inspect.VarTupleType) else message
    return (*at, number), f"expected {words}, found {value[number]!r}"


def _words(kind: Any) -> str:
    return describe(msgspec.inspect.type_info(kind))


def describe(kind: msgspec.inspect.Type) -> str:
    """What a type admits, in words: `a whole number of at least 1`."""
    inspect = msgspec.inspect
    match kind:
        case inspect.UnionType(types=types):
            return " or ".join(describe(one) for one in sorted(types, key=lambda one: isinstance(one, inspect.NoneType)))
        case inspect.LiteralType(values=values):
            return " or ".join(map(repr, values))
        case inspect.IntType():
            return f"a whole number{_bounds(kind)}"
        case inspect.FloatType():
            return f"a number{_bounds(kind)}"
        case inspect.StrType(pattern=str(pattern)):
            return f"text of the form {pattern}"
        case inspect.VarTupleType(item_type=item):
            return f"a list of {describe(item)}"
    return _PLAIN.get(type(kind).__name__, "another type")


_PLAIN = {
    "BoolType": "true or false",
    "NoneType": "null",
    "StrType": "text",
    "DateType": 'a date such as "2026-11-01"',
    "DictType": "a mapping",
}


def _bounds(kind: msgspec.inspect.IntType | msgspec.inspect.FloatType) -> str:
    """The limits of a number; a whole number above 0 is at least 1."""
    limits = [
        f"above {kind.gt:g}" if kind.gt is not None else "",
        f"of at least {kind.ge:g}" if kind.ge is not None else "",
        f"below {kind.lt:g}" if kind.lt is not None else "",
        f"of at most {kind.le:g}" if kind.le is not None else "",
    ]
    return "".join(f" {limit}" if at == 0 else f" and {limit}" for at, limit in enumerate(filter(None, limits)))
