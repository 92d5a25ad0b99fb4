"""A champion of staging comes to production on a real server: the same bytes, verdict and evidence, or not at all."""

import datetime as dt
import json
import shutil
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from seatrial.adapters import mlflow_client, registry, tracking
from seatrial.adapters.inventory import take_inventory
from seatrial.admission import admitted
from seatrial.audit import audit
from seatrial.cli import main
from seatrial.commands.gate import policy_of
from seatrial.errors import BundleError, RefusedError, UsageError
from seatrial.files import canonical_json
from seatrial.project import Project
from seatrial.transfer import transfer
from seatrial.verdict import Check, Outcome, Verdict
from tests.bundles import make_bundle

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
NOW = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)


@pytest.fixture
def staging(signed_in, tmp_path):
    """A project in staging, with a model of its own on the server."""
    name = f"moved-{uuid4().hex[:12]}"
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text().replace("churn-predictor", name))
    (tmp_path / "data").mkdir()
    shutil.copy(ROOT / "data/contract.yaml", tmp_path / "data")
    env = {"MLFLOW_TRACKING_URI": signed_in.address, "MLFLOW_EXPERIMENT_NAME": name}
    return Project.find(tmp_path, env=env, environment="staging")


@pytest.fixture
def production(staging):
    return replace(staging, environment="production")


def gated(project, bias=0.5, champion=None):
    """A bundle that passed in a project's environment: its version and its verdict."""
    bundle = make_bundle(project.root / f"bundle-{bias}", bias=bias)
    subject = {"bundle": bundle.digest, "policy": policy_of(project), "champion": champion, "anchor": champion}
    verdict = Verdict(kind="gate", subject=subject, checks=(Check(name="a", outcome=Outcome.PASS, message="is"),))
    run_id, _ = tracking.log_run(project, bundle, {"roc_auc": 0.8})
    told = canonical_json(verdict.to_dict()).decode()
    version = registry.register_version(
        project, bundle, run_id=run_id, gate=verdict.digest, verdict=told, tags={registry.TEST_DATA_TAG: "md5:1"}
    )
    return version, verdict


def took_live(project, version, event="promoted", simulated=False):
    champion = registry.read_alias(project, "champion")
    record = {
        "event": event, "rollout": f"{version.version}-{event}", "version": version.version, "bundle": version.digest,
        "reason": "5 %: complaints", "simulated": simulated, "steps": [{"exposure": 5}], "champion_version": champion and champion.version,
    }  # fmt: skip
    registry.record_rollout(project, record=record)
    if event == "promoted":
        registry.move_aliases(project, expected={}, to={"champion": version.version, "challenger": None, "anchor": version.version})


def move(source, target, number=None):
    return transfer(source, target, number=number, who="ann", now=NOW)


def holdings(project):
    """All that the registry holds of an environment's model: versions with their tags, aliases, and each run's files."""
    client, model = mlflow_client.tracking_client(project.tracking_uri), project.settings.registered_model
    versions = {version.version: (version.tags, version.run_id) for version in client.search_model_versions(f"name = '{model}'")}
    files = {run: sorted(one.path for one in client.list_artifacts(run, "evidence")) for _, run in versions.values()}
    return versions, dict(client.get_registered_model(model).aliases), files


def test_a_champion_comes_with_its_verdict_and_its_evidence_and_may_ask_for_traffic(staging, production, monkeypatch, capsys):
    version, verdict = gated(staging)
    took_live(staging, version)
    shutil.rmtree(staging.home)
    monkeypatch.chdir(staging.root)
    for name, value in staging.env.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        main(["transfer", "--from", "staging", "--to", "production"])
    assert ended.value.code == 0
    assert "nox -s deploy -- --env production" in capsys.readouterr().out
    there = registry.read_alias(production, "challenger")
    assert (there.digest, there.gate) == (version.digest, verdict.digest)
    assert (production.home / "store" / version.digest.removeprefix("sha256:") / "model.onnx").exists()
    assert Verdict.load(production.verdict("gate"), kind="gate") == verdict
    assert admitted(production, registry, verdict, None) == there
    client = mlflow_client.tracking_client(production.tracking_uri)
    tags = client.get_model_version(production.settings.registered_model, str(there.version)).tags
    assert (tags["seatrial.transferred_from"], tags[registry.TEST_DATA_TAG]) == ("staging version 1", "md5:1")
    (evidence,) = holdings(production)[2][there.run_id]
    kept = json.loads(mlflow_client.download(client, there.run_id, evidence, staging.root).read_bytes())
    assert (kept["from"], kept["gate"], kept["rollout"]["steps"]) == ("staging", verdict.digest, [{"exposure": 5}])
    assert audit(take_inventory(production)).outcome is Outcome.PASS

    before = holdings(production)
    assert not transfer(staging, production, number=None, who="eve", now=NOW + dt.timedelta(days=1)).fresh
    assert holdings(production) == before


