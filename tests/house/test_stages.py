"""The locks of the pipeline are about the sources that are committed: else a fresh clone trains anew and ends with a changed lock."""

import hashlib
import re
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


@pytest.mark.parametrize(("path", "md5"), list(dependencies()))
def test_the_lock_is_about_the_source_that_is_committed(path, md5):
    assert hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() == md5, "run: nox -s train noise, and commit the locks"


def sources_of(module, seen):
    """The files of this repository's own model that a module imports, its own among them."""
    path = ROOT / "src" / f"{module.replace('.', '/')}.py"
    if path in seen:
        return
    seen.add(path)
    for name in re.findall(r"^(?:from|import) (churn\.\w+)", path.read_text(), re.MULTILINE):
        sources_of(name, seen)


@pytest.mark.parametrize("folder", [".", "metrics/noise"])
def test_a_stage_depends_on_every_module_of_the_model_that_it_imports(folder):
    stages = yaml.safe_load((ROOT / folder / "dvc.yaml").read_text())["stages"]
    commands = {name: re.search(r"-m (churn\.\w+)", stage["cmd"]) for name, stage in stages.items()}
    assert all(commands.values())
    for name, command in commands.items():
        wanted = set()
        sources_of(command[1], wanted)
        base = ROOT / folder / stages[name].get("wdir", ".")
        declared = {(base / path).resolve() for path in stages[name]["deps"] if "${" not in path}
        assert wanted <= declared, f"stage {name} reads {sorted(str(path) for path in wanted - declared)}"
