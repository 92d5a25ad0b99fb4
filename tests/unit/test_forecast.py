"""Forecasts: simulated rollouts through the state machine, and the schedule that a plan asks for."""

import numpy as np
import pytest

from seatrial.forecast import forecast, needs, simulate
from seatrial.forecast_plot import forecast_plot
from seatrial.params_rollout import Rollout, StepSettings
from seatrial.plan import Plan
from seatrial.plan_report import prospects, schedule
from seatrial.verdict import Outcome

PLAN = Plan.of(Rollout())


def test_the_schedule_counts_all_requests_for_the_challenger_s_share():
    steps = ("mirror", StepSettings(weight=5, bake_seconds=600), StepSettings(pause=60), "approve", 100)
    found = needs(Plan.of(Rollout(steps=steps)), rate=100)
    assert [(one.challenger, one.requests) for one in found] == [(300, 300), (300, 6000), (0, 0), (0, 0), (300, 300)]
    assert [one.seconds for one in found] == [3.0, 600.0, 60.0, None, 3.0]
    text = "\n".join(schedule(PLAN, needs(PLAN, 100), 100))
    assert "in all 8,400 requests" in text


def test_equal_versions_are_hardly_ever_sent_back_and_bad_ones_are():
    equal, bad = forecast(PLAN, ratios=(1.0, 10.0), base=0.01, rate=300, rollouts=150, seed=1)
    assert equal.failed <= 0.03
    assert equal.promoted >= 0.9
    assert (bad.promoted, bad.failed) == (0.0, 1.0)
    assert bad.challenger < 600
    assert sum((equal.promoted, equal.failed, equal.undecided)) == pytest.approx(1)


def test_the_same_seed_gives_the_same_forecast():
    first, again = (list(forecast(PLAN, ratios=(3.0,), rate=300, rollouts=20, seed=7)) for _ in range(2))
    assert first == again


@pytest.mark.parametrize("strategy", ["canary", "blue_green"])
def test_every_strategy_can_be_forecast(strategy):
    draw = np.random.default_rng(0)
    run = simulate(Plan.of(Rollout(strategy=strategy)), base=0.01, ratio=1.0, rate=300, draw=draw)
    assert run.outcome is Outcome.PASS
    assert run.requests >= run.challenger > 0


def test_a_person_s_steps_do_not_stop_a_forecast_and_a_pause_takes_its_time():
    plan = Plan.of(Rollout(steps=("approve", "mirror", "pause", StepSettings(pause=500), 100)))
    run = simulate(plan, base=0.01, ratio=1.0, rate=300, draw=np.random.default_rng(0))
    assert (run.outcome, run.seconds >= 500) == (Outcome.PASS, True)


def test_a_failure_that_is_held_is_one():
    plan = Plan.of(Rollout(on_fail="hold"))
    run = simulate(plan, base=0.01, ratio=50.0, rate=300, draw=np.random.default_rng(0))
    assert run.outcome is Outcome.FAIL


def test_progress_is_told_of_each_rollout():
    told = []
    list(forecast(PLAN, ratios=(1.0, 2.0), rate=300, rollouts=3, seed=0, progress=lambda: told.append(1)))
    assert len(told) == 6


def test_what_is_forecast_stands_in_words_in_text_and_plot():
    found = list(forecast(PLAN, ratios=(1.0, 10.0), rate=300, rollouts=20, seed=0))
    lines = prospects(found, base=0.01, rollouts=20)
    assert lines[2].split()[:3] == ["1", "×", f"{found[0].promoted:.1%}"]
    picture = forecast_plot(found, base=0.01, rollouts=20)
    assert picture.count("<rect") == 1 + sum(share > 0 for one in found for share in (one.promoted, one.undecided, one.failed))
    assert f"after {found[1].challenger:,.0f} requests" in picture
