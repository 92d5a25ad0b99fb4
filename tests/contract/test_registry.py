"""The registry's two doors: what MLflow's client writes, the light reader reads, on sqlite and on a server with PostgreSQL and S3."""

import json
import shutil
from pathlib import Path
from uuid import uuid4

import pytest

from seatrial.adapters import registry, tracking
from seatrial.adapters.ledger import read_ledger
from seatrial.bundle import load_bundle
from seatrial.errors import BytesGoneError, RegistryError
from seatrial.project import Project
from seatrial.store import store_bundle
from tests.bundles import make_bundle
from tests.mlflow_server import absent

pytestmark = pytest.mark.slow
PARAMS = Path(__file__).parents[2] / "params.yaml"


@pytest.fixture(params=["sqlite", "rest"])
def project(request, tmp_path):
    """A project whose registry is a file of its own, or a model of its own on the server."""
    name = f"model-{uuid4().hex[:12]}"
    (tmp_path / "params.yaml").write_text(PARAMS.read_text().replace("churn-predictor", name))
    if request.param == "sqlite":
        request.getfixturevalue("with_tables")(tmp_path)
        return Project.find(tmp_path, env={})
    uri = request.getfixturevalue("signed_in").address
    return Project.find(tmp_path, env={"MLFLOW_TRACKING_URI": uri, "MLFLOW_EXPERIMENT_NAME": name}, shared=True)


def _register(project, seed=0, **tags):
    bundle = make_bundle(project.root / f"bundle-{seed}", bias=seed / 10)
    run_id, _ = tracking.log_run(project, bundle, {"roc_auc": 0.8})
    tags = {"seatrial.data": "md5:0"} | {f"seatrial.{key}": value for key, value in tags.items()}
    version = registry.register_version(project, bundle, run_id=run_id, gate=f"sha256:{seed:064}", verdict="{}", tags=tags)
    return bundle, version


def test_the_first_use_makes_the_sqlite_file(tmp_path):
    (tmp_path / "params.yaml").write_text(PARAMS.read_text())
    project = Project.find(tmp_path, env={})
    assert registry.read_alias(project, "champion") is None
    _, version = _register(project)
    assert (tmp_path / "mlflow.db").exists()
    assert registry.read_alias(project, "challenger") == version


def test_an_empty_registry_has_no_champion(project):
    assert registry.read_alias(project, "champion") is None
    assert registry.find_version(project, "sha256:0") is None


def test_a_registered_bundle_is_found_by_alias_and_by_digest(project):
    bundle, version = _register(project)
    assert registry.read_alias(project, "challenger") == version
    assert registry.find_version(project, bundle.digest) == version
    assert (version.version, version.digest, version.gate) == (1, bundle.digest, f"sha256:{0:064}")


def test_the_light_reader_agrees_with_mlflows_client(project):
    _, version = _register(project)
    client = registry.tracking_client(project.tracking_uri)
    theirs = client.get_model_version_by_alias(project.settings.registered_model, "challenger")
    assert (int(theirs.version), theirs.tags[registry.DIGEST_TAG], theirs.run_id) == (version.version, version.digest, version.run_id)


def test_the_same_bundle_is_registered_once(project):
    _, first = _register(project)
    _, again = _register(project)
    assert again.version == first.version


def test_the_same_bundle_is_logged_once_with_or_without_the_receipt(project):
    bundle = make_bundle(project.root / "bundle")
    first, fresh = tracking.log_run(project, bundle, {"roc_auc": 0.8})
    assert fresh
    assert tracking.log_run(project, bundle, {"roc_auc": 0.8}) == (first, False)
    shutil.rmtree(project.home / "receipts")
    assert tracking.log_run(project, bundle, {"roc_auc": 0.8}) == (first, False)


def test_aliases_move_when_the_holder_is_the_expected_one(project):
    _, first = _register(project, 0)
    registry.move_aliases(project, expected={"champion": None}, to={"champion": first.version, "challenger": None})
    _, second = _register(project, 1)
    registry.move_aliases(project, expected={"champion": first.version}, to={"champion": second.version, "previous": first.version})
    assert registry.read_alias(project, "champion").digest == second.digest
    assert registry.read_alias(project, "previous").digest == first.digest


