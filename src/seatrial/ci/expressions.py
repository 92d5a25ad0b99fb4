"""GitHub's expressions, as far as workflows of this kind use them: values, contexts, operators, and functions without side effects.

    evaluate("inputs.ref || github.ref", {"inputs": {}, "github": {"ref": "refs/heads/main"}})    # 'refs/heads/main'

Whatever is not known here is an ExpressionError, never a guess. Names and text compare without regard to case, as GitHub does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from seatrial.ci.pipeline import Context, ExpressionError, Moment

_TOKEN = re.compile(
    r"\s*(?:(?P<number>-?\d+(?:\.\d+)?)|(?P<text>'(?:[^']|'')*')|(?P<name>[A-Za-z_][\w-]*)|(?P<sign>\|\||&&|==|!=|<=|>=|[!<>().,\[\]]))"
)
_WORDS = {"true": True, "false": False, "null": None}
_HOLE = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
STATUS = ("always", "success", "failure", "cancelled")


class GitHubLanguage:
    """Templates with `${{ … }}`, and conditions that mean `success() && (…)` unless they ask for the status themselves."""

    def text(self, template: str, context: Context) -> str:
        """The template with its expressions filled in."""
        return _HOLE.sub(lambda found: as_text(evaluate(found.group(1), context)), template)

    def context(self, base: Context, moment: Moment) -> Context:
        """GitHub's contexts."""
        runner = {"temp": moment.temporary, "os": "Linux", "name": "local", "environment": "self-hosted"}
        return {
            **base,
            "github": {**base["github"], "workspace": moment.workspace},
            "env": moment.env,
            "steps": moment.steps,
            "needs": moment.needs,
            "matrix": moment.matrix,
            "runner": runner,
            "strategy": {},
            "job": {},
        }

    def holds(self, condition: str, context: Context, *, failed: bool) -> bool:
        """Whether a step or job runs."""
        bare = condition.strip()
        if bare.startswith("${{") and bare.endswith("}}") and bare.count("${{") == 1:
            bare = bare[3:-2]
        elif "${{" in bare:
            raise ExpressionError(f"a condition is one expression: {condition}")
        asks = any(re.search(rf"\b{name}\s*\(", bare, re.IGNORECASE) for name in STATUS)
        if failed and not asks:
            return False
        return truthy(evaluate(bare or "true", {**context, "": {"failed": failed}}))


def evaluate(text: str, context: Context) -> Any:
    """The value of one expression (without its braces)."""
    parser = _Parser(text, context)
    value = parser.any_of()
    parser.end()
    return value


def truthy(value: Any) -> bool:
    """What counts as true: everything but false, null, 0 and the empty text."""
    return value not in (None, False, 0, "")