def test_where_another_champion_serves_the_gate_has_to_be_asked_there(staging, production):
    other, _ = gated(production, bias=0.1)
    took_live(production, other)
    version, verdict = gated(staging)
    took_live(staging, version)
    done = move(staging, production)
    assert (done.version, done.fresh, done.stands) == (2, True, False)
    assert registry.read_alias(production, "challenger") is None
    assert not production.verdict("gate").exists()
    with pytest.raises(RefusedError, match="registered under another verdict"):
        admitted(production, registry, replace(verdict, subject={**verdict.subject, "champion": other.digest}), other)
    found = audit(take_inventory(production))
    assert found.outcome is Outcome.PASS
    assert [check.message for check in found.checks if check.advisory] == [
        "version 2: it came from staging version 1, and was not gated here yet"
    ]

    again, own = gated(production, champion=other.digest)
    assert (again.version, again.gate) == (2, own.digest)
    assert not move(staging, production).stands
    assert registry.read_version(production, 2).gate == own.digest


def test_what_was_judged_on_replayed_traffic_never_leaves(staging, production):
    version, _ = gated(staging)
    took_live(staging, version, simulated=True)
    with pytest.raises(RefusedError, match="replayed traffic"):
        move(staging, production)
    assert registry.read_version(production, 1) is None


def test_what_went_back_is_refused_and_an_earlier_champion_comes_by_its_number(staging, production):
    first, _ = gated(staging, bias=0.1)
    took_live(staging, first)
    second, _ = gated(staging, bias=0.2, champion=first.digest)
    with pytest.raises(RefusedError, match="never taken live"):
        move(staging, production, number=second.version)
    took_live(staging, second, event="rolled back")
    with pytest.raises(RefusedError, match="went back: 5 %: complaints"):
        move(staging, production, number=second.version)
    third, _ = gated(staging, bias=0.3, champion=first.digest)
    took_live(staging, third)
    assert move(staging, production, number=first.version).version == 1
    assert registry.find_version(production, first.digest).version == 1


def test_a_byte_or_a_verdict_that_was_changed_in_the_store_is_refused(staging, production, signed_in):
    version, _ = gated(staging)
    took_live(staging, version)
    kept = {name: key for key in signed_in.names() if version.run_id in key for name in ("model.onnx", "verdicts/") if name in key}
    told = signed_in.store.get_object(Bucket="models", Key=kept["verdicts/"])["Body"].read()
    signed_in.store.put_object(Bucket="models", Key=kept["verdicts/"], Body=told.replace(b'"message":"is"', b'"message":"was"'))
    with pytest.raises(RefusedError, match="no pass of this bundle"):
        move(staging, production)
    signed_in.store.put_object(Bucket="models", Key=kept["verdicts/"], Body=told)
    signed_in.store.put_object(Bucket="models", Key=kept["model.onnx"], Body=b"something else")
    with pytest.raises(BundleError, match=r"model\.onnx"):
        move(staging, production)
    assert registry.read_version(production, 1) is None


@pytest.mark.parametrize(("source", "target"), [("staging", "staging"), ("ephemeral", "production"), ("staging", "ephemeral")])
def test_environments_that_cannot_be_a_pair_are_refused(staging, source, target):
    with pytest.raises(UsageError):
        move(replace(staging, environment=source), replace(staging, environment=target))
