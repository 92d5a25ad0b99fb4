"""Journals as controllers write them, made up: records as plain dictionaries, of this and of later versions of Seatrial."""

import datetime as dt

from seatrial.journal import Journal, journal_path

START = dt.datetime(2026, 11, 20, 10, tzinfo=dt.UTC)
PLAN, GATE = "sha256:plan", "sha256:gate"


def at(seconds):
    """A time after the start, as journals write it."""
    return (START + dt.timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


def pin(version):
    return {"version": version, "digest": f"sha256:{version:064x}"}


def counts(requests, failures=0, **more):
    return {"requests": requests, "failures": failures, **more}


def part(step, champion, challenger, *, complete=True, bound=0.01, **more):
    """What a step saw."""
    return {"step": step, "champion": champion, "challenger": challenger, "complete": complete, "bound": bound, **more}


def state(phase, *, version=2, champion=1, id="2-a", step=0, evidence=(), now=None, **more):
    """A state while a rollout is under way."""
    return {
        "environment": "local",
        "model": "m",
        "phase": phase,
        "champion": pin(champion) if champion else None,
        "challenger": pin(version),
        "id": id,
        "plan": PLAN,
        "gate": GATE,
        "step": step,
        "evidence": list(evidence),
        "counts": now,
        **more,
    }


def idle(champion, *, previous=None, **more):
    """A state between rollouts."""
    return {"phase": "idle", "champion": pin(champion) if champion else None, "previous": previous and pin(previous), "id": "", **more}


MIRRORED = part("mirror", counts(400, 2), counts(400, 1))
FIVE = part(5, counts(6000, 12), counts(310, 1))


def promoted(version=2, champion=1, *, id="2-a", start=0.0, who="ann", **more):
    """The records of a rollout that passed mirror and 5 % and was promoted: (seconds, event, state)."""
    common = {"version": version, "champion": champion, "id": id, **more}
    ledger = {"ledger": {"who": who, "event": "promoted"}}
    ended = {"outcome": "pass", "reason": "5 %: fine", "smoke": {"rows": 16, "worst": 0.0, "problem": None}}
    told = [
        (0, "began", state("starting", **common)),
        (1, "smoke test: 16 golden rows answered", state("mirror", **common, reason="smoke test")),
        (6, "mirror: 200 of 300 requests", state("mirror", **common, reason="smoke test", now=part("mirror", counts(200), counts(200)))),
        (11, "mirror: fine", state("canary", step=1, evidence=[MIRRORED], pairs={"asked": 400, "differing": 3}, reason="m", **common)),
        (
            16,
            "5 %: 100 of 300",
            state("canary", step=1, evidence=[MIRRORED], reason="m", now=part(5, counts(2000, 4), counts(100)), **common),
        ),
        (41, "5 %: fine", state("promoting", step=1, evidence=[MIRRORED, FIVE], **ended, **common)),
        (42, "promoted", idle(version, previous=champion, pending=[ledger], last={"outcome": "pass"})),
        (43, "settled", idle(version, previous=champion, last={"outcome": "pass"})),
    ]
    return [(start + seconds, event, found) for seconds, event, found in told]


def rolled_back(version=3, champion=2, *, id="3-a", start=100.0, outcome="fail", **more):
    """The records of a rollout that went back from 5 %."""
    common = {"version": version, "champion": champion, "id": id, "step": 1, **more}
    bad = part(5, counts(1900, 4), counts(100, 30), complete=False, bound=None)
    told = [
        (0, "began", state("starting", **{**common, "step": 0})),
        (5, "smoke test: fine", state("canary", **common)),
        (9, "5 %: 30 of 100 failed", state("rolling_back", evidence=[bad], outcome=outcome, reason="5 %: 30 of 100 failed", **common)),
        (10, "rolled back", idle(champion, previous=1, last={"outcome": outcome}, pending=[{"ledger": {"who": "ann"}}])),
    ]
    return [(start + seconds, event, found) for seconds, event, found in told]


def taken_back(version=2, to=1, *, start=200.0):
    """The records of a person's way back after a promotion: it has no id."""
    reason = "asked for by bob: complaints"
    told = [
        (0, "rollback", state("rolling_back", version=version, champion=to, id="", outcome="fail", reason=reason)),
        (1, "rolled back", idle(to, last={"outcome": "fail"}, pending=[{"ledger": {"who": "bob"}}])),
    ]
    return [(start + seconds, event, found) for seconds, event, found in told]


def write(home, *rollouts):
    """Writes the records to the journal of a home; gives its path."""
    home.mkdir(parents=True, exist_ok=True)
    journal = Journal(journal_path(home))
    for rollout in rollouts:
        for seconds, event, found in rollout:
            journal.append(event, found, time=at(seconds))
    return journal_path(home)
