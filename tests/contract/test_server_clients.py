"""The model server asked by clients that know nothing of it: MLflow's, Triton's, a browser."""

import json
import urllib.request

import numpy as np
import pandas as pd
import pytest

from tests.browser import browser, opened  # noqa: F401 - fixtures
from tests.bundles import INPUTS, make_rows, probability_of
from tests.servers import served

pytestmark = pytest.mark.slow
ROWS = [row for row in make_rows(40, seed=3) if row["amount"] is not None and row["colour"] is not None]
EXPECTED = [probability_of(row) for row in ROWS]
DATATYPES = {
    "number": ("FP64", np.float64),
    "integer": ("INT64", np.int64),
    "boolean": ("BOOL", np.bool_),
    "category": ("BYTES", np.object_),
}


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    with served(tmp_path_factory.mktemp("served") / "model") as free:
        yield free


def test_mlflows_scoring_client_is_answered(port):
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient

    client = ScoringServerClient("127.0.0.1", port)
    client.wait_server_ready(timeout=10)
    assert json.loads(client.get_version())["version"] == "3"
    answer = client.invoke(pd.DataFrame(ROWS)).get_predictions()
    assert answer["probability"].tolist() == pytest.approx(EXPECTED, abs=1e-6)
    assert set(answer["label"]) <= {"No", "Yes"}


@pytest.fixture
def triton(port):
    from tritonclient.http import InferenceServerClient

    client = InferenceServerClient(f"127.0.0.1:{port}")
    yield client
    client.close()


def tensors(*, binary):
    from tritonclient.http import InferInput

    found = []
    for column in INPUTS:
        datatype, dtype = DATATYPES[column.type]
        tensor = InferInput(column.name, [len(ROWS), 1], datatype)
        values = np.array([row[column.name] for row in ROWS], dtype=dtype).reshape(-1, 1)
        tensor.set_data_from_numpy(values, binary_data=binary)
        found.append(tensor)
    return found


@pytest.mark.parametrize("binary", [True, False])
def test_tritons_client_is_answered_as_it_comes(triton, binary):
    answer = triton.infer("leavers", tensors(binary=binary), request_id="r-1")
    assert answer.as_numpy("probability").ravel().tolist() == pytest.approx(EXPECTED, abs=1e-6)
    assert set(answer.as_numpy("label").ravel()) <= {b"No", b"Yes"}
    assert answer.get_response()["id"] == "r-1"


def test_tritons_client_may_pack_what_it_sends_and_choose_outputs(triton):
    from tritonclient.http import InferRequestedOutput

    outputs = [InferRequestedOutput("probability", binary_data=False)]
    answer = triton.infer("leavers", tensors(binary=True), outputs=outputs, request_compression_algorithm="gzip", model_version="3")
    assert answer.as_numpy("probability").ravel().tolist() == pytest.approx(EXPECTED, abs=1e-6)
    assert answer.as_numpy("label") is None


def test_tritons_client_finds_health_and_metadata(triton):
    assert triton.is_server_live()
    assert triton.is_server_ready()
    assert triton.is_model_ready("leavers", "3")
    assert {one["name"] for one in triton.get_model_metadata("leavers")["inputs"]} == {column.name for column in INPUTS}
    assert "binary_tensor_data" in triton.get_server_metadata()["extensions"]


def test_tritons_client_is_told_what_is_wrong_in_a_sentence(triton):
    from tritonclient.utils import InferenceServerException

    with pytest.raises(InferenceServerException, match="column 'plan' is missing in all rows"):
        triton.infer("leavers", tensors(binary=True)[:-1])


def test_the_example_on_the_docs_page_is_answered_when_it_is_pressed(port, browser):  # noqa: F811
    page = browser.new_page()
    errors = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(f"http://127.0.0.1:{port}/docs")
    assert "leavers, version 3" in page.inner_text("h1")
    page.click("button")
    page.wait_for_function("document.querySelector('output').textContent.startsWith('200')")
    assert '"probability"' in page.inner_text("output")
    assert errors == []
    page.close()


def test_the_openapi_document_holds_for_its_own_examples(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/openapi.json") as answer:
        document = json.load(answer)
    assert document["openapi"].startswith("3.1")
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            body = operation.get("requestBody")
            data = json.dumps(body["content"]["application/json"]["example"]).encode() if body else None
            url, headers = f"http://127.0.0.1:{port}{path}", {"content-type": "application/json"}
            request = urllib.request.Request(url, data=data, headers=headers, method=method.upper())
            with urllib.request.urlopen(request) as answer:
                assert answer.status == 200
