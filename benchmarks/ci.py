"""A pull request's whole pipeline on one machine, beside `nox -s validate train gate` alone (and `deploy` after it), in turn.

Both begin with a clean clone and packages in uv's cache. The pipeline has the base's data and bundle from its cache, as a forge has; it
brings up the base's model, and trains, gates and rolls out what the pull request changed.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

from benchmarks._common import clone, free_port, median, nox_command, plain_environment, table, timed

AUTHOR = ("-c", "user.name=bench", "-c", "user.email=bench@example.org")


def main() -> None:
    """Warm the cache with the base, then time both for one pull request after the other."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--pairs", type=int, default=3, help="pull requests (default: 3); each takes about five minutes")
    asked = options.parse_args()
    if asked.pairs < 1:
        options.error(f"--pairs is {asked.pairs}; at least one is measured")
    with tempfile.TemporaryDirectory() as scratch:
        folder, env = clone(Path(scratch)), plain_environment()
        _begin(folder)
        timed([*nox_command(), "-s", "ci", "--", "train.yml"], cwd=folder, env=env)
        pairs = [_pair(folder, Path(scratch) / f"alone-{number}", number, env) for number in range(asked.pairs)]
    rows = [
        ("nox -s ci -- train.yml", [one for one, _, _ in pairs], [one / alone for one, alone, _ in pairs]),
        ("nox -s validate train gate", [alone for _, alone, _ in pairs], [1.0]),
        ("nox -s validate train gate deploy", [alone + more for _, alone, more in pairs], [1 + more / alone for _, alone, more in pairs]),
    ]
    table(
        f"A pull request that changes the model, median of {asked.pairs} pairs",
        ["command", "seconds", "ratio"],
        [[command, f"{median(seconds):.1f}", f"{median(ratios):.2f}"] for command, seconds, ratios in rows],
    )


def _begin(folder: Path) -> None:
    """The default branch of a repository without upstream, on ports that nobody holds."""
    _git(folder, "checkout", "--quiet", "-B", "main")
    _git(folder, "remote", "remove", "origin")
    _change(folder, ("port: 8080", f"port: {free_port()}"), ("port: 18080", f"port: {free_port()}"))


def _pair(folder: Path, alone: Path, number: int, env: dict[str, str]) -> tuple[float, float, float]:
    """Seconds of the pipeline, of the three sessions alone, and of `deploy` after them."""
    _git(folder, "checkout", "--quiet", "-B", f"pull-{number}", "main")
    _change(folder, ("max_iter: 150", f"max_iter: {140 - number}"))
    pipeline = timed([*nox_command(), "-s", "ci", "--", "train.yml"], cwd=folder, env=env)
    subprocess.run(["git", "clone", "--quiet", str(folder), str(alone)], check=True)
    try:
        judged = timed([*nox_command(), "-s", "validate", "train", "gate"], cwd=alone, env=env)
        deployed = timed([*nox_command(), "-s", "deploy"], cwd=alone, env=env)
        print(f"pull request {number + 1}: pipeline {pipeline:.1f} s, sessions {judged:.1f} s, deploy {deployed:.1f} s", flush=True)
        return pipeline, judged, deployed
    finally:
        timed([*nox_command(), "-s", "down"], cwd=alone, env=env, expect=None)


def _change(folder: Path, *pairs: tuple[str, str]) -> None:
    """Change params.yaml and commit it."""
    path = folder / "params.yaml"
    text = path.read_text()
    for old, new in pairs:
        text = text.replace(old, new)
    path.write_text(text)
    _git(folder, *AUTHOR, "commit", "--quiet", "--all", "--message", "change")


def _git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True)


if __name__ == "__main__":
    main()
