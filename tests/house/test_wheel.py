"""The wheel holds the library and nothing else, and works where only its core dependencies are installed."""

import os
import re
import subprocess
import sys
import zipfile
from email import message_from_bytes
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


def top_level(wheel):
    """What lies at the top of a wheel, its own metadata left out."""
    with zipfile.ZipFile(wheel) as archive:
        return {name.split("/")[0] for name in archive.namelist() if ".dist-info/" not in name}


def test_the_wheel_holds_the_library_only(wheel):
    assert top_level(wheel) == {"seatrial"}


def test_the_wheel_holds_every_file_of_the_library(wheel):
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    ours = {
        f.relative_to(ROOT / "src").as_posix() for f in (ROOT / "src/seatrial").rglob("*") if f.is_file() and "__pycache__" not in f.parts
    }
    assert ours <= packed


def test_the_fence_sees_a_second_package(tmp_path):
    with zipfile.ZipFile(tmp_path / "bad.whl", "w") as archive:
        archive.writestr("seatrial/__init__.py", "")
        archive.writestr("churn/__init__.py", "")
    assert top_level(tmp_path / "bad.whl") == {"seatrial", "churn"}


def core_requirements(wheel):
    """The distributions that the wheel needs without an extra, by name, and those that they need."""
    with zipfile.ZipFile(wheel) as archive:
        metadata = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        lines = message_from_bytes(archive.read(metadata)).get_all("Requires-Dist", [])
    found, todo = set(), list(lines)
    while todo:
        requirement = Requirement(todo.pop())
        if (requirement.marker is None or requirement.marker.evaluate({"extra": ""})) and requirement.name not in found:
            found.add(requirement.name)
            todo += distribution(requirement.name).requires or ()
    return found


@pytest.fixture(scope="module")
def clean(wheel, tmp_path_factory):
    """An environment with the wheel and links to its core dependencies: no extra, no checkout, no index."""
    folder = tmp_path_factory.mktemp("clean") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    packages = next(folder.glob("lib/python*/site-packages"))
    for name in core_requirements(wheel):
        files = distribution(name).files or ()
        for part in {file.parts[0] for file in files} - {"..", "__pycache__"}:
            (packages / part).symlink_to(distribution(name).locate_file(part))
    command = [str(BIN / "uv"), "pip", "install", "--quiet", "--offline", "--no-deps", "--python", str(folder / "bin/python"), str(wheel)]
    subprocess.run(command, check=True)
    return folder


def ask(clean, *command):
    env = {"PATH": os.defpath, "HOME": str(clean)}
    return subprocess.run(command, cwd=clean, env=env, capture_output=True, text=True, check=False)


def test_the_wheel_imports_in_a_clean_environment(clean):
    modules = ", ".join(f"seatrial.{name}" for name in ("params", "project", "bundle", "verdict", "rollout"))
    code = f"import seatrial, {modules}; print(seatrial.__file__, seatrial.__version__)"
    done = ask(clean, str(clean / "bin/python"), "-c", code)
    assert done.returncode == 0, done.stderr
    place, version = done.stdout.split()
    assert Path(place).is_relative_to(clean)
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)


def test_the_command_line_works_in_a_clean_environment(clean):
    done = ask(clean, str(clean / "bin/seatrial"), "--help")
    assert done.returncode == 0, done.stderr
    assert "usage: seatrial COMMAND" in done.stdout


def test_the_clean_environment_has_neither_the_model_of_this_repository_nor_an_extra(clean):
    for name in ("churn", "sklearn", "mlflow"):
        assert ask(clean, str(clean / "bin/python"), "-c", f"import {name}").returncode == 1