def test_nothing_moves_when_somebody_else_was_faster(project):
    _, first = _register(project, 0)
    registry.move_aliases(project, expected={"champion": None}, to={"champion": first.version})
    _, second = _register(project, 1)
    with pytest.raises(RegistryError, match="found 1, expected none"):
        registry.move_aliases(project, expected={"champion": None}, to={"champion": second.version})
    assert registry.read_alias(project, "champion") == first


def test_a_bundle_that_the_store_lost_is_fetched_and_checked(project):
    bundle, version = _register(project)
    folder = registry.fetch_bundle(project, version, project.home / "store")
    assert load_bundle(folder, expected=bundle.digest).digest == bundle.digest


def test_a_bundle_whose_bytes_are_gone_is_named(project):
    bundle, version = _register(project)
    client = registry.tracking_client(project.tracking_uri)
    client._tracking_client._get_artifact_repo(version.run_id).delete_artifacts("model")
    with pytest.raises(BytesGoneError, match="are gone"):
        registry.fetch_bundle(project, version, project.home / "store")
    assert not (project.home / "store" / bundle.digest.removeprefix("sha256:")).exists()


def test_bundles_that_were_judged_on_the_same_rows_are_known_by_digest(project):
    bundles = [_register(project, seed, test_data=rows)[0] for seed, rows in ((0, "md5:1"), (1, "md5:1"), (2, "md5:2"))]
    assert registry.digests_judged_on(project, "md5:1") == {bundles[0].digest, bundles[1].digest}
    assert registry.digests_judged_on(project, "md5:3") == frozenset()


def test_a_version_says_which_anchor_it_beats_until_a_new_verdict_says_otherwise(project):
    _register(project, beats="sha256:old")
    assert registry.read_alias(project, "challenger").beats == "sha256:old"
    _register(project, beats="")
    assert registry.read_alias(project, "challenger").beats == ""


def test_a_bundle_with_a_changed_byte_in_the_store_is_fetched_anew(project, capsys):
    bundle, version = _register(project)
    folder = store_bundle(bundle, project.home / "store")
    (folder / "model.onnx").chmod(0o644)
    (folder / "model.onnx").write_bytes(b"something else")
    again = registry.fetch_bundle(project, version, project.home / "store")
    assert load_bundle(again, expected=bundle.digest).model == bundle.model
    assert "is fetched again" in capsys.readouterr().out


def test_the_ledger_keeps_each_rollout(project):
    registry.record_rollout(project, record={"outcome": "pass", "reason": "first release"})
    client = registry.tracking_client(project.tracking_uri)
    experiment = client.get_experiment_by_name(f"{project.settings.registered_model}.rollouts")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.data.tags["seatrial.outcome"] == "pass"
    assert run.data.tags["seatrial.reason"] == "first release"


def test_a_version_that_no_gate_registered_is_refused(project):
    client = registry.tracking_client(project.tracking_uri)
    name = project.settings.registered_model
    client.create_registered_model(name)
    run = client.create_run(client.create_experiment(f"{name}.by-hand"))
    client.create_model_version(name, source=f"{run.info.artifact_uri}/model", run_id=run.info.run_id)
    client.set_registered_model_alias(name, "champion", "1")
    with pytest.raises(RegistryError, match=r"carries no seatrial\.digest"):
        registry.read_alias(project, "champion")


def test_a_rollout_that_is_told_twice_is_one_line_of_the_ledger(project):
    for told in (
        {"rollout": "1-a", "event": "promoted"},
        {"rollout": "1-a", "event": "promoted"},
        {"rollout": "1-a", "event": "rolled back"},
    ):
        registry.record_rollout(project, record=told)
    assert [line["event"] for line in read_ledger(project)] == ["promoted", "rolled back"]


