import math
import subprocess
import sys

import numpy as np
import pytest
import scipy.stats as oracle
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize

from seatrial import statistics
from seatrial.statistics import (
    NormalEstimate,
    PairedEstimate,
    ProportionEstimate,
    benjamini_hochberg,
    binomial_cdf,
    equal_power,
    holm,
    increase_upper_bound,
    log_e_value,
    look_level,
    mcnemar_exact,
    more_rows,
    normal_cdf,
    null_variance,
    proportion_lower,
    proportion_upper,
    quantile_lower_rank,
    quantile_upper_rank,
    rows_for_power,
    settle,
    wilson_interval,
)
from seatrial.verdict import Outcome


def paired(wins, losses, rows):
    return PairedEstimate(wins=wins, losses=losses, rows=rows)


def test_no_array_library_is_needed():
    code = "import sys, seatrial.statistics; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@given(trials=st.integers(1, 200), data=st.data(), p=st.floats(0.001, 0.999))
def test_binomial_probabilities_are_what_scipy_says(trials, data, p):
    count = data.draw(st.integers(0, trials))
    assert binomial_cdf(count, trials, p) == pytest.approx(oracle.binom.cdf(count, trials, p), abs=1e-9)


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (3, 10), (10, 10), (24, 1760)])
def test_exact_bounds_are_what_scipy_says(successes, trials):
    result = oracle.binomtest(successes, trials)
    low, high = result.proportion_ci(0.9, method="exact")
    assert proportion_lower(successes, trials, 0.05) == pytest.approx(low, abs=1e-9)
    assert proportion_upper(successes, trials, 0.05) == pytest.approx(high, abs=1e-9)
    assert wilson_interval(successes, trials, 0.95) == pytest.approx(tuple(result.proportion_ci(0.95, method="wilson")), abs=1e-9)


def test_without_trials_a_proportion_may_be_anything():
    assert (proportion_lower(0, 0, 0.05), proportion_upper(0, 0, 0.05)) == (0, 1)
    assert wilson_interval(0, 0, 0.95) == (0, 1)


def test_the_adjustments_are_those_of_holm_and_of_benjamini_and_hochberg():
    values = [0.01, 0.04, 0.03, 0.005]
    assert holm(values) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert benjamini_hochberg(values) == pytest.approx(list(oracle.false_discovery_control(values)))
    assert holm([]) == benjamini_hochberg([]) == []


@given(st.lists(st.floats(0, 1), max_size=20))
def test_an_adjusted_p_value_is_never_smaller(values):
    for adjust in (holm, benjamini_hochberg):
        assert all(value - 1e-12 <= adjusted <= 1 for value, adjusted in zip(values, adjust(values), strict=True))


def test_of_2000_calls_the_1988th_bounds_the_99th_percentile():
    assert quantile_upper_rank(2000, 0.99, 0.95) == 1988
    lower = quantile_lower_rank(2000, 0.99, 0.95)
    assert oracle.binom.sf(lower - 1, 2000, 0.99) >= 0.95 > oracle.binom.sf(lower, 2000, 0.99)


@pytest.mark.parametrize(("calls", "rank"), [(298, None), (299, 299), (300, 300)])
def test_fewer_than_299_calls_do_not_bound_the_99th_percentile(calls, rank):
    assert quantile_upper_rank(calls, 0.99, 0.95) == rank


def test_the_bound_of_a_quantile_holds_as_often_as_it_says():
    rng = np.random.default_rng(0)
    rank = quantile_upper_rank(500, 0.9, 0.95)
    held = np.mean(np.sort(rng.exponential(size=(4000, 500)), axis=1)[:, rank - 1] >= -math.log(0.1))
    assert 0.95 - 0.012 <= held <= 0.98


def test_the_power_formula_is_the_one_in_print():
    assert rows_for_power(1.0, 1.0) == math.ceil(6.18)
    assert rows_for_power(0.1, 0.02) == pytest.approx(6.18 * 0.1 / 0.02**2, rel=0.001)
    assert rows_for_power(0.1, 0.02, power=0.9) > rows_for_power(0.1, 0.02)
    assert rows_for_power(0.1, 0.0) is None
    assert rows_for_power(float("nan"), 0.1) is None


def test_as_many_more_rows_settle_it_as_is_said():
    estimate = NormalEstimate(value=0.01, error=0.02, method="")
    more = more_rows(estimate, 0.0, 1000, 0.05)
    settled = NormalEstimate(value=0.01, error=0.02 * math.sqrt(1000 / (1000 + more)), method="")
    assert settled.lower(0.05) == pytest.approx(0, abs=1e-5)
    assert more_rows(estimate, 0.01, 1000, 0.05) is None


