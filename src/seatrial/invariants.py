"""What must hold after a rollout, whatever happened during it: seven questions to records, each answered by sentences.

    I1  every request got exactly one 2xx          I5  no alias moved without a passing verdict for that digest
    I2  the challenger's share is its weight       I6  no process, port or lock is left
    I3  journal, route, Envoy and registry agree   I7  the journal parses to its last whole record
    I4  only the champion's or the gated challenger's digest was served

Pure: records come in, problems come out; an empty answer means that it holds. Who gathers the records is `seatrial.rig`.
"""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seatrial.adapters.envoy import Route
from seatrial.journal import Record, parse_record
from seatrial.rollout_state import Phase, State

Z = 4.0
"""Standard deviations by which a share may be above its weight by chance: once in 30,000 looks."""
SETTLE_S = 1.0
"""How long a smaller weight may take to reach clients after it was decided: the promise of a way back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One request of the client: when it left and came back (unix seconds), and what it got; status 0 is no answer."""

    id: str
    sent: float
    done: float
    status: int
    digest: str = ""
    version: str = ""
    boot: str = ""
    variant: str = ""

    @property
    def ok(self) -> bool:
        """Whether it is a 2xx."""
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """One alias that was moved to a version: of this digest, registered under this gate's verdict; when (unix seconds)."""

    alias: str
    version: int | None
    digest: str
    gate: str
    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """What four places say about the traffic at one moment; None is nobody there."""

    journal: State
    expected: Route | None
    stored: Route | None
    live: Route | None
    alias: int | None


def unanswered(answers: Iterable[Answer], sent: Collection[str]) -> Iterator[str]:
    """I1: every request id that was sent got exactly one answer, and that is a 2xx."""
    found: dict[str, list[Answer]] = defaultdict(list)
    for answer in answers:
        found[answer.id].append(answer)
    lost = [name for name in sent if name not in found]
    twice = [name for name, all_of in found.items() if len(all_of) > 1]
    bad = Counter(answer.status or "no answer" for all_of in found.values() for answer in all_of if not answer.ok)
    if lost:
        yield f"I1: {len(lost)} of {len(sent)} requests have no record, such as {lost[0]}"
    if twice:
        yield f"I1: {len(twice)} requests were answered twice, such as {twice[0]}"
    if bad:
        yield f"I1: {bad.total()} of {len(sent)} requests got no 2xx ({', '.join(f'{status}: {count}' for status, count in bad.items())})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """From a time on (unix seconds), the largest share of requests that each digest may answer."""

    since: float
    shares: Mapping[str, float]


def shares_allowed(state: State, weight: int) -> dict[str, float]:
    """The largest share of requests of each digest in a state: a challenger's is its weight; the champion answers the rest, and rescues."""
    shares = {}
    if state.challenger is not None:
        shares[state.challenger.digest] = weight / 100
    if state.champion is not None:
        shares[state.champion.digest] = 1.0
    if state.champion is None and state.challenger is not None:
        shares[state.challenger.digest] = 1.0  # a first release
    return shares


def overexposed(answers: Iterable[Answer], timeline: Sequence[Allowed], *, settle: float = SETTLE_S, z: float = Z) -> Iterator[str]:
    """I2: no digest answered more than its share. Between two decisions the larger share counts, from the moment of the decision on.

    `timeline` is in order of time. An answer belongs to the largest share that was allowed while it was under way, or in the
    `settle` seconds before it left.
    """
    counted: dict[tuple[str, float], list[int]] = defaultdict(lambda: [0, 0])
    digests = {digest for allowed in timeline for digest in allowed.shares}
    for answer in answers:
        during = _during(timeline, answer.sent - settle, answer.done)
        for digest in digests:
            share = max((allowed.shares.get(digest, 0.0) for allowed in during), default=1.0)
            seen = counted[digest, share]
            seen[0] += 1
            seen[1] += answer.digest == digest
    for (digest, share), (total, count) in sorted(counted.items()):
        most = total * share + z * math.sqrt(total * share * (1 - share))
        if count > most + 1e-9:
            yield f"I2: {digest[:19]}… answered {count} of {total} requests where its share was {share:.0%} (at most {most:.0f})"


