"""Exec a detached controller: `python -I -S detached.py FILE`, where FILE holds its command, folder and environment, mode 0600.

supervisord's own files can be read by others, so what the registry needs (addresses, tokens) is kept out of them. From the second
start on, this waits longer each time, as the leash counts the starts. Nothing but the standard library is imported.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

NAME = "SEATRIAL_DETACHED"
"""Set for a detached controller: how often it was started. From the second time on, it only goes on with what was interrupted."""
PREFIXES = ("AWS_", "AZURE_", "DATABRICKS_", "GOOGLE_", "MLFLOW_", "SEATRIAL_")
NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR", "PYTHONPATH")
"""What a controller needs besides the things that every program gets: how to reach the registry and its files."""
LONGEST_S = 60.0


def wanted(env: dict[str, str]) -> dict[str, str]:
    """What of an environment goes into the file."""
    return {name: value for name, value in env.items() if name.startswith(PREFIXES) or name.upper() in NAMES}


def delay(starts: int) -> float:
    """Seconds to wait before a start, the first one being number 1."""
    return 0.0 if starts < 2 else min(LONGEST_S, 2.0 ** (starts - 2))


def main(file: str) -> None:
    """Replace this process by the controller."""
    given = json.loads(Path(file).read_bytes())
    try:
        starts = len((Path(file).parent / "starts/controller").read_bytes().splitlines())
    except OSError:
        starts = 1
    time.sleep(delay(starts))
    os.chdir(given["folder"])
    command = given["command"]
    os.execve(command[0], command, {**os.environ, **given["env"], NAME: str(starts)})  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(*sys.argv[1:])
