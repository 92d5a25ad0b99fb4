"""Statistics checks: effect and significance together, and the formulas against scipy's."""

import math

import numpy as np
import polars as pl
import pytest
from scipy import stats

from seatrial.checks.shift import (
    benjamini_hochberg,
    chi_square_survival,
    kolmogorov_p,
    ks_distance,
    stability_index,
    statistics_checks,
    two_proportions_p,
    two_samples_p,
)
from seatrial.contract import Column, Contract
from seatrial.profile import profile
from seatrial.verdict import Outcome

CONTRACT = Contract(
    columns={"size": Column(type="number", nullable=1), "colour": Column(type="string", nullable=1), "flag": Column(type="integer")}
)


def table(seed, *, n=2000, mean=0.0, red=0.5, missing=0.0, ones=0.3):
    generator = np.random.default_rng(seed)
    size = [None if hole else float(value) for value, hole in zip(generator.normal(mean, 1, n), generator.random(n) < missing, strict=True)]
    colours = generator.choice(["red", "blue", "green"], n, p=[red, 0.8 - red, 0.2])
    return profile(pl.DataFrame({"size": size, "colour": colours, "flag": (generator.random(n) < ones).astype(int)}), CONTRACT)


def failed(now, then):
    return {(check.name, check.column) for check in statistics_checks(CONTRACT, now, then) if check.outcome is not Outcome.PASS}


def test_a_resample_passes_in_ninety_nine_of_a_hundred():
    reference = table(0)
    assert sum(bool(failed(table(seed), reference)) for seed in range(1, 101)) <= 1


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"mean": 0.5}, {("statistics.shift", "size")}),
        ({"red": 0.1}, {("statistics.categories", "colour")}),
        ({"missing": 0.1}, {("statistics.missing", "size")}),
        ({"ones": 0.6}, {("statistics.shift", "flag")}),
        ({"n": 900}, {("statistics.rows", None)}),
        ({"n": 4100}, {("statistics.rows", None)}),
    ],
)
def test_a_large_change_fails_and_only_its_own_check(change, found):
    assert failed(table(1, **change), table(0)) == found


def test_a_large_effect_in_few_rows_and_a_small_one_in_many_pass():
    assert failed(table(4, n=12, mean=0.3), table(0, n=12)) == set()
    assert failed(table(1, n=50_000, mean=0.1), table(0, n=50_000)) == set()


def test_a_failure_names_column_effect_and_limit():
    (check,) = [one for one in statistics_checks(CONTRACT, table(1, red=0.1), table(0)) if one.outcome is Outcome.FAIL]
    assert check.column == "colour"
    assert check.limit == 0.2
    assert "most in 'blue'" in check.message or "most in 'red'" in check.message


def test_a_vanished_and_a_new_category_count():
    rows = 1000
    then = profile(pl.DataFrame({"colour": ["red"] * 500 + ["blue"] * 500}), CONTRACT)
    now = profile(pl.DataFrame({"colour": ["red"] * 500 + ["violet"] * 500}), CONTRACT)
    assert failed(now, then) == {("statistics.categories", "colour")}
    assert failed(then, then) == set()
    assert rows == now.rows


def test_a_column_that_the_reference_does_not_know_is_inconclusive():
    reference = profile(pl.DataFrame({"size": [1.0, 2.0]}), CONTRACT)
    checks = statistics_checks(CONTRACT, profile(pl.DataFrame({"size": [1.0, 2.0], "colour": ["a", "b"]}), CONTRACT), reference)
    (check,) = [one for one in checks if one.name == "statistics.reference"]
    assert (check.column, check.outcome) == ("colour", Outcome.INCONCLUSIVE)
    assert "--accept" in check.message


def test_the_id_is_compared_only_in_what_is_missing():
    now, then = table(1, red=0.1), table(0)
    names = {check.name for check in statistics_checks(CONTRACT, now, then, identity="colour") if check.column == "colour"}
    assert names == {"statistics.missing"}


def test_advisory_is_the_contracts_to_say():
    contract = CONTRACT.model_copy(
        update={
            "checks": CONTRACT.checks.model_copy(update={"statistics": CONTRACT.checks.statistics.model_copy(update={"advisory": True})})
        }
    )
    assert all(check.advisory for check in statistics_checks(contract, table(1), table(0)))


@pytest.mark.parametrize("mean", [0.0, 0.1, 0.5, 3.0])
def test_the_ks_distance_from_quantiles_is_within_two_percent_of_the_exact_one(mean):
    generator = np.random.default_rng(1)
    a, b = generator.normal(0, 1, 5000), generator.normal(mean, 1, 5000)
    one, two = (profile(pl.DataFrame({"size": values}), CONTRACT).columns["size"] for values in (a, b))
    assert ks_distance(one, two) == pytest.approx(stats.ks_2samp(a, b).statistic, abs=0.02)


def test_the_ks_distance_of_few_values_is_exact():
    a, b = [0] * 70 + [1] * 20 + [5] * 10, [0] * 40 + [1] * 20 + [7] * 40
    one, two = (profile(pl.DataFrame({"flag": values}), CONTRACT).columns["flag"] for values in (a, b))
    assert ks_distance(one, two) == pytest.approx(stats.ks_2samp(a, b).statistic, abs=1e-12)


@pytest.mark.parametrize(("x", "freedom"), [(0.1, 1), (3.841, 1), (30, 1), (2, 5), (11.07, 5), (80, 5), (40, 49), (66, 49), (150, 49)])
def test_the_chi_square_tail_is_scipys(x, freedom):
    assert chi_square_survival(x, freedom) == pytest.approx(stats.chi2.sf(x, freedom), rel=1e-9)


@pytest.mark.parametrize(("distance", "n", "m"), [(0.02, 500, 500), (0.05, 1000, 1200), (0.1, 500, 800), (0.3, 60, 50)])
def test_the_kolmogorov_tail_is_near_scipys_limit(distance, n, m):
    assert kolmogorov_p(distance, n, m) == pytest.approx(stats.kstwobign.sf(distance * math.sqrt(n * m / (n + m))), rel=0.25, abs=1e-6)


def test_the_two_sample_tests_are_scipys():
    cells = [(30, 50), (40, 40), (30, 60)]
    expected = stats.chi2_contingency(np.array(cells).T, correction=False).pvalue
    assert two_samples_p(cells) == pytest.approx(expected, rel=1e-9)
    square = stats.chi2_contingency(np.array([[30, 70], [50, 150]]), correction=False).pvalue
    assert two_proportions_p(30, 100, 50, 200) == pytest.approx(square, rel=1e-9)


def test_benjamini_hochberg_is_scipys():
    ps = [0.001, 0.8, 0.04, 0.012, 0.04, 1.0]
    assert benjamini_hochberg(ps) == pytest.approx(stats.false_discovery_control(ps).tolist())
    assert benjamini_hochberg([]) == []


def test_the_stability_index_is_near_zero_without_a_change_and_grows_with_it():
    assert stability_index({"a": (500, 500), "b": (500, 500)}) == 0.0
    assert stability_index({"a": (800, 500), "b": (200, 500)}) == pytest.approx((0.3) * math.log(1.6) + (-0.3) * math.log(0.4), abs=0.01)
