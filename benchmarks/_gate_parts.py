"""One whole gate in this process: prints the seconds of each part (imports apart) and the outcome as JSON."""

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnxruntime  # noqa: F401 - imports are paid before the clock starts
import polars  # noqa: F401

from seatrial import evidence, gate, latency
from seatrial.adapters.registry import read_alias
from seatrial.checks import split  # noqa: F401
from seatrial.commands import gate as command
from seatrial.project import Project
from seatrial.suite import run_suite

PARTS = {
    "reading rows and bundles": [(evidence, "read_rows"), (evidence, "fetch_bundle"), (evidence, "load_bundle")],
    "scoring (both models, perturbed rows, golden rows)": [(evidence.Runtime, "score_frame")],
    "scoring again in a second process": [(evidence, "score_elsewhere")],
    "model test suite, in a process of its own": [(evidence, "run_suite")],
    "latency of both, one server each": [(evidence, "measure_latency")],
    "statistics: floors, champion, anchor, slices": [(gate, "floor_checks"), (gate, "compared")],
    "fairness": [(gate, "fairness_checks")],
    "held-out rows among training rows": [(command, "_split")],
    "page, Markdown, JUnit": [(command, "write_reports")],
}


STARTS = "of latency's seconds: both servers start"
IMPORTS = "of the suite's seconds: its process starts and imports its libraries"
EMPTY = '''\
import fairlearn.metrics, onnxruntime, polars, skops.io, sklearn.ensemble


def test_nothing():
    """Nothing is asked."""
'''


def _imports(project: Project) -> float:
    """Seconds of a suite that asks nothing, with the libraries that the real one loads."""
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "test_nothing.py").write_text(EMPTY)
        start = time.perf_counter()
        results = run_suite(Path(scratch), root=project.root, environment="local", subject={"bundle": str(project.bundle)}, timeout=60)
        assert [result.outcome for result in results] == ["passed"], results
        return time.perf_counter() - start


def main() -> None:
    """Judge the bundle of the project in the working folder, without the record and without the registration."""
    project = Project.find(Path.cwd())
    seconds = dict.fromkeys(PARTS, 0.0)
    for part, places in PARTS.items():
        for owner, name in places:
            setattr(owner, name, _timed(getattr(owner, name), seconds, part))
    inner = {STARTS: 0.0}
    latency._await = _timed(latency._await, inner, STARTS)
    start = time.perf_counter()
    champion, anchor = read_alias(project, "champion"), read_alias(project, "anchor")
    verdict, found = command.measure(project, command.subject_of(project, champion, anchor), champion, anchor)
    command.write_reports(project, verdict, found)
    whole = time.perf_counter() - start
    seconds["the rest"] = whole - sum(seconds.values())
    seconds |= {**inner, IMPORTS: _imports(project)}
    print(json.dumps({"seconds": seconds, "whole": whole, "outcome": verdict.outcome.value, "champion": champion is not None}))


def _timed(function: Callable[..., Any], seconds: dict[str, float], part: str) -> Callable[..., Any]:
    def run(*args: Any, **named: Any) -> Any:
        start = time.perf_counter()
        try:
            return function(*args, **named)
        finally:
            seconds[part] += time.perf_counter() - start

    return run


if __name__ == "__main__":
    main()
