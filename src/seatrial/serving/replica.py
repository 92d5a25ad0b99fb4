"""Score rows in a process of its own and print the answers' digest: two processes must agree to the last bit.

python -m seatrial.serving.replica BUNDLE DIGEST ROWS.parquet
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from seatrial.bundle import load_bundle
from seatrial.files import sha256_bytes
from seatrial.serving.runtime import Probabilities, Runtime


def scores_digest(probabilities: Probabilities) -> str:
    """Digest of probabilities as 8-byte floats, in order."""
    return sha256_bytes(probabilities.astype("<f8").tobytes())


def score_elsewhere(bundle: Path, digest: str, rows: Path, *, timeout: float = 300) -> str:
    """The digest of the same rows' answers from a fresh process, or a sentence that says why there is none."""
    command = [sys.executable, "-m", "seatrial.serving.replica", str(bundle), digest, str(rows)]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        return f"no answer within {timeout:.0f} s"
    return ended.stdout.strip() if ended.returncode == 0 else f"the process ended with {ended.returncode}: {ended.stderr.strip()[-300:]}"


def main(bundle: str, digest: str, rows: str) -> None:
    """Print the digest of the answers."""
    import polars as pl

    runtime = Runtime(load_bundle(Path(bundle), expected=digest))
    print(scores_digest(runtime.score_frame(pl.read_parquet(rows))))


if __name__ == "__main__":
    main(*sys.argv[1:])
