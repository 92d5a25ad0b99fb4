"""Freshness: by a date of the data and a given `now`."""

import datetime as dt

import pytest

from seatrial.checks.freshness import freshness_checks
from seatrial.contract import Freshness
from seatrial.profile import ColumnProfile, Profile

NOW = dt.datetime(2026, 12, 1, 12, tzinfo=dt.UTC)
POLICY = Freshness(max_age_days=30, advisory=False)
EMPTY = Profile(rows=0, columns={})


def profile_with(high):
    return Profile(rows=1, columns={"day": ColumnProfile(type="datetime", count=1, nulls=0, distinct=1, low=high, high=high)})


@pytest.mark.parametrize(("days", "outcome"), [(-2, "fail"), (-1, "pass"), (0, "pass"), (29, "pass"), (30, "pass"), (31, "fail")])
def test_the_age_has_a_ceiling_and_no_future(days, outcome):
    _, age = freshness_checks(POLICY, EMPTY, NOW.date() - dt.timedelta(days=days), NOW)
    assert (age.outcome, age.observed, age.limit) == (outcome, days, 30)


def test_only_the_age_is_volatile_and_advisory_is_the_contracts_to_say():
    for advisory in (True, False):
        checks = freshness_checks(Freshness(advisory=advisory), EMPTY, NOW.date(), NOW)
        assert [check.volatile for check in checks] == [False, True]
        assert [check.advisory for check in checks] == [advisory, advisory]


def test_a_column_is_the_clock_where_the_contract_names_one():
    newest, age = freshness_checks(
        POLICY.model_copy(update={"column": "day"}), profile_with("2026-11-30T23:59:59"), dt.date(2020, 1, 1), NOW
    )
    assert newest.observed == "2026-11-30"
    assert age.observed == 1


@pytest.mark.parametrize("policy", [POLICY, POLICY.model_copy(update={"column": "day"})])
def test_without_a_date_the_answer_is_inconclusive(policy):
    assert [check.outcome for check in freshness_checks(policy, EMPTY, None, NOW)] == ["inconclusive", "inconclusive"]


@pytest.mark.parametrize(("policy", "source"), [(POLICY, "data.snapshot"), (POLICY.model_copy(update={"column": "day"}), "column 'day'")])
def test_every_sentence_names_the_clock(policy, source):
    known = freshness_checks(policy, profile_with("2026-11-01"), dt.date(2026, 11, 1), NOW)
    unknown = freshness_checks(policy, EMPTY, None, NOW)
    early = freshness_checks(policy, profile_with("2026-11-01"), dt.date(2026, 11, 1), dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    assert all(source in check.message for check in (*known, *unknown, *early))
    assert "a date in the future" in early[1].message
