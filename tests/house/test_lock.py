"""What is installed: every version by its hash, from wherever the reader's own index is."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]


def lock_problems(text):
    """What is wrong with a lock file: a package without a version or hash, an option, an address, a path."""
    problems = []
    packages = re.split(r"\n(?=[^\s#])", "\n" + text.replace("\\\n", " "))[1:]
    for package in packages:
        name = package.split()[0]
        code = "\n".join(line.split("  #")[0] for line in package.splitlines() if not line.strip().startswith("#"))
        if not re.fullmatch(r"[A-Za-z0-9._-]+(\[[\w,-]+\])?==\S+", name):
            problems.append(f"{name}: not one version of one package")
        if "--hash=sha256:" not in code:
            problems.append(f"{name}: no hash")
    return problems + [f"{word}: an address or a path" for word in re.findall(r"\S*(?:://|(?<!\S)\.{0,2}/)\S*|(?<!\S)--(?!hash)\S+", text)]


def test_the_lock_has_a_hash_for_every_package_and_no_address():
    text = (ROOT / "requirements.lock").read_text()
    assert len(re.findall(r"^\S+==", text, re.MULTILINE)) > 100
    assert lock_problems(text) == []


def test_the_lock_names_every_dependency_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"].items()
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    wanted += [line for name, lines in extras if name != "all" for line in lines]
    locked = set(re.findall(r"^([a-z0-9._-]+)(?:\[[^\]]*\])?==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    names = {re.sub(r"[._-]+", "-", Requirement(line).name).lower() for line in wanted}
    assert names - locked == set()


def test_the_fence_sees_what_it_forbids():
    good = "one==1.0 \\\n    --hash=sha256:00\n    # via two\n"
    assert lock_problems(good) == []
    for bad in ("one==1.0\n", "one>=1.0 \\\n    --hash=sha256:00\n", "one @ file:///tmp/one \\\n    --hash=sha256:00\n"):
        assert lock_problems(good + bad) != [], bad
    for bad in ("--index-url https://example.org/simple\n", "--find-links ./wheels\n", "-e .\n", "/tmp/one.whl \\\n    --hash=sha256:00\n"):
        assert lock_problems(bad + good) != [], bad


def script_header(text):
    """The table of a PEP 723 header, or None."""
    match = re.search(r"^# /// script\n((?:#(?: .*)?\n)+?)# ///$", text, re.MULTILINE)
    return tomllib.loads("".join(line[2:] + "\n" for line in match.group(1).splitlines())) if match else None


def test_the_noxfile_says_what_it_needs_so_that_uv_can_run_it():
    header = script_header((ROOT / "noxfile.py").read_text())
    assert header is not None
    assert header["requires-python"].startswith(">=3.11")
    requirement = Requirement(header["dependencies"][0])
    assert (requirement.name, requirement.extras) == ("nox", {"uv"})
    assert script_header("import nox\n") is None


def test_the_noxfile_runs_as_a_script_too():
    answer = subprocess.run([sys.executable, "noxfile.py", "-l"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert "* validate -> " in answer.stdout
    assert "- deploy -> " in answer.stdout
