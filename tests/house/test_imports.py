"""Who may import whom: the library knows no model of this repository, tasks know only nox, and a start loads nothing heavy."""

import ast
import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from seatrial.cli import COMMANDS

ROOT = Path(__file__).parents[2]
HEAVY = {
    "aiohttp",
    "dvc",
    "evidently",
    "mlflow",
    "numpy",
    "onnx",
    "onnxruntime",
    "pandas",
    "polars",
    "pyarrow",
    "scipy",
    "sklearn",
    "uvicorn",
}
OWN_WORDS = {"contract"}  # a sample column that is a word of Seatrial's own, too


def imports(path):
    """The top-level names that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.split(".")[0]


def foreign_imports(folder, refused):
    """Each import below `folder` that `refused` says yes to, as `file: name`."""
    return [f"{path.name}: {name}" for path in sorted(folder.rglob("*.py")) for name in imports(path) if refused(name)]


def words_used(folder, words):
    """Each of `words` that a file below `folder` uses, in code, texts or comments, as `file:line: word`."""
    pattern = re.compile(rf"(?<![A-Za-z0-9])({'|'.join(map(re.escape, sorted(words)))})(?![A-Za-z0-9])", re.IGNORECASE)
    return [
        f"{path.name}:{number}: {match.group()}"
        for path in sorted(folder.rglob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        for match in pattern.finditer(line)
    ]


def sample_words():
    with (ROOT / "data/raw/telco_churn.csv").open(newline="") as stream:
        return {"churn", "telco", *next(csv.reader(stream))} - OWN_WORDS


def test_the_library_never_imports_the_model_of_this_repository():
    assert foreign_imports(ROOT / "src/seatrial", lambda name: name == "churn") == []


def test_the_library_names_no_column_of_the_sample():
    assert words_used(ROOT / "src/seatrial", sample_words()) == []


def test_the_model_test_suite_names_no_column_of_the_sample():
    assert words_used(ROOT / "tests/model", sample_words()) == []


def test_tasks_import_only_nox_and_the_standard_library():
    allowed = {"nox", "tasks"} | sys.stdlib_module_names
    assert foreign_imports(ROOT / "tasks", lambda name: name not in allowed) == []


def test_the_fences_see_what_they_forbid(tmp_path):
    (tmp_path / "bad.py").write_text("def f():\n    from churn.train import fit\n    return 'senior_citizen', fit\n")
    assert foreign_imports(tmp_path, lambda name: name == "churn") == ["bad.py: churn"]
    assert words_used(tmp_path, sample_words()) == ["bad.py:2: churn", "bad.py:3: senior_citizen"]


def loaded_by(code):
    """The heavy libraries that a fresh interpreter has loaded after `code`."""
    script = f"import sys\n{code}\nprint('loaded:', *sorted({{name.split('.')[0] for name in sys.modules}} & {HEAVY!r}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1].split()[1:]


HELP = "import seatrial.cli\ntry:\n    seatrial.cli.main(['--help'])\nexcept SystemExit as ended:\n    assert ended.code == 0\n"


@pytest.mark.parametrize("code", ["import seatrial", HELP, "import seatrial.params, seatrial.project, seatrial.verdict, seatrial.located"])
def test_a_start_loads_nothing_heavy(code):
    assert loaded_by(code) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_loads_nothing_heavy_before_it_has_work_to_do(command):
    assert loaded_by(f"import seatrial.commands.{command}") == []


def test_the_fence_sees_a_heavy_library():
    assert loaded_by("import numpy") == ["numpy"]


def test_what_scores_leaves_no_file_of_its_makers_telemetry(tmp_path):
    env = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"} | {"TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", "import seatrial, onnxruntime"], env=env, check=True)
    assert list(tmp_path.iterdir()) == []