@pytest.mark.parametrize(
    ("p_pass", "p_fail", "outcome"),
    [
        (0.049, 0.9, Outcome.PASS),
        (0.05, 0.9, Outcome.PASS),
        (0.051, 0.9, Outcome.INCONCLUSIVE),
        (0.9, 0.05, Outcome.FAIL),
        (0.9, 0.051, Outcome.INCONCLUSIVE),
        (math.nan, math.nan, Outcome.INCONCLUSIVE),
    ],
)
def test_three_answers(p_pass, p_fail, outcome):
    assert settle(p_pass, p_fail, 0.05) is outcome


ESTIMATES = [
    NormalEstimate(value=0.02, error=0.01, method=""),
    ProportionEstimate(successes=150, rows=200),
    paired(80, 60, 1000),
    paired(9, 5, 1000),
    paired(2, 11, 400),
    paired(0, 0, 400),
]


@pytest.mark.parametrize("estimate", ESTIMATES)
@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.3])
def test_bounds_and_p_values_agree(estimate, alpha):
    assert estimate.lower(alpha) <= estimate.value <= estimate.upper(alpha)
    assert estimate.p_above(estimate.lower(alpha)) == pytest.approx(alpha, abs=1e-6)
    assert estimate.p_below(estimate.upper(alpha)) == pytest.approx(alpha, abs=1e-6)


def test_what_has_no_error_is_exact():
    estimate = NormalEstimate(value=0.5, error=0.0, method="")
    assert [estimate.p_above(limit) for limit in (0.4, 0.5, 0.6)] == [0, 0, 1]
    assert [estimate.p_below(limit) for limit in (0.4, 0.5, 0.6)] == [1, 0, 0]


@pytest.mark.parametrize(("wins", "losses", "exact"), [(12, 12, True), (13, 12, False), (13, 13, False)])
def test_under_25_discordant_rows_the_test_against_nothing_is_exact(wins, losses, exact):
    estimate = paired(wins, losses, 1000)
    assert ("exact" in estimate.method) is exact
    assert (estimate.p_above(0) == mcnemar_exact(wins, losses)) is exact
    assert (estimate.p_below(0) == mcnemar_exact(losses, wins)) is exact


def test_the_error_of_a_paired_difference_is_that_of_its_formula():
    estimate = paired(90, 30, 1000)
    assert (estimate.value, estimate.error) == pytest.approx((0.06, math.sqrt((0.12 - 0.06**2) / 1000)))


@pytest.mark.parametrize(("wins", "losses", "rows"), [(90, 30, 1000), (20, 41, 300), (60, 0, 400), (13, 13, 60)])
@pytest.mark.parametrize("limit", [-0.05, 0.02, 0.1])
def test_the_paired_score_is_that_of_the_likelihood_under_its_limit(wins, losses, rows, limit):
    def surprise(share):  # of `wins` and `losses`, were the true difference `limit` and the share of losses `share`
        return -(wins * np.log(share + limit) + losses * np.log(share) + (rows - wins - losses) * np.log(1 - 2 * share - limit))

    tiny = 1e-12
    found = optimize.minimize_scalar(
        surprise, bounds=(max(tiny, tiny - limit), (1 - limit) / 2 - tiny), method="bounded", options={"xatol": 1e-12}
    )
    expected = (wins - losses - rows * limit) / math.sqrt(rows * (2 * found.x + limit * (1 - limit)))
    assert paired(wins, losses, rows).p_below(limit) == pytest.approx(normal_cdf(expected), abs=1e-5)


def test_at_zero_the_paired_score_is_mcnemars():
    assert paired(60, 40, 500).p_above(0) == pytest.approx(1 - normal_cdf(20 / math.sqrt(100)))


@pytest.mark.parametrize(("margin", "power"), [(0.0, 0.05), (0.02487, 0.8), (0.1, 1.0)])
def test_power_is_level_at_no_margin_and_eighty_percent_where_the_formula_says(margin, power):
    assert equal_power(0.01, margin, 0.05) == pytest.approx(power, abs=1e-3)
    assert equal_power(0.0, margin, 0.05) == 1


def test_the_levels_of_all_looks_add_up_to_the_whole():
    assert look_level(0.05, 1) == pytest.approx(0.0304, abs=1e-4)
    assert sum(look_level(0.05, look) for look in range(1, 100_000)) == pytest.approx(0.05, abs=1e-6)
    with pytest.raises(ValueError, match="counted from 1"):
        look_level(0.05, 0)


def test_mcnemar_is_the_binomial_test_of_the_discordant_rows():
    assert mcnemar_exact(12, 3) == pytest.approx(oracle.binomtest(12, 15, alternative="greater").pvalue)
    assert paired(12, 3, 500).p_above(0) == mcnemar_exact(12, 3)
    assert mcnemar_exact(0, 0) == 1


@pytest.mark.parametrize(
    ("rows", "share", "margin"),
    [(1760, 0.10, 0.03), (1760, 0.02, 0.01), (500, 0.2, 0.05), (300, 0.06, 0.05), (200, 0.03, 0.02), (100, 0.021, 0.02)],
)
def test_a_model_at_the_margin_passes_in_at_most_six_percent(rows, share, margin):
    draws = np.random.default_rng(0).multinomial(rows, [(share - margin) / 2, (share + margin) / 2, 1 - share], size=2000)
    found, counts = np.unique(draws[:, :2], axis=0, return_counts=True)
    passed = [paired(wins, losses, rows).p_above(-margin) <= 0.05 for wins, losses in found.tolist()]
    assert np.average(passed, weights=counts) <= 0.06 + 0.01


