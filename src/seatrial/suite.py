"""The model test suite: ordinary pytest, with the bundle under test and its data as fixtures; the gate reads the results.

    def test_no_answer_for_missing_values(model, test_data):
        \"\"\"Rows with missing values are answered.\"\"\"
        ...

The first line of a test's docstring is its sentence in the verdict, followed by what its claims found (`seatrial.claims`). The
fixtures come from `seatrial.suite`: a project's `conftest.py` imports them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from seatrial.adapters.leash import leashed
from seatrial.bundle import Bundle, Manifest, load_bundle
from seatrial.claims.finding import Finding, Undecided, decisive, findings, forget, summary
from seatrial.params import Gate
from seatrial.project import Project
from seatrial.verdict import Outcome

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

VARIABLE = "SEATRIAL_SUITE"
REMEMBERED = 4
ENDED = (0, 1, 5)
"""pytest's exit codes after a whole run: passed, failed, nothing to run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteResult:
    """One test: its name, its outcome (passed, failed, skipped, inconclusive, error), its sentence, and why it did not pass.

    `observed`, `limit` and `evidence` are what its claims found. An advisory test cannot block, nor can a skipped one; a volatile
    one depends on the machine.
    """

    name: str
    outcome: str
    sentence: str
    reason: str
    observed: float | None = None
    limit: float | None = None
    evidence: str = ""
    advisory: bool = False
    volatile: bool = False


class Model:
    """A bundle as a test sees it: rows in, answers out, through the serving runtime.

    `folder` is where it was loaded from, for claims that need another process; `size` is the bytes of its files together.
    """

    def __init__(self, bundle: Bundle, folder: Path | None = None) -> None:
        """Load the bundle into ONNX Runtime."""
        from seatrial.serving.runtime import Runtime

        self._runtime = Runtime(bundle)
        self._scored: list[tuple[pl.DataFrame, pl.DataFrame, NDArray[np.float64]]] = []
        self.bundle = bundle
        self.folder = folder
        self.manifest: Manifest = bundle.manifest
        self.digest: str = bundle.digest
        self.size: int = bundle.size

    def score(self, rows: pl.DataFrame) -> NDArray[np.float64]:
        """The answer to each row: probability of the positive class, probabilities of each class (n, classes), or value.

        The last few tables are remembered, so that many tests may ask about one; a table that was changed in place is scored again.
        """
        for table, copy, answers in self._scored:
            if table is rows and copy.equals(rows):
                return answers.copy()
        answers = self._runtime.score_frame(rows)
        self._scored = [*self._scored[1 - REMEMBERED :], (rows, rows.clone(), answers)]
        return answers.copy()

    def encode(self, rows: pl.DataFrame) -> dict[str, NDArray[Any]]:
        """What the model is given: a tensor of shape (n,) by input, numbers as float32 (NaN is missing), categories as text."""
        from seatrial.serving.runtime import encode_frame

        return encode_frame(self.manifest, rows)

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


def _model(folder: str, digest: str | None) -> Model:
    return Model(load_bundle(Path(folder), expected=digest), Path(folder))


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
    return _model(subject.bundle, subject.digest)


@pytest.fixture(scope="session")
def champion(project: Project) -> Model | None:
    """The champion, or None for a first release."""
    subject = _subject(project)
    return _model(subject.champion, subject.champion_digest) if subject.champion else None


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


def pytest_configure(config: pytest.Config) -> None:
    """The suite's marker, for the gate's run and, imported by a `conftest.py`, for pytest by hand."""
    config.addinivalue_line("markers", "advisory: the test is shown in the verdict and cannot block")


