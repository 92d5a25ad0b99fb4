"""GitLab's rules: variables compared with texts and patterns, joined by `&&` and `||`; and variables in texts."""

from __future__ import annotations

import re
from collections.abc import Mapping

from seatrial.ci.pipeline import Context, ExpressionError, Moment

_TOKEN = re.compile(
    r"""\s*(?:\$(?P<name>\w+)|"(?P<double>[^"]*)"|'(?P<single>[^']*)'|/(?P<pattern>(?:\\.|[^/\\])*)/(?P<flags>i?)|(?P<null>null)\b"""
    r"""|(?P<sign>&&|\|\||==|!=|=~|!~|[()]))"""
)
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
Value = str | None | re.Pattern[str]


class GitLabLanguage:
    """Texts with `$NAME`, and steps that run after a success, after a failure, or always."""

    def text(self, template: str, context: Context) -> str:
        """The template with its variables filled in; what is not set is empty."""
        return _VARIABLE.sub(lambda found: str(context.get(found.group(1) or found.group(2), "")), template)

    def context(self, base: Context, moment: Moment) -> Context:
        """Every variable by its name."""
        return {**base, "CI_PROJECT_DIR": moment.workspace, **moment.env}

    def holds(self, condition: str, context: Context, *, failed: bool) -> bool:
        """Whether a step runs, by its job's `artifacts: when`."""
        return {"always": True, "failure": failed}.get(condition, not failed)


def condition_holds(text: str, variables: Mapping[str, str]) -> bool:
    """Whether the `if` of a rule holds (nothing always does); ExpressionError where it cannot be read."""
    if not text.strip():
        return True
    reader = _Reader(text, variables)
    value = reader.any_of()
    reader.end()
    return value


class _Reader:
    """Recursive descent: `||`, `&&`, one comparison or one variable."""

    def __init__(self, text: str, variables: Mapping[str, str]) -> None:
        self._text, self._variables, self._at = text.strip(), variables, 0

    def any_of(self) -> bool:
        value = self._all_of()
        while self._took("||"):
            value = self._all_of() or value
        return value

    def end(self) -> None:
        if self._at < len(self._text):
            raise ExpressionError(f"`{self._text}`: {self._text[self._at :]!r} is not expected")

    def _all_of(self) -> bool:
        value = self._compared()
        while self._took("&&"):
            value = self._compared() and value
        return value

    def _compared(self) -> bool:
        if self._took("("):
            value = self.any_of()
            if not self._took(")"):
                raise ExpressionError(f"`{self._text}`: ')' is missing")
            return value
        one = self._value()
        for sign in ("==", "!=", "=~", "!~"):
            if self._took(sign):
                return _compare(sign, one, self._value())
        return bool(one)

    def _value(self) -> Value:
        match = _TOKEN.match(self._text, self._at)
        if match is None or match["sign"]:
            raise ExpressionError(f"`{self._text}`: a value is expected at {self._text[self._at :][:10]!r}")
        self._at = match.end()
        if match["name"]:
            return self._variables.get(match["name"])
        if match["pattern"] is not None:
            return re.compile(match["pattern"], re.IGNORECASE if match["flags"] else 0)
        return None if match["null"] else match["double"] if match["double"] is not None else match["single"]

    def _took(self, sign: str) -> bool:
        match = _TOKEN.match(self._text, self._at)
        if match is None or match["sign"] != sign:
            return False
        self._at = match.end()
        return True


def _compare(sign: str, one: Value, other: Value) -> bool:
    if sign in ("==", "!="):
        return (one == other) is (sign == "==")
    if not isinstance(other, re.Pattern):
        raise ExpressionError(f"{sign} needs a pattern between slashes, not {other!r}")
    found = isinstance(one, str) and other.search(one) is not None
    return found is (sign == "=~")
