"""Test the data against its contract, its own statistics, the reference and the clock.

Writes metrics/validation.json (the verdict) and reports/data_profile.html. Where data, contract, reference and policy are
those of the recorded verdict, that one answers, and only what reads the clock is asked again.
"""

from __future__ import annotations

import argparse
import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seatrial import __version__
from seatrial.checks.freshness import AGE, NEWEST, age_check
from seatrial.errors import ContractError, DataError, RefusedError, SeatrialError
from seatrial.files import md5_of, sha256_bytes, sha256_json, write_atomic
from seatrial.project import Project
from seatrial.report import print_verdict
from seatrial.verdict import Check, Outcome, Verdict

if TYPE_CHECKING:
    from seatrial.contract import Contract
    from seatrial.profile import Profile

KIND = "validation"
PAGE = "data_profile.html"
LARGE_BYTES = 50 * 2**20


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--accept", action="store_true", help="make the present data the reference, if only statistics checks fail")


def run(project: Project, options: argparse.Namespace) -> int:
    """Validate now; 0 only where the data passes."""
    return validate(project, now=dt.datetime.now(dt.UTC), accept=options.accept).outcome.exit_code


def validate(project: Project, *, now: dt.datetime, accept: bool = False) -> Verdict:
    """Answer whether the data may be used, print the answer, and leave it in metrics/validation.json.

    With `accept`, the present data becomes the reference. Raises DataError for a table that cannot be read and ContractError
    for a contract or reference that cannot be used, after recording an error verdict, so that no older answer stands;
    RefusedError where `accept` is asked for and something else than the statistics fails: then nothing is written.
    """
    path = project.verdict(KIND)
    subject = _subject(project)
    recorded = None if accept else _recorded(project, subject, now)
    verdict = recorded or _made(project, subject, now, accept)
    print_verdict(verdict, title="validate", path=path.relative_to(project.root), recorded=recorded is not None)
    return verdict


def _subject(project: Project) -> dict[str, Any]:
    """What the verdict is about, by digest; what is missing is None."""
    settings = project.settings
    policy = {"data": settings.data.to_dict(), "task": settings.model.task, "seatrial": __version__}
    return {
        "data": md5_of(project.raw) if project.raw.exists() else None,
        "contract": _digest(project.contract),
        "reference": _digest(project.reference),
        "policy": sha256_json(policy),
    }


def _digest(path: Path) -> str | None:
    return sha256_bytes(path.read_bytes()) if path.is_file() else None


def _recorded(project: Project, subject: dict[str, Any], now: dt.datetime) -> Verdict | None:
    """The recorded verdict about this subject with its age asked again, or None where the data has to be read."""
    path = project.verdict(KIND)
    verdict = Verdict.recorded(path, kind=KIND, subject=subject)
    if verdict is None or verdict.outcome is Outcome.ERROR or not project.report(PAGE).exists():
        return None
    found = {check.name: check for check in verdict.checks}
    if NEWEST not in found or AGE not in found:
        return None
    limit = found[AGE].limit
    if not isinstance(limit, int | float):
        return None
    age = age_check(found[NEWEST], limit, now)
    if age != found[AGE]:
        verdict = replace(verdict, checks=tuple(age if check.name == AGE else check for check in verdict.checks))
        verdict.save(path)
    return verdict


def _made(project: Project, subject: dict[str, Any], now: dt.datetime, accept: bool) -> Verdict:
    """Read the data and answer; what cannot be read leaves an error verdict behind."""
    try:
        verdict, page = _asked(project, subject, now, accept)
    except (DataError, ContractError) as error:
        _error_verdict(subject, error).save(project.verdict(KIND))
        raise
    write_atomic(project.report(PAGE), page.encode())
    verdict.save(project.verdict(KIND))
    return verdict


def _error_verdict(subject: dict[str, Any], error: SeatrialError) -> Verdict:
    name = "data.read" if isinstance(error, DataError) else "contract.read"
    return Verdict(kind=KIND, subject=subject, checks=(Check(name=name, outcome=Outcome.ERROR, message=error.message),))


def _asked(project: Project, subject: dict[str, Any], now: dt.datetime, accept: bool) -> tuple[Verdict, str]:
    """The verdict and its page, by reading the table."""
    from seatrial.contract import check_roles, load_contract
    from seatrial.data_page import data_page

    contract = load_contract(project.contract)
    check_roles(contract, project.settings.data)
    reference = None if accept else _reference(project)
    present, rows = _row_checks(project, contract, str(subject["data"]))
    checks = (*rows, *_table_checks(project, contract, present, reference or present, now))
    if accept:
        _accept(project, checks, present)
        subject = _subject(project)
    verdict = Verdict(kind=KIND, subject=subject, checks=checks)
    return verdict, data_page(verdict, present, reference or present)


def _reference(project: Project) -> Profile:
    from seatrial.profile import load_profile

    return load_profile(project.reference)


def _row_checks(project: Project, contract: Contract, data: str) -> tuple[Profile, tuple[Check, ...]]:
    """The table's profile, and the checks that need its rows."""
    from seatrial.checks.quality import label_checks, quality_checks
    from seatrial.checks.schema import schema_checks
    from seatrial.profile import profile
    from seatrial.tables import read_table, typed

    settings = project.settings.data
    if project.raw.is_dir() or (project.raw.exists() and project.raw.stat().st_size > LARGE_BYTES):
        print(f"validate: reading {settings.raw} …", flush=True)
    raw = read_table(project.raw, delimiter=settings.delimiter, pattern=settings.pattern)
    frame, findings = typed(raw, contract)
    checks = (
        *schema_checks(contract, raw.columns, findings),
        *quality_checks(contract, frame, findings, settings),
        *label_checks(frame, settings),
    )
    return profile(frame, contract, data=data), checks


def _table_checks(project: Project, contract: Contract, present: Profile, reference: Profile, now: dt.datetime) -> tuple[Check, ...]:
    """The checks that need the profile only: statistics and freshness."""
    from seatrial.checks.freshness import freshness_checks
    from seatrial.checks.shift import statistics_checks

    settings = project.settings.data
    return (
        *statistics_checks(contract, present, reference, identity=settings.id),
        *freshness_checks(contract.checks.freshness, present, settings.snapshot, now),
    )


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
    print(f"validate: {project.settings.data.reference} now describes this data; commit it")
