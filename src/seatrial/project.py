"""Where things lie: the project's root, its own files, and Seatrial's state.

    project = Project.find(Path.cwd())

A project is the folder that holds params.yaml; commands may be called from any folder below it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from msgspec.structs import replace

from seatrial.errors import UsageError
from seatrial.params import Settings, load_settings


@dataclass(frozen=True, kw_only=True)
class Project:
    """One repository in one environment.

    `env` is the process environment that addresses and secrets are read from; `shared` lets `local` write to a shared
    registry; `table` stands in for `data.raw`.
    """

    root: Path
    environment: str = "local"
    shared: bool = False
    table: str | None = None
    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)

    @classmethod
    def find(cls, start: Path, *, environment: str | None = None, env: Mapping[str, str] | None = None, shared: bool = False) -> Project:
        """The project around `start`; UsageError where no folder from there up to the repository's root holds params.yaml.

        The environment is `environment`, else SEATRIAL_ENV, else `local`.
        """
        env = dict(os.environ) if env is None else env
        for folder in (start.resolve(), *start.resolve().parents):
            if (folder / "params.yaml").is_file():
                return cls(root=folder, environment=environment or env.get("SEATRIAL_ENV") or "local", env=env, shared=shared)
            if (folder / ".git").exists():
                break
        raise UsageError(f"no params.yaml in {start} or above it", hint="go to the project's folder, or write a params.yaml there")

    @cached_property
    def settings(self) -> Settings:
        """params.yaml for this environment, parsed once."""
        settings = load_settings(self.root / "params.yaml", self.environment)
        return settings if self.table is None else replace(settings, data=replace(settings.data, raw=self.table))

    @property
    def home(self) -> Path:
        """Seatrial's own state: SEATRIAL_HOME, by default `.seatrial` at the root."""
        return (self.root / (self.env.get("SEATRIAL_HOME") or ".seatrial")).absolute()

    @property
    def raw(self) -> Path:
        """The raw table: a file or a folder."""
        return self.root / self.settings.data.raw

    @property
    def contract(self) -> Path:
        """The data contract."""
        return self.root / self.settings.data.contract

    @property
    def reference(self) -> Path:
        """The profile of the data that was accepted last."""
        return self.root / self.settings.data.reference

    @property
    def train_data(self) -> Path:
        """The training rows, as `preprocess` wrote them."""
        return self.root / "data/processed/train.parquet"

    @property
    def test_data(self) -> Path:
        """The held-out rows, as `preprocess` wrote them."""
        return self.root / "data/processed/test.parquet"

    @property
    def bundle(self) -> Path:
        """The bundle that `train` wrote."""
        return self.root / "artifacts/model"

    @property
    def evaluation(self) -> Path:
        """What `evaluate` measured."""
        return self.root / "metrics/evaluation.json"

    @property
    def noise(self) -> Path:
        """What `noise` measured: by how much metrics move by luck."""
        return self.root / "metrics/noise.json"

    def verdict(self, kind: str) -> Path:
        """Where the verdict of a kind lies."""
        return self.root / "metrics" / f"{kind}.json"

    def report(self, name: str) -> Path:
        """Where a page or comment for people lies."""
        return self.root / "reports" / name

    @property
    def tracking_uri(self) -> str:
        """MLFLOW_TRACKING_URI, by default a sqlite file at the root; `ephemeral` keeps to a file of its own, whatever is set."""
        if self.environment == "ephemeral":
            return f"sqlite:///{self.home / 'ephemeral.db'}"
        return self.env.get("MLFLOW_TRACKING_URI") or f"sqlite:///{self.root / 'mlflow.db'}"

    @property
    def experiment(self) -> str:
        """MLflow's experiment: MLFLOW_EXPERIMENT_NAME, by default the one of params.yaml."""
        return self.env.get("MLFLOW_EXPERIMENT_NAME") or self.settings.tracking.experiment
