"""What a rollout asks of the challenger itself: its golden rows, and its answers to mirrored requests beside the champion's."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any

from seatrial.adapters.envoy import read_clusters
from seatrial.adapters.sockets import UnixConnection
from seatrial.bundle import load_bundle
from seatrial.errors import EndpointError
from seatrial.rollout_state import Pairs, Pin, Smoke
from seatrial.serving.compaction import superseded

TOLERANCE = 1e-5
TIMEOUT_S = 5.0
ASKED = ("request_id", "time", "variant", "label")
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
    """Labels of the requests that both versions answered, from the parts of the prediction log written after `since` (unix time).

    None where the log cannot be read: a signal that is missing.
    """
    import polars as pl

    from seatrial.serving.pairs import own_columns, paired

    def answers(version: int) -> list[Path]:
        recent = [path for path in log.glob(f"date=*/{version}-*.parquet") if path.stat().st_mtime >= since]
        twice = superseded(recent)  # a merged part is as new as the newest that it holds
        return [path for path in recent if path not in twice]

    try:
        sides = [answers(champion), answers(challenger)]
        if not all(sides):
            return Pairs(asked=0, differing=0)
        first = pl.lit(int(since * 1e6)).cast(pl.Datetime("us", "UTC"))  # a merged part holds older rows too
        one, other = (pl.concat([own_columns(path, ASKED) for path in side]).filter(pl.col("time") >= first).collect() for side in sides)
    except (OSError, pl.exceptions.PolarsError):
        return None
    both = paired(one, other)
    return Pairs(asked=both.height, differing=both.filter(pl.col("label") != pl.col("label_mirror")).height)
