"""The servers that are compared: Seatrial's own, the same HTTP server with a constant answer, and the peers in their own environments."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks._common import ROOT, free_port, plain_environment, serving

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "seatrial-bench"
INSTALL_SECONDS = 600
Row = dict[str, Any]


class Absent(Exception):  # noqa: N818 - a reason to go on without
    """A peer that cannot be had here, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A server that answers: its process with all that it started, where it scores, and how it wants its rows."""

    name: str
    pid: int
    url: str
    body: Callable[[Sequence[Row]], dict[str, Any]]

    def memory(self) -> float:
        """MB that its processes hold together."""
        return sum(one.memory_info().rss for one in _family(self.pid)) / 1e6

    def cpu(self) -> float:
        """Seconds of CPU that its processes took so far."""
        return float(sum(sum(one.cpu_times()[:2]) for one in _family(self.pid)))


def _family(pid: int) -> list[Any]:
    import psutil

    first = psutil.Process(pid)
    return [first, *first.children(recursive=True)]


def bundle() -> Path:
    """The sample's bundle in this checkout."""
    found = ROOT / "artifacts/model"
    if not (found / "model.onnx").exists():
        raise SystemExit("there is no bundle to serve; train one first: nox -s validate train")
    return found


def one_row() -> Row:
    """The row that every server is asked for."""
    row: Row = json.loads((bundle() / "golden.json").read_text())[0]["row"]
    return row


def records(rows: Sequence[Row]) -> dict[str, Any]:
    """Rows as MLflow's protocol has them."""
    return {"dataframe_records": list(rows)}


def environment() -> dict[str, str]:
    """This process's variables, with this checkout's packages before all others."""
    return plain_environment(PYTHONPATH=os.pathsep.join([str(ROOT / "src"), str(ROOT)]))


def server_command(scratch: Path, *options: str) -> list[str]:
    """Seatrial's server as the endpoint starts it, with its log; an address is to be added."""
    from seatrial.bundle import load_bundle

    digest = load_bundle(bundle()).digest
    named = ["--bundle", str(bundle()), "--digest", digest, "--version", "1", "--log", str(scratch / "log")]
    return [sys.executable, "-m", "seatrial.serving.server", *named, *options]


@contextmanager
def seatrial(scratch: Path, *options: str) -> Iterator[Running]:
    """Seatrial's server on a port."""
    port = free_port()
    command = server_command(scratch, "--port", str(port), *options)
    with _started("seatrial", command, port, path="/invocations", ready="/ping", body=records, scratch=scratch) as running:
        yield running


@contextmanager
def constant(scratch: Path, *options: str) -> Iterator[Running]:
    """The same HTTP server without a model behind it."""
    port = free_port()
    command = [sys.executable, str(HERE / "_constant.py"), str(port), *options]
    with _started("constant", command, port, path="/invocations", ready="/ping", body=records, scratch=scratch) as running:
        yield running


@contextmanager
def mlflow(scratch: Path, model: Path) -> Iterator[Running]:
    """`mlflow models serve`, one worker, with MLflow as this project has it."""
    port, command = free_port(), str(Path(sys.executable).with_name("mlflow"))
    options = ["models", "serve", "-m", str(model), "-h", "127.0.0.1", "-p", str(port), "--env-manager", "local", "--workers", "1"]
    with _started("mlflow", [command, *options], port, path="/invocations", ready="/ping", body=records, scratch=scratch) as running:
        yield running


@contextmanager
def bentoml(scratch: Path, model: Path) -> Iterator[Running]:
    """A BentoML service of one worker; Absent where it does not install."""
    python = _environment_of("bentoml", "bentoml", "cloudpickle", "pandas", f"scikit-learn=={version('scikit-learn')}")
    port = free_port()
    command = [str(python.with_name("bentoml")), "serve", "_bento_service:Model", "--host", "127.0.0.1", "--port", str(port)]
    more = {"MODEL": str(model / "model.pkl"), "BENTOML_HOME": str(scratch / "bentoml"), "BENTOML_DO_NOT_TRACK": "true"}
    options = [*command, "--working-dir", str(HERE)]
    with _started(
        "bentoml", options, port, path="/predict", ready="/readyz", body=lambda rows: {"rows": list(rows)}, scratch=scratch, more=more
    ) as running:
        yield running


