import numpy as np
import pytest

from seatrial.checks.latency import latency_checks, p99_bounds
from seatrial.params import Latency
from seatrial.verdict import Outcome

POLICY = Latency(p99_ms=50, max_ratio=3.0)
CALLS = [1 + at / 2000 for at in range(2000)]


def outcomes(challenger, champion=None, policy=POLICY):
    return [check.outcome for check in latency_checks(policy, challenger, champion, confidence=0.95)]


def test_the_upper_bound_of_2000_calls_is_the_1988th():
    low, seen, high = p99_bounds(list(range(1, 2001)), 0.95)
    assert high == 1988
    assert low < seen < high


@pytest.mark.parametrize(
    ("limit", "outcome"), [(1.994, Outcome.PASS), (1.9935, Outcome.PASS), (1.993, Outcome.INCONCLUSIVE), (1.9, Outcome.FAIL)]
)
def test_the_bound_is_held_to_the_limit(limit, outcome):
    assert outcomes(CALLS, policy=Latency(p99_ms=limit)) == [outcome]


def test_both_checks_are_volatile_and_have_their_tiers():
    absolute, ratio = latency_checks(POLICY, CALLS, CALLS, confidence=0.95)
    assert (absolute.name, absolute.volatile, absolute.advisory) == ("latency.p99", True, True)
    assert (ratio.name, ratio.volatile, ratio.advisory) == ("latency.ratio", True, False)
    turned = latency_checks(Latency(absolute="blocking", ratio="advisory"), CALLS, CALLS, confidence=0.95)
    assert [check.advisory for check in turned] == [False, True]


@pytest.mark.parametrize(("times", "outcome"), [(1.0, Outcome.PASS), (3.0, Outcome.INCONCLUSIVE), (6.0, Outcome.FAIL)])
def test_the_ratio_to_the_champion_is_bounded(times, outcome):
    assert outcomes([times * one for one in CALLS], CALLS)[1] is outcome


def test_a_first_release_has_no_ratio():
    assert len(outcomes(CALLS)) == 1


@pytest.mark.parametrize(("calls", "outcome"), [(0, Outcome.INCONCLUSIVE), (298, Outcome.INCONCLUSIVE), (299, Outcome.PASS)])
def test_too_few_calls_are_inconclusive(calls, outcome):
    assert outcomes(CALLS[:calls]) == [outcome]


def test_a_champion_that_was_not_timed_is_inconclusive():
    assert outcomes(CALLS, [])[1] is Outcome.INCONCLUSIVE


@pytest.mark.parametrize("strange", [np.nan, np.inf, 0.0, -1.0])
def test_what_is_no_time_is_an_error(strange):
    assert outcomes([*CALLS[:-1], strange], CALLS) == [Outcome.ERROR, Outcome.ERROR]
    assert outcomes(CALLS, [*CALLS[:-1], strange])[1] is Outcome.ERROR
