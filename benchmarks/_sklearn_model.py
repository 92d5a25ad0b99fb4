"""Writes a project's own pipeline as MLflow's scikit-learn flavour, the way in which `mlflow models serve` meets most models."""

import sys
from pathlib import Path

import mlflow.sklearn
import skops.io

from seatrial.bundle import ANALYSIS, load_bundle
from seatrial.project import Project

bundle = load_bundle(Project.find(Path.cwd()).bundle)
data = bundle.files[ANALYSIS]  # this project's own training, its hash just checked
pipeline = skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))
mlflow.sklearn.save_model(
    pipeline, sys.argv[1], serialization_format="cloudpickle", pyfunc_predict_fn="predict_proba", pip_requirements=["scikit-learn"]
)
