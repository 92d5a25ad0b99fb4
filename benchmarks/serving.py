"""One row as JSON through Envoy, beside `mlflow models serve` with the same model, in turn on one machine."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from benchmarks._common import clone, free_port, median, nox_command, plain_environment, serving, table, timed, use_port, wrk

TURNS = 3
SECONDS = 5
CONNECTIONS = (1, 16)


def main() -> None:
    """Release in a clone, start MLflow's server on the logged model, load both in turn."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, env = clone(Path(scratch)), plain_environment()
        port = free_port()
        use_port(folder, port)
        try:
            timed([*nox_command(), "-s", "validate", "train", "gate", "deploy"], cwd=folder, env=env)
            _compare(folder, port, env)
        finally:
            timed([*nox_command(), "-s", "down"], cwd=folder, env=env, expect=None)


def _compare(folder: Path, port: int, env: dict[str, str]) -> None:
    """Both ways in which MLflow serves this model: the scikit-learn pipeline, and the very ONNX file that Seatrial serves."""
    python = str(folder / ".venv/bin/python")
    timed([python, str(Path(__file__).parent / "_sklearn_model.py"), str(folder / "sklearn")], cwd=folder, env=env)
    onnx = next((folder / "mlartifacts").glob("*/*/artifacts/model/MLmodel")).parent
    row = json.loads((folder / "artifacts/model/golden.json").read_text())[0]["row"]
    path = os.pathsep.join([str(folder / ".venv/bin"), env["PATH"]])
    rows = []
    for name, model in (("scikit-learn flavour", folder / "sklearn"), ("onnx flavour", onnx)):
        peer = free_port()
        command = [str(folder / ".venv/bin/mlflow"), "models", "serve", "-m", str(model), "-h", "127.0.0.1", "-p", str(peer)]
        options = ["--env-manager", "local", "--workers", "1"]
        with serving([*command, *options], ready=f"http://127.0.0.1:{peer}/ping", cwd=folder, env={**env, "PATH": path}):
            rows += [[name, *_row(folder, port, peer, {"dataframe_records": [row]}, connections)] for connections in CONNECTIONS]
    table(
        f"One row a request, requests/s, median of {TURNS} turns of {SECONDS} s",
        ["mlflow models serve, one worker", "connections", "seatrial through Envoy", "mlflow", "ratio"],
        rows,
    )


def _row(folder: Path, port: int, peer: int, body: dict[str, object], connections: int) -> list[str]:
    ours, theirs = [], []
    for _ in range(TURNS):
        ours.append(wrk(f"http://127.0.0.1:{port}/invocations", body, connections=connections, seconds=SECONDS, folder=folder))
        theirs.append(wrk(f"http://127.0.0.1:{peer}/invocations", body, connections=connections, seconds=SECONDS, folder=folder))
    ratio = median([one / other for one, other in zip(ours, theirs, strict=True)])
    return [str(connections), f"{median(ours):.0f}", f"{median(theirs):.0f}", f"{ratio:.0f}"]


if __name__ == "__main__":
    main()
