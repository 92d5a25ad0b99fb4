"""Test the challenger: floors, champion, fairness, behaviour, latency; register it if it passes.

The same bundle, data, policy, champion and suite are answered from the recorded verdict. reports/ gets the page gate.html, the
Markdown gate.md and the JUnit file gate.xml.
"""

from __future__ import annotations

import argparse
import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import structs

from seatrial import __version__
from seatrial.adapters.registry import BEATS_TAG, TEST_DATA_TAG, RegisteredVersion, digests_judged_on, read_alias, registry_uri
from seatrial.bundle import read_digest
from seatrial.errors import DataError, UsageError
from seatrial.files import md5_of, sha256_bytes, sha256_json, sha256_of_tree
from seatrial.gate_reports import keep_reports, write_reports
from seatrial.handover import hand_over, refuse_other_bytes
from seatrial.looks import Look, append_look, look_number, read_looks
from seatrial.project import Project
from seatrial.report import print_verdict
from seatrial.run_manifest import record_run
from seatrial.tools import who
from seatrial.verdict import Check, Outcome, Verdict

if TYPE_CHECKING:
    from seatrial.gate import Evidence


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--again", action="store_true", help="measure again, even where a recorded verdict answers")


def run(project: Project, options: argparse.Namespace) -> int:
    """Judge the bundle in `artifacts/model`; the exit code is the verdict's."""
    verdict, recorded = gate(project, again=options.again)
    record_run(project, verdict)
    print_verdict(verdict, title="gate", path="metrics/gate.json", recorded=recorded)
    return verdict.outcome.exit_code


def gate(project: Project, *, again: bool = False) -> tuple[Verdict, bool]:
    """The verdict on the bundle in `artifacts/model`, and whether it was answered from the record.

    A pass registers the version with digest and verdict as tags, and moves `challenger` to it. Raises BundleError,
    DataError or RegistryError where there is nothing to judge, or nothing to judge it with, RefusedError where another job
    handed over another bundle.
    """
    champion, anchor = read_alias(project, "champion"), read_alias(project, "anchor")
    subject = subject_of(project, champion, anchor)
    refuse_other_bytes(project.env, subject["bundle"])
    hand_over(project, subject["bundle"])
    if champion is not None and champion.digest == subject["bundle"]:
        verdict = _already_champion(project, subject, champion)
        keep_reports(project, verdict)
        return verdict, True
    recorded = None if again else Verdict.recorded(project.verdict("gate"), kind="gate", subject=subject)
    if recorded is not None and _stands(recorded):
        keep_reports(project, recorded)
        register(project, recorded)
        return recorded, True
    project.verdict("gate").unlink(missing_ok=True)  # whatever happens from here on, an older answer is none
    verdict, evidence = measure(project, subject, champion, anchor)
    verdict.save(project.verdict("gate"))
    append_look(project.home, _look(project, verdict))
    write_reports(project, verdict, evidence)
    register(project, verdict)
    return verdict, False


def _stands(recorded: Verdict) -> bool:
    """Whether a record answers: what could not be measured, or failed by the machine's fault perhaps, is asked again."""
    return recorded.outcome is not Outcome.ERROR and not any(check.volatile and check.blocks for check in recorded.checks)


def subject_of(project: Project, champion: RegisteredVersion | None, anchor: RegisteredVersion | None = None) -> dict[str, Any]:
    """What the verdict is about: any change of these makes a recorded one void."""
    settings = project.settings
    suite = project.root / settings.gate.suite
    if not suite.is_dir():
        raise UsageError(
            f"gate.suite: there is no folder {settings.gate.suite}", hint="write the model test suite there; docs/gate.md shows how"
        )
    try:
        test_data = md5_of(project.test_data)
    except FileNotFoundError:
        raise DataError("there are no held-out rows in data/processed", hint="make them: nox -s train") from None
    return {
        "bundle": read_digest(project.bundle),
        "test_data": test_data,
        "policy": policy_of(project),
        "champion": champion.digest if champion else None,
        "anchor": anchor.digest if anchor else None,
        "suite": sha256_of_tree(suite, suffixes=(".py", ".yaml")),
        "seatrial": __version__,
    }


def policy_of(project: Project, *, environment: str | None = None) -> str:
    """Digest of all that the gate is told, asked in the name of another `environment` where one is given."""
    settings = project.settings if environment is None else structs.replace(project.settings, environment=environment)
    return sha256_json([settings.gate_policy, *(sha256_bytes(path.read_bytes()) for path in _told_by(project))])


def _told_by(project: Project) -> list[Path]:
    """The files beside params.yaml that say what is asked: the contract, and the noise floor where it was measured."""
    return [project.contract, *([project.noise] if project.noise.exists() else [])]


