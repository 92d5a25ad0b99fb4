"""Small projects of their own for whole-flow tests: another table, another target, the same stages."""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import psutil

from seatrial.adapters.runtimes import remove_tree

ROOT = Path(__file__).parents[2]

PARAMS = """\
model: {{name: loan-default, task: binary, primary: roc_auc}}
data: {{raw: data/raw/loans.csv, contract: data/contract.yaml, target: defaulted, positive: "1", id: null, groups: []}}
preprocess: {{test_size: 0.3, seed: 0}}
train: {{estimator: hist_gradient_boosting, max_iter: 30, learning_rate: 0.1, max_depth: 3, seed: 0, threshold: f1}}
tracking: {{experiment: loans}}
gate:
  metrics:
    roc_auc: {{floor: 0.7, margin: 0.1}}
    log_loss: {{ceiling: 0.63, margin: 0.1}}
  latency: {{requests: 800, rate: 1600}}
  max_flips: 0.5
  slices: {{columns: [purpose, debt], margin: 0.2}}
  noise: {{seeds: 5}}
rollout: {{port: {port}, min_requests: 30, max_increase: 0.2, max_broken: 0.2, max_slow: 0.2,
          steps: [mirror, 20, 100], replay: {{rate: 300}}, bake_seconds: 0}}
environments:
  production: {{rollout: {{replay: null, approval: true}}}}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def write_table(path, rows=1500, seed=0):
    """A table without an id: numbers, a category, a 0/1 target that depends on them."""
    draw = random.Random(seed)
    lines = ["income,debt,purpose,employed,defaulted"]
    for number in range(rows):
        income, debt = round(draw.uniform(10, 120), 1), round(draw.uniform(0, 80), 1)
        purpose, employed = draw.choice(("car", "home", "study")), draw.choice(("true", "false"))
        risk = 0.15 + 0.6 * (debt > 40) * (income < 80) + 0.15 * (purpose == "study")
        shown = "" if number % 40 == 0 else income
        lines.append(f"{shown},{debt},{purpose},{employed},{int(draw.random() < risk)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


class SmallProject:
    """A project in a folder of its own, driven by the command line as a person would."""

    def __init__(self, folder: Path, *, git=True):
        self.root, self.port = folder, free_port()
        for name in (
            "dvc.yaml",
            "metrics/noise/dvc.yaml",
            "requirements.lock",
            "src",
            "tests/model",
            ".dvc/config",
            ".dvc/.gitignore",
            ".gitignore",
            ".dvcignore",
        ):
            source, target = ROOT / name, folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, target, ignore=ignore) if source.is_dir() else shutil.copy(source, target)
        write_table(folder / "data/raw/loans.csv")
        (folder / "params.yaml").write_text(PARAMS.format(port=self.port))
        if git:
            self.git("init", "--quiet")
            self.git("add", "--all")
            self.git("-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "--quiet", "-m", "start")

    def git(self, *arguments):
        subprocess.run(["git", *arguments], cwd=self.root, check=True, capture_output=True)

    def keep(self):
        """Keep all that it holds now, for `put_back`."""
        _copy(self.root, self.root.with_name("kept"))

    def put_back(self):
        """Make it hold what was kept and nothing else, in the same place, which its registry names; nothing of it may run."""
        remove_tree(self.root)  # an endpoint's runtimes are read-only
        _copy(self.root.with_name("kept"), self.root)

    def environment(self, **more):
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "SEATRIAL_", "DVC_"))}
        return {**kept, "PYTHONPATH": str(self.root / "src"), "GIT_CEILING_DIRECTORIES": str(self.root.parent), **more}

    def start(self, *arguments, **more):
        command = [sys.executable, "-m", "seatrial", *arguments]
        return subprocess.Popen(
            command,
            cwd=self.root,
            env=self.environment(**more),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments, expect=0, **more):
        """Run a command; its output, once its exit code is the expected one."""
        process = self.start(*arguments, **more)
        try:
            output, _ = process.communicate(timeout=300)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        assert process.returncode == expect, output
        assert "Traceback" not in output, output
        return output

    def change(self, old, new):
        path = self.root / "params.yaml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def verdict(self, kind):
        return json.loads((self.root / f"metrics/{kind}.json").read_bytes())

    def status(self):
        return json.loads(self.run("status", "--json"))

    def processes(self, words):
        """Those that run in its folder with these words in their command line."""
        found = psutil.process_iter(["cmdline", "cwd"])
        return [one for one in found if words in " ".join(one.info["cmdline"] or []) and one.info["cwd"] == str(self.root)]

    def ask(self, row):
        """The answer to one row, and its headers."""
        body = json.dumps({"dataframe_records": [row]}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/invocations", data=body, headers={"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read()), dict(answer.headers)


ROW = {"income": 50.0, "debt": 60.0, "purpose": "study", "employed": True}


def _copy(source, target):
    subprocess.run(["cp", "-a", source, target], check=True)  # what DVC linked stays linked
