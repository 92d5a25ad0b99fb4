"""Test the data against its contract, its own statistics, the reference and the clock.

Writes metrics/validation.json (the verdict) and reports/data_profile.html. Where data, contract, reference and policy are
those of the recorded verdict, that one answers, and only what reads the clock is asked again.
"""

from __future__ import annotations

import argparse
import datetime as dt
from dataclasses import replace
from pathlib import Path

from seatrial.files import pretty_json, write_atomic
from seatrial.project import Project
from seatrial.report import print_verdict
from seatrial.validation import TRAINING, Validation, validate


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--accept", action="store_true", help="make the present data the reference, if only statistics checks fail")
    parser.add_argument("--table", metavar="PATH", help="another table than data.raw, such as a delivery that is not accepted yet")
    parser.add_argument("--for", dest="environment", choices=(TRAINING, "serving"), default=TRAINING, help="what the table is for")
    parser.add_argument("--json", action="store_true", help="print the verdict as JSON, and nothing else")
    parser.add_argument("--junit", metavar="FILE", help="write the checks as JUnit XML too")


def run(project: Project, options: argparse.Namespace) -> int:
    """Validate now; 0 only where the data passes."""
    if options.table is not None:
        project = replace(project, table=options.table)
    answer = validate(project, now=dt.datetime.now(dt.UTC), accept=options.accept, environment=options.environment)
    if options.junit:
        _write_junit(answer, Path(options.junit))
    if options.json:
        print(pretty_json(answer.verdict.to_dict()).decode(), end="")
    else:
        print_verdict(answer.verdict, title="validate", path=answer.path.relative_to(project.root), recorded=answer.recorded)
    return answer.verdict.outcome.exit_code


def _write_junit(answer: Validation, path: Path) -> None:
    from seatrial.junit import to_junit

    write_atomic(path, to_junit(answer.verdict))
