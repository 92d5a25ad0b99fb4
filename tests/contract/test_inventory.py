"""The audit against a real MLflow registry: versions, verdicts, ledger, and bytes that somebody changed."""

import shutil
from pathlib import Path

import pytest

from seatrial.adapters import registry, tracking
from seatrial.adapters.inventory import take_inventory
from seatrial.commands.audit import audit_registry
from seatrial.files import canonical_json
from seatrial.project import Project
from seatrial.verdict import Check, Outcome, Verdict
from tests.bundles import make_bundle

pytestmark = pytest.mark.slow
PARAMS = Path(__file__).parents[2] / "params.yaml"


@pytest.fixture
def project(tmp_path):
    """A registry with one promoted version."""
    (tmp_path / "params.yaml").write_text(PARAMS.read_text())
    project = Project.find(tmp_path, env={})
    bundle = make_bundle(tmp_path / "bundle")
    run_id, _ = tracking.log_run(project, bundle, {"roc_auc": 0.8})
    check = Check(name="performance.roc_auc.floor", outcome=Outcome.PASS, message="measured")
    verdict = Verdict(kind="gate", subject={"bundle": bundle.digest}, checks=(check,))
    registry.register_version(
        project, bundle, run_id=run_id, gate=verdict.digest, verdict=canonical_json(verdict.to_dict()).decode(), tags={}
    )
    registry.move_aliases(project, expected={"champion": None}, to={"champion": 1, "challenger": None})
    registry.record_rollout(project, record={"event": "promoted", "version": 1, "champion_version": None, "outcome": "pass"})
    return project


def findings(verdict):
    return {check.name for check in verdict.checks if check.outcome is not Outcome.PASS}


def test_a_release_as_it_was_made_passes_and_every_kind_of_tampering_is_found(project):
    verdict = audit_registry(project, quiet=True)
    assert verdict.outcome is Outcome.PASS
    assert Verdict.load(project.verdict("audit"), kind="audit") == verdict

    client = registry.tracking_client(registry.registry_uri(project))
    model = project.settings.registered_model
    client.delete_registered_model_alias(model, "champion")
    assert findings(audit_registry(project, quiet=True)) == {"registry.champion"}
    client.set_registered_model_alias(model, "champion", "1")

    (onnx,) = (project.root / "mlartifacts").rglob("model.onnx")
    kept = onnx.read_bytes()
    onnx.write_bytes(kept + b"more")
    assert findings(audit_registry(project, quiet=True)) == {"registry.bytes"}
    onnx.unlink()
    assert findings(audit_registry(project, quiet=True)) == {"registry.bytes"}
    onnx.write_bytes(kept)

    (folder,) = (project.root / "mlartifacts").rglob("verdicts")
    shutil.rmtree(folder)
    assert findings(audit_registry(project, quiet=True)) == {"registry.gate"}


def test_an_empty_registry_is_no_disagreement(tmp_path):
    (tmp_path / "params.yaml").write_text(PARAMS.read_text())
    found = take_inventory(Project.find(tmp_path, env={}))
    assert (found.entries, found.aliases, found.ledger) == ({}, {}, ())
