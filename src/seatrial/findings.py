"""pydantic's findings about a YAML file, as sentences with file and line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from seatrial.located import Located, Place, nearest


def sentences(located: Located, error: ValidationError, model: type[BaseModel]) -> Iterator[str]:
    """One sentence for each place that pydantic refuses (the branches of a union give one together)."""
    seen: set[Place] = set()
    for problem in error.errors(include_url=False):
        place = _place(located, problem)
        if place in seen:
            continue
        seen.add(place)
        yield located.sentence(place, _explain(place, problem, error, model))


def _place(located: Located, problem: Any) -> Place:
    """The part of pydantic's location that is a place in the file: what follows names branches of a union."""
    loc: Place = problem["loc"]
    if problem["type"] == "value_error":
        return (*loc, *getattr(problem["ctx"]["error"], "place", ()))
    for length in range(len(loc), 0, -1):
        if loc[:length] in located.lines:
            return loc if problem["type"] == "missing" and length == len(loc) - 1 else loc[:length]
    return loc


def _explain(place: Place, problem: Any, error: ValidationError, model: type[BaseModel]) -> str:
    value = problem["input"]
    match problem["type"]:
        case "extra_forbidden":
            return f"unknown key (value {value!r}){nearest(str(place[-1]), _known_keys(model, place[:-1]))}"
        case "missing":
            return "missing; add it"
        case "value_error":
            return str(problem["ctx"]["error"])
        case _:
            return f"{_expected(place, problem, error)}, found {value!r}"


def _expected(place: Place, problem: Any, error: ValidationError) -> str:
    """What may stand at `place`: all branches of a union, in words."""
    branches = [other for other in error.errors(include_url=False) if other["loc"][: len(place)] == place]
    wanted = dict.fromkeys(other["msg"].removeprefix("Input should be ") for other in branches or [problem])
    words = " or ".join(wanted).replace("a valid tuple", "a list").replace("a valid dictionary", "a mapping")
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