def _during(timeline: Sequence[Allowed], start: float, end: float) -> list[Allowed]:
    """What was allowed at some moment between two times."""
    ends = [*(allowed.since for allowed in timeline[1:]), math.inf]
    return [allowed for allowed, until in zip(timeline, ends, strict=True) if allowed.since <= end and until >= start]


def disagreements(places: Places) -> Iterator[str]:
    """I3: the journal, the route file, Envoy's live route and the registry's alias say the same."""
    if places.stored != places.expected:
        yield f"I3: the journal asks for {_route(places.expected)}, the route file says {_route(places.stored)}"
    if places.live != places.expected:
        yield f"I3: the journal asks for {_route(places.expected)}, Envoy has {_route(places.live)}"
    state = places.journal
    champion = state.champion.version if state.champion else None
    if state.phase is not Phase.PROMOTING and not state.pending and places.alias != champion:
        yield f"I3: the journal's champion is {champion}, the registry's is {places.alias}"


def _route(route: Route | None) -> str:
    if route is None:
        return "no route"
    way = "mirrored to" if route.mirror else f"{route.weight} % to"
    return f"version {route.champion}" + (f", {way} {route.challenger}" if route.challenger is not None else "")


def strangers(answers: Iterable[Answer], known: Collection[str]) -> Iterator[str]:
    """I4: every digest that was served is one of `known`."""
    found = Counter(answer.digest for answer in answers if answer.ok and answer.digest not in known)
    for digest, count in sorted(found.items()):
        yield f"I4: {count} requests were answered by {digest or 'a server that names no digest'}"


def unearned(moves: Iterable[Moved], passed: Mapping[str, str], approved: Collection[str] | None = None) -> Iterator[str]:
    """I5: `champion` moved only to digests that passed under the verdict they are registered with, and were approved where that is asked.

    `passed` gives the digest of the passing verdict by bundle; `approved` the bundles with an approval, None where none is needed.
    """
    for move in moves:
        if move.alias != "champion" or move.version is None:
            continue
        if passed.get(move.digest) != move.gate:
            yield f"I5: champion moved to version {move.version} ({move.digest[:19]}…) without a passing verdict"
        if approved is not None and move.digest not in approved:
            yield f"I5: champion moved to version {move.version} ({move.digest[:19]}…) without an approval"


def left_behind(*, processes: Collection[str], port: str | None, locked: bool) -> Iterator[str]:
    """I6: no process (by its command), port (why it cannot be listened on) or lock is left."""
    for command in sorted(processes):
        yield f"I6: still runs: {command[:160]}"
    if port is not None:
        yield f"I6: the port is still held: {port}"
    if locked:
        yield "I6: the controller's lock is still held"


def journal_problems(data: bytes) -> Iterator[str]:
    """I7: every line is a whole record, but for a torn last one; numbers rise by one, tokens never fall."""
    before: Record | None = None
    lines = data.splitlines(keepends=True)
    for place, line in enumerate(lines, 1):
        record = parse_record(line)
        if record is None:
            if place < len(lines):
                yield f"I7: line {place} of {len(lines)} of the journal is no whole record"
            continue
        if before is not None and (record.number != before.number + 1 or record.token < before.token):
            yield f"I7: record {record.number} (token {record.token}) follows record {before.number} (token {before.token})"
        before = record


def read_records(data: bytes) -> list[Record]:
    """The whole records of a journal, in order."""
    return [record for line in data.splitlines(keepends=True) if (record := parse_record(line)) is not None]


def read_answers(lines: Iterable[str]) -> Iterator[Answer]:
    """The client's records, one JSON object to a line; a torn last line is left out."""
    for line in lines:
        try:
            found: dict[str, Any] = json.loads(line)
        except ValueError:
            continue
        yield Answer(**found)