@contextmanager
def mlserver(scratch: Path, model: Path) -> Iterator[Running]:
    """MLServer's scikit-learn runtime without a pool of workers; Absent where it does not install."""
    needs = ("mlserver", "mlserver-sklearn", "cloudpickle", "pandas", f"scikit-learn=={version('scikit-learn')}")
    python = _environment_of("mlserver", *needs)
    port, folder = free_port(), scratch / "mlserver"
    folder.mkdir(exist_ok=True)
    ports = {"http_port": port, "grpc_port": free_port(), "metrics_port": free_port(), "host": "127.0.0.1", "parallel_workers": 0}
    (folder / "settings.json").write_text(json.dumps(ports))
    settings = {"name": "m", "implementation": "mlserver_sklearn.SKLearnModel", "parameters": {"uri": str(model / "model.pkl")}}
    (folder / "model-settings.json").write_text(json.dumps(settings))
    command, path = [str(python.with_name("mlserver")), "start", str(folder)], "/v2/models/m/infer"
    with _started("mlserver", command, port, path=path, ready="/v2/models/m/ready", body=_tensors, scratch=scratch) as running:
        yield running


def _tensors(rows: Sequence[Row]) -> dict[str, Any]:
    """Rows as MLServer reads a data frame: a tensor for each column."""
    inputs = []
    for name, first in rows[0].items():
        kind = {"datatype": "BYTES", "parameters": {"content_type": "str"}} if isinstance(first, str) else {"datatype": "FP64"}
        inputs.append({"name": name, "shape": [len(rows), 1], "data": [row[name] for row in rows], **kind})
    return {"parameters": {"content_type": "pd"}, "inputs": inputs, "outputs": [{"name": "predict_proba"}]}


@contextmanager
def _started(
    name: str,
    command: list[str],
    port: int,
    *,
    path: str,
    ready: str,
    body: Callable[[Sequence[Row]], dict[str, Any]],
    scratch: Path,
    more: dict[str, str] | None = None,
) -> Iterator[Running]:
    own = name in ("seatrial", "constant")
    env = environment() if own else plain_environment(PATH=f"{Path(command[0]).parent}{os.pathsep}{os.environ['PATH']}", **(more or {}))
    url = f"http://127.0.0.1:{port}"
    with serving(command, ready=url + ready, cwd=scratch, env=env) as process:
        yield Running(name=name, pid=process.pid, url=url + path, body=body)


def _environment_of(name: str, *packages: str) -> Path:
    """The interpreter of an environment of its own, built on first use."""
    folder = CACHE / name
    python, whole = folder / "bin/python", folder / "installed"
    wanted = "\n".join(packages)
    if whole.exists() and whole.read_text() == wanted:
        return python
    uv = [str(Path(sys.executable).with_name("uv"))] if Path(sys.executable).with_name("uv").exists() else ["uv"]
    try:
        for command in (
            [*uv, "venv", "--clear", "--python", sys.executable, str(folder)],
            [*uv, "pip", "install", "--python", str(python), *packages],
        ):
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    except FileNotFoundError:
        raise Absent(f"{name}: uv is not installed") from None
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise Absent(f"{name} does not install: {str(error.stderr or error)[-300:].strip()}") from None
    whole.write_text(wanted)
    return python


def sklearn_model(scratch: Path) -> Path:
    """The sample's pipeline as MLflow's scikit-learn flavour, which the peers serve."""
    target = scratch / "sklearn"
    subprocess.run([sys.executable, str(HERE / "_sklearn_model.py"), str(target)], cwd=ROOT, env=environment(), check=True)
    return target
