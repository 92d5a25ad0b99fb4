"""The sweeper of a simulation: waits until its standard input ends, then ends all that runs in a folder, and removes it.

    python -m seatrial.simulation.sweeper FOLDER

Its input is a pipe that the simulation holds open, so that it ends with the simulation however that ended; Ctrl-C is not for it.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from seatrial.adapters.endpoint import LocalEndpoint
from seatrial.errors import SeatrialError
from seatrial.params import Rollout
from seatrial.scratch import processes_in

PATIENCE_S = 20.0
POLL_S = 0.1


def sweep(folder: Path) -> None:
    """End who works in the folder, stop its endpoint, kill what is left, remove the folder."""
    endpoint = folder / "live/endpoint"
    _signal(folder, signal.SIGKILL, but=str(endpoint.parent))
    with suppress(SeatrialError, OSError):
        LocalEndpoint(endpoint.parent, Rollout(), say=lambda text: None).down()
    end = time.monotonic() + PATIENCE_S
    while _signal(folder, signal.SIGKILL) and time.monotonic() < end:
        time.sleep(POLL_S)
    shutil.rmtree(folder, ignore_errors=True)


def _signal(folder: Path, number: signal.Signals, *, but: str | None = None) -> int:
    """Signal every process of the folder, but for those whose command names `but`; gives how many there were."""
    found = [pid for pid, command in processes_in(folder).items() if pid != os.getpid() and not (but and but in command)]
    for pid in found:
        with suppress(OSError):
            os.kill(pid, number)
    return len(found)


def main(argv: list[str]) -> int:
    """Wait, then sweep."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.stdin.buffer.read()
    sweep(Path(argv[0]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
