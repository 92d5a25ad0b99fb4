"""Which version may leave its environment, and where its verdict stands."""

from dataclasses import replace

import pytest

from seatrial.adapters.registry import RegisteredVersion
from seatrial.transfer import Origin, objection, stands
from seatrial.verdict import Check, Outcome, Verdict

SUBJECT = {"bundle": "sha256:b", "policy": "sha256:p", "champion": "sha256:c", "anchor": None}
VERDICT = Verdict(kind="gate", subject=SUBJECT, checks=(Check(name="a", outcome=Outcome.PASS, message="is"),))
VERSION = RegisteredVersion(version=3, digest="sha256:b", gate=VERDICT.digest, source="s", run_id="r")
ROLLOUT = {"event": "promoted", "bundle": "sha256:b", "simulated": False, "reason": "fine"}
ORIGIN = Origin(environment="staging", version=VERSION, verdict=VERDICT, rollout=ROLLOUT)


def test_a_promoted_version_with_its_passing_verdict_may_leave():
    assert objection(ORIGIN) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"verdict": None}, "is not kept"),
        ({"verdict": replace(VERDICT, subject={**SUBJECT, "bundle": "sha256:x"})}, "no pass of this bundle"),
        ({"version": replace(VERSION, gate="sha256:other")}, "no pass of this bundle"),
        ({"rollout": None}, "never taken live"),
        ({"rollout": {**ROLLOUT, "bundle": "sha256:x"}}, "another bundle, sha256:x"),
        ({"rollout": {**ROLLOUT, "event": "rolled back"}}, "went back: fine"),
        ({"rollout": {**ROLLOUT, "simulated": True}}, "replayed traffic"),
        ({"rollout": {key: value for key, value in ROLLOUT.items() if key != "simulated"}}, "replayed traffic"),
    ],
)
def test_an_objection_names_its_reason(change, words):
    assert words in objection(replace(ORIGIN, **change))


def test_a_verdict_that_is_no_pass_is_an_objection_even_under_its_own_digest():
    failed = replace(VERDICT, checks=(replace(VERDICT.checks[0], outcome=Outcome.FAIL),))
    assert "no pass" in objection(replace(ORIGIN, verdict=failed, version=replace(VERSION, gate=failed.digest)))


def test_a_verdict_stands_where_policy_champion_and_anchor_are_the_same():
    same = {"policy": "sha256:p", "champion": "sha256:c", "anchor": None}
    assert stands(VERDICT, **same)
    for name in same:
        assert not stands(VERDICT, **{**same, name: "sha256:other"})
