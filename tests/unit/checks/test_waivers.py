"""Waivers: what they cover becomes advisory, and those that are expired or unused fail."""

import datetime as dt

import pytest

from seatrial.checks.waivers import apply_waivers
from seatrial.contract import Waiver
from seatrial.verdict import Check, Outcome, Verdict

TODAY = dt.date(2026, 11, 20)
WAIVER = Waiver(
    check="quality.range", column="price", owner="ada", reason="the supplier mends it in January.", expires=dt.date(2026, 12, 31)
)


def check(name="quality.range", column="price", outcome=Outcome.FAIL, **fields):
    return Check(name=name, outcome=outcome, message="column 'price': 3 of 10 values are not between 0 and 5", column=column, **fields)


def applied(*checks, waivers=(WAIVER,), today=TODAY):
    return apply_waivers(waivers, checks, today)


def outcomes(checks):
    return {one.name: one.outcome for one in checks}


def outcome_of(checks):
    return Verdict(kind="validation", subject={}, checks=checks).outcome


def test_what_a_waiver_covers_becomes_advisory_and_says_who_why_and_until_when():
    first, *others = applied(check(), check("schema.columns", None, Outcome.PASS))
    assert (first.outcome, first.advisory) == (Outcome.FAIL, True)
    assert first.message == (
        "column 'price': 3 of 10 values are not between 0 and 5; waived until 2026-12-31 by ada because the supplier mends it in January"
    )
    assert outcome_of((first, *others)) is Outcome.PASS
    assert outcomes(others) == {"schema.columns": "pass", "waivers.expired": "pass", "waivers.unused": "pass"}


@pytest.mark.parametrize(("days", "outcome"), [(-1, "pass"), (0, "pass"), (1, "fail")])
def test_a_waiver_is_valid_through_its_last_day(days, outcome):
    first, expiry, *_ = applied(check(), today=WAIVER.expires + dt.timedelta(days=days))
    assert (expiry.name, expiry.outcome, expiry.limit, expiry.volatile, expiry.column) == (
        "waivers.expired",
        outcome,
        "2026-12-31",
        True,
        "price",
    )
    assert first.advisory is (outcome == "pass")


def test_an_expired_waiver_covers_nothing_and_is_not_called_unused_too():
    checks = applied(check(), today=dt.date(2027, 1, 1))
    assert [(one.name, one.outcome, one.advisory) for one in checks] == [
        ("quality.range", "fail", False),
        ("waivers.expired", "fail", False),
    ]
    assert "quality.range for 'price' by ada" in checks[1].message
    assert "the supplier mends it in January" in checks[1].message
    assert "expired on 2026-12-31" in checks[1].message


@pytest.mark.parametrize(
    ("checks", "why"),
    [
        ([check(outcome=Outcome.PASS)], "because quality.range passes there"),
        ([check(column="size")], "because no check quality.range was asked about 'price'"),
        ([check("quality.nulls")], "because there is no check quality.range"),
    ],
)
def test_a_waiver_that_waives_nothing_fails_and_says_why(checks, why):
    unused = applied(*checks)[-1]
    assert (unused.name, unused.outcome, unused.observed, unused.column) == ("waivers.unused", Outcome.FAIL, 0, "price")
    for words in ("quality.range for 'price' by ada", "the supplier mends it in January", "until 2026-12-31", why):
        assert words in unused.message


def test_a_waiver_without_a_column_covers_checks_without_one_only():
    waiver = Waiver(check="quality.key", owner="ada", reason="known", expires=WAIVER.expires)
    covered, other, *_ = applied(check("quality.key", None), check("quality.key", "price"), waivers=(waiver,))
    assert (covered.advisory, other.advisory) == (True, False)


@pytest.mark.parametrize(
    ("outcome", "advisory"), [(Outcome.FAIL, True), (Outcome.INCONCLUSIVE, True), (Outcome.ERROR, False), (Outcome.PASS, False)]
)
def test_only_a_failure_or_missing_evidence_can_be_waived(outcome, advisory):
    first, *_, use = applied(check(outcome=outcome))
    assert first.advisory is advisory
    assert use.outcome is (Outcome.PASS if advisory else Outcome.FAIL)


def test_all_checks_of_the_name_and_column_are_covered():
    first, second, _, use = applied(check(), check())
    assert first.advisory
    assert second.advisory
    assert use.observed == 2


def test_a_finding_that_only_advises_still_uses_its_waiver():
    first, _, use = applied(check(advisory=True))
    assert use.outcome is Outcome.PASS
    assert "waived until" in first.message


def test_each_waiver_answers_for_itself():
    other = WAIVER.model_copy(update={"column": "size", "owner": "bob", "expires": dt.date(2026, 1, 1)})
    checks = applied(check(), check(column="size"), waivers=(WAIVER, other))
    assert [(one.name, one.column, one.outcome, one.advisory) for one in checks] == [
        ("quality.range", "price", "fail", True),
        ("quality.range", "size", "fail", False),
        ("waivers.expired", "price", "pass", False),
        ("waivers.expired", "size", "fail", False),
        ("waivers.unused", "price", "pass", False),
    ]


def test_a_waiver_of_checks_that_were_not_asked_at_all_waits():
    split = Waiver(check="split.rows", owner="ada", reason="known", expires=dt.date(2020, 1, 1))
    passing = check(outcome=Outcome.PASS)
    assert applied(passing, waivers=(split,)) == (passing,)


def test_a_waiver_of_a_family_that_does_not_exist_is_unused():
    typo = Waiver(check="qualitty.range", owner="ada", reason="known", expires=WAIVER.expires)
    assert applied(check(outcome=Outcome.PASS), waivers=(typo,))[-1].outcome is Outcome.FAIL


def test_the_use_of_a_check_that_reads_the_clock_is_asked_again():
    waiver = Waiver(check="freshness.age", owner="ada", reason="known", expires=WAIVER.expires)
    age = check("freshness.age", None, volatile=True)
    assert [one.volatile for one in applied(age, waivers=(waiver,))] == [True, True, True]
    assert [one.volatile for one in applied(check())] == [False, True, False]


def test_without_waivers_nothing_changes():
    assert applied(check(), waivers=()) == (check(),)
