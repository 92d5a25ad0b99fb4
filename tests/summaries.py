"""Summaries of small frames for tests, by the same pass that reads files."""

import tempfile
from pathlib import Path

from seatrial.params import Data
from seatrial.scan import PartScan, summarise
from seatrial.sources import Part
from seatrial.summary import PartFacts

DATA = Data(raw="table", target="target")


def scanned(frame, contract, folder, *, name="t.parquet", batch=None, data=DATA):
    """The summary of one frame as one part, read in batches of so many rows; repeats are not asked."""
    scan = PartScan(name, contract, data, folder)
    for piece in frame.iter_slices(batch or max(1, frame.height)):
        scan.add(piece)
    stored = {column: str(kind) for column, kind in frame.schema.items()}
    return scan.close(PartFacts(name=name, digest="md5:0", rows=frame.height, stored=stored))


def written(frames, folder):
    """The frames as Parquet parts in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for at, frame in enumerate(frames):
        path = folder / f"part-{at}.parquet"
        frame.write_parquet(path)
        parts.append(
            Part(name=path.name, location=str(path), format="parquet", digest=f"md5:{frame.hash_rows().sum()}", size=path.stat().st_size)
        )
    return parts


def summary_of(frame, contract, *, data=DATA, parts=1):
    """The summary of a frame, repeats included, as if it lay on disk in so many parts."""
    with tempfile.TemporaryDirectory() as scratch:
        size = max(1, -(-frame.height // parts))
        frames = list(frame.iter_slices(size)) or [frame]
        return summarise(written(frames, Path(scratch) / "table"), contract, data, home=Path(scratch) / "home")
