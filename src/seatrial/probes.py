"""What a rollout asks of the challenger itself: its golden rows, and its answers to mirrored requests beside the champion's."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seatrial.adapters.envoy import read_clusters
from seatrial.adapters.sockets import UnixConnection
from seatrial.bundle import load_bundle
from seatrial.errors import EndpointError
from seatrial.rollout_state import Pairs, Pin, Smoke
from seatrial.serving.compaction import superseded

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

TOLERANCE = 1e-5
TIMEOUT_S = 5.0
LIVE = ("champion", "challenger")
MOST_ROWS = 100_000
EXACT = 1e-6
"""Of each side, the newest: more would tell a distance no better."""
ASKED = ("request_id", "time", "variant", "label", "probability")
HEADERS = {"content-type": "application/json", "x-seatrial-simulated": "1"}


def smoke_test(home: Path, challenger: Pin, folder: Path) -> Smoke:
    """Ask every server of the challenger the bundle's golden rows over its own socket, as Envoy will, and compare the answers."""
    golden = load_bundle(folder, expected=challenger.digest).golden
    rows, promised = [case["row"] for case in golden], [float(case["probability"]) for case in golden]
    try:
        answers = [_ask(path, rows, challenger) for path in _sockets(home, challenger.version)]
    except (OSError, HTTPException, ValueError, KeyError, TypeError, IndexError, EndpointError) as error:
        return Smoke(rows=len(rows), problem=f"version {challenger.version} did not answer the golden rows: {error}")
    smokes = [compare_answers(found, promised) for found in answers]
    broken = next((smoke for smoke in smokes if smoke.problem is not None), None)
    return broken or Smoke(rows=len(rows), worst=max(smoke.worst or 0.0 for smoke in smokes))


def compare_answers(found: Sequence[float], promised: Sequence[float]) -> Smoke:
    """Golden answers against the promised ones; a missing one, or one that is no number, is a problem."""
    if not promised or len(found) != len(promised):
        return Smoke(rows=len(promised), problem=f"{len(found)} answers to {len(promised)} golden rows")
    differences = [abs(answer - expected) for answer, expected in zip(found, promised, strict=True)]
    worst = max(differences)
    if not all(math.isfinite(value) and value <= TOLERANCE for value in differences):
        row = next(index for index, value in enumerate(differences) if not value <= TOLERANCE)
        problem = f"golden row {row}: answered {found[row]}, the bundle promises {promised[row]}"
        return Smoke(rows=len(promised), worst=worst if math.isfinite(worst) else None, problem=problem)
    return Smoke(rows=len(promised), worst=worst)


def _sockets(home: Path, version: int) -> tuple[str, ...]:
    """The sockets at which Envoy reaches a version."""
    try:
        clusters = read_clusters((home / "endpoint/envoy/clusters.json").read_bytes())
    except OSError:
        clusters = None
    sockets = clusters.sockets.get(version, ()) if clusters else ()
    if not sockets:
        raise EndpointError(f"Envoy knows no server of version {version}", hint="start the endpoint again: seatrial up")
    return sockets


def _ask(path: str, rows: Sequence[Mapping[str, Any]], challenger: Pin) -> list[float]:
    connection = UnixConnection(Path(path), TIMEOUT_S)
    try:
        connection.request("POST", "/invocations", json.dumps({"dataframe_records": rows}), HEADERS)
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        raise EndpointError(f"status {answer.status}: {body[:200].decode(errors='replace')}")
    if answer.headers.get("x-seatrial-digest") != challenger.digest:
        raise EndpointError(f"it names the digest {answer.headers.get('x-seatrial-digest')}, not {challenger.digest}")
    return [float(prediction["probability"]) for prediction in json.loads(body)["predictions"]]


def compare_mirrored(log: Path, champion: int, challenger: int, *, since: float) -> Pairs | None:
    """Answers to the requests that both versions had, from the parts of the prediction log written after `since` (unix time).

    None where the log cannot be read: a signal that is missing.
    """
    import polars as pl

    from seatrial.serving.pairs import paired

    sides = _sides(log, champion, challenger, since)
    if sides is None:
        return None
    both = paired(*sides)
    differing = both.filter(pl.col("label") != pl.col("label_mirror")).height
    # The same requests on both sides: what differs is the models', not the draw's.
    shift = distance(both["probability"].to_numpy(), both["probability_mirror"].to_numpy())
    return Pairs(asked=both.height, differing=differing, shift=shift)


