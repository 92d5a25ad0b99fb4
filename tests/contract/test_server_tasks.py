"""Multiclass and regression bundles behind the real server, and through all that the gate measures."""

import http.client
import json
import socket
import subprocess
import sys

import msgspec
import numpy as np
import pytest

from seatrial.bundle import GOLDEN, MODEL, read_digest, write_bundle
from seatrial.errors import BundleError
from seatrial.evidence import Standing, gather
from seatrial.files import pretty_json
from seatrial.gate import decide
from seatrial.project import Project
from seatrial.serving.runtime import Runtime
from seatrial.serving.server import check_golden
from seatrial.verdict import Outcome
from tests.task_bundles import CLASSES, INPUTS, make_manifest, make_table, make_task_bundle

TASKS = ("multiclass", "regression")
NULLABLE = (msgspec.structs.replace(INPUTS[0], nullable=True), *INPUTS[1:])
ROWS = make_table(20, seed=5)
RECORDS = ROWS.select([column.name for column in INPUTS]).to_dicts()


def command(bundle, *options):
    name = ["--bundle", str(bundle), "--digest", read_digest(bundle), "--version", "3", "--name", "fruits"]
    return [sys.executable, "-m", "seatrial.serving.server", *name, *options]


@pytest.fixture(scope="module", params=TASKS)
def served(request, tmp_path_factory):
    """The task, its runtime here, and what asks the server that runs beside it."""
    folder = tmp_path_factory.mktemp(request.param)
    bundle = make_task_bundle(folder / "bundle", request.param, inputs=NULLABLE)
    process = subprocess.Popen(command(folder / "bundle", "--uds", str(folder / "s")), stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline().startswith("ready")
        yield request.param, Runtime(bundle), lambda path, document=None: ask(folder / "s", path, document)
    finally:
        process.terminate()
        assert process.wait(20) == 0


def ask(uds, path, document):
    connection = http.client.HTTPConnection("localhost", timeout=20)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(uds))
    body = None if document is None else json.dumps(document)
    connection.request("GET" if body is None else "POST", path, body, {"content-type": "application/json"})
    answer = connection.getresponse()
    status, text = answer.status, answer.read()
    connection.close()
    return status, json.loads(text)


@pytest.mark.slow
@pytest.mark.parametrize("count", [0, 1, 20])
def test_rows_are_answered_as_the_runtime_answers_them(served, count):
    task, runtime, asked = served
    status, answer = asked("/invocations", {"dataframe_records": RECORDS[:count]})
    found = runtime.score_frame(ROWS.head(count)).tolist()
    if task == "regression":
        assert (status, answer) == (200, {"predictions": [{"value": value} for value in found]})
        return
    labels = [CLASSES[int(np.argmax(line))] for line in found]
    predictions = [
        {"label": label, "probabilities": dict(zip(CLASSES, line, strict=True))} for label, line in zip(labels, found, strict=True)
    ]
    assert (status, answer) == (200, {"predictions": predictions})


@pytest.mark.slow
def test_the_open_inference_protocol_has_tensors_of_the_task(served):
    task, runtime, asked = served
    types = {"number": "FP64", "category": "BYTES"}
    inputs = [
        {"name": column.name, "datatype": types[column.type], "shape": [20, 1], "data": [row[column.name] for row in RECORDS]}
        for column in INPUTS
    ]
    _, answer = asked("/v2/models/fruits/infer", {"inputs": inputs})
    found = runtime.score_frame(ROWS)
    tensors = {one["name"]: one for one in answer["outputs"]}
    name, width = ("value", 1) if task == "regression" else ("probabilities", 3)
    assert (tensors[name]["shape"], tensors[name]["data"]) == ([20, width], found.ravel().tolist())
    assert tensors.get("label", {}).get("data") == (None if task == "regression" else runtime.labels(found))
    _, described = asked("/v2/models/fruits")
    assert {one["name"]: one["shape"] for one in described["outputs"]} == {one: [-1, *tensors[one]["shape"][1:]] for one in tensors}
    assert asked("/v2/models/fruits/infer", {"inputs": inputs, "outputs": [{"name": "probability"}]})[0] == 400


