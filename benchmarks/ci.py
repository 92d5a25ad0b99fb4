"""A pull request's whole pipeline on one machine, beside `nox -s validate train gate deploy` alone, in turn.

Both begin with a clean clone and packages in uv's cache. The pipeline has the base's data and bundle from its cache, as a forge has; it
brings up the base's model, and trains, gates and rolls out what the pull request changed.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from benchmarks._common import clone, free_port, median, nox_command, plain_environment, table, timed

RUNS = 3
SESSIONS = ["-s", "validate", "train", "gate", "deploy"]
AUTHOR = ("-c", "user.name=bench", "-c", "user.email=bench@example.org")


def main() -> None:
    """Warm the cache with the base, then time both for one pull request after the other."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, env = clone(Path(scratch)), plain_environment()
        _begin(folder)
        timed([*nox_command(), "-s", "ci", "--", "train.yml"], cwd=folder, env=env)
        pairs = [_pair(folder, Path(scratch) / f"alone-{number}", number, env) for number in range(RUNS)]
    pipeline, alone = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    ratio = median([one / other for one, other in pairs])
    table(
        f"A pull request that changes the model, median of {RUNS} pairs",
        ["command", "seconds", "ratio"],
        [
            ["nox -s ci -- train.yml", f"{median(pipeline):.1f}", f"{ratio:.2f}"],
            ["nox -s validate train gate deploy", f"{median(alone):.1f}", "1"],
        ],
    )


def _begin(folder: Path) -> None:
    """The default branch of a repository without upstream, on ports that nobody holds."""
    _git(folder, "checkout", "--quiet", "-B", "main")
    _git(folder, "remote", "remove", "origin")
    _change(folder, ("port: 8080", f"port: {free_port()}"), ("port: 18080", f"port: {free_port()}"))


def _pair(folder: Path, alone: Path, number: int, env: dict[str, str]) -> tuple[float, float]:
    _git(folder, "checkout", "--quiet", "-B", f"pull-{number}", "main")
    _change(folder, ("max_iter: 150", f"max_iter: {140 - number}"))
    pipeline = timed([*nox_command(), "-s", "ci", "--", "train.yml"], cwd=folder, env=env)
    subprocess.run(["git", "clone", "--quiet", str(folder), str(alone)], check=True)
    try:
        return pipeline, timed([*nox_command(), *SESSIONS], cwd=alone, env=env)
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
