"""Everything that a registered model's registry says, read through MLflow's client, every byte hashed: for the audit."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from seatrial.adapters.mlflow_client import download, tracking_client, translated
from seatrial.adapters.registry import BEATS_TAG, DIGEST_TAG, FROM_TAG, GATE_TAG, registry_uri, verdict_file
from seatrial.audit import Entry, Event, Inventory
from seatrial.errors import BundleError, BytesGoneError, VerdictError
from seatrial.verdict import Verdict

if TYPE_CHECKING:
    from seatrial.project import Project

PAGE = 100


def take_inventory(project: Project, *, say: Callable[[str], None] = lambda words: None) -> Inventory:
    """Read versions, aliases and ledger, and fetch each version's files; RegistryError where the registry cannot be read."""
    client, model = tracking_client(registry_uri(project)), project.settings.registered_model
    with translated("read the registry"):
        found = _model(client, model)
        if found is None:
            return Inventory(model=model, entries={}, aliases={}, ledger=())
        entries = {}
        for version in _pages(client.search_model_versions, f"name = '{model}'"):
            say(f"reading version {version.version}")
            entries[int(version.version)] = _entry(client, version)
        aliases = {alias: int(version) for alias, version in found.aliases.items()}
        return Inventory(model=model, entries=entries, aliases=aliases, ledger=tuple(_ledger(client, f"{model}.rollouts")))


def _model(client: Any, name: str) -> Any:
    """The registered model, or None where there is none."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise


def _pages(search: Callable[..., Any], *arguments: Any, **options: Any) -> Iterator[Any]:
    """All results of a search that comes in pages."""
    token = None
    while True:
        page = search(*arguments, max_results=PAGE, page_token=token, **options)
        yield from page
        token = page.token
        if not token:
            return


def _entry(client: Any, version: Any) -> Entry:
    gate = version.tags.get(GATE_TAG)
    digest, problem = _bytes(client, version)
    return Entry(
        version=int(version.version),
        digest=version.tags.get(DIGEST_TAG),
        gate=gate,
        verdict=kept_verdict(client, version.run_id, gate),
        bytes=digest,
        problem=problem,
        beats=version.tags.get(BEATS_TAG, ""),
        origin=version.tags.get(FROM_TAG, ""),
    )


def _bytes(client: Any, version: Any) -> tuple[str | None, str]:
    """The digest of the stored files, or why there is none."""
    from seatrial.bundle import MLFLOW_FILES, load_bundle

    with tempfile.TemporaryDirectory() as scratch:
        try:
            folder = download(client, version.run_id, "model", scratch)
            return load_bundle(folder, beside=MLFLOW_FILES).digest, ""
        except BundleError as error:
            return None, error.message


def kept_verdict(client: Any, run_id: str, gate: str | None) -> Verdict | None:
    """The verdict that was kept beside the run under this digest."""
    if not gate:
        return None
    with tempfile.TemporaryDirectory() as scratch:
        try:
            path = download(client, run_id, verdict_file(gate), scratch)
            return Verdict.from_dict(json.loads(path.read_bytes()))
        except (BytesGoneError, VerdictError, ValueError, TypeError):
            return None


def _ledger(client: Any, name: str) -> Iterator[Event]:
    """The ledger's lines, oldest first."""
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        return
    for run in _pages(client.search_runs, [experiment.experiment_id], order_by=["attributes.start_time ASC"]):
        tags = run.data.tags
        if "seatrial.event" in tags and tags.get("seatrial.version", "").isdigit():
            champion = tags.get("seatrial.champion_version", "")
            yield Event(
                event=tags["seatrial.event"], version=int(tags["seatrial.version"]), champion=int(champion) if champion.isdigit() else None
            )
