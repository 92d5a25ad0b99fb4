"""The state machine: what it may do, what it never does, and how often it is wrong."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.params import Rollout
from seatrial.plan import Plan
from seatrial.rollout import Action, advance, log_e
from seatrial.rollout_state import Counters, Counts, Evidence, Observation, Pairs, Phase, Pin, Smoke, State, begin, exposure, finish
from seatrial.verdict import Outcome

OLD, NEW = Pin(version=1, digest="sha256:old"), Pin(version=2, digest="sha256:new")
UNTIMED = {"max_latency_ratio": None, "max_shift": None}
PLAN = Plan.of(Rollout(bake_seconds=1, step_deadline_s=60, **UNTIMED))
AGREED = Pairs(asked=10_000, differing=0)


def start(plan=PLAN, champion=OLD, **values):
    options = {"gate": "sha256:gate", "id": "1", "simulated": False, "approval": None} | values
    return begin(State(champion=champion), plan, challenger=NEW, champion=champion, **options)


def at_step(index, plan=PLAN, **values):
    phase = Phase.MIRROR if plan.steps[index].mirrors else Phase.CANARY
    state = State(champion=OLD, challenger=NEW, phase=phase, step=index, seen=0.0, plan=plan.digest)
    return advance(plan, state, look((0, 0), (0, 0), **values), 0.0).state


def look(champion, challenger, *, boot="a", pairs=AGREED, stop=None):
    sides = (Counts(requests=requests, failures=failures) for requests, failures in (champion, challenger))
    return Observation(counters=Counters(boot=boot, champion=next(sides), challenger=next(sides)), pairs=pairs, stop=stop)


def test_a_rollout_starts_with_a_smoke_test_and_mirrors_before_the_first_weight():
    first = advance(PLAN, start(), Observation(), 0.0)
    assert (first.action, exposure(PLAN, first.state)) == (Action.START, (0, False))
    second = advance(PLAN, first.state, Observation(smoke=Smoke(rows=3, worst=0.0)), 1.0)
    assert (second.action, exposure(PLAN, second.state)) == (Action.ADVANCE, (0, True))


def test_a_failed_smoke_test_sends_the_challenger_back_before_any_weight():
    decision = advance(PLAN, start(), Observation(smoke=Smoke(rows=3, problem="answered 0.2, promised 0.7")), 0.0)
    assert (decision.action, decision.state.outcome) == (Action.ROLL_BACK, Outcome.FAIL)
    assert "promised 0.7" in decision.reason


def test_a_first_release_is_promoted_after_the_smoke_test():
    decision = advance(PLAN, start(champion=None), Observation(smoke=Smoke(rows=3, worst=0.0)), 0.0)
    assert (decision.action, decision.state.outcome) == (Action.PROMOTE, Outcome.PASS)


def test_an_environment_that_asks_for_approval_is_held_until_it_is_given():
    plan = Plan.of(Rollout(approval=True, **UNTIMED))
    held = advance(plan, start(plan), Observation(), 0.0)
    assert (held.action, held.state.phase) == (Action.HOLD, Phase.HELD)
    assert start(plan, approval="ann: looked at it").phase is Phase.STARTING


@pytest.mark.parametrize(("requests", "action"), [(299, Action.WAIT), (300, Action.ADVANCE), (301, Action.ADVANCE)])
def test_a_step_needs_its_minimum_of_requests(requests, action):
    assert advance(PLAN, at_step(1), look((5000, 0), (requests, 0)), 10.0).action is action


@pytest.mark.parametrize(("seconds", "action"), [(0.9, Action.WAIT), (1.0, Action.ADVANCE), (1.1, Action.ADVANCE)])
def test_a_step_needs_its_bake(seconds, action):
    assert advance(PLAN, at_step(1), look((7600, 0), (400, 0)), seconds).action is action


@pytest.mark.parametrize(("asked", "action"), [(299, Action.WAIT), (300, Action.ADVANCE), (301, Action.ADVANCE)])
def test_the_mirror_needs_answers_that_were_compared(asked, action):
    seen = look((400, 0), (400, 0), pairs=Pairs(asked=asked, differing=0))
    assert advance(PLAN, at_step(0), seen, 10.0).action is action


@pytest.mark.parametrize(("differing", "action"), [(199, Action.ADVANCE), (200, Action.ADVANCE), (201, Action.ROLL_BACK)])
def test_a_challenger_that_answers_otherwise_goes_back_before_its_first_weight(differing, action):
    decision = advance(PLAN, at_step(0), look((1000, 0), (800, 0), pairs=Pairs(asked=1000, differing=differing)), 10.0)
    assert decision.action is action


def test_missing_answers_to_the_mirror_never_advance():
    state = at_step(0)
    for second in range(1, 59):
        decision = advance(PLAN, state, look((9000, 0), (9000, 0), pairs=None), float(second))
        state = decision.state
        assert decision.action is Action.WAIT
    assert advance(PLAN, state, look((9000, 0), (9000, 0), pairs=None), 60.0).state.outcome is Outcome.INCONCLUSIVE


def test_missing_telemetry_never_advances_and_ends_at_the_deadline():
    state = advance(PLAN, at_step(1), look((5000, 0), (200, 0)), 1.0).state
    waiting = advance(PLAN, state, Observation(), 59.9)
    assert waiting.action is Action.WAIT
    over = advance(PLAN, waiting.state, Observation(), 60.0)
    assert (over.action, over.state.outcome) == (Action.ROLL_BACK, Outcome.INCONCLUSIVE)


def test_no_requests_until_the_deadline_return_to_the_champion():
    decision = advance(PLAN, at_step(1), look((5000, 0), (0, 0)), 60.0)
    assert (decision.action, decision.state.outcome) == (Action.ROLL_BACK, Outcome.INCONCLUSIVE)


@pytest.mark.parametrize("counters", [look((9000, 0), (9000, 0), boot="b"), look((10, 0), (5, 0))])
def test_counters_that_began_again_advance_nothing_and_begin_the_step_anew(counters):
    state = advance(PLAN, at_step(1), look((5000, 30), (200, 2)), 5.0).state
    reset = advance(PLAN, state, counters, 10.0)
    assert reset.action is Action.WAIT
    assert reset.state.baseline == counters.counters
    assert reset.state.evidence == (
        Evidence(step=5, name="5 %", champion=Counts(requests=5000, failures=30), challenger=Counts(requests=200, failures=2)),
    )


def test_failures_before_a_reset_still_count_against_the_challenger():
    state = advance(PLAN, at_step(1), look((1000, 0), (100, 3)), 5.0).state
    reset = advance(PLAN, state, look((0, 0), (0, 0), boot="b"), 6.0).state
    decision = advance(PLAN, reset, look((1000, 0), (100, 3), boot="b"), 7.0)
    assert decision.action is Action.ROLL_BACK
    assert decision.state.outcome is Outcome.FAIL


def test_failures_that_fall_on_the_challenger_roll_it_back_before_its_minimum():
    decision = advance(PLAN, at_step(1), look((1000, 0), (50, 6)), 0.5)
    assert (decision.action, decision.state.outcome) == (Action.ROLL_BACK, Outcome.FAIL)
    assert decision.log_e >= decision.log_limit


@pytest.mark.parametrize(("requests", "action"), [(899, Action.WAIT), (900, Action.ROLL_BACK), (901, Action.ROLL_BACK)])
def test_a_step_that_stays_undecided_is_inconclusive(requests, action):
    decision = advance(PLAN, at_step(3), look((1000, 25), (requests, 35)), 10.0)
    assert decision.action is action
    assert decision.state.outcome is (Outcome.INCONCLUSIVE if action is Action.ROLL_BACK else None)


def test_the_last_step_is_compared_with_the_champion_of_the_earlier_ones():
    earlier = (
        Evidence(step=50, champion=Counts(requests=2000, failures=60), challenger=Counts(requests=2000, failures=60), complete=True),
    )
    state = advance(PLAN, State(**{**_fields(at_step(4)), "evidence": earlier}), look((0, 0), (900, 27)), 10.0)
    assert state.action is Action.PROMOTE
    alone = advance(PLAN, at_step(4), look((0, 0), (899, 27)), 10.0)
    assert alone.action is Action.WAIT


def test_a_challenger_that_breaks_at_full_weight_fails():
    earlier = (Evidence(step=50, champion=Counts(requests=2000), challenger=Counts(requests=2000), complete=True),)
    decision = advance(PLAN, State(**{**_fields(at_step(4)), "evidence": earlier}), look((0, 0), (300, 60)), 10.0)
    assert (decision.action, decision.state.outcome) == (Action.ROLL_BACK, Outcome.FAIL)


def test_a_crashing_champion_promotes_nobody_that_fails_too():
    assert advance(PLAN, at_step(3), look((400, 400), (400, 60)), 10.0).action is not Action.ADVANCE


def test_a_fix_can_replace_a_crashing_champion():
    assert advance(PLAN, at_step(3), look((400, 400), (400, 0)), 10.0).action is Action.ADVANCE


@pytest.mark.parametrize("phase", [Phase.HELD, Phase.STARTING, Phase.MIRROR, Phase.CANARY])
def test_a_person_can_end_a_rollout_in_every_phase(phase):
    decision = advance(PLAN, State(champion=OLD, challenger=NEW, phase=phase), Observation(stop="ann: enough"), 1.0)
    assert (decision.action, decision.reason) == (Action.ROLL_BACK, "ann: enough")
    assert exposure(PLAN, decision.state) == (0, False)


def test_the_same_bundle_continues_its_evidence_against_the_same_champion():
    part = Evidence(step=50, champion=Counts(requests=100, failures=1), challenger=Counts(requests=100, failures=4), complete=True)
    ended = finish(State(champion=OLD, challenger=NEW, phase=Phase.ROLLING_BACK, outcome=Outcome.INCONCLUSIVE, evidence=(part,)))
    options = {"gate": "g", "id": "2", "simulated": False, "approval": None}
    again = begin(ended, PLAN, challenger=NEW, champion=OLD, **options)
    assert log_e(again) == log_e(State(evidence=(part,))) > 0
    assert again.evidence[0].complete is False
    assert begin(ended, PLAN, challenger=Pin(version=3, digest="sha256:x"), champion=OLD, **options).evidence == ()
    assert begin(ended, PLAN, challenger=NEW, champion=OLD, fresh=True, **options).evidence == ()


def test_time_that_nobody_watched_is_no_bake():
    state = advance(PLAN, at_step(1), look((5000, 0), (400, 0)), 0.5).state
    restarted = State(**{**_fields(state), "seen": None})
    assert advance(PLAN, restarted, look((9000, 0), (800, 0)), 1000.0).action is Action.WAIT


def test_a_clock_that_jumps_back_bakes_nothing():
    assert advance(PLAN, at_step(1), look((7600, 0), (400, 0)), -100.0).action is Action.WAIT


def test_a_state_survives_its_json():
    state = advance(PLAN, at_step(1), look((5000, 3), (200, 1)), 0.5).state
    assert State.from_dict(state.to_dict()) == state


def _fields(state):
    return {name: getattr(state, name) for name in State.__slots__}


plans = st.builds(
    lambda weights, mirror, least: Plan.of(
        Rollout(
            steps=(*(["mirror"] if mirror else []), *sorted(weights), 100),
            min_requests=least,
            bake_seconds=0.5,
            step_deadline_s=50,
            **UNTIMED,
        )
    ),
    st.sets(st.integers(1, 99), max_size=4),
    st.booleans(),
    st.integers(1, 400),
)
looks = st.lists(
    st.one_of(
        st.none(),
        st.tuples(st.integers(0, 600), st.integers(0, 3), st.integers(0, 600), st.integers(0, 3), st.booleans()),
    ),
    min_size=1,
    max_size=25,
)


@given(plan=plans, seen=looks)
@settings(max_examples=300, deadline=None)
def test_it_never_advances_without_evidence_and_takes_its_weights_from_the_plan(plan, seen):
    state = advance(plan, start(plan), Observation(smoke=Smoke(rows=1, worst=0.0)), 0.0).state
    champion, challenger, boot, now = Counts(), Counts(), 0, 0.0
    for one in seen:
        now += 0.4
        counters = None
        if one is not None:
            requests, failures, asked, failed, reset = one
            boot += reset
            champion = (Counts() if reset else champion) + Counts(requests=requests, failures=min(failures, requests))
            challenger = (Counts() if reset else challenger) + Counts(requests=asked, failures=min(failed, asked))
            counters = Counters(boot=str(boot), champion=champion, challenger=challenger)
        before, step = state, plan.steps[state.step]
        decision = advance(plan, state, Observation(counters=counters, pairs=AGREED), now)
        state = decision.state
        weight, mirror = exposure(plan, state)
        assert weight in {0, 100, *(step.weight for step in plan.steps)}
        assert not (weight and mirror)
        if decision.action in (Action.ADVANCE, Action.PROMOTE):
            assert counters is not None
            assert before.baseline is not None
            assert before.baseline.boot == counters.boot
            assert state.evidence[-1].step == step.exposure
            assert state.evidence[-1].challenger.requests >= plan.min_requests
        if decision.action in (Action.PROMOTE, Action.ROLL_BACK):
            return
        assert exposure(plan, state) == (plan.steps[state.step].weight, plan.steps[state.step].mirrors)


def simulate(seed, base, factor, plan):
    """A whole rollout with requests drawn by chance; gives its outcome."""
    draw = random.Random(seed)
    state = advance(plan, start(plan), Observation(smoke=Smoke(rows=1, worst=0.0)), 0.0).state
    totals, now = [[0, 0], [0, 0]], 0.0
    while True:
        step, batch = plan.steps[state.step], 100
        sizes = (batch, batch) if step.mirrors else (max(0, round(batch * (100 - step.weight) / step.weight)), batch)
        for side, (size, rate) in enumerate(zip(sizes, (base, base * factor), strict=True)):
            totals[side][0] += size
            totals[side][1] += _binomial(draw, size, rate)
        now += 0.5
        decision = advance(plan, state, look(tuple(totals[0]), tuple(totals[1])), now)
        state = decision.state
        if decision.action in (Action.PROMOTE, Action.ROLL_BACK):
            return state.outcome


def _binomial(draw, size, rate):
    """Failures among `size` requests, by the gaps between them."""
    import math

    count, place = 0, 0
    while True:
        place += int(math.log(1 - draw.random()) / math.log(1 - rate)) + 1
        if place > size:
            return count
        count += 1


def test_two_equal_versions_are_rarely_rolled_back():
    outcomes = [simulate(seed, 0.01, 1, PLAN) for seed in range(2000)]
    assert outcomes.count(Outcome.FAIL) <= 20
    assert outcomes.count(Outcome.PASS) >= 1900


def test_a_fivefold_regression_is_caught():
    outcomes = [simulate(seed, 0.01, 5, PLAN) for seed in range(500)]
    assert outcomes.count(Outcome.PASS) < 25
