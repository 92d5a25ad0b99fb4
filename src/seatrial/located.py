"""YAML files whose values know their line, and pydantic's findings about them as sentences.

Used for the files that people write: params.yaml and the data contract.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

Place = tuple[str | int, ...]


class YamlProblem(Exception):  # noqa: N818 - callers turn it into their own error
    """The file is not there, not YAML, not a mapping, or says a key twice; the message names file and line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """A YAML mapping with the line of each key and item, counted from 1."""

    path: Path
    values: dict[str, Any]
    lines: Mapping[Place, int]

    def line(self, place: Place) -> int:
        """The line of `place`, or of the nearest thing around it."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)

    def sentences(self, error: ValidationError, model: type[BaseModel], *, prefix: Place = ()) -> Iterator[str]:
        """One sentence for each place that pydantic refuses (the branches of a union give one together).

        `prefix` is looked at first: with `("environments", "production")` an overlay's own line is named.
        """
        seen: set[Place] = set()
        for problem in error.errors(include_url=False):
            place = self._place(problem, prefix)
            if place in seen:
                continue
            seen.add(place)
            line = self.lines.get((*prefix, *place)) or self.line(place)
            yield f"{self.path.name}:{line}: {_explain(place, problem, error, model)}"

    def _place(self, problem: Any, prefix: Place) -> Place:
        """The part of pydantic's location that is a place in the file: what follows names branches of a union."""
        loc: Place = problem["loc"]
        if problem["type"] == "value_error":
            return (*loc, *getattr(problem["ctx"]["error"], "place", ()))
        for length in range(len(loc), 0, -1):
            if loc[:length] in self.lines or (*prefix, *loc[:length]) in self.lines:
                return loc if problem["type"] == "missing" and length == len(loc) - 1 else loc[:length]
        return loc


class PlacedError(ValueError):
    """Raised in a model's validator to name the place, below the model, that is wrong."""

    def __init__(self, message: str, *place: str | int) -> None:
        super().__init__(message)
        self.place = place


def read_yaml(path: Path) -> Located:
    """Read a YAML mapping; YamlProblem says what is wrong with it, and where."""
    loader_class = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        loader = loader_class(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise YamlProblem(f"{path.name}: there is no such file in {path.parent}") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise YamlProblem(f"{path.name}: cannot be read ({error})") from None
    try:
        return _construct(path, loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise YamlProblem(f"{path.name}:{line}: not valid YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise YamlProblem(f"{path.name}: not valid YAML: {error}") from None
    finally:
        loader.dispose()


def _construct(path: Path, loader: Any) -> Located:
    node = loader.get_single_node()
    lines = dict(_lines(node, ())) if node is not None else {}
    _refuse_duplicates(path, node)
    values = loader.construct_document(node) if node is not None else None
    if not isinstance(values, dict):
        raise YamlProblem(f"{path.name}:1: expected a mapping such as `key: value`, found {type(values).__name__}")
    return Located(path=path, values=values, lines=lines)


def _lines(node: yaml.Node, at: Place) -> Iterator[tuple[Place, int]]:
    yield at, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            below = (*at, str(key.value))
            yield from _lines(value, below)
            yield below, key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield from _lines(value, (*at, number))


def _refuse_duplicates(path: Path, node: yaml.Node | None) -> None:
    if isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _refuse_duplicates(path, value)
    if not isinstance(node, yaml.MappingNode):
        return
    seen: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if key.value in seen:
            raise YamlProblem(f"{path.name}:{line}: {key.value!r} stands here a second time (first on line {seen[key.value]}); keep one")
        seen[key.value] = line
        _refuse_duplicates(path, value)


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence: the nearest known name, or all of them."""
    names = list(known)
    match = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if match:
        return f"; did you mean {match[0]!r}?"
    return f"; known are {', '.join(names)}" if names else ""


def _explain(place: Place, problem: Any, error: ValidationError, model: type[BaseModel]) -> str:
    name = ".".join(str(part) for part in place)
    value = problem["input"]
    match problem["type"]:
        case "extra_forbidden":
            return f"{name}: unknown key (value {value!r}){nearest(str(place[-1]), _known_keys(model, place[:-1]))}"
        case "missing":
            return f"{name}: missing; add it"
        case "value_error":
            return f"{name + ': ' if name else ''}{problem['ctx']['error']}"
        case _:
            return f"{name}: {_expected(place, problem, error)}, found {value!r}"


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