def measure(
    project: Project, subject: dict[str, Any], champion: RegisteredVersion | None, anchor: RegisteredVersion | None = None
) -> tuple[Verdict, Evidence]:
    """Measure all that the gate asks, and decide; gives the verdict and what it rests on."""
    from seatrial.evidence import Standing, gather
    from seatrial.gate import decide

    settings = project.settings
    other = anchor if anchor is not None and (champion is None or anchor.digest != champion.digest) else None
    standing = Standing(champion=champion, anchor=other, look=_look_now(project, subject))
    evidence = gather(project, standing, subject["bundle"], lambda words: print(f"gate: {words}", flush=True))
    verdict = decide(subject, settings.gate, evidence, environment=settings.environment, primary=settings.model.primary)
    return replace(verdict, checks=(*verdict.checks, *_split(project))), evidence


def _look_now(project: Project, subject: dict[str, Any]) -> int:
    registered = digests_judged_on(project, subject["test_data"])
    return look_number(read_looks(project.home), registered, bundle=subject["bundle"], test_data=subject["test_data"])


def _look(project: Project, verdict: Verdict) -> Look:
    settings, subject = project.settings, verdict.subject
    return Look(
        when=_now(),
        who=who(),
        environment=settings.environment,
        model=settings.registered_model,
        bundle=subject["bundle"],
        test_data=subject["test_data"],
        champion=subject["champion"],
        verdict=verdict.digest,
        outcome=verdict.outcome.value,
    )


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")


def _split(project: Project) -> tuple[Check, ...]:
    """Whether held-out rows stand among the training rows: a question about data that can only be asked once they are split."""
    from seatrial.checks.split import split_checks
    from seatrial.checks.waivers import apply_waivers
    from seatrial.contract import load_contract

    contract = load_contract(project.contract)
    checks = split_checks(contract, project.train_data, project.test_data, project.settings.data)
    own = tuple(waiver for waiver in contract.waivers if waiver.check.startswith("split."))
    return apply_waivers(own, checks, dt.datetime.now(dt.UTC).date())


def _already_champion(project: Project, subject: dict[str, Any], champion: RegisteredVersion) -> Verdict:
    """The bundle serves already: the verdict under which it was promoted stands, and nothing is registered."""
    path = project.verdict("gate")
    try:
        verdict = Verdict.load(path, kind="gate")
        if verdict.digest == champion.gate:
            return verdict
    except Exception:  # noqa: BLE001, S110 - whatever is wrong with the file, the registry's record is what counts
        pass
    sentence = f"already champion (version {champion.version}), promoted under the gate verdict {champion.gate[:19]}…; nothing to deploy"
    verdict = Verdict(kind="gate", subject=subject, checks=(Check(name="champion.same_bundle", outcome=Outcome.PASS, message=sentence),))
    verdict.save(path)
    return verdict


def register(project: Project, verdict: Verdict) -> None:
    """Make a bundle that passed the challenger; one that is registered under this verdict already costs a look, no more."""
    if verdict.outcome is not Outcome.PASS:
        return
    known = read_alias(project, "challenger")
    if known is not None and (known.digest, known.gate) == (verdict.subject["bundle"], verdict.digest):
        return
    from seatrial.adapters.registry import register_version
    from seatrial.adapters.tracking import log_run, run_tags, signature_of
    from seatrial.bundle import load_bundle
    from seatrial.commands.train import read_evaluation
    from seatrial.files import canonical_json
    from seatrial.store import store_bundle

    bundle = load_bundle(project.bundle, expected=verdict.subject["bundle"])
    store_bundle(bundle, project.home / "store")
    run_id, _ = log_run(project, bundle, read_evaluation(project))
    tags = run_tags(project, bundle) | gate_tags(verdict, signature_of(bundle.manifest))
    found = register_version(
        project, bundle, run_id=run_id, gate=verdict.digest, verdict=canonical_json(verdict.to_dict()).decode(), tags=tags
    )
    print(f"gate: registered version {found.version} of {project.settings.registered_model!r} in {_place(project)}, challenger now")


def gate_tags(verdict: Verdict, signature: str) -> dict[str, str]:
    """What the registry keeps of a verdict beside its digest: who asked when, on which rows, and whether it beats the anchor."""
    subject = verdict.subject
    moves = any(check.name == "anchor.better" and check.observed == "moves" for check in verdict.checks)
    return {
        TEST_DATA_TAG: subject["test_data"],
        BEATS_TAG: (subject["anchor"] or subject["champion"] or "") if moves else "",
        "seatrial.outcome": verdict.outcome.value,
        "seatrial.gated_by": who(),
        "seatrial.gated_at": _now(),
        "seatrial.signature": signature,
    }


def _place(project: Project) -> str:
    from seatrial.adapters.registry import shown

    uri = registry_uri(project)
    return "mlflow.db" if uri.startswith("sqlite:") else shown(uri)