def as_text(value: Any) -> str:
    """A value as it stands in a template."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else json.dumps(value)


class _Parser:
    """Recursive descent: `||`, `&&`, comparisons, `!`, then a value with what is picked from it."""

    def __init__(self, text: str, context: Context) -> None:
        self._text = text.strip()
        self._context = context
        self._tokens = list(self._split())
        self._at = 0

    def any_of(self) -> Any:
        value = self._all_of()
        while self._took("||"):
            other = self._all_of()
            value = value if truthy(value) else other
        return value

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise self._error(f"{self._tokens[self._at][1]!r} is not expected")

    def _all_of(self) -> Any:
        value = self._compared()
        while self._took("&&"):
            other = self._compared()
            value = other if truthy(value) else value
        return value

    def _compared(self) -> Any:
        value = self._negated()
        for sign, compare in _COMPARISONS.items():
            if self._took(sign):
                return compare(value, self._negated())
        return value

    def _negated(self) -> Any:
        if self._took("!"):
            return not truthy(self._negated())
        return self._picked()

    def _picked(self) -> Any:
        value = self._value()
        while True:
            if self._took("."):
                value = _pick(value, self._name())
            elif self._took("["):
                value = _pick(value, self.any_of())
                self._need("]")
            else:
                return value

    def _value(self) -> Any:
        if self._took("("):
            value = self.any_of()
            self._need(")")
            return value
        kind, token = self._next()
        if kind == "text":
            return token[1:-1].replace("''", "'")
        if kind == "number":
            return float(token) if "." in token else int(token)
        if kind != "name":
            raise self._error(f"{token!r} is not expected")
        if token.lower() in _WORDS:
            return _WORDS[token.lower()]
        return self._call(token) if self._took("(") else self._named(token)

    def _named(self, name: str) -> Any:
        if name not in self._context:
            raise self._error(f"the context {name!r} is not known here")
        return self._context[name]

    def _call(self, name: str) -> Any:
        arguments = []
        while not self._took(")"):
            arguments.append(self.any_of())
            if not self._took(","):
                self._need(")")
                break
        lowered = name.lower()
        if lowered in STATUS:
            failed = bool(self._context.get("", {}).get("failed"))
            return {"always": True, "success": not failed, "failure": failed, "cancelled": False}[lowered]
        if lowered not in _FUNCTIONS:
            raise self._error(f"the function {name!r} is not known here")
        try:
            return _FUNCTIONS[lowered](*arguments)
        except (TypeError, ValueError, IndexError) as error:
            raise self._error(f"{name}: {error}") from None

    def _split(self) -> list[tuple[str, str]]:
        at, found = 0, []
        while at < len(self._text):
            match = _TOKEN.match(self._text, at)
            if match is None:
                raise self._error(f"{self._text[at : at + 10]!r} cannot be read")
            found.append((str(match.lastgroup), match.group(str(match.lastgroup))))
            at = match.end()
        return found

    def _next(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise self._error("it ends too early")
        self._at += 1
        return self._tokens[self._at - 1]

    def _took(self, sign: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at] == ("sign", sign):
            self._at += 1
            return True
        return False

    def _need(self, sign: str) -> None:
        if not self._took(sign):
            raise self._error(f"{sign!r} is missing")

    def _name(self) -> str:
        kind, token = self._next()
        if kind != "name":
            raise self._error(f"{token!r} is no name")
        return token

    def _error(self, words: str) -> ExpressionError:
        return ExpressionError(f"`{self._text}`: {words}")


def _pick(value: Any, key: Any) -> Any:
    """A part of a value; null where there is none."""
    if isinstance(value, Mapping):
        return value.get(str(key))
    if isinstance(value, list) and isinstance(key, int) and 0 <= key < len(value):
        return value[key]
    return None


def _number(value: Any) -> float:
    if isinstance(value, str):
        try:
            return float(value) if value.strip() else 0.0
        except ValueError:
            return float("nan")
    return float("nan") if isinstance(value, list | Mapping) else float(value or 0)


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, str) and isinstance(other, str):
        return one.lower() == other.lower()
    if isinstance(one, list | Mapping) or isinstance(other, list | Mapping):
        return one is other
    if one is None and other is None:
        return True
    return _number(one) == _number(other)


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": _equal,
    "!=": lambda one, other: not _equal(one, other),
    "<=": lambda one, other: _number(one) <= _number(other),
    ">=": lambda one, other: _number(one) >= _number(other),
    "<": lambda one, other: _number(one) < _number(other),
    ">": lambda one, other: _number(one) > _number(other),
}


def _contains(whole: Any, part: Any) -> bool:
    if isinstance(whole, list):
        return any(_equal(one, part) for one in whole)
    return as_text(part).lower() in as_text(whole).lower()


def _format(template: Any, *values: Any) -> str:
    return re.sub(r"\{(\d+)\}", lambda found: as_text(values[int(found.group(1))]), as_text(template))


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "contains": _contains,
    "startswith": lambda text, start: as_text(text).lower().startswith(as_text(start).lower()),
    "endswith": lambda text, end: as_text(text).lower().endswith(as_text(end).lower()),
    "format": _format,
    "join": lambda values, between=",": between.join(map(as_text, values)) if isinstance(values, list) else as_text(values),
    "fromjson": lambda text: json.loads(as_text(text)),
    "tojson": lambda value: json.dumps(value, indent=2),
    "hashfiles": lambda *_: "",  # only caches ask for it, and those have no stand-in here
}
