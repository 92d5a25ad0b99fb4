"""Resamples of ROC AUC on many synthetic rows in this process: prints seconds and peak memory in MiB as JSON."""

import json
import resource
import sys
import time

import numpy as np

from seatrial.metrics import METRICS, Scores
from seatrial.resampling import stratified_weights


def main(kind: str, rows: int, resamples: int) -> None:
    """Resample one model's ROC AUC (`one`) or the paired difference (`pair`)."""
    generator = np.random.default_rng(0)
    labels = (generator.random(rows) < 0.27).astype(np.int64)
    shared = generator.normal(size=rows) + 1.5 * labels - 1
    models = [Scores(probabilities=1 / (1 + np.exp(-(shared + 0.3 * generator.normal(size=rows)))), threshold=0.5) for _ in range(2)]
    start = time.perf_counter()
    statistics = [METRICS["roc_auc"].statistic(labels, model) for model in (models if kind == "pair" else models[:1])]
    strata = labels if kind == "pair" else np.zeros_like(labels)
    values = [[statistic(counts)[0] for statistic in statistics] for counts in stratified_weights(strata, resamples, seed=0)]
    seconds = time.perf_counter() - start
    error = float((np.diff(values, axis=1) if kind == "pair" else np.array(values)).std())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "peak_mib": peak, "error": error}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
