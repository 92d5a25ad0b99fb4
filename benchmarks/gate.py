"""The gate: what it costs, its bootstrap beside scikit-learn's functions, a million rows, and how often it is wrong (`-- --only c`).

a: the whole gate on the sample, with a champion, by parts. b: the paired bootstrap of the asked metrics beside the same
resamples through scikit-learn. c: ROC AUC on a million rows. d: unchanged evidence. e: passes at the margin, and power.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks._common import ROOT, median, plain_environment, table, timed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from seatrial.metrics import Scores

RESAMPLES = 2_000
PEER_RESAMPLES = 50
MILLION = 1_000_000
REPEATS = 3
NOOPS = 7
APART = (
    "scoring again in a second process",
    "of latency's seconds: both servers start",
    "of the suite's seconds: its process starts and imports its libraries",
)
LEFT_OUT = (".venv", ".nox", ".seatrial", "mlflow.db*", "mlruns", "mlartifacts", ".*_cache", ".hypothesis", "__pycache__")
ROUND = "max_iter: 150", "max_iter: 180"

Row = list[str]


def main() -> None:
    """Measure the parts that are asked for, all by default, and print one table."""
    options = _options()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        parts: dict[str, Callable[[], Iterator[Row]]] = {
            "a": lambda: _whole(Path(scratch)),
            "b": _beside_peer,
            "c": _million,
            "d": lambda: _unchanged(Path(scratch)),
            "e": lambda: _rates(options.draws),
        }
        for part in options.only or parts:
            rows += [[part, *row] for row in parts[part]()]
    table("The gate", ["part", "figure", "measured", "peer or limit", "kept"], rows)
    if any(row[-1] == "NO" for row in rows):
        raise SystemExit(1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", choices="abcde", help="a part; may be repeated")
    parser.add_argument("--scratch", help="where the copy of the project is made (default: the system's temporary folder)")
    parser.add_argument("--draws", type=int, default=20_000, help="simulated tables for each proportion; a fifth for each ROC AUC")
    return parser.parse_args()


def _kept(holds: bool) -> str:
    return "yes" if holds else "NO"


def _copy(scratch: Path) -> tuple[Path, dict[str, str]]:
    """A copy of the project with a registry and state of its own, judged once; the same copy for every part."""
    folder = scratch / "project"
    env = plain_environment(SEATRIAL_HOME=str(folder / ".seatrial"), MLFLOW_TRACKING_URI=f"sqlite:///{folder / 'mlflow.db'}")
    if not folder.exists():
        if not (ROOT / "artifacts/model").is_dir():
            raise SystemExit("there is no bundle to judge; make it: nox -s train")
        shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*LEFT_OUT))
        timed(_gate(), cwd=folder, env=env)
    return folder, env


def _gate() -> list[str]:
    return [sys.executable, "-m", "seatrial", "gate"]


def _whole(scratch: Path) -> Iterator[Row]:
    """Promote the bundle, fit another one, and judge it."""
    folder, env = _copy(scratch)
    _promote_and_fit(folder, env)
    runs = [_json([sys.executable, "-m", "benchmarks._gate_parts"], cwd=folder, env=env) for _ in range(REPEATS)]
    work = [run["whole"] - sum(run["seconds"][part] for part in APART) for run in runs]
    yield [f"whole gate with a champion ({runs[0]['outcome']})", f"{median([run['whole'] for run in runs]):.1f} s", "", ""]
    yield [
        "the same, imports and the start of processes apart",
        f"{median(work):.1f} s",
        "15 s",
        _kept(median(work) < 15),
    ]
    for part in runs[0]["seconds"]:
        yield [part, f"{median([run['seconds'][part] for run in runs]):.2f} s", "", ""]


def _promote_and_fit(folder: Path, env: dict[str, str]) -> None:
    from seatrial.adapters.registry import move_aliases, read_alias
    from seatrial.project import Project

    project = Project(root=folder, env=env)
    version = read_alias(project, "challenger")
    if version is None:
        raise SystemExit("the bundle did not pass its first gate, so nothing can be compared with it")
    if read_alias(project, "champion") is None:
        move_aliases(project, expected={"champion": None}, to={"champion": version.version})
    params = folder / "params.yaml"
    params.write_text(params.read_text().replace(*ROUND))
    timed([sys.executable, "-m", "churn.train"], cwd=folder, env=env)


def _json(command: Sequence[str], *, cwd: Path, env: dict[str, str]) -> dict[str, object] | dict[str, float]:
    ended = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {ended.returncode}:\n{ended.stderr[-3000:]}")
    answer: dict[str, float] = json.loads(ended.stdout.splitlines()[-1])
    return answer


def _unchanged(scratch: Path) -> Iterator[Row]:
    """The same command on the same evidence, as a whole process."""
    folder, env = _copy(scratch)
    timed(_gate(), cwd=folder, env=env, expect=None)
    seconds = [timed(_gate(), cwd=folder, env=env, expect=None) for _ in range(NOOPS)]
    outcome = json.loads((folder / "metrics/gate.json").read_text())["outcome"]
    yield [
        f"`seatrial gate` with nothing changed ({outcome}), median of {NOOPS}",
        f"{median(seconds):.2f} s",
        "0.7 s",
        _kept(median(seconds) < 0.7),
    ]


def _million() -> Iterator[Row]:
    """Each in a process of its own."""
    for kind, words in (("one", "one model"), ("pair", "paired difference")):
        command = [sys.executable, "-m", "benchmarks._gate_million", kind, str(MILLION), str(RESAMPLES)]
        found = _json(command, cwd=ROOT, env=plain_environment())
        seconds, peak = float(found["seconds"]), float(found["peak_mib"])
        yield [f"{RESAMPLES:,} resamples of ROC AUC on {MILLION:,} rows, {words}", f"{seconds:.1f} s", "60 s", _kept(seconds < 60)]
        yield [f"{words}: peak memory of the process", f"{peak:,.0f} MiB", "2,048 MiB", _kept(peak < 2048)]


def _beside_peer() -> Iterator[Row]:
    """The bootstrap of both models on the sample's held-out rows; every replicate of scikit-learn's part is compared."""
    labels, models = _sample_scores()
    for names in (("roc_auc", "f1", "log_loss", "accuracy"), ("roc_auc", "pr_auc", "f1", "weighted_f1", "accuracy", "log_loss", "brier")):
        pairs = [(_ours(names, labels, models, RESAMPLES), _theirs(names, labels, models, PEER_RESAMPLES)) for _ in range(REPEATS)]
        ours, theirs = median([one[0] for one, _ in pairs]), median([other[0] for _, other in pairs]) * RESAMPLES / PEER_RESAMPLES
        distance = float(abs(pairs[0][0][1][:PEER_RESAMPLES] - pairs[0][1][1]).max())
        ratio = median([other[0] * RESAMPLES / PEER_RESAMPLES / one[0] for one, other in pairs])
        yield [
            f"paired bootstrap of {', '.join(names)}; {len(labels):,} rows, {RESAMPLES:,} resamples",
            f"{ours:.2f} s",
            f"scikit-learn {theirs:.1f} s ({PEER_RESAMPLES} resamples, scaled): {ratio:.0f} ×, at least 5 ×",
            _kept(ratio >= 5),
        ]
        yield ["greatest distance of a replicate from scikit-learn's", f"{distance:.1g}", "1e-12", _kept(distance < 1e-12)]
    yield _calibrated(labels, models)


def _calibrated(labels: NDArray[np.int64], models: Sequence[Scores]) -> Row:
    seconds = [_ours(("calibration_error",), labels, models, RESAMPLES)[0] for _ in range(REPEATS)]
    return [f"calibration_error alone, {RESAMPLES:,} resamples", f"{median(seconds):.2f} s", "no such function there", ""]


def _sample_scores() -> tuple[NDArray[np.int64], tuple[Scores, Scores]]:
    """The bundle's answers to the held-out rows, and those of a model that differs from it by noise."""
    import numpy as np

    from seatrial.bundle import read_digest
    from seatrial.evidence import labels_of, score
    from seatrial.metrics import Scores
    from seatrial.project import Project
    from seatrial.stages import read_rows

    project = Project(root=ROOT, env={})
    rows = read_rows(project.test_data)
    runtime, answers = score(project.bundle, read_digest(project.bundle), rows)
    noise = np.random.default_rng(0).normal(size=len(answers))
    other = 1 / (1 + np.exp(-(np.log(answers / (1 - answers)) + 0.2 * noise)))
    threshold = runtime.bundle.manifest.binary.threshold
    one, two = (Scores(probabilities=values, threshold=threshold) for values in (answers, other))
    return labels_of(runtime.bundle.manifest, rows), (one, two)


