"""The fixtures of the model test suite, and the marker `advisory` (docs/gate.md)."""

from pathlib import Path

import pytest
import yaml

from seatrial.suite import champion, labels, model, policy, project, pytest_configure, test_data, train_data

__all__ = ["champion", "labels", "model", "policy", "project", "pytest_configure", "test_data", "train_data"]


@pytest.fixture(scope="session")
def directions():
    """Which way each of some columns moves the answer: `{column: up or down}` from directions.yaml, empty where it is missing."""
    path = Path(__file__).with_name("directions.yaml")
    return (yaml.safe_load(path.read_text()) or {}) if path.exists() else {}
