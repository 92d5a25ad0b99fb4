# /// script
# requires-python = ">=3.11"
# dependencies = ["nox[uv]>=2026.10.20"]
# ///
"""The sessions, in the order of the pipeline: `nox -s validate train gate deploy`, or `uv run noxfile.py -s …`.

A bare `nox` computes (validate, train, gate) and touches nothing outside; what acts on the world has to be named.
"""

import sys
from pathlib import Path

import nox

if __name__ == "__main__":  # as a script: nox reads this file itself, and finds the tasks not imported yet
    nox.main()

sys.path.insert(0, str(Path(__file__).parent))

# Importing a task registers its sessions, so the order of these lines is the order in which sessions run and are listed.
# ruff: noqa: F401, I001
from tasks import (
    pull,
    validate,
    train,
    rerun,
    diff,
    gate,
    review,
    push,
    verify,
    transfer,
    deploy,
    live,
    drift,
    drill,
    simulate,
    project,
    lock,
)

nox.needs_version = ">=2026.10.20"
nox.options.default_venv_backend = "none"
nox.options.stop_on_first_error = True
