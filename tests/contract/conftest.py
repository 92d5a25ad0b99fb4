"""What several contract tests start from."""

import shutil

import pytest

from seatrial.adapters.mlflow_client import tracking_client


@pytest.fixture(scope="session")
def empty_registry(tmp_path_factory):
    """MLflow's tables in a sqlite file, made once: that takes seconds."""
    path = tmp_path_factory.mktemp("registry") / "mlflow.db"
    tracking_client(f"sqlite:///{path}")
    return path


@pytest.fixture
def with_tables(empty_registry):
    """Puts those tables where a project's sqlite registry lies."""
    return lambda root: shutil.copy(empty_registry, root / "mlflow.db")
