"""One rollout as the journal tells it: what was live when, what was decided and why, and how it ended.

Records are folded one at a time, and what is kept of them is bounded: a rollout of a month is told in as many moments as one of
a minute.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from seatrial import rollout_records as records
from seatrial.journal import TAIL_BYTES, Record, journal_path, read_records, read_rollout
from seatrial.rollout_records import Exposure, Named, Side

MOST_MOMENTS = 1000
MOST_TURNS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What was so at a time: `seconds` since the start, counts since the start; `exposure` is None where nobody wrote it down."""

    seconds: float
    phase: str
    step: int
    exposure: Exposure | None
    champion: Side
    challenger: Side
    log_e: float
    paused: bool = False
    turn: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One decision: when, where the rollout was then, and the sentence."""

    number: int
    time: str
    seconds: float
    what: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A rollout. Without `ended` it is under way, or was left so; `how` is promoted, rolled back, withdrawn, or the present phase.

    `state` is its last state before it ended, `carried` how many parts of its evidence come from an earlier rollout of the same
    bundle. `more_turns` decisions are counted and not kept.
    """

    id: str
    challenger: Named
    champion: Named | None
    started: str
    ended: str | None
    how: str
    outcome: str | None
    reason: str
    who: str
    approvals: tuple[str, ...]
    state: records.State
    carried: int
    mirrored: tuple[int, int] | None
    moments: tuple[Moment, ...] = ()
    turns: tuple[Turn, ...] = ()
    more_turns: int = 0

    @property
    def seconds(self) -> float:
        """From the first to the last moment."""
        return self.moments[-1].seconds if self.moments else 0.0


def stories(found: Iterable[Record], *, steps: Sequence[Exposure] = (), drawn: bool = True) -> Iterator[Story]:
    """The rollouts of a journal's records, oldest first; `steps` are the plan's, for the weight of a step that saw no request.

    Where none will be `drawn`, the work for the moments between decisions is saved.
    """
    fold: _Fold | None = None
    for record in found:
        key = _key(record.state)
        if fold is not None and key != fold.key:
            yield fold.story(record if key is None else None)
            fold = None
        if key is not None:
            fold = fold or _Fold(key, record, steps, drawn=drawn)
            fold.add(record)
    if fold is not None:
        yield fold.story(None)


def last_story(home: Path, *, steps: Sequence[Exposure] = ()) -> Story | None:
    """The newest rollout; of a large journal only the end, and what names this rollout, is read."""
    path = journal_path(home)
    size = path.stat().st_size if path.exists() else 0
    found = None
    for start in (max(0, size - TAIL_BYTES), 0):
        for found in stories(read_records(path, start=start), steps=steps):  # noqa: B007 - the last one is meant
            pass
        if found is not None or start == 0:
            break
    if found is None or not records.words(found.state, "id"):
        return found
    return story_of(home, found.id, steps=steps)


def story_of(home: Path, id: str, *, steps: Sequence[Exposure] = ()) -> Story | None:
    """The rollout with this id, or None."""
    return next((one for one in stories(read_rollout(journal_path(home), id), steps=steps) if one.id == id), None)


def _key(state: records.State) -> str | None:
    """Names the rollout of a state; a person's way back after a promotion has no id of its own. None is between rollouts."""
    challenger = records.named(state, "challenger")
    if records.phase(state) == "idle" or challenger is None:
        return None
    return records.words(state, "id") or f"way back from {challenger.version}"


