"""Repeat a recorded run in a clean clone of its commit, and compare the bundle and the gate's verdict.

0 the same · 1 something came out otherwise, and is named · 2 it cannot be repeated here, and why. Checks that depend on the machine
or the clock (latency, freshness) are left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from seatrial.project import Project
from seatrial.rerun import rerun
from seatrial.run_manifest import RunManifest

SHOWN = 10


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("manifest", nargs="?", type=Path, help="the run's manifest (default: metrics/run.json)")


def run(project: Project, options: argparse.Namespace) -> int:
    """Repeat, and say what differs; 0 where nothing does."""
    recorded = RunManifest.load(options.manifest or project.verdict("run"))
    found = rerun(project, recorded, lambda words: print(f"rerun: {words}", flush=True))
    for sentence in found[:SHOWN]:
        print(f"rerun: {sentence}")
    if len(found) > SHOWN:
        print(f"rerun: and {len(found) - SHOWN} more")
    judged = f"verdict {recorded.gate.digest[:19]}…" if recorded.gate else "no gate was recorded"
    print(f"rerun: {'differs' if found else 'the same'} · bundle {recorded.bundle[:19]}… · {judged}")
    return 1 if found else 0
