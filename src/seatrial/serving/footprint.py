"""How much memory a process of its own takes at its peak to load a bundle and score rows.

python -m seatrial.serving.footprint BUNDLE DIGEST ROWS
"""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

from seatrial.bundle import load_bundle
from seatrial.errors import BundleError
from seatrial.serving.runtime import Runtime

_STATUS = Path("/proc/self/status")


def peak_memory(bundle: Path, digest: str, rows: int, *, timeout: float = 300) -> int:
    """Bytes that a fresh process held at most, Python and its libraries included; the rows are the bundle's golden ones, repeated.

    Raises BundleError where the process does not end well.
    """
    command = [sys.executable, "-m", "seatrial.serving.footprint", str(bundle), digest, str(rows)]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        raise BundleError(f"the bundle was not loaded and asked within {timeout:.0f} s") from None
    if ended.returncode:
        raise BundleError(f"the process that loads the bundle ended with {ended.returncode}: {ended.stderr.strip()[-300:]}")
    return int(ended.stdout)


def peak_of_this_process() -> int:
    """Bytes that this process held at most.

    On Linux from the kernel's figure for this program: `getrusage` there counts what the parent held before it started us.
    """
    if _STATUS.exists():
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def main(bundle: str, digest: str, rows: str) -> None:
    """Load, score, and print the bytes."""
    import polars as pl

    runtime = Runtime(load_bundle(Path(bundle), expected=digest))
    golden = pl.from_dicts([one["row"] for one in runtime.bundle.golden], infer_schema_length=None)
    repeats = -(-int(rows) // golden.height)
    runtime.score_frame(pl.concat([golden] * repeats).head(int(rows)))
    print(peak_of_this_process())


if __name__ == "__main__":
    main(*sys.argv[1:])
