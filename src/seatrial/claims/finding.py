"""What a claim about a model found: value, limit and a sentence with both, recorded whether the claim holds or not.

`conclude` is the one way from a finding to a test's end: a claim that holds gives its finding back, one that does not raises.
The suite reads what was recorded in a test from `findings` and starts the next one with `forget`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from seatrial.verdict import Outcome

EXAMPLES = 5
SENTENCES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was seen, what is acceptable, a sentence that says both, and rows or groups that show it.

    A value or limit that is no finite number is a failure. An advisory finding is shown and ends no test; a volatile one
    depends on the machine.
    """

    observed: float
    limit: float
    sentence: str
    examples: tuple[str, ...] = ()
    outcome: Outcome = Outcome.PASS
    advisory: bool = False
    volatile: bool = False

    def __post_init__(self) -> None:
        """Plain floats, whatever library they came from; what is no number proves nothing."""
        for field in ("observed", "limit"):
            value = float(getattr(self, field))
            object.__setattr__(self, field, value)
            if not math.isfinite(value):
                object.__setattr__(self, "outcome", Outcome.FAIL)
                object.__setattr__(self, "sentence", f"{self.sentence} [{field} is {value}, not a number]")

    def __str__(self) -> str:
        return f"{self.sentence} (for example {', '.join(self.examples[:EXAMPLES])})" if self.examples else self.sentence


class ClaimError(AssertionError):
    """A claim that does not hold; `finding` says why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(str(finding))
        self.finding = finding


class Undecided(Exception):  # noqa: N818 - an answer, not a fault
    """There is too little evidence to say; the check is inconclusive and blocks. `finding` is what was seen, if anything."""

    def __init__(self, sentence: str, finding: Finding | None = None) -> None:
        super().__init__(sentence)
        self.finding = finding


_findings: list[Finding] = []


def forget() -> None:
    """Start anew: a test begins."""
    _findings.clear()


def findings() -> tuple[Finding, ...]:
    """What the claims of the running test found, in order."""
    return tuple(_findings)


def undecided(sentence: str) -> NoReturn:
    """End the test as inconclusive, and blocking, because of too little evidence; `pytest.skip` is for what does not apply."""
    raise Undecided(sentence)


def conclude(finding: Finding) -> Finding:
    """Record a finding and give it back where the claim holds.

    Raises ClaimError where it does not and Undecided where that cannot be said; an advisory finding only warns.
    """
    __tracebackhide__ = True
    _findings.append(finding)
    if finding.outcome is Outcome.PASS:
        return finding
    if finding.advisory:
        warnings.warn(f"advisory, {finding.outcome.value}: {finding}", stacklevel=3)
        return finding
    if finding.outcome is Outcome.INCONCLUSIVE:
        raise Undecided(str(finding), finding)
    raise ClaimError(finding)


def unjudged(names: Sequence[str]) -> str:
    """The end of a sentence that names what was too small to be judged."""
    more = f" and {len(names) - EXAMPLES} more" if len(names) > EXAMPLES else ""
    return f"; too small to be judged: {', '.join(names[:EXAMPLES])}{more}" if names else ""


def outcome_of(holds: bool) -> Outcome:
    """Pass or fail, of a claim that is measured without uncertainty."""
    return Outcome.PASS if holds else Outcome.FAIL


def decisive(found: Sequence[Finding]) -> Finding | None:
    """The finding that decides a test: the one that ended it, else the last that failed, that is inconclusive, or the last of all."""
    ended = [one for one in found if one.outcome is not Outcome.PASS and not one.advisory]
    failed = [one for one in found if one.outcome not in (Outcome.PASS, Outcome.INCONCLUSIVE)]
    open_ = [one for one in found if one.outcome is Outcome.INCONCLUSIVE]
    return next((group[-1] for group in (ended, failed, open_, found) if group), None)


def summary(found: Sequence[Finding]) -> str:
    """At most three findings in words: the decisive one, what else does not hold, then the last ones."""
    first = decisive(found)
    if first is None:
        return ""
    others = [one for one in reversed(found) if one is not first]
    ordered = [first, *sorted(others, key=lambda one: one.outcome is Outcome.PASS)]
    more = f"; and {len(ordered) - SENTENCES} more" if len(ordered) > SENTENCES else ""
    return "; ".join(str(one) for one in ordered[:SENTENCES]) + more
