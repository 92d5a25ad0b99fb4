"""One validation in this process: prints seconds (imports apart), peak memory in MiB and outcome as JSON."""

import datetime as dt
import json
import resource
import sys
import time
from pathlib import Path

import datasketches  # noqa: F401 - imports are paid before the clock starts
import numpy  # noqa: F401
import polars  # noqa: F401
import pyarrow.csv  # noqa: F401

import seatrial.validation
from seatrial import contract, data_page, progress, scan, sources, tables  # noqa: F401
from seatrial.checks import label, quality, schema, shift, waivers  # noqa: F401
from seatrial.project import Project


def main() -> None:
    """Validate the project in the folder that is named."""
    project = Project(root=Path(sys.argv[1]), env={})
    start = time.perf_counter()
    answer = seatrial.validation.validate(project, now=dt.datetime(2026, 11, 20, tzinfo=dt.UTC))
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "peak_mib": peak, "outcome": answer.verdict.outcome.value, "checks": len(answer.verdict.checks)}))


if __name__ == "__main__":
    main()
