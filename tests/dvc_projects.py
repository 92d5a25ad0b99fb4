"""A DVC project that trains in a moment: one stage that makes a folder, one that measures it; a file named `hold` keeps it waiting."""

import os
import subprocess
import sys
import time
from pathlib import Path

from seatrial.project import Project

PARAMS = "model: {name: m}\ndata: {raw: data/raw.csv, target: a}\ntrain: {seed: 0}\n"
PIPELINE = """\
stages:
  train:
    cmd: python train.py
    deps: [train.py, data/raw.csv]
    params: [train.seed]
    outs: [artifacts/model]
  measure:
    cmd: python measure.py
    deps: [measure.py, artifacts/model]
    metrics:
      - metrics/evaluation.json: {cache: false}
"""
TRAIN = """\
import os, time
from pathlib import Path
from seatrial.stages import run_stage

def train(project):
    with open("runs.log", "a") as log:
        print("begun", os.getpid(), file=log, flush=True)
        while Path("hold").exists():
            time.sleep(0.02)
        assert not Path("fail").exists()
        folder = Path("artifacts/model")
        folder.mkdir(parents=True)
        (folder / "model.bin").write_bytes(Path("data/raw.csv").read_bytes() * 500)
        (folder / "manifest.json").write_text("{}")
        print("ended", os.getpid(), file=log, flush=True)

run_stage(train)
"""
MEASURE = """\
from pathlib import Path
Path("metrics").mkdir(exist_ok=True)
Path("metrics/evaluation.json").write_text('{"size": %d}' % Path("artifacts/model/model.bin").stat().st_size)
"""


def environment(root, **more):
    """The variables for a process in the project: this environment's programs, nothing of AWS or DVC but what is given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DVC_", "SEATRIAL_", "MLFLOW_"))}
    path = os.pathsep.join([str(Path(sys.executable).parent), kept["PATH"]])
    return {**kept, "PATH": path, "GIT_CEILING_DIRECTORIES": str(root.parent), "DVC_SITE_CACHE_DIR": str(root / ".dvc/site"), **more}


def make_project(root, **more):
    """The project, committed, nothing trained yet."""
    for name, text in {
        "params.yaml": PARAMS,
        "dvc.yaml": PIPELINE,
        "train.py": TRAIN,
        "measure.py": MEASURE,
        "data/raw.csv": "a,b\n1,2\n",
        ".dvc/config": "[core]\n    analytics = false\n    autostage = false\n",
        ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n/site\n",
        ".dvcignore": ".seatrial\n",
        ".gitignore": "/artifacts\n/.seatrial\n/runs.log\n/hold\n/fail\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    git(root, "init", "--quiet")
    commit(root)
    return Project(root=root, env=environment(root, **more))


def git(root, *arguments):
    done = subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments], cwd=root, check=True, capture_output=True
    )
    return done.stdout.decode()


def commit(root):
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--allow-empty", "-m", "as it is")


def dvc(project, *arguments, expect=0):
    """What DVC's own command says."""
    command = [sys.executable, "-m", "dvc", *arguments]
    done = subprocess.run(command, cwd=project.root, env=dict(project.env), capture_output=True, text=True, check=False)
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


def begun(project):
    """The process ids of the trainings that began, in order."""
    path = project.root / "runs.log"
    lines = path.read_text().splitlines() if path.exists() else []
    return [int(line.split()[1]) for line in lines if line.startswith("begun")]


def wait_for(condition, seconds=60):
    """What `condition` gives once it is true."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
    return found
