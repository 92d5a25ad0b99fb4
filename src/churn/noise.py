"""Stage `noise`: train again and again with other luck, and see by how much each metric moves (metrics/noise.json)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np

from churn.features import build_pipeline, model_inputs
from churn.train import choose_threshold, labels_of
from seatrial.contract import features, load_contract
from seatrial.files import md5_of, pretty_json, write_atomic
from seatrial.matrix import design_matrix
from seatrial.metrics import METRICS
from seatrial.noise import summarise
from seatrial.project import Project
from seatrial.stages import read_rows, run_stage


def noise(project: Project) -> None:
    """Fit `gate.noise.seeds` models, each on rows drawn anew from the training rows, and score the held-out rows with each."""
    seeds = project.settings.gate.noise.seeds
    runs = []
    for seed in range(seeds):
        runs.append(train_once(project, seed))
        primary = project.settings.model.primary
        print(f"noise: {seed + 1} of {seeds} trained, {primary} {runs[-1][primary]:.4f}", flush=True)
    write_atomic(project.noise, pretty_json(summarise(runs, training=md5_of(project.train_data))))


def train_once(project: Project, seed: int) -> Mapping[str, float]:
    """Every metric, on the held-out rows, of a model that was fitted on as many training rows drawn with replacement."""
    from msgspec.structs import replace
    from threadpoolctl import threadpool_limits

    settings = replace(project.settings.train, seed=seed)
    rows, held_out = read_rows(project.train_data), read_rows(project.test_data)
    inputs = model_inputs(rows, features(load_contract(project.contract), project.settings.data))
    drawn = rows[np.random.default_rng(seed).integers(0, rows.height, rows.height).tolist()]
    matrix, labels = design_matrix(drawn, inputs), labels_of(drawn, project)
    with threadpool_limits(limits=settings.threads), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*unknown categories.*", category=UserWarning)
        threshold = choose_threshold(settings, inputs, matrix, labels)
        pipeline = build_pipeline(inputs, settings).fit(matrix, labels)
        answers = pipeline.predict_proba(design_matrix(held_out, inputs))[:, 1]
    truth = labels_of(held_out, project)
    return {name: float(metric(truth, answers, threshold)) for name, metric in METRICS.items()}


if __name__ == "__main__":
    run_stage(noise)
