"""The run behind a bundle in MLflow: params, metrics, data hash, commit and files, logged once for each digest.

A receipt per registry and digest in `.seatrial/receipts` says that the run is there, so that a cache hit logs nothing and
costs nothing; a second machine finds the run by its digest.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seatrial.adapters.mlflow_client import ensure_experiment, tracking_client, translated
from seatrial.adapters.one_run import claim_run
from seatrial.adapters.registry import DIGEST_TAG, registry_uri
from seatrial.files import canonical_json, sha256_bytes, sha256_json, write_atomic

if TYPE_CHECKING:
    from seatrial.bundle import Bundle, Manifest
    from seatrial.project import Project

MAX_TAG = 4_000
"""Characters of a tag; MLflow keeps 5,000."""


def logged_run(project: Project, digest: str) -> str | None:
    """The run of a bundle by this machine's receipt, or None where it has none."""
    try:
        found = json.loads(_receipt(project, digest).read_bytes())
    except (OSError, ValueError):
        return None
    run_id = found.get("run_id")
    return run_id if isinstance(run_id, str) and _still_there(project) else None


def _still_there(project: Project) -> bool:
    """A receipt for a sqlite file that was deleted is worth nothing."""
    uri = registry_uri(project)
    return not uri.startswith("sqlite:///") or Path(uri.removeprefix("sqlite:///")).exists()


def _receipt(project: Project, digest: str) -> Path:
    place = sha256_bytes(f"{registry_uri(project)}\n{project.experiment}".encode()).removeprefix("sha256:")[:16]
    return project.home / "receipts" / place / f"{digest.removeprefix('sha256:')}.json"


def log_run(project: Project, bundle: Bundle, evaluation: dict[str, Any]) -> tuple[str, bool]:
    """Log the run of a bundle; gives its id, and whether it was logged now rather than found.

    Raises RegistryError where MLflow cannot be reached, or stops answering half way: there is no receipt then, and the next
    `train` goes on with the run that was begun.
    """
    found = logged_run(project, bundle.digest)
    if found is not None:
        return found, False
    client = tracking_client(registry_uri(project))
    with translated("log the run"):
        experiment = ensure_experiment(client, project, project.experiment)
        tags, name = run_tags(project, bundle), bundle.digest.removeprefix("sha256:")[:12]
        run = claim_run(client, experiment, {DIGEST_TAG: bundle.digest}, tags, name)
        fresh = run.info.status != "FINISHED"
        if fresh:
            _write(client, run, project, bundle, evaluation)
    run_id = str(run.info.run_id)
    write_atomic(_receipt(project, bundle.digest), json.dumps({"run_id": run_id}).encode())
    return run_id, fresh


def _write(client: Any, run: Any, project: Project, bundle: Bundle, evaluation: dict[str, Any]) -> None:
    """Everything about a bundle's run; what an earlier attempt wrote is kept, for MLflow takes no param twice."""
    from mlflow.entities import Metric, Param

    run_id = run.info.run_id
    metrics = [Metric(name, float(value), 0, 0) for name, value in evaluation.items() if isinstance(value, int | float)]
    params = [Param(key, str(value)) for key, value in run_params(project).items() if key not in run.data.params]
    client.log_batch(run_id, metrics=metrics, params=params)
    with tempfile.TemporaryDirectory() as scratch:
        write_mlflow_model(Path(scratch), bundle)
        client.log_artifacts(run_id, scratch, "model")
    client.set_terminated(run_id)


def run_tags(project: Project, bundle: Bundle) -> dict[str, str]:
    """What names a run: digest, data hash and commit (with `-dirty` where the tree differs from it)."""
    return {
        DIGEST_TAG: bundle.digest,
        "seatrial.data": bundle.manifest.training.data,
        "seatrial.commit": commit_of(project.root),
        "mlflow.source.type": "PROJECT",
    }


def commit_of(root: Path) -> str:
    """The commit that is checked out, `-dirty` behind it where the tree differs; `none` where there is no commit."""
    found = subprocess.run(
        ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip() or "none"


def signature_of(manifest: Manifest) -> str:
    """What a bundle reads and answers, as JSON: types by input, and the target's classes; its digest where it is too long for a tag."""
    inputs = {column.name: f"{column.type}?" if column.nullable else column.type for column in manifest.inputs}
    value = {"task": manifest.task, "inputs": inputs, "target": manifest.target.name, "classes": manifest.target.classes}
    text = canonical_json(value).decode()
    return text if len(text) <= MAX_TAG else sha256_json(value)


def run_params(project: Project) -> dict[str, Any]:
    """The parameters that DVC tracks, by their names in params.yaml."""
    settings = project.settings
    sections = {"data": settings.data, "preprocess": settings.preprocess, "train": settings.train}
    return {f"{name}.{key}": value for name, section in sections.items() for key, value in section.to_dict().items()}


def write_mlflow_model(folder: Path, bundle: Bundle) -> None:
    """Write a bundle's files and, beside them and outside the digest, what MLflow's own tools need: an `MLmodel` of flavour onnx."""
    import mlflow
    from mlflow.models import Model
    from mlflow.models.signature import ModelSignature

    for name, data in bundle.files.items():
        (folder / name).write_bytes(data)
    (folder / "manifest.json").write_bytes(bundle.manifest.to_bytes())
    versions = bundle.manifest.libraries
    pinned = [f"{name}=={versions[name]}" for name in ("onnx", "onnxruntime") if name in versions]
    (folder / "requirements.txt").write_text("\n".join([f"mlflow=={mlflow.__version__}", *pinned, "pandas"]) + "\n")
    (folder / "python_env.yaml").write_text("python: 3.11\nbuild_dependencies: [pip]\ndependencies: [-r requirements.txt]\n")
    inputs, outputs = _schema(bundle.manifest)
    model = Model(signature=ModelSignature(inputs=inputs, outputs=outputs), run_id=None)
    model.add_flavor("onnx", onnx_version=versions.get("onnx", ""), data="model.onnx", providers=["CPUExecutionProvider"])
    model.add_flavor(
        "python_function", loader_module="mlflow.onnx", python_version="3.11", data="model.onnx", env={"virtualenv": "python_env.yaml"}
    )
    model.save(str(folder / "MLmodel"))


def _schema(manifest: Manifest) -> tuple[Any, Any]:
    from mlflow.types import ColSpec, DataType, Schema

    inputs = [
        ColSpec(DataType.string if column.type == "category" else DataType.float, column.name, required=not column.nullable)
        for column in manifest.inputs
    ]
    return Schema(inputs), None
