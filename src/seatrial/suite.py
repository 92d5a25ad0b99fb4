"""The model test suite: ordinary pytest, with the bundle under test and its data as fixtures; the gate reads the results.

    def test_no_answer_for_missing_values(model, test_data):
        \"\"\"Rows with missing values are answered.\"\"\"
        ...

The first line of a test's docstring is its sentence in the verdict. The fixtures come from `seatrial.suite`: a project's
`conftest.py` imports them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from seatrial.bundle import Bundle, Manifest, load_bundle
from seatrial.params import Gate
from seatrial.project import Project

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

VARIABLE = "SEATRIAL_SUITE"
ENDED = (0, 1, 5)
"""pytest's exit codes after a whole run: passed, failed, nothing to run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteResult:
    """One test: its name, what pytest said (passed, failed, skipped, error), its sentence, and why it did not pass."""

    name: str
    outcome: str
    sentence: str
    reason: str


class Model:
    """A bundle as a test sees it: rows in, answers out, through the serving runtime."""

    def __init__(self, bundle: Bundle) -> None:
        """Load the bundle into ONNX Runtime."""
        from seatrial.serving.runtime import Runtime

        self._runtime = Runtime(bundle)
        self.manifest: Manifest = bundle.manifest
        self.digest: str = bundle.digest

    def score(self, rows: pl.DataFrame) -> NDArray[np.float64]:
        """The answer to each row: probability of the positive class, probabilities of each class (n, classes), or value."""
        return self._runtime.score_frame(rows)

    def predict(self, rows: pl.DataFrame) -> list[str]:
        """The class of each row, by the bundle's threshold or the likeliest; BundleError for a regression."""
        return self._runtime.labels(self.score(rows))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Subject:
    """What is under test: folders of the bundles and the digests that they must have."""

    bundle: str
    digest: str | None = None
    champion: str | None = None
    champion_digest: str | None = None


def _subject(project: Project) -> _Subject:
    given = os.environ.get(VARIABLE)
    return _Subject(**json.loads(given)) if given else _Subject(bundle=str(project.bundle))


@pytest.fixture(scope="session")
def project() -> Project:
    """The project around the working folder."""
    return Project.find(Path.cwd())


@pytest.fixture(scope="session")
def policy(project: Project) -> Gate:
    """The section `gate` of params.yaml."""
    return project.settings.gate


@pytest.fixture(scope="session")
def model(project: Project) -> Model:
    """The challenger."""
    subject = _subject(project)
    return Model(load_bundle(Path(subject.bundle), expected=subject.digest))


@pytest.fixture(scope="session")
def champion(project: Project) -> Model | None:
    """The champion, or None for a first release."""
    subject = _subject(project)
    return Model(load_bundle(Path(subject.champion), expected=subject.champion_digest)) if subject.champion else None


@pytest.fixture(scope="session")
def train_data(project: Project) -> pl.DataFrame:
    """The training rows."""
    import polars as pl

    return pl.read_parquet(project.train_data)


@pytest.fixture(scope="session")
def test_data(project: Project) -> pl.DataFrame:
    """The held-out rows."""
    import polars as pl

    return pl.read_parquet(project.test_data)


test_data.__test__ = False  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def labels(model: Model, test_data: pl.DataFrame) -> NDArray[np.int64] | NDArray[np.float64]:
    """What is true of each held-out row: 0 and 1 (the positive class), the number of its class, or the value of a regression."""
    from seatrial.evidence import labels_of

    return labels_of(model.manifest, test_data)


class Collector:
    """A pytest plugin that keeps what each test said."""

    def __init__(self, path: Path) -> None:
        """Results go to `path` as JSON once the last test ended."""
        self.path = path
        self.results: dict[str, SuiteResult] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
        """Keep the phase that decides: the call, or a set-up or tear-down that did not pass."""
        report: pytest.TestReport = yield
        if report.when == "call" or report.outcome != "passed":
            outcome = "error" if report.when != "call" and report.failed else report.outcome
            self.results[item.nodeid] = SuiteResult(name=item.name, outcome=outcome, sentence=_sentence(item), reason=_reason(report, call))
        return report

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file that cannot be collected is an error of the suite."""
        if report.failed:
            name = Path(report.nodeid).stem or "collection"
            reason = str(report.longrepr).strip().splitlines()[-1]
            self.results[report.nodeid] = SuiteResult(name=name, outcome="error", sentence="the file can be collected", reason=reason)

    def pytest_sessionfinish(self) -> None:
        """Write the results."""
        self.path.write_text(json.dumps([asdict(result) for result in self.results.values()]))


def _sentence(item: pytest.Item) -> str:
    doc = getattr(getattr(item, "function", None), "__doc__", None) or item.name.removeprefix("test_").replace("_", " ")
    return str(doc).strip().splitlines()[0].rstrip(".")


def _reason(report: pytest.TestReport, call: pytest.CallInfo[None]) -> str:
    if report.passed:
        return ""
    if report.skipped and isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    text = str(call.excinfo.value).strip() if call.excinfo else str(report.longrepr)
    return text.splitlines()[0] if text else type(call.excinfo.value).__name__ if call.excinfo else "failed"


def run_suite(folder: Path, *, root: Path, environment: str, subject: Mapping[str, str | None], timeout: float) -> tuple[SuiteResult, ...]:
    """Run the tests below `folder` in a process of their own and give their results.

    A process that dies, hangs past `timeout` seconds or writes no results gives one result of outcome error.
    """
    with tempfile.TemporaryDirectory() as scratch:
        results = Path(scratch) / "results.json"
        command = [sys.executable, "-m", "seatrial.suite", str(results), str(folder)]
        env = {**os.environ, VARIABLE: json.dumps(subject), "SEATRIAL_ENV": environment}
        try:
            ended = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, timeout=timeout, check=False)
            found = tuple(SuiteResult(**result) for result in json.loads(results.read_bytes()))
            if ended.returncode in ENDED:
                return found
            reason = f"pytest ended early with {ended.returncode}: {(ended.stdout + ended.stderr).strip()[-300:]}"
            return (*found, _broken(reason))
        except subprocess.TimeoutExpired:
            reason = f"the suite did not end within {timeout:.0f} s"
        except (OSError, ValueError):
            reason = f"the suite's process ended with {ended.returncode}: {(ended.stdout + ended.stderr).strip()[-300:]}"
    return (_broken(reason),)


def _broken(reason: str) -> SuiteResult:
    return SuiteResult(name="suite", outcome="error", sentence="the model test suite runs", reason=reason)


def main(results: str, folder: str) -> int:
    """Run pytest on `folder`, keep the results: what `run_suite` starts."""
    options = ["-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(Path.cwd()), "--import-mode=importlib"]
    return int(pytest.main([*options, folder], plugins=[Collector(Path(results))]))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
