"""One run for each bundle in MLflow, whoever logs it, at the same time too.

MLflow names runs by chance, so two machines that log one digest at once begin two. Each then takes a number above those that it
sees, and the lowest stays (Lamport's bakery, 1974): the others are deleted, and their machines go on with the one that stayed. What
they write is the same, so it may be written twice; a run that a killed machine left half is gone on with.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

PLACE, ATTEMPT = "seatrial.place", "seatrial.attempt"
PATIENCE_S = 5.0
"""How long a run without a number is waited for: its machine takes two calls to give it one, or is dead."""


def claim_run(client: Any, experiment: str, wanted: Mapping[str, str], tags: Mapping[str, str], name: str) -> Any:
    """The one run of an experiment with the tags `wanted`, found or begun with `tags` beside them; finished or still to be written.

    Raises what MLflow's client raises.
    """
    if not find_runs(client, experiment, wanted):
        _queue(client, experiment, wanted, tags, name)
    first, *others = sorted(_settled(client, experiment, wanted), key=_order)
    for other in others:
        if PLACE in other.data.tags:
            _delete(client, other)
    return first


def find_runs(client: Any, experiment: str, wanted: Mapping[str, str]) -> list[Any]:
    """The runs that carry these tags, deleted ones left out."""
    words = " and ".join(f"tags.`{key}` = '{value}'" for key, value in wanted.items())
    return list(client.search_runs([experiment], filter_string=words, max_results=100))


def _queue(client: Any, experiment: str, wanted: Mapping[str, str], tags: Mapping[str, str], name: str) -> None:
    """Begin a run, then take a number above all that are seen; a request that MLflow's client sent twice began one run too many."""
    attempt = uuid4().hex
    mine = client.create_run(experiment, tags={**tags, **wanted, ATTEMPT: attempt}, run_name=name)
    found = find_runs(client, experiment, wanted)
    for other in found:
        if other.data.tags.get(ATTEMPT) == attempt and other.info.run_id != mine.info.run_id:
            _delete(client, other)
    numbers = [number for number in map(_number, found) if number < math.inf]
    client.set_tag(mine.info.run_id, PLACE, str(1 + max(numbers, default=0)))


def _settled(client: Any, experiment: str, wanted: Mapping[str, str]) -> list[Any]:
    """The runs once each has its number; the number of a dead machine's run is given here, where no other run has one."""
    end = time.monotonic() + PATIENCE_S
    while True:
        found = find_runs(client, experiment, wanted)
        if all(_number(run) < math.inf for run in found):
            return found
        if time.monotonic() > end:
            break
        time.sleep(0.2)
    if all(_number(run) == math.inf for run in found):
        client.set_tag(min(found, key=_order).info.run_id, PLACE, "1")
    return found


def _order(run: Any) -> tuple[float, str]:
    return _number(run), run.info.run_id


def _number(run: Any) -> float:
    """A run's number: 0 where it was finished before there were numbers, infinite where it has none yet."""
    text = run.data.tags.get(PLACE, "")
    return int(text) if text.isdigit() else 0 if run.info.status == "FINISHED" else math.inf


def _delete(client: Any, run: Any) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.delete_run(run.info.run_id)
    except MlflowException:
        if client.get_run(run.info.run_id).info.lifecycle_stage != "deleted":  # another machine was first
            raise
