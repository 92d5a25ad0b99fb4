"""16 writers with 25 bundles each on one registry: no lost registration, no wrong champion (`-- --writers N --each M`)."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks._common import table
from tests.writers import problems, run_writers


def main() -> None:
    """Let them write, then ask the registry."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--writers", type=int, default=16)
    parser.add_argument("--each", type=int, default=25)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        start = time.perf_counter()
        answers = run_writers(Path(scratch), options.writers, options.each)
        seconds = time.perf_counter() - start
        found = problems(Path(scratch), answers)
    moved = sum(len(answer["promoted"]) for answer in answers)
    rows = [[str(options.writers), str(options.writers * options.each), str(moved), f"{seconds:.0f}", "; ".join(found) or "none"]]
    table("Writers on one registry", ["writers", "registrations", "promotions", "seconds", "problems"], rows)
    if found:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
