"""The judge: each ceiling below, at and above; quantiles from histograms; which signal speaks against the challenger."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.judge import LEAST_MS, log_e, quantile_of, sum_up, weigh, worst_e
from seatrial.params_rollout import Rollout
from seatrial.plan import Plan
from seatrial.rollout_state import Counts, Evidence, Pairs, State
from seatrial.verdict import Outcome

NOTHING = dict.fromkeys(("max_increase", "max_slow", "max_broken", "max_latency_ratio", "max_shift", "max_disagreement"))
BOUNDS = (1.0, 5.0, 10.0, 50.0, 100.0, 500.0, 1000.0)


def judged(champion, challenger, *, step=1, pairs=None, state=None, **ceilings):
    """The outcome and the sentence of one ceiling alone, at a step of [mirror, 20, 100]."""
    plan = Plan.of(Rollout(steps=("mirror", 20, 100), **{**NOTHING, **ceilings}))
    seen = Evidence(step=plan.steps[step].exposure, champion=champion, challenger=challenger)
    return sum_up(list(weigh(plan, state or State(step=step, pairs=pairs), seen)))


def timed(count, milliseconds):
    return tuple((bound, count if bound >= milliseconds else 0) for bound in BOUNDS)


@pytest.mark.parametrize(("signal", "ceiling"), [("failures", "max_increase"), ("slow", "max_slow"), ("broken", "max_broken")])
def test_each_kind_of_bad_answer_has_a_ceiling_over_its_increase(signal, ceiling):
    clean, many = Counts(requests=4000), Counts(requests=1000, **{signal: 60})
    assert judged(clean, Counts(requests=1000), **{ceiling: 0.02})[0] is Outcome.PASS
    outcome, words = judged(clean, many, **{ceiling: 0.02})
    assert outcome is Outcome.INCONCLUSIVE
    assert "60 of 1000" in words
    assert judged(clean, many, max_latency_ratio=None, max_shift=None, **dict.fromkeys(_others(ceiling), 0.02))[0] is Outcome.PASS


def test_events_that_speak_for_the_challenger_are_told_before_a_signal_without_any():
    part = Evidence(step=50, champion=Counts(requests=900, failures=90), challenger=Counts(requests=900, failures=1))
    state = State(counts=part)
    assert log_e(state, "failures") < 0 == log_e(state, "slow")
    assert worst_e(state) == ("failures", log_e(state, "failures"))


def _others(ceiling):
    return [name for name in ("max_increase", "max_slow", "max_broken") if name != ceiling]


@pytest.mark.parametrize("signal", ["failures", "slow", "broken"])
def test_an_e_process_of_its_own_watches_each_signal(signal):
    part = Evidence(step=20, champion=Counts(requests=400), challenger=Counts(requests=100, **{signal: 9}))
    state = State(counts=part)
    assert worst_e(state) == (signal, log_e(state, signal))
    assert log_e(state, signal) > math.log(300)
    assert all(log_e(state, other) == 0.0 for other in {"failures", "slow", "broken"} - {signal})


def test_a_signal_whose_ceiling_is_null_is_not_asked():
    plan = Plan.of(Rollout(max_slow=None))
    state = State(counts=Evidence(step=20, champion=Counts(requests=400), challenger=Counts(requests=100, slow=50)))
    assert worst_e(state)[0] == "slow"
    assert worst_e(state, plan.steps[1])[1] == 0.0


def test_at_full_weight_bounds_take_the_place_of_the_e_process():
    earlier = (Evidence(step=20, champion=Counts(requests=4000), challenger=Counts(requests=1000), complete=True),)
    state = State(step=2, evidence=earlier)
    assert judged(Counts(), Counts(requests=1000, failures=80), step=2, state=state, max_increase=0.02)[0] is Outcome.FAIL
    assert judged(Counts(), Counts(requests=1000, failures=25), step=2, state=state, max_increase=0.02)[0] is Outcome.INCONCLUSIVE
    assert judged(Counts(), Counts(requests=1000, failures=2), step=2, state=state, max_increase=0.02)[0] is Outcome.PASS


@pytest.mark.parametrize(
    ("milliseconds", "outcome"), [(4, Outcome.PASS), (45, Outcome.PASS), (480, Outcome.FAIL)], ids=["below", "within", "above"]
)
def test_the_ratio_of_times_is_judged_by_its_bounds(milliseconds, outcome):
    champion = Counts(requests=4000, times=timed(4000, 8))
    assert judged(champion, Counts(requests=1000, times=timed(1000, milliseconds)), max_latency_ratio=5.0)[0] is outcome


def test_a_ratio_that_only_the_estimate_exceeds_is_open():
    champion = Counts(requests=4000, times=timed(4000, 8))
    outcome, words = judged(champion, Counts(requests=1000, times=timed(1000, 80)), max_latency_ratio=5.0)
    assert (outcome, "ratio 9.75" in words) == (Outcome.INCONCLUSIVE, True)


def test_differences_below_the_least_time_are_none():
    champion = Counts(requests=4000, times=timed(4000, 0.5))
    assert judged(champion, Counts(requests=1000, times=timed(1000, LEAST_MS)), max_latency_ratio=1.0)[0] is Outcome.PASS


def test_times_that_nobody_measured_advance_nothing():
    assert judged(Counts(requests=4000), Counts(requests=1000), max_latency_ratio=5.0)[0] is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(("differing", "outcome"), [(199, Outcome.PASS), (200, Outcome.PASS), (201, Outcome.FAIL)])
def test_mirrored_answers_may_disagree_up_to_the_ceiling(differing, outcome):
    pairs = Pairs(asked=1000, differing=differing, shift=0.0)
    assert judged(Counts(requests=1000), Counts(requests=1000), step=0, pairs=pairs, max_disagreement=0.2)[0] is outcome


@pytest.mark.parametrize(
    ("shift", "outcome"),
    [
        (0.2, Outcome.PASS),
        (0.25, Outcome.INCONCLUSIVE),
        (0.31, Outcome.FAIL),
        (None, Outcome.INCONCLUSIVE),
        (math.nan, Outcome.INCONCLUSIVE),
    ],
)
def test_probabilities_may_shift_up_to_the_ceiling_and_chance_is_not_held_against_them(shift, outcome):
    pairs = Pairs(asked=1000, differing=0, shift=shift, slack=0.1)
    assert judged(Counts(requests=4000), Counts(requests=1000), pairs=pairs, max_shift=0.2)[0] is outcome


@pytest.mark.parametrize("pairs", [None, Pairs(asked=299, differing=0, shift=0.0)])
def test_answers_that_were_not_compared_advance_nothing(pairs):
    assert judged(Counts(requests=4000), Counts(requests=1000), pairs=pairs, max_shift=0.2)[0] is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("requests", "outcome"), [(1000, Outcome.PASS), (1110, Outcome.PASS), (1160, Outcome.INCONCLUSIVE), (840, Outcome.INCONCLUSIVE)]
)
def test_a_share_of_requests_that_is_not_the_weight_is_noticed(requests, outcome):
    assert judged(Counts(requests=5000 - requests), Counts(requests=requests), max_increase=0.5)[0] is outcome


@given(st.lists(st.integers(0, 50), min_size=7, max_size=7).filter(any), st.floats(0.01, 0.99))
def test_a_quantile_s_bounds_hold_its_estimate_and_lie_on_the_histogram(counts, share):
    total, times = 0, []
    for bound, count in zip(BOUNDS, counts, strict=True):
        total += count
        times.append((bound, total))
    lower, estimate, upper = quantile_of(tuple(times), share)
    assert 0 <= lower <= estimate <= upper <= BOUNDS[-1]
    assert {lower, upper} <= {0.0, *BOUNDS}


def test_no_requests_have_no_quantile():
    assert quantile_of((), 0.95) is None
    assert quantile_of(tuple((bound, 0) for bound in BOUNDS), 0.95) is None
