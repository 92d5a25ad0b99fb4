"""Evidence about a challenger and a champion that are both made up, for tests of what the gate says and shows."""

from dataclasses import replace

import numpy as np

from seatrial.checks.behaviour import Perturbation, Recorded
from seatrial.gate import Evidence, decide
from seatrial.metrics import Scores
from seatrial.params import Gate, MetricPolicy
from seatrial.rivals import Rival
from seatrial.suite import SuiteResult

ROWS = 1000
LABELS = (np.random.default_rng(0).random(ROWS) < 0.4).astype(np.int64)
SHARED = np.random.default_rng(1).normal(size=ROWS) + 1.8 * LABELS - 1
METRICS = {
    "roc_auc": MetricPolicy(floor=0.7, margin=0.03),
    "log_loss": MetricPolicy(ceiling=0.9, margin=0.05),
    "accuracy": MetricPolicy(floor=0.6, margin=0.05),
    "brier": MetricPolicy(ceiling=0.3, tier="advisory"),
}
TIMES = [1 + at / 2000 for at in range(2000)]


def scores(noise=0.3, seed=2, threshold=0.5):
    raised = SHARED + noise * np.random.default_rng(seed).normal(size=ROWS)
    return Scores(probabilities=1 / (1 + np.exp(-raised)), threshold=threshold)


def evidence(**changes):
    probabilities = np.linspace(0.05, 0.95, 20)
    base = Evidence(
        labels=LABELS,
        challenger=scores(),
        champion=Rival(scores=scores(seed=3)),
        groups={"team": ["a", "b"] * (ROWS // 2)},
        slices={"part": [f"p{at % 14:02}" for at in range(ROWS - 9)] + ["rare"] * 9},
        perturbations=(
            Perturbation(kind="missing", column="x", before=probabilities, after=probabilities[::-1]),
            Perturbation(kind="range", column="y", before=probabilities, after=probabilities),
        ),
        digests=("sha256:1", "sha256:1"),
        golden=Recorded(promised=[0.5], given=[0.5]),
        bundle_bytes=1_000_000,
        latency={"challenger": TIMES, "champion": [2 * time for time in TIMES]},
        suite=(SuiteResult(name="test_it", outcome="passed", sentence="It works", reason=""),),
    )
    return replace(base, **changes)


def judged(found, **policy):
    """The verdict by metrics alone: slices are shown on the page, and not asked about here."""
    return decide({"bundle": "sha256:new"}, Gate(metrics=METRICS, **policy), replace(found, slices={}), environment="local")