class _Fold:
    """One rollout while its records come in."""

    def __init__(self, key: str, first: Record, steps: Sequence[Exposure], *, drawn: bool) -> None:
        self.key = key
        self._first = first
        self._last = first
        self._steps = steps
        self._drawn = drawn
        self._began = records.when(first.time)
        self._seconds = 0.0
        carried = records.parts({"evidence": first.state.get("evidence")})
        self._base = records.totals({"evidence": carried})
        self._carried = len(carried)
        self._mark = ""
        self._mirrored: tuple[int, int] | None = None
        self._approvals: dict[str, None] = {}
        self._moments: list[Moment] = []
        self._turns: list[Turn] = []
        self._more = 0

    def add(self, record: Record) -> None:
        state, now = record.state, records.when(record.time)
        if now is not None and self._began is not None:
            self._seconds = max(self._seconds, (now - self._began).total_seconds())
        self._last = record
        self._mirrored = _mirrored(state) or self._mirrored
        self._approvals |= dict.fromkeys(records.approvals(state))
        mark = _mark(state)
        if mark != self._mark:
            self._turn(record)
        if self._drawn or mark != self._mark:
            self._moment(self._now(state, turn=mark != self._mark))
        self._mark = mark

    def _now(self, state: records.State, *, turn: bool) -> Moment:
        champion, challenger = (total - base for total, base in zip(records.totals(state), self._base, strict=True))
        return Moment(
            seconds=self._seconds,
            phase=records.phase(state),
            step=records.whole(state.get("step")),
            exposure=records.exposure(state, self._steps),
            champion=champion,
            challenger=challenger,
            log_e=records.log_e(state),
            paused=bool(records.paused(state)) or records.phase(state) == "held",
            turn=turn and len(self._turns) < MOST_TURNS,
        )

    def _moment(self, moment: Moment) -> None:
        self._moments.append(moment)
        if len(self._moments) > 2 * MOST_MOMENTS:
            self._moments = [one for at, one in enumerate(self._moments) if one.turn or at % 2 == 0 or one is moment]

    def _turn(self, record: Record) -> None:
        if len(self._turns) >= MOST_TURNS:
            self._more += 1
            return
        given = records.exposure(record.state, self._steps)
        now = records.phase(record.state).replace("_", " ")
        what = f"{given} %" if now == "canary" and given else now
        self._turns.append(Turn(number=len(self._turns) + 1, time=record.time, seconds=self._seconds, what=what, words=record.event))

    def story(self, end: Record | None) -> Story:
        """The story, with the record after it where that ended it."""
        state = self._last.state
        outcome = records.words(state, "outcome") or None
        if end is not None:
            self._finish(end)
        who = records.words(records.ledger_record(end.state), "who") if end else ""
        challenger = records.named(state, "challenger")
        return Story(
            id=self.key,
            challenger=challenger or Named(version=0, digest=""),
            champion=records.named(state, "champion"),
            started=self._first.time,
            ended=end.time if end else None,
            how=_how(end, state, outcome),
            outcome=outcome,
            reason=records.words(state, "reason"),
            who=who,
            approvals=tuple(self._approvals),
            state=state,
            carried=self._carried,
            mirrored=self._mirrored,
            moments=_filled(self._moments),
            turns=tuple(self._turns),
            more_turns=self._more,
        )

    def _finish(self, end: Record) -> None:
        now = records.when(end.time)
        if now is not None and self._began is not None:
            self._seconds = max(self._seconds, (now - self._began).total_seconds())
        promoted = end.event == "promoted"
        last = self._moments[-1]
        self._moments.append(replace(last, seconds=self._seconds, phase="idle", exposure=100 if promoted else 0, paused=False, turn=True))
        self._turns.append(
            Turn(number=len(self._turns) + 1, time=end.time, seconds=self._seconds, what="end", words=f"{end.event}: it is done")
        )


def _mark(state: records.State) -> str:
    """Changes where something was decided, and not where requests were only counted."""
    keys = ("phase", "step", "outcome", "pause", "approval", "grant", "override", "step_done", "reason")
    told: dict[str, Any] = {key: state.get(key) for key in keys}
    if isinstance(told["pause"], dict):
        told["pause"] = told["pause"].get("reason")
    return json.dumps(told, sort_keys=True, default=str)


def _mirrored(state: records.State) -> tuple[int, int] | None:
    """Mirrored requests that both versions answered, and how many of them with another label."""
    found = state.get("mirrored" if "mirrored" in state else "pairs")
    return (records.whole(found.get("asked")), records.whole(found.get("differing"))) if isinstance(found, dict) else None


def _how(end: Record | None, state: records.State, outcome: str | None) -> str:
    if end is None:
        return records.phase(state).replace("_", " ")
    if end.event == "promoted":
        return "promoted"
    return "withdrawn" if outcome == "pass" else "rolled back"


def _filled(moments: Sequence[Moment]) -> tuple[Moment, ...]:
    """With the weight of moments that do not tell it: that of the next moment of the same step, else of the one before."""
    found: list[Moment] = []
    after: Moment | None = None
    for moment in reversed(moments):
        if moment.exposure is None and after is not None and (after.phase, after.step) == (moment.phase, moment.step):
            moment = replace(moment, exposure=after.exposure)
        found.append(moment)
        after = moment
    found.reverse()
    for at, moment in enumerate(found):
        if moment.exposure is None:
            found[at] = replace(moment, exposure=found[at - 1].exposure if at else 0)
    return tuple(found)
