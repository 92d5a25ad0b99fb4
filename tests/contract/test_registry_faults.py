"""A server that goes down, hangs or breaks at any call: said in a sentence, and the same command again does the rest, once."""

import contextlib
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from uuid import uuid4

import pytest

from seatrial.adapters import mlflow_client, one_run, registry, registry_doors, tracking
from seatrial.adapters.inventory import take_inventory
from seatrial.adapters.ledger import read_ledger
from seatrial.audit import audit
from seatrial.bundle import load_bundle
from seatrial.errors import RegistryError
from seatrial.files import canonical_json
from seatrial.project import Project
from seatrial.verdict import Check, Outcome, Verdict
from tests.bundles import make_bundle
from tests.mlflow_server import PASSWORD
from tests.stores import Door

pytestmark = pytest.mark.slow
PARAMS = Path(__file__).parents[2] / "params.yaml"
FAULTS = ("torn", "broken", "mute", "slow")
SAID = r"does not answer|did not answer within 1 s|not within 1 s|answers 500"


class Failing(Door):
    """A server that is well until its call number `at`, and has the fault from there on."""

    def __init__(self, address):
        self.at, self.fault = None, "open"
        super().__init__(address)

    @property
    def mode(self):
        return "open" if self.at is None or self.passed < self.at else self.fault

    @mode.setter
    def mode(self, value):
        """Decided by the number of the call."""


@pytest.fixture
def failing(signed_in, monkeypatch):
    door = Failing(signed_in.address)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setattr(registry_doors, "TIMEOUT_S", 1.0)
    monkeypatch.setattr(one_run, "PATIENCE_S", 0.5)
    yield door
    door.close()


@pytest.fixture
def name():
    """A model and an experiment of this test's own on the server."""
    return f"faults-{uuid4().hex[:12]}"


def project_at(folder, uri, name):
    folder.mkdir(exist_ok=True)
    (folder / "params.yaml").write_text(PARAMS.read_text().replace("churn-predictor", name))
    return Project.find(folder, env={"MLFLOW_TRACKING_URI": uri, "MLFLOW_EXPERIMENT_NAME": name}, shared=True)


def until_it_is_done(door, act):
    """The answer of `act`, whose server fails from its first call on, then from its second, until it gets through; how often it failed."""
    for at in count(1):
        door.passed, door.at, door.fault = 0, at, FAULTS[at % len(FAULTS)]
        error = None
        try:
            answer = act()
        except RegistryError as raised:
            error = raised
        door.at = None
        if error is None:
            return answer, at - 1
        assert error.exit_code == 2
        assert error.hint
        assert re.search(SAID, error.message), error.message
        assert PASSWORD not in str(error)
    raise AssertionError


def test_writing_ends_in_the_same_registry_wherever_the_server_failed(failing, tmp_path, name):
    project = project_at(tmp_path, failing.address, name)
    bundle = make_bundle(tmp_path / "bundle", bias=0.31)
    verdict = Verdict(kind="gate", subject={"bundle": bundle.digest}, checks=(Check(name="a", outcome=Outcome.PASS, message="is"),))
    (run_id, _), failed = until_it_is_done(failing, lambda: tracking.log_run(project, bundle, {"roc_auc": 0.8}))
    assert failed > 10  # health, experiment, run, params, six files …
    told, gate = canonical_json(verdict.to_dict()).decode(), verdict.digest
    version, failed = until_it_is_done(
        failing, lambda: registry.register_version(project, bundle, run_id=run_id, gate=gate, verdict=told, tags={})
    )
    assert failed > 5
    champion = {"champion": version.version}
    until_it_is_done(failing, lambda: registry.move_aliases(project, expected={}, to=champion))
    record = {"event": "promoted", "rollout": "1", "version": version.version}
    until_it_is_done(failing, lambda: registry.record_rollout(project, record=record))

    client = mlflow_client.tracking_client(failing.address)
    assert [run.info.status for run in runs_of(client, project.experiment)] == ["FINISHED"]
    assert [run.info.status for run in runs_of(client, f"{project.settings.registered_model}.rollouts")] == ["FINISHED"]
    assert [version.version for version in client.search_model_versions(f"name = '{project.settings.registered_model}'")] == ["1"]
    assert audit(take_inventory(project)).outcome is Outcome.PASS


def runs_of(client, name):
    return client.search_runs([client.get_experiment_by_name(name).experiment_id])