@pytest.mark.slow
def test_an_answer_that_is_no_number_is_the_models_fault_and_not_given_out(served):
    _, _, asked = served
    status, answer = asked("/invocations", {"dataframe_records": [RECORDS[0], RECORDS[1] | {"size": None}]})
    assert status == 500
    assert answer["error"]["message"].startswith("the model's answers to 1 of 2 rows are no ")
    assert asked("/invocations", {"dataframe_records": RECORDS[:1]})[0] == 200


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_a_prediction_log_is_refused_in_one_sentence(tmp_path, task):
    make_task_bundle(tmp_path / "bundle", task)
    done = subprocess.run(
        command(tmp_path / "bundle", "--uds", str(tmp_path / "s"), "--log", str(tmp_path / "log")),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"error: the prediction log keeps answers of binary tasks only, this bundle's is {task}",
        "  → serve without a log",
    ]


@pytest.mark.parametrize(
    ("task", "change"),
    [
        ("multiclass", lambda answer: [answer[0] + 2e-5, *answer[1:]]),
        ("multiclass", lambda answer: answer[:2]),
        ("multiclass", lambda answer: answer[0]),
        ("multiclass", lambda answer: [1.5, *answer[1:]]),
        ("regression", lambda answer: answer * 1.0001),
        ("regression", lambda answer: [answer]),
        ("regression", lambda answer: None),
    ],
)
def test_a_bundle_that_does_not_keep_its_golden_answers_is_refused(tmp_path, task, change):
    bundle = make_task_bundle(tmp_path / "bundle", task)
    check_golden(Runtime(bundle))
    name = "value" if task == "regression" else "probabilities"
    golden = [one | {name: change(one[name])} for one in bundle.golden]
    write_bundle(tmp_path / "forged", make_manifest(task), {MODEL: bundle.model, GOLDEN: pretty_json(golden)})
    forged = msgspec.structs.replace(bundle, files={MODEL: bundle.model, GOLDEN: pretty_json(golden)})
    with pytest.raises(BundleError, match="golden row"):
        check_golden(Runtime(forged))


PARAMS = """\
model: {{name: fruits, task: {task}, primary: {metric}}}
data: {{raw: t.csv, target: {target}, groups: [colour]}}
gate:
  metrics: {metrics}
  latency: {{requests: 368, rate: 400, p99_ms: 1000}}
"""
POLICY = {
    "multiclass": ("fruit", "log_loss", "{log_loss: {ceiling: 0.83, margin: 0.2}, accuracy: {floor: 0.55}}"),
    "regression": ("grams", "mae", "{mae: {ceiling: 6, margin: 1}, r2: {floor: 0.8}}"),
}
SUITE = '''\
from seatrial.suite import labels, model, project, test_data  # noqa: F401


def test_it(model, labels, test_data):
    """The model answers every row."""
    assert len(model.score(test_data)) == len(labels) == 300
'''


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(("spoilt", "outcome"), [(0.0, Outcome.PASS), (0.8, Outcome.FAIL)])
def test_a_bundle_is_measured_from_its_bytes_to_a_verdict(tmp_path, task, spoilt, outcome):
    target, metric, metrics = POLICY[task]
    (tmp_path / "params.yaml").write_text(PARAMS.format(task=task, metric=metric, target=target, metrics=metrics))
    (tmp_path / "tests/model").mkdir(parents=True)
    (tmp_path / "tests/model/test_suite.py").write_text(SUITE)
    (tmp_path / "data/processed").mkdir(parents=True)
    project = Project.find(tmp_path, environment="local")
    make_table(300).write_parquet(project.test_data)
    bundle = make_task_bundle(project.bundle, task, spoilt=spoilt)
    evidence = gather(project, Standing(), bundle.digest, lambda words: None)
    verdict = decide({"bundle": bundle.digest}, project.settings.gate, evidence, environment="local")
    assert verdict.outcome is outcome
    passed = {check.name for check in verdict.checks if check.outcome is Outcome.PASS}
    assert passed >= {"behaviour.determinism", "behaviour.golden", "behaviour.unseen", "behaviour.range", "latency.p99", "suite.test_it"}


def test_a_bundle_of_another_task_than_params_yaml_is_refused(tmp_path):
    (tmp_path / "params.yaml").write_text(PARAMS.format(task="regression", metric="mae", target="grams", metrics="{}"))
    project = Project.find(tmp_path, environment="local")
    project.test_data.parent.mkdir(parents=True)
    make_table(50).write_parquet(project.test_data)
    bundle = make_task_bundle(project.bundle, "multiclass")
    with pytest.raises(BundleError, match=r"the bundle's task is multiclass, model.task of params.yaml is regression"):
        gather(project, Standing(), bundle.digest, lambda words: None)
