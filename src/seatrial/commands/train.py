"""Reproduce the DVC pipeline (only what changed), then log the run to MLflow, once for each bundle."""

from __future__ import annotations

import argparse
import json
from typing import Any

from seatrial.adapters.registry import registry_uri
from seatrial.errors import PipelineError
from seatrial.files import sha256_bytes
from seatrial.handover import hand_over
from seatrial.pipeline import reproduce, require_repository
from seatrial.project import Project
from seatrial.run_manifest import record_run


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--force", action="store_true", help="run every stage, even where nothing changed")


def run(project: Project, options: argparse.Namespace) -> int:
    """Train and say which bundle came out; 0, or an exception that says why not."""
    train(project, force=options.force)
    return 0


def train(project: Project, *, force: bool = False) -> str:
    """Bring the pipeline up to date and log its run; gives the bundle's digest.

    Raises PipelineError where a stage fails, RegistryError where MLflow cannot be reached: the bundle is there then, and
    the next call logs it.
    """
    registry_uri(project)  # a mistake in params.yaml, or an address that may not be written to, is said before any work
    require_repository(project.root)
    reproduce(project, force=force)
    digest = manifest_digest(project)
    hand_over(project, digest)
    record_run(project)
    evaluation = read_evaluation(project)
    logged = _log(project, digest, evaluation)
    primary = project.settings.model.primary
    print(f"train: bundle {digest[:19]}… · {primary} {evaluation[primary]:.3f} on {evaluation['rows']} held-out rows · {logged}")
    return digest


def manifest_digest(project: Project) -> str:
    """The digest that the manifest in `artifacts/model` gives; who acts on the bundle hashes every file again."""
    from seatrial.bundle import MANIFEST

    try:
        return sha256_bytes((project.bundle / MANIFEST).read_bytes())
    except OSError as error:
        raise PipelineError(
            f"dvc.yaml left no bundle in {project.bundle.name}: {error}", hint="the stage `train` writes artifacts/model"
        ) from None


def read_evaluation(project: Project) -> dict[str, Any]:
    """metrics/evaluation.json."""
    try:
        values = json.loads(project.evaluation.read_bytes())
        return dict(values)
    except (OSError, ValueError, TypeError) as error:
        raise PipelineError(f"metrics/evaluation.json cannot be read ({error})", hint="run: nox -s train -- --force") from None


def _log(project: Project, digest: str, evaluation: dict[str, Any]) -> str:
    from seatrial.adapters.tracking import log_run, logged_run

    if (known := logged_run(project, digest)) is not None:
        return f"MLflow run {known[:8]} (logged before)"
    from seatrial.bundle import load_bundle

    bundle = load_bundle(project.bundle, expected=digest)
    run_id, fresh = log_run(project, bundle, evaluation)
    return f"MLflow run {run_id[:8]} ({'logged' if fresh else 'logged before'})"
