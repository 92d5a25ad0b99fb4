"""YAML files whose values know their line: what is wrong with params.yaml or the data contract is said with its place."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from seatrial.files import shown_path

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

    def sentence(self, place: Place, words: str, *, prefix: Place = ()) -> str:
        """Words about a place, with file and line in front.

        `prefix` is looked at first: with `("environments", "production")` an overlay's own line is named.
        """
        line = self.lines.get((*prefix, *place)) or self.line(place)
        name = ".".join(str(part) for part in place)
        return f"{shown_path(self.path)}:{line}: {name + ': ' if name else ''}{words}"


class PlacedError(ValueError):
    """Raised in a model's validator to name the place, below the model, that is wrong."""

    def __init__(self, message: str, *place: str | int) -> None:
        super().__init__(message)
        self.place = place


def read_yaml(path: Path) -> Located:
    """Read a YAML mapping; YamlProblem says what is wrong with it, and where."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise YamlProblem(f"{shown_path(path)}: there is no such file in {path.parent}") from None
    except (OSError, ValueError) as error:
        raise YamlProblem(f"{shown_path(path)}: cannot be read ({error})") from None
    return yaml_of(text, path)


def yaml_of(text: str, path: Path) -> Located:
    """The mapping that `text` is; `path` is what it is known by. YamlProblem as `read_yaml`."""
    loader_class = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        loader = loader_class(text)
    except (ValueError, yaml.YAMLError) as error:
        raise YamlProblem(f"{shown_path(path)}: cannot be read ({error})") from None
    try:
        return _construct(path, loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise YamlProblem(f"{shown_path(path)}:{line}: not valid YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise YamlProblem(f"{shown_path(path)}: not valid YAML: {error}") from None
    finally:
        loader.dispose()


def _construct(path: Path, loader: Any) -> Located:
    node = loader.get_single_node()
    lines = dict(_lines(node, ())) if node is not None else {}
    _refuse_duplicates(path, node)
    values = loader.construct_document(node) if node is not None else None
    if not isinstance(values, dict):
        raise YamlProblem(f"{shown_path(path)}:1: expected a mapping such as `key: value`, found {type(values).__name__}")
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
            raise YamlProblem(
                f"{shown_path(path)}:{line}: {key.value!r} stands here a second time (first on line {seen[key.value]}); keep one"
            )
        seen[key.value] = line
        _refuse_duplicates(path, value)


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence: the nearest known name, or all of them."""
    names = list(known)
    match = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if match:
        return f"; did you mean {match[0]!r}?"
    return f"; known are {', '.join(names)}" if names else ""