@pytest.mark.parametrize(("share", "margin"), [(0.1, 0.03), (0.03, 0.02), (0.3, 0.05)])
def test_the_power_is_that_of_the_formula(share, margin):
    rows = rows_for_power(share, margin, null=null_variance(share, margin))
    draws = np.random.default_rng(1).multinomial(rows, [share / 2, share / 2, 1 - share], size=4000)
    passed = np.mean([paired(int(wins), int(losses), rows).p_above(-margin) <= 0.05 for wins, losses, _ in draws])
    assert passed == pytest.approx(0.8, abs=0.03)
    error, null = (math.sqrt(variance / rows) for variance in (share, null_variance(share, margin)))
    assert equal_power(error, margin, 0.05, null=null) == pytest.approx(0.8, abs=0.005)


@pytest.mark.parametrize(("share", "margin"), [(0.1, 1e-9), (0.3, 1e-9)])
def test_under_no_margin_the_variance_is_the_discordant_share(share, margin):
    assert null_variance(share, margin) == pytest.approx(share, rel=1e-6)


def e_value(*steps):
    return math.exp(log_e_value(steps))


def test_the_e_value_is_the_mean_product_of_the_ratios():
    def product(ratio):
        found = 1.0
        for share, champion, challenger in ((0.05, 3, 2), (0.25, 4, 6)):
            odds = share * ratio / (share * ratio + 1 - share)
            found *= (odds / share) ** challenger * ((1 - odds) / (1 - share)) ** champion
        return found

    assert statistics.RATIO_GRID[0] == pytest.approx(1.25)
    assert statistics.RATIO_GRID[-1] == pytest.approx(30)
    assert e_value((0.05, 3, 2), (0.25, 4, 6)) == pytest.approx(np.mean([product(ratio) for ratio in statistics.RATIO_GRID]))


def test_without_failures_there_is_no_evidence():
    assert log_e_value([]) == pytest.approx(0)
    assert log_e_value([(0.5, 0, 0)]) == pytest.approx(0)


@given(share=st.floats(0.01, 0.99), champion=st.integers(0, 300), challenger=st.integers(0, 300))
def test_the_expected_e_value_never_rises_where_both_fail_alike(share, champion, challenger):
    now = log_e_value([(share, champion, challenger)])
    theirs, ours = (math.exp(log_e_value([(share, champion + a, challenger + b)]) - now) for a, b in ((1, 0), (0, 1)))
    assert share * ours + (1 - share) * theirs == pytest.approx(1)


def test_thousands_of_failures_do_not_overflow():
    assert log_e_value([(0.1, 0, 100_000)]) > 1e4
    assert math.isfinite(log_e_value([(0.1, 10**6, 0)]))


@pytest.mark.parametrize("step", [(0.0, 1, 1), (1.0, 1, 1), (5, 1, 1), (0.5, -1, 0), (0.5, 0, -1)])
def test_a_step_that_cannot_be_is_refused(step):
    with pytest.raises(ValueError, match="a step is a share"):
        log_e_value([step])


def rollouts(ratio, count, seed, base=0.01):
    """The largest e-value over the looks of each simulated rollout: four steps, ten looks each."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        done, largest = [], -math.inf
        for share in (0.05, 0.25, 0.5, 0.9):
            looks = rng.binomial(600, [[(1 - share) * base, share * min(base * ratio, 1)]] * 10).cumsum(axis=0)
            for champion, challenger in looks.tolist():
                largest = max(largest, log_e_value([*done, (share, champion, challenger)]))
            done.append((share, *looks[-1].tolist()))
        yield largest


def test_equal_versions_are_rolled_back_no_more_often_than_alpha_at_any_look():
    false = np.mean([largest >= math.log(1 / 0.05) for largest in rollouts(1, 2000, seed=0)])
    assert false <= 0.05


def test_five_times_the_failures_are_seen():
    seen = np.mean([largest >= math.log(1 / 0.01) for largest in rollouts(5, 100, seed=1)])
    assert seen >= 0.99


def test_the_bound_of_an_increase_counts_a_failure_and_a_success_more_in_each_arm():
    rate1, rate0 = 4 / 302, 3 / 1002
    error = math.sqrt(rate1 * (1 - rate1) / 302 + rate0 * (1 - rate0) / 1002)
    assert increase_upper_bound(3, 300, 2, 1000, 0.95) == pytest.approx(rate1 - rate0 + oracle.norm.ppf(0.95) * error)
    assert increase_upper_bound(0, 300, 0, 300, 0.95) > 0
    with pytest.raises(ValueError, match="no counts"):
        increase_upper_bound(301, 300, 0, 300, 0.95)
