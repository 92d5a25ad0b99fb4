"""The bundle's digest over three clean trainings, each in a clone without a DVC cache."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from benchmarks._common import ROOT, clone, plain_environment, table, timed

RUNS = 3


def main() -> None:
    """Train three times from nothing, with another hash seed each time; SystemExit where the digests differ."""
    found = [_train(run) for run in range(RUNS)]
    table("Clean trainings", ["run", "PYTHONHASHSEED", "digest"], [[str(run + 1), str(run), digest] for run, digest in enumerate(found)])
    if len(set(found)) != 1:
        raise SystemExit("the digests differ")


def _train(run: int) -> str:
    with tempfile.TemporaryDirectory() as scratch:
        folder = clone(Path(scratch))
        path = os.pathsep.join([str(ROOT / ".venv/bin"), os.environ["PATH"]])
        env = plain_environment(PATH=path, PYTHONHASHSEED=str(run), PYTHONPATH=str(folder / "src"), SHELL="/bin/sh")
        timed(["dvc", "repro"], cwd=folder, env=env)
        return f"sha256:{hashlib.sha256((folder / 'artifacts/model/manifest.json').read_bytes()).hexdigest()}"


if __name__ == "__main__":
    main()
