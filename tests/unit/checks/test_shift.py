"""Statistics checks: effect and significance together, and the formulas against scipy's."""

import math
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats

from seatrial.checks.shift import (
    benjamini_hochberg,
    chi_square_survival,
    exclusive_p,
    kolmogorov_p,
    ks_distance,
    stability_index,
    statistics_checks,
    two_proportions_p,
    two_samples_p,
)
from seatrial.contract import Checks, Column, Contract, Statistics, load_contract
from seatrial.params import Data
from seatrial.profile import ColumnProfile, Profile
from seatrial.verdict import Outcome
from tests.summaries import scanned

CONTRACT = Contract(
    columns={"size": Column(type="number", nullable=1), "colour": Column(type="string", nullable=1), "flag": Column(type="integer")}
)
ROOT = Path(__file__).parents[3]


def profile(frame, contract, **options):
    """The profile of a frame, as a scan of one file makes it."""
    with tempfile.TemporaryDirectory() as folder:
        return scanned(frame, contract, Path(folder), **options).profile()


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


def categories(counts, *, kind="string", **facts):
    """A profile of the one column `colour` with these counts."""
    pairs = tuple(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))
    given = {"count": sum(counts.values()), "distinct": len(counts), "values": pairs}
    column = ColumnProfile(type=kind, nulls=0, **{**given, **facts})
    return Profile(rows=column.count, columns={"colour": column})


def asked(name, now, then, contract=CONTRACT):
    found = [check for check in statistics_checks(contract, now, then) if check.name == f"statistics.{name}"]
    assert len(found) < 2
    return found[0] if found else None


PLAIN = {"red": 5000, "blue": 5000}


def test_categories_that_came_and_went_are_named_with_their_shares():
    now = categories({"red": 5000, "violet": 3000, "mauve": 2000})
    came, went = asked("new_categories", now, categories(PLAIN)), asked("vanished", now, categories(PLAIN))
    assert (came.outcome, came.column, came.observed, came.limit) == (Outcome.FAIL, "colour", 0.5, 0.001)
    assert came.message.startswith(
        "column 'colour': 2 categories are unknown to the reference, 5000 of 10000 rows (50.00%): "
        "'violet' (3000 rows), 'mauve' (2000 rows); from 0.001 on it counts, if significant (p < 0.0001"
    )
    assert (went.outcome, went.column, went.observed, went.limit) == (Outcome.FAIL, "colour", 0.5, 0.005)
    assert went.message.startswith("column 'colour': 1 category is gone: 'blue' (50.00% of the reference); 50.00% in all;")


@pytest.mark.parametrize(("rows", "outcome"), [(0, "pass"), (999, "pass"), (1000, "fail"), (1001, "fail")])
def test_new_categories_count_from_a_thousandth_of_the_rows_on(rows, outcome):
    now = categories({"red": 600_000, "blue": 400_000 - rows} | ({"new": rows} if rows else {}))
    assert asked("new_categories", now, categories({"red": 600_000, "blue": 400_000})).outcome == outcome


@pytest.mark.parametrize(("rows", "outcome"), [(0, "pass"), (4999, "pass"), (5000, "fail"), (5001, "fail")])
def test_vanished_categories_count_from_five_thousandths_of_the_reference_on(rows, outcome):
    then = categories({"red": 600_000, "blue": 400_000 - rows} | ({"old": rows} if rows else {}))
    assert asked("vanished", categories({"red": 600_000, "blue": 400_000}), then).outcome == outcome


@pytest.mark.parametrize(("rows", "outcome"), [(5, "pass"), (50, "fail")])
def test_few_rows_of_a_category_may_come_or_go_by_chance(rows, outcome):
    plain, more = categories({"red": 600, "blue": 400}), categories({"red": 600, "blue": 400 - rows, "rare": rows})
    assert asked("new_categories", more, plain).outcome == outcome
    assert asked("vanished", plain, more).outcome == outcome


def test_many_rare_categories_count_together():
    rare = {f"new {at:02}": 4 for at in range(40)}
    assert (
        asked("new_categories", categories({"red": 600, "blue": 400, **rare}), categories({"red": 600, "blue": 400})).outcome
        is Outcome.FAIL
    )


