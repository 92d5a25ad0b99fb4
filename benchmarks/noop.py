"""An unchanged second `nox -s validate train gate deploy`, beside a bare no-op `dvc repro`, in turn."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks._common import clone, free_port, median, nox_command, plain_environment, table, timed, use_port

RUNS = 7
SESSIONS = ["-s", "validate", "train", "gate", "deploy"]


def main() -> None:
    """Release once in a clone, then time both commands in turn."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, env = clone(Path(scratch)), plain_environment()
        use_port(folder, free_port())
        try:
            timed([*nox_command(), *SESSIONS], cwd=folder, env=env)
            pairs = [_pair(folder, env) for _ in range(RUNS + 1)][1:]
        finally:
            timed([*nox_command(), "-s", "down"], cwd=folder, env=env, expect=None)
    ours, theirs = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    ratio = median([one / other for one, other in pairs])
    table(
        f"Unchanged second run, median of {RUNS} pairs",
        ["command", "seconds", "ratio"],
        [["nox -s validate train gate deploy", f"{median(ours):.2f}", f"{ratio:.2f}"], ["dvc repro", f"{median(theirs):.2f}", "1"]],
    )


def _pair(folder: Path, env: dict[str, str]) -> tuple[float, float]:
    ours = timed([*nox_command(), *SESSIONS], cwd=folder, env=env)
    theirs = timed([str(folder / ".venv/bin/dvc"), "repro"], cwd=folder, env={**env, "PATH": f"{folder}/.venv/bin:{env['PATH']}"})
    return ours, theirs


if __name__ == "__main__":
    main()
