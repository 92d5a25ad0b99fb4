"""`nox -s review` beside `dvc metrics diff` on the same change, in turn; with the base's model and without it, and the imports alone.

Both start Python and read the same two commits. What the review takes beyond DVC's answer is what a pull request waits for.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from benchmarks._common import clone, median, nox_command, plain_environment, table, timed

RUNS = 5
IMPORTS = "import seatrial.commands.review, seatrial.review_facts, seatrial.review_sections, seatrial.review_page"
SCORING = f"{IMPORTS}, seatrial.evidence, seatrial.serving.runtime, seatrial.checks.slices, seatrial.checks.drift_scores"


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
    times = {name: median([one[name] for one in rounds]) for name in rounds[0]}
    ratios = {name: median([one[name] / one["dvc metrics diff"] for one in rounds]) for name in times}
    rows = [[name, f"{times[name]:.2f}", f"{times[name] - times['dvc metrics diff']:+.2f}", f"{ratios[name]:.2f}"] for name in times]
    table(f"One change, median of {RUNS} rounds", ["command", "seconds", "beyond dvc metrics diff", "ratio"], rows)


def _round(folder: Path, env: dict[str, str], base: str) -> dict[str, float]:
    """Seconds of each command; the order is DVC, ours, the parts."""
    program, cache = folder / ".venv/bin", folder / ".dvc/cache"
    review = [str(program / "seatrial"), "review", "--base", base]
    found = {"dvc metrics diff": timed([str(program / "dvc"), "metrics", "diff", base, "--json"], cwd=folder, env=env)}
    found["seatrial review"] = timed(review, cwd=folder, env=env)
    cache.rename(cache.with_name("away"))
    found["the same without the base's model"] = timed(review, cwd=folder, env=env)
    cache.with_name("away").rename(cache)
    found["its imports, alone"] = timed([str(program / "python"), "-c", IMPORTS], cwd=folder, env=env)
    found["its imports with those that score models"] = timed([str(program / "python"), "-c", SCORING], cwd=folder, env=env)
    return found


if __name__ == "__main__":
    main()