def test_new_categories_are_not_asked_where_the_contract_lists_the_values():
    listing = Contract(columns={"colour": Column(type="string", allowed=("red", "blue"))})
    now = categories({"red": 500, "violet": 500})
    assert asked("new_categories", now, categories(PLAIN), listing) is None
    assert asked("vanished", now, categories(PLAIN), listing).outcome is Outcome.FAIL


def test_only_complete_lists_tell_what_came_or_went():
    some = categories({"red": 900, "blue": 50}, count=1000, distinct=80)
    full = categories({"red": 500, "violet": 500})
    assert asked("new_categories", full, some) is None
    assert asked("vanished", some, categories({"red": 500, "green": 500})) is None


@pytest.mark.parametrize("then", [PLAIN, {f"c{at:02}": 100 for at in range(50)}])
def test_a_category_that_turned_into_text_that_hardly_repeats_is_new(then):
    now = categories({}, count=5000, distinct=4500, values=None)
    check = asked("new_categories", now, categories(then))
    assert check.outcome is Outcome.FAIL
    assert f"{4500 - len(then)} categories are unknown to the reference" in check.message


def test_new_categories_that_are_not_listed_count_by_their_least_number():
    listed = {f"c{at:02}": 100 for at in range(50)}
    now = categories(listed, count=5600, distinct=60)
    check = asked("new_categories", now, categories(dict.fromkeys(list(listed)[:45], 100) | {"x": 9, "y": 9}))
    assert "13 categories are unknown to the reference, 900 of 5600 rows" in check.message
    for rows in (5010, 5300):
        hidden = asked("new_categories", categories(listed, count=rows, distinct=52), categories({**listed, "x": 9, "y": 9}))
        assert (hidden.outcome, hidden.observed) == (Outcome.PASS, 0)


def test_numbers_have_no_categories():
    now, then = categories({"1": 500, "3": 500}, kind="integer"), categories({"1": 500, "2": 500}, kind="integer")
    assert asked("new_categories", now, then) is None
    assert asked("vanished", now, then) is None


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
    contract = Contract(columns=CONTRACT.columns, checks=Checks(statistics=Statistics(advisory=True)))
    assert all(check.advisory for check in statistics_checks(contract, table(1), table(0)))
    assert not any(check.advisory for check in statistics_checks(CONTRACT, table(1), table(0)))


@pytest.mark.parametrize(
    ("limits", "name", "column", "change"),
    [
        ("ks", "statistics.shift", "size", {"mean": 0.5}),
        ("psi", "statistics.categories", "colour", {"red": 0.1}),
        ("missing", "statistics.missing", "size", {"missing": 0.1}),
    ],
)
def test_a_change_counts_from_its_limit_on(limits, name, column, change):
    now, then = table(1, **change), table(0)
    (seen,) = [one.observed for one in statistics_checks(CONTRACT, now, then) if (one.name, one.column) == (name, column)]
    for limit, outcome in ((seen * 0.99, "fail"), (seen, "fail"), (seen * 1.01, "pass")):
        policy = Statistics(**{limits: math.floor(limit * 1e6) / 1e6 if limit <= seen else limit})
        checks = statistics_checks(Contract(columns=CONTRACT.columns, checks=Checks(statistics=policy)), now, then)
        assert [one.outcome for one in checks if (one.name, one.column) == (name, column)] == [outcome]


@pytest.mark.parametrize(("rows", "outcome"), [(999, "fail"), (1000, "pass"), (1001, "pass"), (4000, "pass"), (4001, "fail")])
def test_the_number_of_rows_may_halve_or_double(rows, outcome):
    check = asked("rows", categories({"red": rows}), categories({"red": 2000}))
    assert (check.outcome, check.limit) == (outcome, 0.5)


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


@pytest.mark.parametrize("tail", [1.3, 1.7, 3.0])
@pytest.mark.parametrize("share", [0.5, 0.1])
def test_categories_dealt_by_chance_are_rarely_exclusive(tail, share):
    """The p-value of a long tail of rare categories is below 5 % in at most 5 % of the deals."""
    generator = np.random.default_rng(7)
    cells = np.minimum(generator.zipf(tail, 1000), 45)
    n = int(1000 * share)
    low = 0
    for _ in range(200):
        order = generator.permutation(cells)
        one, other = (np.bincount(half, minlength=46) for half in (order[:n], order[n:]))
        low += exclusive_p(list(zip(one.tolist(), other.tolist(), strict=True)), n, 1000 - n) < 0.05
    assert low <= 10


