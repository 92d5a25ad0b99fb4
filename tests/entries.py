"""Answered requests as a server gives them to its prediction log."""

from dataclasses import replace

from seatrial.serving.predictions import Entry
from seatrial.serving.rows import Decoder


def make_entry(manifest, rows, *, at, request_id="r1", labels=None, probabilities=None, ids=None, **given):
    """One request for `rows`, answered at a moment (aware); each row's label is Yes and its probability 0.75 where none are given.

    `ids` are the rows' ids where they do not stand in the rows; `given` are other fields of the entry.
    """
    decoded = Decoder(manifest).records(rows)
    return Entry(
        request_id=request_id,
        time=round(at.timestamp() * 1e6),
        rows=decoded if ids is None else replace(decoded, ids=ids),
        labels=labels or ["Yes"] * decoded.count,
        probabilities=probabilities or [0.75] * decoded.count,
        **{"variant": "champion", "simulated": False, "latency_ms": 0.5, "size": 100} | given,
    )