def test_reading_never_takes_a_broken_server_for_an_answer(failing, tmp_path, name):
    project = project_at(tmp_path, failing.address, name)
    bundle = make_bundle(tmp_path / "bundle", bias=0.32)
    run_id, _ = tracking.log_run(project, bundle, {"roc_auc": 0.8})
    version = registry.register_version(
        project, bundle, run_id=run_id, gate="sha256:1", verdict="{}", tags={registry.TEST_DATA_TAG: "md5:1"}
    )
    registry.record_rollout(project, record={"event": "promoted", "version": version.version})
    for ask, answer in (
        (lambda: registry.read_alias(project, "challenger"), version),
        (lambda: registry.find_version(project, bundle.digest), version),
        (lambda: registry.read_version(project, version.version), version),
        (lambda: registry.digests_judged_on(project, "md5:1"), {bundle.digest}),
        (lambda: load_bundle(registry.fetch_bundle(project, version, tmp_path / "store")).digest, bundle.digest),
        (lambda: [line["event"] for line in read_ledger(project)], ["promoted"]),
        (lambda: {entry.bytes for entry in take_inventory(project).entries.values()}, {bundle.digest}),
    ):
        found, failed = until_it_is_done(failing, ask)
        assert found == answer
        assert failed > 0


def test_by_default_no_call_waits_longer_than_45_seconds(monkeypatch):
    for name in mlflow_client.DEFAULTS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(mlflow_client, "check_reachable", lambda uri: None)
    mlflow_client.tracking_client("http://127.0.0.1:1")
    from mlflow.environment_variables import (
        MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR,
        MLFLOW_HTTP_REQUEST_BACKOFF_JITTER,
        MLFLOW_HTTP_REQUEST_MAX_RETRIES,
        MLFLOW_HTTP_REQUEST_TIMEOUT,
        MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER,
    )

    tries = 1 + MLFLOW_HTTP_REQUEST_MAX_RETRIES.get()
    between = MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR.get() * 2 ** (tries - 1) + MLFLOW_HTTP_REQUEST_BACKOFF_JITTER.get()
    assert tries * MLFLOW_HTTP_REQUEST_TIMEOUT.get() + (tries - 1) * between <= 45
    assert MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER.get() is False


def test_a_wait_that_the_user_has_set_stands(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "300")
    monkeypatch.setattr(mlflow_client, "check_reachable", lambda uri: None)
    mlflow_client.tracking_client("http://127.0.0.1:1")
    from mlflow.environment_variables import MLFLOW_HTTP_REQUEST_TIMEOUT

    assert MLFLOW_HTTP_REQUEST_TIMEOUT.get() == 300


def test_two_machines_that_log_and_register_one_digest_at_once_make_one_run_and_one_version(signed_in, tmp_path, monkeypatch, name):
    machines = [project_at(tmp_path / str(number), signed_in.address, name) for number in range(3)]
    bundle = make_bundle(tmp_path / "bundle", bias=0.33)
    first_looks(monkeypatch, one_run, "find_runs", len(machines))
    first_looks(monkeypatch, registry, "find_version", len(machines))

    def work(project):
        for _ in range(3):  # where writers collide inside MLflow, that is said, and the same command again does the rest
            with contextlib.suppress(RegistryError):
                return once(project)
        return once(project)

    def once(project):
        run_id, _ = tracking.log_run(project, bundle, {"roc_auc": 0.8})
        version = registry.register_version(project, bundle, run_id=run_id, gate="sha256:1", verdict="{}", tags={})
        return run_id, version.version

    with ThreadPoolExecutor(len(machines)) as pool:
        told = list(pool.map(work, machines))
    client = mlflow_client.tracking_client(signed_in.address)
    ((run),) = runs_of(client, name)
    (version,) = client.search_model_versions(f"name = '{name}'")
    assert set(told) == {(run.info.run_id, int(version.version))}
    assert run.info.status == "FINISHED"


def first_looks(monkeypatch, module, name, many):
    """Hold everybody's first look back until all have looked, so that nobody sees what another has begun."""
    together, looked, real = threading.Barrier(many, timeout=60), threading.local(), getattr(module, name)

    def look(*arguments):
        found = real(*arguments)
        if not getattr(looked, name, False):
            setattr(looked, name, True)
            together.wait()
        return found

    monkeypatch.setattr(module, name, look)


def test_a_run_that_a_killed_machine_left_half_is_gone_on_with(signed_in, tmp_path, monkeypatch, name):
    monkeypatch.setattr(one_run, "PATIENCE_S", 0.0)
    project = project_at(tmp_path, signed_in.address, name)
    bundle = make_bundle(tmp_path / "bundle", bias=0.34)
    client = mlflow_client.tracking_client(signed_in.address)
    begun = client.create_run(client.create_experiment(name), tags={registry.DIGEST_TAG: bundle.digest})
    run_id, fresh = tracking.log_run(project, bundle, {"roc_auc": 0.8})
    assert (run_id, fresh) == (begun.info.run_id, True)
    assert client.get_run(run_id).info.status == "FINISHED"
    assert client.get_run(run_id).data.metrics == {"roc_auc": 0.8}
