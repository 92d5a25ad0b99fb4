"""Train with other luck (DVC keeps the answer) and show by how much each metric moves: the smallest sensible margins.

Each training takes another seed and draws its rows anew; `gate.noise.seeds` says how many there are.
"""

from __future__ import annotations

import argparse

from seatrial.errors import PipelineError
from seatrial.noise import Measured, read_noise
from seatrial.pipeline import reproduce, require_repository
from seatrial.project import Project

STAGE = "metrics/noise/dvc.yaml"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--force", action="store_true", help="train again, even where nothing changed")


def run(project: Project, options: argparse.Namespace) -> int:
    """Measure and print one line for each metric that has a margin; 0, or an exception that says why not."""
    measured = noise(project, force=options.force)
    policies = project.settings.gate.metrics
    for name, floor in sorted(measured.noise.floors.items()):
        policy = policies.get(name)
        margin = None if policy is None else policy.margin
        said = "no margin" if margin is None else f"margin {margin:g}" + ("" if margin >= floor else ", smaller than its noise")
        print(f"{name:<18} {floor:.4f}  {said}")
    print(
        f"noise: {measured.noise.seeds} trainings; equally good models differ by more than this once in twenty times · metrics/noise.json"
    )
    return 0


def noise(project: Project, *, force: bool = False) -> Measured:
    """Bring `metrics/noise.json` up to date by DVC; PipelineError where the project has no such stage, or it fails."""
    require_repository(project.root)
    if not (project.root / STAGE).is_file():
        raise PipelineError(f"there is no {STAGE}, which says how to train with other luck", hint="docs/gate.md shows one")
    reproduce(project, STAGE, force=force, single=force)
    measured = read_noise(project.noise)
    if measured is None:
        raise PipelineError(f"the stage of {STAGE} wrote no metrics/noise.json", hint="docs/gate.md shows what it holds")
    return measured
