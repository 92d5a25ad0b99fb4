"""The audit: does the registry still say what was decided? Aliases, gate verdicts, the ledger and the bytes must agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from seatrial.verdict import Check, Outcome, Verdict

KIND = "audit"
HELD = ("champion", "challenger", "previous", "anchor")
PROMOTED, ROLLED_BACK = "promoted", "rolled back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One registered version as it was found: the tags it carries, the gate's verdict kept beside its run, and its bytes.

    `bytes` is the digest that the stored files have, None where they cannot be read; `problem` says why. `beats` is the digest
    of the anchor that the gate showed it to be better than, `origin` says from where it was transferred.
    """

    version: int
    digest: str | None
    gate: str | None
    verdict: Verdict | None
    bytes: str | None
    problem: str = ""
    beats: str = ""
    origin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of the ledger, oldest first: what a rollout ended with, and the versions that it was about."""

    event: str
    version: int
    champion: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """All that one registered model's registry says."""

    model: str
    entries: Mapping[int, Entry]
    aliases: Mapping[str, int]
    ledger: tuple[Event, ...]


def audit(inventory: Inventory) -> Verdict:
    """Ask of each version whether its bytes and its verdict are those of its tags, and of each alias who moved it."""
    entries = [check for _, entry in sorted(inventory.entries.items()) for check in _entry(entry)]
    checks = (*entries, *_aliases(inventory))
    return Verdict(kind=KIND, subject={"model": inventory.model}, checks=tuple(checks))


def _entry(entry: Entry) -> Iterator[Check]:
    who = f"version {entry.version}"
    if entry.digest is None:
        yield _check("registry.digest", False, f"{who} has no digest: it was not registered by the gate")
        return
    if entry.bytes is None:
        yield _check("registry.bytes", False, f"{who}: the bytes of {_short(entry.digest)} cannot be had: {entry.problem}")
    else:
        same = entry.bytes == entry.digest
        said = f"are those of {_short(entry.digest)}" if same else f"are {_short(entry.bytes)}, its tag says {_short(entry.digest)}"
        yield _check("registry.bytes", same, f"{who}: its bytes {said}")
    yield _gate(entry, who)


def _gate(entry: Entry, who: str) -> Check:
    name = "registry.gate"
    if entry.origin and not entry.gate:
        message = f"{who}: it came from {entry.origin}, and was not gated here yet"
        return Check(name=name, outcome=Outcome.INCONCLUSIVE, message=message, advisory=True)
    if entry.verdict is None:
        return _check(name, False, f"{who}: the gate's verdict {_short(entry.gate)} is not kept beside its run")
    if entry.verdict.digest != entry.gate:
        return _check(name, False, f"{who}: the kept verdict is {_short(entry.verdict.digest)}, its tag says {_short(entry.gate)}")
    if entry.verdict.subject.get("bundle") != entry.digest:
        return _check(name, False, f"{who}: its verdict is about {_short(str(entry.verdict.subject.get('bundle')))}, not about its bundle")
    passed = entry.verdict.outcome is Outcome.PASS
    return _check(name, passed, f"{who}: the gate's verdict {_short(entry.gate)} is {entry.verdict.outcome.value}")


def _aliases(inventory: Inventory) -> Iterator[Check]:
    for alias in HELD:
        version = inventory.aliases.get(alias)
        if version is not None:
            known = version in inventory.entries
            yield _check("registry.alias", known, f"{alias} is version {version}" + ("" if known else ", which does not exist"))
    yield _champion(inventory)
    yield from _anchor(inventory)
    strange = sorted(set(inventory.aliases) - set(HELD))
    if strange:
        message = f"aliases that Seatrial does not use: {', '.join(strange)}"
        yield Check(name="registry.alias", outcome=Outcome.FAIL, message=message, advisory=True)


def _champion(inventory: Inventory) -> Check:
    """Whether the champion is the one that the ledger ended with."""
    holder, decided = inventory.aliases.get("champion"), _decided(inventory.ledger)
    if holder == decided:
        words = f"version {holder}" if holder is not None else "nobody"
        return _check("registry.champion", True, f"the champion is {words}, as the ledger says")
    found = f"version {holder}" if holder is not None else "nobody"
    wanted = f"version {decided}" if decided is not None else "nobody"
    return _check("registry.champion", False, f"the champion is {found}, the ledger says {wanted}: the alias was moved by hand")


def _decided(ledger: tuple[Event, ...]) -> int | None:
    """The champion after the last rollout."""
    champion: int | None = None
    for event in ledger:
        champion = event.version if event.event == PROMOTED else event.champion
    return champion


def _anchor(inventory: Inventory) -> Iterator[Check]:
    """Whether the anchor is the best version by the ledger and the verdicts; a registry from before there were anchors has none."""
    holder, best = inventory.aliases.get("anchor"), _best(inventory)
    if holder is None:
        return
    if holder == best:
        yield _check("registry.anchor", True, f"the anchor is version {holder}, as ledger and verdicts say")
    else:
        wanted = f"version {best}" if best is not None else "nobody"
        yield _check("registry.anchor", False, f"the anchor is version {holder}, ledger and verdicts say {wanted}: it was moved by hand")


def _best(inventory: Inventory) -> int | None:
    """The anchor after the last rollout: it moves to what was promoted and beats it, and back when that is rolled back."""
    best: int | None = None
    for event in inventory.ledger:
        entry = inventory.entries.get(event.version)
        if event.event == PROMOTED:
            before = event.champion if best is None else best
            beaten = entry is not None and bool(entry.beats) and entry.beats == _digest(inventory, before)
            best = event.version if before is None or beaten else before
        elif best == event.version:
            earlier = [number for number, one in inventory.entries.items() if entry and entry.beats and one.digest == entry.beats]
            best = max(earlier, default=event.champion)
    return best


def _digest(inventory: Inventory, version: int | None) -> str | None:
    entry = inventory.entries.get(version) if version is not None else None
    return entry.digest if entry else None


def _check(name: str, passed: bool, message: str) -> Check:
    return Check(name=name, outcome=Outcome.PASS if passed else Outcome.FAIL, message=message)


def _short(digest: str | None) -> str:
    return "none" if not digest else f"{digest[:19]}…" if len(digest) > 19 else digest