def test_a_version_that_was_deleted_is_not_there(project):
    bundle, version = _register(project, test_data="md5:1")
    registry.tracking_client(project.tracking_uri).delete_model_version(project.settings.registered_model, str(version.version))
    assert registry.find_version(project, bundle.digest) is None
    assert registry.read_version(project, version.version) is None
    assert registry.digests_judged_on(project, "md5:1") == frozenset()
    assert _register(project)[1].version == version.version + 1


def test_the_server_keeps_its_files_in_the_object_store(signed_in, tmp_path):
    (tmp_path / "params.yaml").write_text(PARAMS.read_text().replace("churn-predictor", "kept"))
    project = Project.find(tmp_path, env={"MLFLOW_TRACKING_URI": signed_in.address, "MLFLOW_EXPERIMENT_NAME": "kept"}, shared=True)
    bundle = make_bundle(tmp_path / "bundle", bias=0.77)
    run_id, _ = tracking.log_run(project, bundle, {"roc_auc": 0.8})
    (stored,) = [key for key in signed_in.names() if run_id in key and key.endswith("model.onnx")]
    assert signed_in.store.get_object(Bucket="models", Key=stored)["Body"].read() == bundle.model


@pytest.mark.parametrize("password", ["wrong", None])
def test_who_is_not_signed_in_is_told_how(signed_in, tmp_path, monkeypatch, password):
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", password) if password else monkeypatch.delenv("MLFLOW_TRACKING_USERNAME")
    (tmp_path / "params.yaml").write_text(PARAMS.read_text())
    project = Project.find(tmp_path, env={"MLFLOW_TRACKING_URI": signed_in.address}, shared=True)
    for ask in (lambda: registry.read_alias(project, "champion"), lambda: tracking.log_run(project, make_bundle(tmp_path / "b"), {})):
        with pytest.raises(RegistryError, match=r"401[\s\S]*MLFLOW_TRACKING_PASSWORD") as told:
            ask()
        assert "wrong" not in str(told.value)


def test_without_postgresql_tests_skip_but_not_in_ci():
    with pytest.raises(pytest.skip.Exception, match="apt-get install postgresql"):
        absent({})
    with pytest.raises(pytest.fail.Exception, match="in CI no test may skip"):
        absent({"CI": "true"})


def test_mlflows_own_tools_load_the_logged_model(tmp_path):
    import mlflow.pyfunc
    import pandas as pd

    bundle = make_bundle(tmp_path / "bundle")
    (tmp_path / "model").mkdir()
    tracking.write_mlflow_model(tmp_path / "model", bundle)
    rows = json.loads(bundle.files["golden.json"])
    frame = pd.DataFrame([row["row"] for row in rows])
    for column in bundle.manifest.inputs:
        frame[column.name] = frame[column.name].astype(str if column.type == "category" else "float32")
    answers = mlflow.pyfunc.load_model(str(tmp_path / "model")).predict(frame)
    assert list(answers["probability"]) == pytest.approx([row["probability"] for row in rows], abs=1e-5)


def test_an_unreachable_server_is_said_with_its_address(tmp_path):
    (tmp_path / "params.yaml").write_text(PARAMS.read_text())
    project = Project.find(tmp_path, env={"MLFLOW_TRACKING_URI": "http://user:secret@127.0.0.1:9"}, shared=True)
    with pytest.raises(RegistryError, match="does not answer") as caught:
        registry.read_alias(project, "champion")
    assert "127.0.0.1:9" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("environment", "env", "message"),
    [
        ("production", {}, "needs a registry"),
        ("local", {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}, "keeps out of the shared registry"),
        ("production", {"MLFLOW_TRACKING_URI": "databricks"}, "reads registries by http"),
    ],
)
def test_a_registry_that_the_environment_may_not_use_is_refused(tmp_path, environment, env, message):
    (tmp_path / "params.yaml").write_text(PARAMS.read_text())
    with pytest.raises(RegistryError, match=message):
        registry.read_alias(Project.find(tmp_path, environment=environment, env=env), "champion")
