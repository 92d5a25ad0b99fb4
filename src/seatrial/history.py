"""What was champion when, who promoted it, on what evidence: from the journal and the gate's ledger, with nothing running.

past = read_history(home)
champion_at(past, when)
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from seatrial import rollout_records as records
from seatrial.journal import Record, journal_path, read_last, read_records
from seatrial.looks import Look, read_looks
from seatrial.rollout_records import Named
from seatrial.rollout_story import Story, stories


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The gate's verdict on a bundle: its digest, what it said, and who asked when; None where this machine's ledger does not know."""

    verdict: str
    outcome: str | None = None
    when: str | None = None
    who: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """One rollout as it went: `how` is promoted, rolled back, withdrawn, or the phase it is in; times are ISO, in UTC."""

    id: str
    version: int
    bundle: str
    champion: Named | None
    started: str | None
    ended: str | None
    how: str
    outcome: str | None
    reason: str
    started_by: str | None
    who: str | None
    approval: str | None
    simulated: bool
    environment: str
    model: str
    gate: Evidence | None
    plan: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reign:
    """Who was champion from a time on; `rollout` is the id of the rollout that made it so, None where none did."""

    since: str
    champion: Named | None
    event: str
    rollout: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Rollouts and champions, oldest first; `source` is where they were read, `notes` what could not be."""

    source: str
    rollouts: tuple[Past, ...] = ()
    reigns: tuple[Reign, ...] = ()
    notes: tuple[str, ...] = ()


def read_history(home: Path) -> History:
    """All that this home knows; an empty home and a torn journal give what can be read, and a note."""
    path = journal_path(home)
    looks = {look.verdict: look for look in read_looks(home)}
    last, reigns = read_last(path), _Reigns()
    rollouts = tuple(_past(story, looks) for story in stories(reigns.watch(read_records(path)), drawn=False))
    notes = ["the journal ends in the middle of a record, which is left out"] if last.torn else []
    return History(source="journal.jsonl", rollouts=rollouts, reigns=tuple(reigns.found), notes=tuple(notes))


class _Reigns:
    """Notes each change of champion while records go by."""

    def __init__(self) -> None:
        self.found: list[Reign] = []
        self._rollout: str | None = None

    def watch(self, found: Iterable[Record]) -> Iterator[Record]:
        for record in found:
            champion = records.named(record.state, "champion")
            if not self.found or self.found[-1].champion != champion:
                ended = record.event in ("promoted", "rolled back")
                if champion is not None or self.found:
                    rollout = self._rollout if ended else None
                    self.found.append(Reign(since=record.time, champion=champion, event=record.event, rollout=rollout))
            self._rollout = records.words(record.state, "id") or None
            yield record


def _past(story: Story, looks: Mapping[str, Look]) -> Past:
    state = story.state
    return Past(
        id=story.id,
        version=story.challenger.version,
        bundle=story.challenger.digest,
        champion=story.champion,
        started=story.started,
        ended=story.ended,
        how=story.how,
        outcome=story.outcome,
        reason=story.reason or (story.turns[-1].words if story.turns else ""),
        started_by=records.words(state, "started_by") or None,
        who=story.who or None,
        approval="; ".join(story.approvals) or None,
        simulated=bool(state.get("simulated")),
        environment=records.words(state, "environment"),
        model=records.words(state, "model"),
        gate=evidence_of(records.words(state, "gate"), looks),
        plan=records.words(state, "plan") or None,
    )


def evidence_of(verdict: str, looks: Mapping[str, Look]) -> Evidence | None:
    """What the gate's ledger says of a verdict; None without one."""
    look = looks.get(verdict)
    if not verdict:
        return None
    return Evidence(verdict=verdict, outcome=look.outcome, when=look.when, who=look.who) if look else Evidence(verdict=verdict)


def from_ledger(lines: Iterable[Mapping[str, str]], looks: Iterable[Look] = ()) -> History:
    """The history that the registry's ledger tells: its lines as tags without their prefix, oldest first."""
    known = {look.verdict: look for look in looks}
    rollouts: list[Past] = []
    reigns: list[Reign] = []
    for line in lines:
        past = _from_line(line, known)
        if past is None:
            continue
        rollouts.append(past)
        champion = Named(version=past.version, digest=past.bundle) if past.how == "promoted" else past.champion
        if not reigns or reigns[-1].champion != champion:
            reigns.append(Reign(since=past.ended or "", champion=champion, event=past.how, rollout=past.id))
    return History(source="the registry's ledger", rollouts=tuple(rollouts), reigns=tuple(reigns))


def _from_line(line: Mapping[str, str], looks: Mapping[str, Look]) -> Past | None:
    if "event" not in line or not line.get("version", "").isdigit():
        return None
    version, champion = int(line["version"]), line.get("champion_version", "")
    promoted, outcome = line["event"] == "promoted", line.get("outcome")
    return Past(
        id=line.get("rollout") or f"way back from {version}",
        version=version,
        bundle=line.get("bundle", ""),
        champion=Named(version=int(champion), digest=line.get("champion", "")) if champion.isdigit() else None,
        started=line.get("rollout", "").partition("-")[2] or None,
        ended=line.get("when"),
        how="promoted" if promoted else "withdrawn" if outcome == "pass" else "rolled back",
        outcome=outcome,
        reason=line.get("reason", ""),
        started_by=line.get("started_by") or None,
        who=line.get("who"),
        approval=line.get("approval"),
        simulated=line.get("simulated") == "True",
        environment=line.get("environment", ""),
        model="",
        gate=evidence_of(line.get("gate", ""), looks),
        plan=line.get("plan"),
    )


def champion_at(past: History, at: dt.datetime) -> Reign | None:
    """The reign that a time falls into; None before the first."""
    found = None
    for reign in past.reigns:
        since = records.when(reign.since)
        if since is not None and since <= at:
            found = reign
    return found


def rollout_of(past: History, reign: Reign) -> Past | None:
    """The rollout that made this champion so: the one that promoted it, however long ago."""
    if reign.champion is None:
        return None
    own = [one for one in past.rollouts if one.how == "promoted" and one.bundle == reign.champion.digest and _before(one, reign)]
    return own[-1] if own else None


def way_back_of(past: History, reign: Reign) -> Past | None:
    """The rollout in whose way back this champion came back; None where it was promoted."""
    since = records.when(reign.since)
    for one in reversed(past.rollouts):
        began, ended = records.when(one.started), records.when(one.ended)
        if one.how == "rolled back" and since and began and began <= since <= (ended or since) and one.champion == reign.champion:
            return one
    return None


def _before(one: Past, reign: Reign) -> bool:
    ended, since = records.when(one.ended), records.when(reign.since)
    return ended is None or since is None or ended <= since


def to_dict(past: History) -> dict[str, Any]:
    """The JSON form."""
    return asdict(past)