def compare_answered(log: Path, champion: int, challenger: int, *, since: float, begun: float) -> Pairs | None:
    """The distributions of both versions' own answers, each to requests of its own; None as in `compare_mirrored`.

    The challenger's since `since`, the champion's since the rollout has `begun`: at weight 100 it has none beside the challenger's.
    """
    import polars as pl

    sides = _sides(log, champion, challenger, since, begun)
    if sides is None:
        return None
    one, other = (side.filter(pl.col("variant").is_in(LIVE)).tail(MOST_ROWS) for side in sides)
    if not one.height or not other.height:
        return Pairs(asked=0, differing=0)
    shift = distance(one["probability"].to_numpy(), other["probability"].to_numpy())
    return Pairs(asked=other.height, differing=0, shift=shift, slack=chance_distance(one.height, other.height))


def distance(one: NDArray[np.float64], other: NDArray[np.float64]) -> float | None:
    """Lévy distance of two samples, shapes (n,) and (m,); None where one has nothing, or what is no number.

    The smallest e with F(x - e) - e <= G(x) <= F(x + e) + e for every x (P. Lévy, 1925; Billingsley, Probability and Measure): a
    difference of at most e in the probabilities of all but a share e of the answers. The Kolmogorov-Smirnov distance, which it never
    exceeds, would call it a shift of a half when half of the requests are one row whose probability moves by a thousandth.
    """
    import numpy as np

    if not one.size or not other.size or not (np.isfinite(one).all() and np.isfinite(other).all()):
        return None
    one, other = np.sort(one), np.sort(other)
    low, high = 0.0, 1.0
    if _excess(one, other, low) <= low:
        return low
    while high - low > EXACT:
        middle = (low + high) / 2
        low, high = (low, middle) if _excess(one, other, middle) <= middle else (middle, high)
    return high


def _excess(one: NDArray[np.float64], other: NDArray[np.float64], e: float) -> float:
    """By how much one of two sorted samples' distribution functions is above the other's, e further to the right, at the most."""
    import numpy as np

    def above(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
        share = np.searchsorted(first, first, side="right") / first.size
        beyond = np.searchsorted(second, first + e, side="right") / second.size
        return float((share - beyond).max())

    return max(above(one, other), above(other, one))


def chance_distance(n: int, m: int) -> float:
    """A distance that two samples of one distribution exceed at most once in a thousand times.

    Smirnov's asymptotic for the Kolmogorov-Smirnov distance at alpha 0.001; Lévy's is never larger.
    """
    return math.sqrt(-math.log(0.001 / 2) / 2) * math.sqrt((n + m) / (n * m))


def _sides(log: Path, champion: int, challenger: int, since: float, begun: float | None = None) -> tuple[pl.DataFrame, pl.DataFrame] | None:
    """The rows of both versions since then; None where the log cannot be read."""
    import polars as pl

    try:
        return _rows(log, champion, since if begun is None else begun), _rows(log, challenger, since)
    except (OSError, pl.exceptions.PolarsError):
        return None


def _rows(log: Path, version: int, since: float) -> pl.DataFrame:
    import polars as pl

    from seatrial.serving.pairs import own_columns

    recent = [path for path in log.glob(f"date=*/{version}-*.parquet") if path.stat().st_mtime >= since]
    twice = superseded(recent)  # a merged part is as new as the newest that it holds
    chosen = [path for path in recent if path not in twice]
    if not chosen:
        types: dict[str, Any] = {"time": pl.Datetime("us", "UTC"), "probability": pl.Float64}
        return pl.DataFrame(schema={name: types.get(name, pl.String) for name in ASKED})
    first = pl.lit(int(since * 1e6)).cast(pl.Datetime("us", "UTC"))  # a merged part holds older rows too
    return pl.concat([own_columns(path, ASKED) for path in chosen]).filter(pl.col("time") >= first).collect()
