"""The data test: reads the table once, asks every check, and leaves verdict and page.

Where data, contract, reference and policy are those of the recorded verdict, that one answers, and only what reads the
clock is asked again: no data frame library is loaded for that.
"""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seatrial import __version__
from seatrial.checks.freshness import AGE, NEWEST, age_check
from seatrial.errors import ContractError, DataError, RefusedError, SeatrialError, UsageError
from seatrial.files import sha256_bytes, sha256_json, write_atomic
from seatrial.project import Project
from seatrial.sources import data_digest, parts_of
from seatrial.verdict import Check, Outcome, Verdict

if TYPE_CHECKING:
    from seatrial.contract import Contract
    from seatrial.profile import Profile
    from seatrial.sources import Part
    from seatrial.summary import Summary

KIND = "validation"
TRAINING = "training"
WAIVED = "waived until"


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """An answer: the verdict, whether it was recorded before, and where verdict and page lie."""

    verdict: Verdict
    recorded: bool
    path: Path
    page: Path


def validate(project: Project, *, now: dt.datetime, accept: bool = False, environment: str = TRAINING) -> Validation:
    """Answer whether the data may be used, and leave the answer in metrics/validation.json and reports/data_profile.html.

    With `accept`, the present data becomes the reference. `environment` says which of the contract's columns and checks
    exist; `serving`, and a table that stands in for data.raw, have files of their own (`validation.serving.json`). Raises
    DataError for a table that cannot be read and ContractError for a contract or reference that cannot be used, after
    recording an error verdict, so that no older answer stands; RefusedError where `accept` is asked for and something else
    than the statistics fails: then nothing is written.
    """
    if accept and (project.table is not None or environment != TRAINING):
        raise UsageError("--accept is about data.raw as training reads it", hint="leave out --table and --for")
    asked = _Asked(project=project, now=now, environment=environment)
    parts, problem = _parts(project)
    subject = asked.subject(parts)
    recorded = None if accept else asked.recorded(subject)
    if recorded is not None:
        return Validation(verdict=recorded, recorded=True, path=asked.path, page=asked.page)
    try:
        if problem is not None:
            raise problem
        verdict, page = asked.answer(parts, subject, accept=accept)
    except (DataError, ContractError) as error:
        _error_verdict(subject, error).save(asked.path)
        raise
    write_atomic(asked.page, page.encode())
    verdict.save(asked.path)
    return Validation(verdict=verdict, recorded=False, path=asked.path, page=asked.page)


def _parts(project: Project) -> tuple[tuple[Part, ...], DataError | None]:
    """The table's parts, or why there are none: a missing table has to leave a verdict too."""
    try:
        return parts_of(project), None
    except DataError as error:
        return (), error


