"""A BentoML service that answers the probabilities of rows given as objects; the pipeline is the file named by MODEL."""

import os
from pathlib import Path
from typing import Any

import bentoml
import cloudpickle
import pandas as pd


@bentoml.service(workers=1)
class Model:
    """One scikit-learn pipeline."""

    def __init__(self) -> None:
        self._pipeline = cloudpickle.loads(Path(os.environ["MODEL"]).read_bytes())

    @bentoml.api
    def predict(self, rows: list[dict[str, Any]]) -> list[list[float]]:
        """Probabilities of each class, row by row."""
        found: list[list[float]] = self._pipeline.predict_proba(pd.DataFrame(rows)).tolist()
        return found
