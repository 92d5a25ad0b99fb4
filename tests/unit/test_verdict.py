"""Verdicts: four outcomes in order, closed by default, and read again only whole."""

import itertools
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.errors import VerdictError
from seatrial.verdict import Check, Outcome, Verdict, worst

OUTCOMES = st.sampled_from(list(Outcome))


def check(outcome=Outcome.PASS, **changes):
    return Check(**{"name": "a.check", "outcome": outcome, "message": "a sentence"} | changes)


def verdict(*checks, **subject):
    return Verdict(kind="gate", subject=subject or {"bundle": "sha256:0"}, checks=checks)


CHECKS = st.builds(
    Check,
    name=st.text(),
    outcome=OUTCOMES,
    message=st.text(),
    observed=st.none() | st.integers() | st.floats() | st.text(),
    limit=st.none() | st.integers() | st.floats() | st.text(),
    advisory=st.booleans(),
    volatile=st.booleans(),
    column=st.none() | st.text(),
)


def test_outcomes_are_ordered_from_pass_to_fail():
    order = [Outcome.PASS, Outcome.INCONCLUSIVE, Outcome.ERROR, Outcome.FAIL]
    for better, worse in itertools.combinations(order, 2):
        assert worst([better, worse]) is worst([worse, better]) is worse


def test_no_evidence_is_inconclusive():
    assert worst([]) is Outcome.INCONCLUSIVE
    assert verdict().outcome is Outcome.INCONCLUSIVE


def test_only_pass_exits_0():
    assert {outcome: outcome.exit_code for outcome in Outcome} == {"pass": 0, "fail": 1, "error": 2, "inconclusive": 3}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("field", ["observed", "limit"])
def test_a_number_that_is_none_is_an_error_and_never_a_pass(field, value):
    found = check(**{field: value})
    assert found.outcome is Outcome.ERROR
    assert getattr(found, field) is None
    assert "not a number" in found.message


def test_an_advisory_check_cannot_block_and_cannot_open():
    failing = check(Outcome.FAIL, advisory=True)
    assert not failing.blocks
    assert verdict(check(), failing).outcome is Outcome.PASS
    assert verdict(check(advisory=True)).outcome is Outcome.INCONCLUSIVE


@given(st.lists(CHECKS))
def test_a_verdict_is_pass_only_where_a_check_passed_and_none_blocks(checks):
    found = verdict(*checks)
    asked = [one for one in checks if not one.advisory]
    assert (found.outcome is Outcome.PASS) == (bool(asked) and not any(one.blocks for one in asked))


@given(st.lists(CHECKS))
def test_a_verdict_reads_back_as_it_was_written(checks):
    found = verdict(*checks)
    assert Verdict.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False))) == found


def test_the_digest_leaves_out_what_the_clock_answers():
    first = verdict(check(), check(name="latency", volatile=True, observed=1.0))
    second = verdict(check(), check(name="latency", volatile=True, observed=2.0))
    assert first.digest == second.digest
    assert first.digest != verdict(check(Outcome.FAIL)).digest
    assert first.digest != verdict(check(), bundle="sha256:1").digest


def test_the_worst_comes_first_and_the_advisory_after_what_blocks():
    names = ["fail", "error", "inconclusive", "advisory", "pass"]
    checks = [check(Outcome(name), name=name) for name in names if name != "advisory"]
    checks.append(check(Outcome.FAIL, name="advisory", advisory=True))
    assert [one.name for one in verdict(*reversed(checks)).worst_first()] == names


def test_a_saved_verdict_is_loaded_and_recorded_for_its_own_subject_only(tmp_path):
    path = tmp_path / "gate.json"
    found = verdict(check(observed=0.8, limit=0.7))
    found.save(path)
    assert Verdict.load(path, kind="gate") == found
    assert Verdict.recorded(path, kind="gate", subject={"bundle": "sha256:0"}) == found
    assert Verdict.recorded(path, kind="gate", subject={"bundle": "sha256:1"}) is None
    assert Verdict.recorded(path, kind="drift", subject={"bundle": "sha256:0"}) is None


def test_a_verdict_that_is_missing_names_the_session_that_writes_it(tmp_path):
    with pytest.raises(VerdictError, match=r"validation\.json: there is no validation verdict yet\n.*nox -s validate"):
        Verdict.load(tmp_path / "validation.json", kind="validation")


def test_a_torn_verdict_is_refused_wherever_it_is_cut(tmp_path):
    path = tmp_path / "gate.json"
    verdict(check()).save(path)
    whole = path.read_bytes()
    for length in range(len(whole.rstrip())):
        path.write_bytes(whole[:length])
        with pytest.raises(VerdictError):
            Verdict.load(path, kind="gate")


@pytest.mark.parametrize("text", ["[]", "null", "{}", '{"kind": "drift"}', "\xff"])
def test_a_file_that_is_another_thing_is_refused(tmp_path, text):
    path = tmp_path / "gate.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(VerdictError, match=r"gate\.json"):
        Verdict.load(path, kind="gate")


@pytest.mark.parametrize("change", [{"outcome": "fail"}, {"outcome": "inconclusive"}, {"checks": []}])
def test_an_outcome_that_its_checks_do_not_give_is_refused(change):
    with pytest.raises(VerdictError, match="its checks say"):
        Verdict.from_dict(verdict(check()).to_dict() | change)


@pytest.mark.parametrize("change", [{"outcome": "great"}, {"checks": None}, {"checks": [{"name": "x"}]}, {"checks": ["x"]}, {"subject": 1}])
def test_a_field_that_is_strange_is_refused(change):
    with pytest.raises(VerdictError, match="not a verdict"):
        Verdict.from_dict(verdict(check()).to_dict() | change)


@pytest.mark.parametrize("field", ["kind", "subject", "checks", "outcome"])
def test_a_field_that_is_missing_is_refused(field):
    value = verdict(check()).to_dict()
    del value[field]
    with pytest.raises(VerdictError, match=field):
        Verdict.from_dict(value)


def test_a_check_with_a_key_that_nobody_reads_is_refused():
    value = verdict(check()).to_dict()
    value["checks"][0]["waived"] = True
    with pytest.raises(VerdictError, match="waived"):
        Verdict.from_dict(value)