def _error_verdict(subject: dict[str, Any], error: SeatrialError) -> Verdict:
    name = "data.read" if isinstance(error, DataError) else "contract.read"
    return Verdict(kind=KIND, subject=subject, checks=(Check(name=name, outcome=Outcome.ERROR, message=error.message),))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """One question: which project, when, and for which environment of the contract."""

    project: Project
    now: dt.datetime
    environment: str

    @property
    def path(self) -> Path:
        return self.project.verdict(f"{KIND}{self._suffix}")

    @property
    def page(self) -> Path:
        return self.project.report(f"data_profile{self._suffix}.html")

    @property
    def _suffix(self) -> str:
        names = ["table"] * (self.project.table is not None) + [self.environment] * (self.environment != TRAINING)
        return "".join(f".{name}" for name in names)

    def subject(self, parts: Sequence[Part]) -> dict[str, Any]:
        """What the verdict is about, by digest; what is missing is None."""
        settings = self.project.settings
        policy = {"data": settings.data.to_dict(), "task": settings.model.task, "for": self.environment, "seatrial": __version__}
        return {
            "data": data_digest(parts) if parts else None,
            "contract": _digest(self.project.contract),
            "reference": _digest(self.project.reference),
            "policy": sha256_json(policy),
        }

    def recorded(self, subject: dict[str, Any]) -> Verdict | None:
        """The recorded verdict about this subject, where its age is still what it says; None where verdict and page have to be made."""
        verdict = Verdict.recorded(self.path, kind=KIND, subject=subject)
        if verdict is None or verdict.outcome is Outcome.ERROR or not self.page.exists():
            return None
        found = {check.name: check for check in verdict.checks}
        if NEWEST not in found or AGE not in found or not all(_holds_still(check, self.now) for check in verdict.checks):
            return None
        limit = found[AGE].limit
        same = isinstance(limit, int | float) and age_check(found[NEWEST], limit, self.now) == found[AGE]
        return verdict if same else None

    def answer(self, parts: Sequence[Part], subject: dict[str, Any], *, accept: bool) -> tuple[Verdict, str]:
        """The verdict and its page, by reading what changed of the table."""
        from seatrial.checks.waivers import apply_waivers
        from seatrial.contract import check_roles, load_contract
        from seatrial.data_page import data_page, roles_of
        from seatrial.profile import load_profile

        settings = self.project.settings.data
        contract = load_contract(self.project.contract)
        check_roles(contract, settings)
        reference = None if accept else load_profile(self.project.reference)
        asked = contract.within(self.environment)
        summary = _summary(self.project, parts, asked)
        present = summary.profile(data=str(subject["data"]))
        checks = self._checks(asked, summary, present, reference or present)
        checks = apply_waivers(asked.waivers, checks, self.now.date())
        if accept:
            _accept(self.project, checks, present)
            subject = self.subject(parts)
        verdict = Verdict(kind=KIND, subject=subject, checks=checks)
        return verdict, data_page(verdict, present, reference or present, summary=summary, roles=roles_of(asked, settings))

    def _checks(self, contract: Contract, summary: Summary, present: Profile, reference: Profile) -> tuple[Check, ...]:
        from seatrial.checks.freshness import freshness_checks
        from seatrial.checks.label import label_checks
        from seatrial.checks.quality import quality_checks
        from seatrial.checks.schema import schema_checks
        from seatrial.checks.shift import statistics_checks

        data = self.project.settings.data
        return (
            *schema_checks(contract, summary),
            *quality_checks(contract, summary, data, self.now),
            *(label_checks(contract, summary, data) if data.target in contract.columns else ()),
            *statistics_checks(contract, present, reference, identity=data.id),
            *freshness_checks(contract.checks.freshness, present, data.snapshot, self.now),
        )


def _digest(path: Path) -> str | None:
    return sha256_bytes(path.read_bytes()) if path.is_file() else None


def _holds_still(check: Check, now: dt.datetime) -> bool:
    """Whether a check that reads the clock would still say the same; the age is asked again anyway."""
    if check.name in (NEWEST, AGE):
        return WAIVED not in check.message
    if not check.volatile:
        return True
    if check.outcome is not Outcome.PASS:
        return False
    return not isinstance(check.limit, str) or now.date().isoformat() <= check.limit


def _summary(project: Project, parts: Sequence[Part], contract: Contract) -> Summary:
    from seatrial.progress import reading
    from seatrial.scan import summarise

    data = project.settings.data
    with reading(sum(part.size for part in parts), f"validate: reading {data.raw}", stream=sys.stderr) as progress:
        return summarise(parts, contract, data, home=project.home, progress=progress)


def _accept(project: Project, checks: tuple[Check, ...], present: Profile) -> None:
    """Make `present` the reference; RefusedError where anything but the statistics is wrong with it.

    `checks` compared the data with itself, so a check that blocks has nothing to do with the reference.
    """
    broken = [check for check in checks if check.blocks]
    if broken:
        sentence = f"{len(broken)} checks that no reference changes did not pass, first {broken[0].name}: {broken[0].message}"
        raise RefusedError(
            sentence, hint="--accept is for data that is right and only differs from the reference; mend the data or the contract"
        )
    present.save(project.reference)
    print(f"validate: {project.settings.data.reference} now describes this data; commit it", file=sys.stderr)
