"""A small trained project: the table of `tests.bundles`, its bundle made by the stage `train` itself."""

import polars as pl
import yaml

from churn.train import train
from seatrial.project import Project
from tests.bundles import ID, TARGET, make_rows, make_targets

COLUMNS = {
    ID: {"type": "string"},
    "amount": {"type": "number", "nullable": 0.5},
    "visits": {"type": "integer"},
    "member": {"type": "boolean"},
    "colour": {"type": "string", "nullable": 0.5},
    "plan": {"type": "string"},
    TARGET.name: {"type": "string", "allowed": list(TARGET.classes)},
}
PARAMS = {
    "model": {"name": "small"},
    "data": {"raw": "data/raw.csv", "target": TARGET.name, "positive": TARGET.positive, "id": ID, "groups": ["plan"]},
    "train": {"estimator": "logistic_regression", "max_iter": 200},
    "gate": {"metrics": {"roc_auc": {"floor": 0.5, "margin": 0.05}, "log_loss": {"margin": 0.05}}},
}


def table(count, *, seed):
    rows = make_rows(count, seed=seed)
    return pl.DataFrame(rows).with_columns(
        pl.Series(TARGET.name, make_targets(rows, seed=seed)), pl.Series(ID, [f"{seed}-{at}" for at in range(count)])
    )


def trained_project(folder):
    project = Project(root=folder, env={})
    (folder / "params.yaml").write_text(yaml.safe_dump(PARAMS, sort_keys=False))
    for path in (project.contract, project.train_data, project.evaluation.parent / "plots/importance.csv"):
        path.parent.mkdir(parents=True, exist_ok=True)
    project.contract.write_text(yaml.safe_dump({"columns": COLUMNS}, sort_keys=False))
    table(400, seed=1).write_parquet(project.train_data)
    table(300, seed=2).write_parquet(project.test_data)
    importance = "feature,importance\nmember,0.3\nplan,0.2\nvisits,0.1\namount,0.05\ncolour,0.01\n"
    (project.evaluation.parent / "plots/importance.csv").write_text(importance)
    train(project)
    return project
