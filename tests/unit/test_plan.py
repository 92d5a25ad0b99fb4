"""The plan that params.yaml describes: its steps, what each one needs, and what is refused before anything starts."""

import pytest

from seatrial.located import PlacedError
from seatrial.params_rollout import DEFAULT_STEPS, Rollout, StepSettings
from seatrial.plan import Plan


def named(**settings):
    return [step.name for step in Plan.of(Rollout(**settings)).steps]


@pytest.mark.parametrize("strategy", sorted(DEFAULT_STEPS))
def test_each_strategy_has_steps_of_its_own(strategy):
    plan = Plan.of(Rollout(strategy=strategy))
    assert len(plan.steps) == len(DEFAULT_STEPS[strategy])
    assert plan.promotes is (strategy != "shadow_only")


def test_a_step_without_traffic_of_its_own_keeps_that_of_the_one_before():
    steps = ("approve", "mirror", "pause", 5, StepSettings(pause=60), StepSettings(bake=600), 100, StepSettings(bake=3600))
    assert named(steps=steps) == [
        "approve at 0 %",
        "mirror",
        "pause at mirror",
        "5 %",
        "pause at 5 %",
        "bake at 5 %",
        "100 %",
        "bake at 100 %",
    ]


def test_a_step_needs_what_it_says_of_itself_and_else_what_holds_for_all():
    own = StepSettings(weight=5, min_requests=1000, bake_seconds=600, max_increase=0.01, max_shift=0.1, step_deadline_s=7200)
    plan = Plan.of(Rollout(steps=(own, 100), min_requests=300, bake_seconds=2))
    first, last = plan.steps
    assert (first.min_requests, first.seconds, first.ceilings.increase, first.ceilings.shift, first.deadline_s) == (
        1000,
        600,
        0.01,
        0.1,
        7200,
    )
    assert (last.min_requests, last.seconds, last.ceilings.increase, last.ceilings.shift, last.deadline_s) == (300, 2, 0.02, 0.2, 3600)


def test_every_word_of_the_plan_is_in_its_digest():
    plain = Plan.of(Rollout()).digest
    others = [
        Rollout(alpha=0.02),
        Rollout(max_shift=None),
        Rollout(on_fail="hold"),
        Rollout(steps=(StepSettings(weight=5, bake_seconds=9), 100)),
    ]
    assert len({plain, *(Plan.of(one).digest for one in others)}) == 5
    assert Plan.of(Rollout(steps=DEFAULT_STEPS["progressive"])).digest == plain


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"steps": ("mirror", 5, "mirror", 100)}, "once, before the first weight"),
        ({"steps": (5, 100), "strategy": "shadow_only"}, "has no weights"),
        ({"steps": ("approve",), "strategy": "shadow_only"}, "mirrors"),
        ({"steps": ("mirror", 5, 100), "strategy": "blue_green"}, "all traffic at once"),
        ({"steps": ("mirror", 5, 25, 100), "strategy": "canary"}, "one weight before 100"),
        ({"steps": (StepSettings(weight=5), StepSettings(weight=5), 100)}, "must rise"),
    ],
)
def test_steps_that_do_not_lead_where_the_strategy_goes_are_refused(settings, words):
    with pytest.raises(PlacedError, match=words):
        Rollout(**settings)


@pytest.mark.parametrize("step", [{}, {"weight": 5, "mirror": True}, {"pause": 5, "bake": 5}])
def test_a_step_is_exactly_one_thing(step):
    with pytest.raises(PlacedError, match="exactly one of"):
        StepSettings(**step)


def test_a_rollout_that_looks_at_nothing_has_to_be_said():
    nothing = dict.fromkeys(("max_increase", "max_slow", "max_broken", "max_latency_ratio", "max_shift", "max_disagreement"))
    with pytest.raises(PlacedError, match="would look at nothing"):
        Rollout(**nothing)
    assert Plan.of(Rollout(**nothing, allow_unchecked=True)).allow_unchecked
    assert Rollout(**{**nothing, "max_shift": 0.1}).max_shift == 0.1