def test_one_exclusive_category_is_as_unlikely_as_the_hypergeometric_says():
    pairs = [(980, 1000), (20, 0)]
    alone = stats.hypergeom.pmf(20, 2000, 20, 1000)
    assert exclusive_p(pairs, 1000, 1000) == pytest.approx(2 * alone, rel=0.01)
    among_rare = [(3000, 1500), *[(6, 3)] * 40, *[(3, 0)] * 2, (46, 0)]
    n, m = (sum(pair[at] for pair in among_rare) for at in (0, 1))
    assert exclusive_p(among_rare, n, m) == pytest.approx(2 * len(among_rare) * stats.hypergeom.pmf(46, n + m, 46, n), rel=0.01)
    assert exclusive_p([(1000, 1000)], 1000, 1000) == 1.0
    assert exclusive_p([], 0, 0) == 1.0


DATA = Data(raw="t.csv", target="churn", id="customer_id")


@pytest.fixture(scope="module")
def sample():
    """The sample, with a long tail of categories beside its own, which the contract does not list."""
    frame = pl.read_csv(ROOT / "data/raw/telco_churn.csv", infer_schema=False)
    tail = np.minimum(np.random.default_rng(0).zipf(1.7, frame.height), 45)
    return frame.with_columns(pl.Series("tail", [f"c{one:02}" for one in tail]))


@pytest.fixture(scope="module")
def unlisted():
    """The sample's contract without any list of values, so that new categories are asked everywhere."""
    contract = load_contract(ROOT / "data/contract.yaml")
    columns = {name: column.model_copy(update={"allowed": None}) for name, column in contract.columns.items()}
    return Contract(columns={**columns, "tail": Column(type="string")}, table=contract.table)


def changed(unlisted, now, then):
    return {
        (check.name, check.column)
        for check in statistics_checks(unlisted, now, then, identity=DATA.id)
        if check.outcome is not Outcome.PASS
    }


@pytest.mark.slow
def test_clean_resamples_of_the_sample_fail_at_most_twice_in_two_hundred(sample, unlisted):
    reference = profile(sample, unlisted, data=DATA)
    failures = 0
    for seed in range(200):
        generator = np.random.default_rng(seed)
        drawn = generator.integers(0, sample.height, sample.height) if seed % 2 else generator.permutation(sample.height)[:3522]
        failures += bool(changed(unlisted, profile(sample[drawn], unlisted, data=DATA), reference))
    assert failures <= 2


@pytest.mark.parametrize("column", ["tenure", "monthly_charges", "total_charges"])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_quarter_of_a_standard_deviation_is_found(sample, unlisted, column, sign):
    reference = profile(sample, unlisted, data=DATA)
    cells = pl.col(column).cast(pl.Float64, strict=False)
    moved = cells + sign * 0.25 * float(sample[column].cast(pl.Float64, strict=False).std())
    shifted = (moved.round(0).cast(pl.Int64) if column == "tenure" else moved.round(2)).cast(pl.String).alias(column)
    drawn = sample[np.random.default_rng(5).integers(0, sample.height, 3522)].with_columns(shifted)
    assert changed(unlisted, profile(drawn, unlisted, data=DATA), reference) == {("statistics.shift", column)}


@pytest.mark.parametrize(
    ("column", "value", "share"),
    [("contract", "One year", 0.295), ("payment_method", "Credit card (automatic)", 0.3), ("churn", "Yes", 0.33)],
)
def test_a_mix_that_changed_by_a_quarter_is_found(sample, unlisted, column, value, share):
    """A share of the rows turned to one category, for a PSI of 0.25."""
    reference = profile(sample, unlisted, data=DATA)
    generator = np.random.default_rng(5)
    turned = pl.when(pl.Series(generator.random(3522) < share)).then(pl.lit(value)).otherwise(pl.col(column)).alias(column)
    drawn = sample[generator.integers(0, sample.height, 3522)].with_columns(turned)
    assert changed(unlisted, profile(drawn, unlisted, data=DATA), reference) == {("statistics.categories", column)}
