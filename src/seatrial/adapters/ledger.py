"""The registry's ledger as it was written: one MLflow run for each rollout that ended, read through MLflow's client."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from seatrial.adapters.mlflow_client import download, tracking_client, translated
from seatrial.adapters.registry import registry_uri

if TYPE_CHECKING:
    from seatrial.project import Project

PAGE = 1000
PREFIX = "seatrial."


def read_ledger(project: Project) -> tuple[Mapping[str, str], ...]:
    """The ledger's lines, oldest first, each as its tags without their prefix; RegistryError where it cannot be read."""
    client, name = tracking_client(registry_uri(project)), f"{project.settings.registered_model}.rollouts"
    lines, token = [], None
    with translated("read the ledger"):
        experiment = client.get_experiment_by_name(name)
        while experiment is not None:
            order = ["attributes.start_time ASC"]
            found = client.search_runs([experiment.experiment_id], order_by=order, max_results=PAGE, page_token=token)
            lines += [_line(run.data.tags) for run in found]
            token = found.token
            if not token:
                break
    return tuple(lines)


def last_record(project: Project, digest: str) -> Mapping[str, Any] | None:
    """All that was recorded of the newest rollout about a bundle, or None; BytesGoneError where its file is not there."""
    client, name = tracking_client(registry_uri(project)), f"{project.settings.registered_model}.rollouts"
    with translated("read the ledger"):
        experiment = client.get_experiment_by_name(name)
        if experiment is None:
            return None
        wanted = f"tags.`{PREFIX}bundle` = '{digest}' and attributes.status = 'FINISHED'"
        runs = client.search_runs([experiment.experiment_id], wanted, order_by=["attributes.start_time DESC"], max_results=1)
        if not runs:
            return None
        with tempfile.TemporaryDirectory() as scratch:
            return dict(json.loads(download(client, runs[0].info.run_id, "rollout.json", scratch).read_bytes()))


def _line(tags: Mapping[str, str]) -> Mapping[str, str]:
    return {key.removeprefix(PREFIX): value for key, value in tags.items() if key.startswith(PREFIX)}
