"""What a review rests on: the base, what DVC says changed since, both contracts, and the verdicts on what lies here.

What cannot be had is a sentence in `troubles`, with what to do, and never a reason to say nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from seatrial.contract_diff import Change as ContractChange
from seatrial.diff import Comparison, compare
from seatrial.errors import BundleError, SeatrialError, VerdictError
from seatrial.merge_base import Base, commits_since, file_at, find_base
from seatrial.project import Project
from seatrial.tolerances import tolerance_checks
from seatrial.verdict import Check, Verdict

PIPELINE = ("params.yaml", "dvc.yaml", "dvc.lock")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that is known about a change; `troubles` say what is not, `notes` what is worth knowing."""

    base: Base | None
    comparison: Comparison | None = None
    tolerances: tuple[Check, ...] = ()
    contract: tuple[ContractChange, ...] = ()
    gate: Verdict | None = None
    validation: Verdict | None = None
    troubles: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def gather(project: Project, wanted: str | None = None) -> Facts:
    """Look at everything; PipelineError only where DVC itself cannot answer."""
    troubles: list[str] = []
    base = _base(project, wanted, troubles)
    comparison = None if base is None else compare(project.root, base, project.env, plots=False)
    return Facts(
        base=base,
        comparison=comparison,
        tolerances=() if comparison is None else tolerance_checks(project.settings.diff.tolerances, comparison.metrics.changes),
        contract=() if base is None else _contract_changes(project, base, troubles),
        gate=_gate(project, troubles),
        validation=_recorded(project, "validation"),
        troubles=tuple(troubles),
        notes=() if base is None else _moved_on(project, base),
    )


def _base(project: Project, wanted: str | None, troubles: list[str]) -> Base | None:
    try:
        return find_base(project.root, project.env, wanted)
    except SeatrialError as error:
        troubles.append(f"No comparison: {error.message}. What to do: {error.hint}")
        return None


def _moved_on(project: Project, base: Base) -> tuple[str, ...]:
    """Whether the branch has gone on since: what is compared here is not what a merge would give then."""
    total = commits_since(project.root, base)
    told = commits_since(project.root, base, (*PIPELINE, project.settings.data.contract, project.settings.data.reference))
    if not total:
        return ()
    words = f"{base.branch} has gone on by {total} commit{'s' * (total != 1)} since {base.commit}"
    if not told:
        return (f"{words}; none of them changes params, pipeline, contract or reference.",)
    return (f"{words}, of which {told} change params, pipeline, contract or reference: merge it, train and ask again.",)


def _contract_changes(project: Project, base: Base, troubles: list[str]) -> tuple[ContractChange, ...]:
    """What changed in the contract since the base; a new one, or one that cannot be read, is told in words."""
    from seatrial import contract_diff
    from seatrial.contract import load_contract

    name = project.settings.data.contract
    now, then = project.contract, file_at(project.root, base.commit, name)
    if then is None:
        troubles.append(f"The base has no {name}, so every rule of the contract is new.")
        return ()
    if now.is_file() and now.read_bytes() == then:
        return ()
    try:
        return contract_diff.compare(contract_diff.contract_at(base.commit, project.root, f"./{name}"), load_contract(now))
    except SeatrialError as error:
        troubles.append(f"The contracts cannot be compared: {error.message}")
        return ()


def _gate(project: Project, troubles: list[str]) -> Verdict | None:
    """The gate's verdict, if it is about the bundle that lies here."""
    from seatrial.bundle import read_digest

    try:
        verdict, digest = Verdict.load(project.verdict("gate"), kind="gate"), read_digest(project.bundle)
    except (VerdictError, BundleError) as error:
        troubles.append(f"No gate: {error.message}. What to do: {error.hint or 'nox -s train gate'}")
        return None
    if verdict.subject.get("bundle") != digest:
        troubles.append("The gate's verdict is about another bundle than the one in artifacts/model. What to do: nox -s gate")
        return None
    return verdict


def _recorded(project: Project, kind: str) -> Verdict | None:
    try:
        return Verdict.load(project.verdict(kind), kind=kind)
    except VerdictError:
        return None


def append_summary(env: Mapping[str, str], text: str) -> bool:
    """Add a text to the job's summary where the runner keeps one (GITHUB_STEP_SUMMARY); whether it did."""
    name = env.get("GITHUB_STEP_SUMMARY")
    if not name:
        return False
    with Path(name).open("a", encoding="utf-8") as stream:
        stream.write(f"{text}{os.linesep}")
    return True
