"""What many unit tests start from."""

from pathlib import Path

import pytest

from seatrial.project import Project
from tests.bundles import make_bundle
from tests.rollouts import World

PARAMS = Path(__file__).parents[2] / "params.yaml"


@pytest.fixture(scope="session")
def bundles(tmp_path_factory):
    """Two bundles, made once."""
    folder = tmp_path_factory.mktemp("bundles")
    return [make_bundle(folder / f"{number}", bias=number / 10) for number in range(3)], folder


@pytest.fixture
def world(tmp_path, bundles):
    (tmp_path / "params.yaml").write_text(PARAMS.read_text())
    made = World(Project.find(tmp_path, env={}))
    made.bundles, made.folder = bundles
    return made
