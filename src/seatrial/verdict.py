"""A verdict is the recorded answer to one question: outcome, subject by digest, and one result for each check.

Verdicts are values. They are written as canonical JSON (sorted keys, no NaN, no timestamps, no absolute paths) and read
again by whoever acts on them; who, when and where go to the ledger.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from seatrial.errors import VerdictError
from seatrial.files import pretty_json, sha256_json, shown_path, write_atomic


class Outcome(StrEnum):
    """The four answers, from best to worst; only PASS opens a gate."""

    PASS = "pass"  # noqa: S105 - an outcome, not a password
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"
    FAIL = "fail"

    @property
    def exit_code(self) -> int:
        """0 pass, 1 fail, 2 error, 3 inconclusive."""
        return {"pass": 0, "fail": 1, "error": 2, "inconclusive": 3}[self.value]


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """Give the worst of `outcomes`; no evidence is INCONCLUSIVE."""
    order = list(Outcome)
    return max(outcomes, key=order.index, default=Outcome.INCONCLUSIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The result of one question.

    `observed` and `limit` are what was seen and what is acceptable (numbers, words or nothing), `message` says both in a
    sentence. An advisory check is shown and cannot block. A volatile one reads the clock or the machine, so it is asked
    again even where the rest of a verdict is recorded.
    """

    name: str
    outcome: Outcome
    message: str
    observed: float | int | str | None = None
    limit: float | int | str | None = None
    advisory: bool = False
    volatile: bool = False
    column: str | None = None

    def __post_init__(self) -> None:
        """A missing or non-finite number is ERROR, never PASS."""
        for field in ("observed", "limit"):
            value = getattr(self, field)
            if isinstance(value, float) and not math.isfinite(value):
                object.__setattr__(self, field, None)
                object.__setattr__(self, "outcome", Outcome.ERROR)
                object.__setattr__(self, "message", f"{self.message} [{field} is {value}, not a number]")

    @property
    def blocks(self) -> bool:
        """Whether this result keeps the gate shut."""
        return not self.advisory and self.outcome is not Outcome.PASS


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """All checks about one subject; `kind` is validation, gate, drift, monitor, rollout or retrain."""

    kind: str
    subject: Mapping[str, Any]
    checks: tuple[Check, ...]

    @property
    def outcome(self) -> Outcome:
        """The worst check that is not advisory; without one, INCONCLUSIVE."""
        return worst(check.outcome for check in self.checks if not check.advisory)

    @property
    def digest(self) -> str:
        """Names this verdict: the digest of everything in it but its volatile checks."""
        return sha256_json(self.without_volatile().to_dict())

    def without_volatile(self) -> Verdict:
        """This verdict with only the checks whose answer cannot change."""
        return replace(self, checks=tuple(check for check in self.checks if not check.volatile))

    def worst_first(self) -> list[Check]:
        """Checks in the order in which a person wants to read them."""
        order = list(Outcome)
        return sorted(self.checks, key=lambda check: (not check.blocks, -order.index(check.outcome), check.advisory, check.name))

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        checks = [asdict(check) | {"outcome": check.outcome.value} for check in self.checks]
        return {"kind": self.kind, "outcome": self.outcome.value, "subject": dict(self.subject), "checks": checks}

    def save(self, path: Path) -> None:
        """Write to `path`, whole or not at all."""
        write_atomic(path, pretty_json(self.to_dict()))

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Verdict:
        """Read the JSON form.

        Raises VerdictError where a field is missing or strange, or where the outcome is not the one its checks give.
        """
        try:
            checks = tuple(Check(**{**check, "outcome": Outcome(check["outcome"])}) for check in value["checks"])
            verdict = cls(kind=str(value["kind"]), subject=dict(value["subject"]), checks=checks)
            stated = Outcome(value["outcome"])
        except (KeyError, TypeError, ValueError) as error:
            raise VerdictError(f"this is not a verdict: {error}") from error
        if stated is not verdict.outcome:
            raise VerdictError(f"the verdict says {stated.value}, but its checks say {verdict.outcome.value}")
        return verdict

    @classmethod
    def load(cls, path: Path, *, kind: str) -> Verdict:
        """Read a verdict of `kind` from `path`; VerdictError where it is missing, torn or about something else."""
        remedy = f"run: nox -s {_SESSION.get(kind, kind)}"
        try:
            value = json.loads(path.read_bytes())
        except FileNotFoundError as error:
            raise VerdictError(f"{shown_path(path)}: there is no {kind} verdict yet", hint=remedy) from error
        except (OSError, ValueError) as error:
            raise VerdictError(f"{shown_path(path)}: cannot be read as a verdict ({error})", hint=remedy) from error
        if not isinstance(value, dict) or value.get("kind") != kind:
            raise VerdictError(f"{shown_path(path)}: expected a {kind} verdict", hint=remedy)
        return cls.from_dict(value)

    @classmethod
    def recorded(cls, path: Path, *, kind: str, subject: Mapping[str, Any]) -> Verdict | None:
        """The verdict at `path` if it answers for exactly this subject, else None."""
        try:
            verdict = cls.load(path, kind=kind)
        except VerdictError:
            return None
        return verdict if dict(verdict.subject) == dict(subject) else None


_SESSION = {"validation": "validate", "rollout": "deploy"}