def _ours(names: Sequence[str], labels: NDArray[np.int64], models: Sequence[Scores], resamples: int) -> tuple[float, NDArray[np.float64]]:
    """Seconds, and the differences, shape (resamples, metrics); every metric is resampled, though the gate has formulas for two."""
    import numpy as np

    from seatrial.metrics import METRICS
    from seatrial.resampling import stratified_weights

    start = time.perf_counter()
    statistics = [[METRICS[name].statistic(labels, model) for model in models] for name in names]
    found = [[new(counts) - old(counts) for new, old in statistics] for counts in stratified_weights(labels, resamples, seed=0)]
    values = np.concatenate([np.stack(one, axis=1) for one in found])
    return time.perf_counter() - start, values


def _theirs(names: Sequence[str], labels: NDArray[np.int64], models: Sequence[Scores], resamples: int) -> tuple[float, NDArray[np.float64]]:
    """The same with scikit-learn's functions on the drawn rows; drawing is not counted."""
    import numpy as np
    import sklearn.metrics as peer

    from seatrial.resampling import stratified_weights

    functions: dict[str, Callable[[NDArray[np.int64], NDArray[np.float64], float], float]] = {
        "roc_auc": lambda y, p, t: peer.roc_auc_score(y, p),
        "pr_auc": lambda y, p, t: peer.average_precision_score(y, p),
        "f1": lambda y, p, t: peer.f1_score(y, p >= t),
        "weighted_f1": lambda y, p, t: peer.f1_score(y, p >= t, average="weighted"),
        "accuracy": lambda y, p, t: peer.accuracy_score(y, p >= t),
        "log_loss": lambda y, p, t: peer.log_loss(y, p),
        "brier": lambda y, p, t: peer.brier_score_loss(y, p),
    }
    lines = np.concatenate(list(stratified_weights(labels, RESAMPLES, seed=0)))[:resamples]
    drawn = [np.repeat(np.arange(len(labels)), line) for line in lines]
    start = time.perf_counter()
    values = [
        [np.subtract(*(functions[name](labels[rows], model.probabilities[rows], model.threshold) for model in models)) for name in names]
        for rows in drawn
    ]
    return time.perf_counter() - start, np.array(values)


def _rates(draws: int) -> Iterator[Row]:
    from benchmarks._gate_rates import area_rates, proportion_rates

    for rate in (*proportion_rates(draws), *area_rates(draws // 5)):
        low, high = rate.interval
        measured = f"{100 * rate.value:.2f} % (95 %: {100 * low:.2f}–{100 * high:.2f}; {rate.draws:,} draws)"
        kind, limit = ("power", "80 % ± 3") if rate.power else ("false passes at the margin", "at most 6 %")
        yield [
            f"{kind}: {rate.what}",
            measured,
            limit if rate.planned else "too few for the formula",
            _kept(rate.kept) if rate.planned else "",
        ]


if __name__ == "__main__":
    main()
