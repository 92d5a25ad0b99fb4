"""The locks of the pipeline are about the sources that are committed: else a fresh clone trains anew and ends with a changed lock."""

import hashlib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


def dependencies():
    for lock in ("dvc.lock", "metrics/noise/dvc.lock"):
        for stage, found in yaml.safe_load((ROOT / lock).read_text())["stages"].items():
            for dependency in found["deps"]:
                path = ROOT / dependency["path"]
                if path.is_file() and not dependency["path"].startswith(("data/processed", "artifacts")):
                    yield pytest.param(path, dependency["md5"], id=f"{stage}-{dependency['path']}")


@pytest.mark.parametrize(("path", "md5"), dependencies())
def test_the_lock_is_about_the_source_that_is_committed(path, md5):
    assert hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() == md5, "run: nox -s train noise, and commit the locks"
