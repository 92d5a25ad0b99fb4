"""Samples of a rollout between the journal's records, for its picture: `<home>/rollouts/<id>.samples.jsonl`, bounded, never in the way.

A sample is kept each second at first, and more seldom the longer a rollout lasts: a month of ticks are some ten thousand lines.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seatrial import rollout_records as records
from seatrial.files import canonical_json
from seatrial.rollout_story import Moment, Story

if TYPE_CHECKING:
    from seatrial.rollout import Decision
    from seatrial.rollout_state import State

EVERY_S = 1.0
PER_SPAN = 1000
MOST_BYTES = 4 * 2**20
LINE_BYTES = 4096
KEPT = 50


def samples_path(home: Path, id: str) -> Path:
    """Where a rollout's samples lie."""
    return home / "rollouts" / f"{re.sub(r'[^A-Za-z0-9.-]', '_', id)[:120]}.samples.jsonl"


def record_sample(home: Path, state: State, decision: Decision, wall: str) -> None:
    """Keep what a tick saw, if the last sample is long enough ago. `wall` is the time, ISO.

    Nothing is raised, whatever is wrong with disk or values: a picture is not worth a rollout.
    """
    with suppress(Exception):
        if state.id:
            _record(samples_path(home, state.id), state, decision, wall)


def _record(path: Path, state: State, decision: Decision, wall: str) -> None:
    now = records.when(wall)
    first, last = _ends(path)
    if now is not None and last is not None:
        began, before = records.when(first.get("time")), records.when(last.get("time"))
        span = (now - began).total_seconds() if began else 0.0
        same = (last.get("phase"), last.get("step")) == (str(state.phase), state.step)
        if same and before and abs((now - before).total_seconds()) < max(EVERY_S, span / PER_SPAN):
            return
    if last is None:
        _prune(path.parent)
    elif path.stat().st_size >= MOST_BYTES:
        return
    with path.open("ab") as stream:
        stream.write(canonical_json(_sample(state, decision, wall)) + b"\n")


def _sample(state: State, decision: Decision, wall: str) -> dict[str, Any]:
    told = state.to_dict()
    champion, challenger = records.totals(told)
    return {
        "time": wall,
        "phase": records.phase(told),
        "step": state.step,
        "exposure": records.exposure(told),
        "champion": [champion.requests, champion.failures],
        "challenger": [challenger.requests, challenger.failures],
        "log_e": records.log_e(told),
        "log_limit": decision.log_limit,
        "paused": bool(records.paused(told)) or records.phase(told) == "held",
    }


def _ends(path: Path) -> tuple[Mapping[str, Any], Mapping[str, Any] | None]:
    """The first and the last whole sample; without one, nothing and None."""
    try:
        with path.open("rb") as stream:
            first = _parse(stream.readline(LINE_BYTES))
            stream.seek(max(0, path.stat().st_size - LINE_BYTES))
            found = [value for value in map(_parse, stream.read(LINE_BYTES).splitlines(keepends=True)) if value]
    except FileNotFoundError:
        return {}, None
    return first, found[-1] if found else None


def _parse(line: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(line) if line.endswith(b"\n") else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _prune(folder: Path) -> None:
    """Make room for another file: the newest ones stay."""
    folder.mkdir(parents=True, exist_ok=True)
    found = sorted(folder.glob("*.samples.jsonl"), key=lambda path: path.stat().st_mtime)
    for path in found[: max(0, len(found) + 1 - KEPT)]:
        path.unlink(missing_ok=True)


def read_samples(home: Path, id: str) -> Iterator[Mapping[str, Any]]:
    """The samples of a rollout, oldest first; torn lines are left out."""
    try:
        with samples_path(home, id).open("rb") as stream:
            yield from (value for value in map(_parse, stream) if value)
    except OSError:
        return


def with_samples(story: Story, found: Sequence[Mapping[str, Any]]) -> Story:
    """The story with its samples among its moments."""
    began, base = records.when(story.started), _base(story)
    more = [moment for sample in found if (moment := _moment(sample, began, base)) is not None]
    inside = [moment for moment in more if 0 <= moment.seconds <= story.seconds or story.ended is None]
    return replace(story, moments=tuple(sorted([*story.moments, *inside], key=lambda moment: moment.seconds)))


def _base(story: Story) -> tuple[records.Side, records.Side]:
    """What earlier rollouts of the bundle had seen."""
    evidence = story.state.get("evidence")
    carried = list(evidence)[: story.carried] if isinstance(evidence, Sequence) else []
    return records.totals({"evidence": carried})


def _moment(sample: Mapping[str, Any], began: Any, base: tuple[records.Side, records.Side]) -> Moment | None:
    try:
        now = records.when(sample["time"])
        sides = [records.Side(requests=int(sample[role][0]), failures=int(sample[role][1])) for role in ("champion", "challenger")]
        if now is None or began is None or sample["exposure"] is None:
            return None
        return Moment(
            seconds=(now - began).total_seconds(),
            phase=str(sample["phase"]),
            step=int(sample["step"]),
            exposure="mirror" if sample["exposure"] == "mirror" else int(sample["exposure"]),
            champion=sides[0] - base[0],
            challenger=sides[1] - base[1],
            log_e=float(sample["log_e"]),
            paused=bool(sample.get("paused")),
        )
    except (KeyError, TypeError, ValueError, IndexError):
        return None