class Collector:
    """A pytest plugin that keeps what each test said, and what its claims found."""

    def __init__(self, path: Path) -> None:
        """Results go to `path` as JSON once the last test ended."""
        self.path = path
        self.results: dict[str, SuiteResult] = {}

    def pytest_configure(self, config: pytest.Config) -> None:
        """Know the suite's marker, whatever the tests' conftest.py imports."""
        pytest_configure(config)

    def pytest_runtest_logstart(self) -> None:
        """A test begins: what the one before it found is not its own."""
        forget()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
        """Keep the phase that decides: the call, or a set-up or tear-down that did not pass; a failed call stays failed."""
        report: pytest.TestReport = yield
        known = self.results.get(item.nodeid)
        decided = report.when == "call" or report.outcome != "passed"
        if decided and (known is None or known.outcome != "failed" or known.advisory):
            self.results[item.nodeid] = _result(item, report, call)
        return report

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file that cannot be collected is an error of the suite; one that skips itself is shown."""
        if report.outcome == "passed":
            return
        name = Path(report.nodeid).stem or "collection"
        text = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reason = text.strip().splitlines()[-1].removeprefix("Skipped: ")
        outcome = "error" if report.failed else "skipped"
        self.results[report.nodeid] = SuiteResult(name=name, outcome=outcome, sentence="the file can be collected", reason=reason)

    def pytest_sessionfinish(self) -> None:
        """Write the results; tests of one name in several files are told apart by the file."""
        counts = Counter(result.name for result in self.results.values())
        named = [
            replace(result, name=f"{Path(node.partition('::')[0]).stem}.{result.name}") if counts[result.name] > 1 else result
            for node, result in self.results.items()
        ]
        self.path.write_text(json.dumps([asdict(result) for result in named]))


def _result(item: pytest.Item, report: pytest.TestReport, call: pytest.CallInfo[None]) -> SuiteResult:
    """What a test said, with the evidence of its claims unless something else ended it."""
    error = call.excinfo.value if call.excinfo else None
    found = findings()
    claimed = report.passed if error is None else getattr(error, "finding", None) is not None
    deciding = decisive(found) if claimed else None
    outcome, advisory, reason = _said(report, error, deciding)
    expected = hasattr(report, "wasxfail")
    return SuiteResult(
        name=_name(item),
        outcome=outcome,
        sentence=_sentence(item),
        reason=reason,
        observed=_rounded(deciding.observed) if deciding else None,
        limit=_rounded(deciding.limit) if deciding else None,
        evidence=summary(found) if claimed and not (expected and reason) else "",
        advisory=advisory or item.get_closest_marker("advisory") is not None,
        volatile=any(finding.volatile for finding in found),
    )


def _said(report: pytest.TestReport, error: BaseException | None, deciding: Finding | None) -> tuple[str, bool, str]:
    """Outcome, whether it is advisory whatever the test's marks, and why it did not pass.

    A test that is expected to fail, and does, is an advisory failure. So is one that passed but for advisory claims.
    """
    reason = _reason(report, error)
    wasxfail = str(getattr(report, "wasxfail", ""))
    if isinstance(error, Undecided):
        return "inconclusive", bool(report.skipped), reason
    if report.skipped and hasattr(report, "wasxfail") and "[NOTRUN]" not in wasxfail:
        return "failed", True, f"expected to fail{f' ({wasxfail})' if wasxfail else ''}: {reason}"
    if report.failed and report.when != "call":
        return "error", False, reason
    if report.passed and deciding is not None and deciding.advisory and deciding.outcome is not Outcome.PASS:
        return ("inconclusive" if deciding.outcome is Outcome.INCONCLUSIVE else "failed"), True, ""
    return report.outcome, False, reason


def _rounded(value: float) -> float:
    """Six digits, so that a verdict does not differ by the last bit of a machine."""
    return float(f"{value:.6g}")


def _name(item: pytest.Item) -> str:
    classes = [node.name for node in item.listchain() if isinstance(node, pytest.Class)]
    return ".".join([*classes, item.name])


def _sentence(item: pytest.Item) -> str:
    """The first line of the docstring, else the name in words; behind it the parameters' id."""
    doc = str(getattr(getattr(item, "function", None), "__doc__", None) or "").strip()
    name = str(getattr(item, "originalname", None) or item.name)
    sentence = (doc or name.removeprefix("test_").replace("_", " ")).splitlines()[0].rstrip(".")
    callspec = getattr(item, "callspec", None)
    return f"{sentence} [{callspec.id}]" if callspec is not None else sentence


def _reason(report: pytest.TestReport, error: BaseException | None) -> str:
    if report.passed:
        return ""
    if report.skipped and isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    text = str(error if error is not None else report.longrepr).strip()
    return text.splitlines()[0] if text else type(error).__name__ if error is not None else "failed"


def run_suite(folder: Path, *, root: Path, environment: str, subject: Mapping[str, str | None], timeout: float) -> tuple[SuiteResult, ...]:
    """Run the tests below `folder` in a process of their own and give their results.

    A process that dies, hangs past `timeout` seconds or writes no results gives one result of outcome error.
    """
    with tempfile.TemporaryDirectory() as scratch:
        results = Path(scratch) / "results.json"
        command = leashed(Path(scratch) / "parent", [sys.executable, "-m", "seatrial.suite", str(results), str(folder)])
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
    options = [
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        os.devnull,
        "--rootdir",
        str(Path.cwd()),
        "--import-mode=importlib",
        "--continue-on-collection-errors",
    ]
    return int(pytest.main([*options, folder], plugins=[Collector(Path(results))]))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
