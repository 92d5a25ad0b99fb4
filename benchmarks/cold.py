"""The first command on a fresh machine: fresh clone, empty uv cache, nothing running."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks._common import clone, free_port, nox_command, plain_environment, table, timed, use_port


def main() -> None:
    """Time `nox -s validate train gate deploy` from nothing."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = clone(Path(scratch))
        env = plain_environment(UV_CACHE_DIR=str(Path(scratch) / "cache"))
        use_port(folder, free_port())
        try:
            seconds = timed([*nox_command(), "-s", "validate", "train", "gate", "deploy"], cwd=folder, env=env)
            again = timed([*nox_command(), "-s", "validate", "train", "gate", "deploy"], cwd=folder, env=env)
        finally:
            timed([*nox_command(), "-s", "down"], cwd=folder, env=env, expect=None)
    table(
        "From nothing to live traffic",
        ["run", "seconds"],
        [["first, empty cache", f"{seconds:.1f}"], ["second, nothing changed", f"{again:.1f}"]],
    )


if __name__ == "__main__":
    main()
