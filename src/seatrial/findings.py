"""pydantic's findings about a YAML file, as sentences with file and line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from seatrial.located import Located, Place, nearest

WORDS = {
    "a valid tuple": "a list",
    "a valid dictionary": "a mapping",
    "String should have": "text of",
    "String should match": "text that matches",
    "Tuple should have": "a list of",
    " after validation, not 0": "",
}


def sentences(located: Located, error: ValidationError, model: type[BaseModel]) -> Iterator[str]:
    """One sentence for each place that pydantic refuses (the branches of a union give one together)."""
    problems: Sequence[Any] = error.errors(include_url=False)
    places: dict[Place, list[Any]] = {}
    for problem in problems:
        places.setdefault(_place(located, problem), []).append(problem)
    around = {place[:length] for place in places for length in range(len(place))}
    for place, found in places.items():
        if place in around and all(problem["type"] == "too_short" for problem in found):
            continue  # a list is only too short because an item of it is refused, and that is said already
        yield located.sentence(place, _explain(place, found, model))


def _place(located: Located, problem: Any) -> Place:
    """The part of pydantic's location that is a place in the file: what follows names branches of a union."""
    loc: Place = problem["loc"]
    below: Place = getattr(problem["ctx"]["error"], "place", ()) if problem["type"] == "value_error" else ()
    for length in range(len(loc), -1, -1):
        if loc[:length] in located.lines:
            missing = problem["type"] == "missing" and length == len(loc) - 1
            return loc if missing else (*loc[:length], *below)
    return loc


def _explain(place: Place, found: Sequence[Any], model: type[BaseModel]) -> str:
    """What is wrong at one place; a sentence of our own says more than what types were expected."""
    problem = next((one for one in found if one["type"] == "value_error"), found[0])
    value = problem["input"]
    match problem["type"]:
        case "extra_forbidden":
            return f"unknown key (value {value!r}){nearest(str(place[-1]), _known_keys(model, place[:-1]))}"
        case "missing":
            return "missing; add it"
        case "value_error":
            return str(problem["ctx"]["error"])
        case _:
            return f"{_expected(found)}, found {value!r}"


def _expected(found: Sequence[Any]) -> str:
    """What may stand at a place: all branches of a union, in words."""
    words = " or ".join(dict.fromkeys(problem["msg"].removeprefix("Input should be ") for problem in found))
    for theirs, ours in WORDS.items():
        words = words.replace(theirs, ours)
    return f"expected {words}"


def _known_keys(model: type[BaseModel], place: Place) -> tuple[str, ...]:
    """The keys that `model` knows at `place`."""
    here: Any = model
    for part in place:
        here = _below(here, part)
    if not hasattr(here, "model_fields"):
        here = _first_model(here)
    return tuple(getattr(here, "model_fields", ()))


def _below(annotation: Any, part: str | int) -> Any:
    """What stands under `part`: a model's field as it is annotated, the values of a mapping, the items of a list."""
    model = annotation if hasattr(annotation, "model_fields") else _first_model(annotation)
    field = getattr(model, "model_fields", {}).get(part) if not _is_collection(annotation) else None
    return field.annotation if field is not None else model


def _is_collection(annotation: Any) -> bool:
    return get_origin(annotation) in (dict, list, tuple)


def _first_model(annotation: Any) -> Any:
    options = get_args(annotation)
    for option in options:
        if isinstance(option, type) and issubclass(option, BaseModel):
            return option
    return next((found for option in options if (found := _first_model(option)) is not None), None)
