"""Ask the registry whether it still says what was decided: bytes, gate verdicts, aliases, ledger.

An alias that was moved by hand, bytes that are gone or are not those of the digest, and a version without its passing verdict
are reported; nothing is changed.
"""

from __future__ import annotations

import argparse

from seatrial.files import pretty_json
from seatrial.project import Project
from seatrial.report import print_verdict
from seatrial.verdict import Verdict


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--json", action="store_true", help="print the verdict as JSON, and nothing else")


def run(project: Project, options: argparse.Namespace) -> int:
    """Audit now; 0 only where everything agrees."""
    verdict = audit_registry(project, quiet=options.json)
    if options.json:
        print(pretty_json(verdict.to_dict()).decode(), end="")
    else:
        print_verdict(verdict, title="audit", path="metrics/audit.json")
    return verdict.outcome.exit_code


def audit_registry(project: Project, *, quiet: bool = False) -> Verdict:
    """Read everything the registry holds for this environment's model, and leave the answer in metrics/audit.json."""
    from seatrial.adapters.inventory import take_inventory
    from seatrial.audit import audit

    verdict = audit(take_inventory(project, say=lambda words: None if quiet else print(f"audit: {words}", flush=True)))
    verdict.save(project.verdict("audit"))
    return verdict
