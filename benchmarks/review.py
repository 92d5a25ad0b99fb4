"""`nox -s review` beside `dvc metrics diff` on the same change, in turn; with the base's model and without it, and the imports alone.

Both start Python and read the same two commits. What the review takes beyond DVC's answer is what a pull request waits for.
"""

from __future__ import annotations

import resource
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from benchmarks._common import clone, median, nox_command, plain_environment, table, timed

RUNS = 5
IMPORTS = "import seatrial.commands.review, seatrial.review_facts, seatrial.review_sections, seatrial.review_page"
SCORING = f"{IMPORTS}, seatrial.evidence, seatrial.serving.runtime, seatrial.checks.slices, seatrial.checks.drift_scores"


class Times(NamedTuple):
    """Seconds on the clock, and those of the processors in all processes."""

    wall: float
    cpu: float


def main() -> None:
    """Train a second model in a clone, then time each command in turn."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, env = clone(Path(scratch)), plain_environment()
        timed([*nox_command(), "-s", "train"], cwd=folder, env=env)
        base = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()
        params = folder / "params.yaml"
        params.write_text(params.read_text().replace("max_iter: 150", "max_iter: 60"))
        timed([*nox_command(), "-s", "train"], cwd=folder, env=env)
        rounds = [_round(folder, {**env, "PATH": f"{folder}/.venv/bin:{env['PATH']}"}, base) for _ in range(RUNS + 1)][1:]
    rows = [_row(name, [(one[name], one["dvc metrics diff"]) for one in rounds]) for name in rounds[0]]
    table(f"One change, median of {RUNS} rounds", ["command", "seconds", "beyond dvc metrics diff", "ratio", "CPU seconds", "ratio"], rows)


def _row(name: str, pairs: list[tuple[Times, Times]]) -> list[str]:
    """A command's times beside those of DVC in the same rounds."""
    own, beyond = median([one.wall for one, _ in pairs]), median([one.wall - other.wall for one, other in pairs])
    ratios = [median([one.wall / other.wall for one, other in pairs]), median([one.cpu / other.cpu for one, other in pairs])]
    cpu = median([one.cpu for one, _ in pairs])
    return [name, f"{own:.2f}", f"{beyond:+.2f}", f"{ratios[0]:.2f}", f"{cpu:.2f}", f"{ratios[1]:.2f}"]


def _time(command: list[str], folder: Path, env: dict[str, str]) -> Times:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall = timed(command, cwd=folder, env=env)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Times(wall=wall, cpu=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def _round(folder: Path, env: dict[str, str], base: str) -> dict[str, Times]:
    """The times of each command; the order is DVC, ours, the parts."""
    program, cache = folder / ".venv/bin", folder / ".dvc/cache"
    review = [str(program / "seatrial"), "review", "--base", base]
    found = {"dvc metrics diff": _time([str(program / "dvc"), "metrics", "diff", base, "--json"], folder, env)}
    found["seatrial review"] = _time(review, folder, env)
    cache.rename(cache.with_name("away"))
    found["the same without the base's model"] = _time(review, folder, env)
    cache.with_name("away").rename(cache)
    found["its imports, alone"] = _time([str(program / "python"), "-c", IMPORTS], folder, env)
    found["its imports with those that score models"] = _time([str(program / "python"), "-c", SCORING], folder, env)
    return found


if __name__ == "__main__":
    main()
