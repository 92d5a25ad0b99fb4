"""The audit: what agrees passes, and each single disagreement is named."""

from dataclasses import replace

import pytest

from seatrial.audit import Entry, Event, Inventory, audit
from seatrial.verdict import Check, Outcome, Verdict

DIGEST = "sha256:" + "a" * 64


def gate(outcome=Outcome.PASS, bundle=DIGEST):
    check = Check(name="performance.roc_auc.floor", outcome=outcome, message="measured")
    return Verdict(kind="gate", subject={"bundle": bundle}, checks=(check,))


def entry(version=1, **changes):
    verdict = changes.pop("verdict", gate())
    facts = {"version": version, "digest": DIGEST, "gate": verdict.digest if verdict else "sha256:0", "verdict": verdict, "bytes": DIGEST}
    return Entry(**{**facts, **changes})


FIRST = (Event(event="promoted", version=1, champion=None),)


def inventory(*entries, champion=1, ledger=FIRST, **aliases):
    held = {"champion": champion, **aliases}
    return Inventory(
        model="m",
        entries={one.version: one for one in entries},
        aliases={alias: version for alias, version in held.items() if version is not None},
        ledger=ledger,
    )


def findings(found):
    return [(check.name, check.message) for check in audit(found).checks if check.outcome is not Outcome.PASS]


def test_what_agrees_passes():
    verdict = audit(inventory(entry()))
    assert verdict.outcome is Outcome.PASS
    assert {check.name for check in verdict.checks} == {"registry.bytes", "registry.gate", "registry.alias", "registry.champion"}


@pytest.mark.parametrize(
    ("changed", "name", "words"),
    [
        ({"digest": None}, "registry.digest", "was not registered by the gate"),
        ({"bytes": None, "problem": "no such file"}, "registry.bytes", "cannot be had: no such file"),
        ({"bytes": "sha256:" + "b" * 64}, "registry.bytes", "its tag says sha256:aaaa"),
        ({"verdict": None}, "registry.gate", "not kept beside its run"),
        ({"gate": "sha256:" + "c" * 64}, "registry.gate", "its tag says sha256:cccc"),
        ({"verdict": gate(Outcome.FAIL)}, "registry.gate", "is fail"),
        ({"verdict": gate(bundle="sha256:other")}, "registry.gate", "not about its bundle"),
    ],
)
def test_each_disagreement_of_a_version_is_named(changed, name, words):
    ((found, message),) = findings(inventory(entry(**changed)))
    assert found == name
    assert message.startswith("version 1")
    assert words in message


@pytest.mark.parametrize(
    ("champion", "ledger", "passes"),
    [
        (1, [("promoted", 1, None)], True),
        (2, [("promoted", 1, None)], False),
        (None, [("promoted", 1, None)], False),
        (None, [], True),
        (1, [], False),
        (1, [("promoted", 1, None), ("rolled back", 2, 1)], True),
        (2, [("promoted", 1, None), ("rolled back", 2, 1)], False),
        (1, [("promoted", 1, None), ("promoted", 2, 1), ("rolled back", 2, 1)], True),
        (2, [("promoted", 1, None), ("promoted", 2, 1)], True),
    ],
)
def test_the_champion_is_the_one_that_the_ledger_ended_with(champion, ledger, passes):
    events = tuple(Event(event=event, version=version, champion=before) for event, version, before in ledger)
    found = findings(inventory(entry(1), entry(2), champion=champion, ledger=events))
    assert (not found) is passes
    if not passes:
        assert found[0][0] == "registry.champion"
        assert "moved by hand" in found[0][1]


def test_an_alias_of_nothing_is_named_and_a_foreign_one_only_told():
    assert findings(inventory(entry(), challenger=7)) == [("registry.alias", "challenger is version 7, which does not exist")]
    verdict = audit(inventory(entry(), production=1))
    assert verdict.outcome is Outcome.PASS
    assert [check.message for check in verdict.checks if check.advisory] == ["aliases that Seatrial does not use: production"]


def test_every_version_is_asked():
    found = findings(inventory(entry(1), replace(entry(2), bytes=None, problem="gone")))
    assert [message[:9] for _, message in found] == ["version 2"]


OTHER = "sha256:" + "d" * 64
THIRD = "sha256:" + "e" * 64
BEATS = [
    entry(1),
    entry(2, beats=DIGEST, digest=OTHER, bytes=OTHER, verdict=gate(bundle=OTHER)),
    entry(3, digest=THIRD, bytes=THIRD, verdict=gate(bundle=THIRD)),
]


@pytest.mark.parametrize(
    ("ledger", "anchor"),
    [
        ([("promoted", 1, None)], 1),
        ([("promoted", 1, None), ("promoted", 2, 1)], 2),
        ([("promoted", 1, None), ("promoted", 3, 1)], 1),
        ([("promoted", 1, None), ("promoted", 2, 1), ("promoted", 3, 2)], 2),
        ([("promoted", 1, None), ("promoted", 2, 1), ("rolled back", 2, 1)], 1),
        ([("promoted", 1, None), ("promoted", 2, 1), ("rolled back", 3, 2)], 2),
    ],
)
def test_the_anchor_is_the_best_by_ledger_and_verdicts(ledger, anchor):
    events = tuple(Event(event=event, version=version, champion=before) for event, version, before in ledger)
    champion = events[-1].version if events[-1].event == "promoted" else events[-1].champion
    assert findings(inventory(*BEATS, champion=champion, ledger=events, anchor=anchor)) == []
    ((name, message),) = findings(inventory(*BEATS, champion=champion, ledger=events, anchor=1 + anchor % 3))
    assert name == "registry.anchor"
    assert "moved by hand" in message
