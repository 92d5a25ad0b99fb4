"""Claims about a model: evidence where they hold, an error with examples where not, and three cases for each limit."""

import math
import sys

import msgspec
import numpy as np
import polars as pl
import pytest

from seatrial.bundle import Bundle
from seatrial.claims import (
    ClaimError,
    Finding,
    Undecided,
    assert_answers,
    assert_at_least,
    assert_at_most,
    assert_batch_of_one,
    assert_calibrated,
    assert_deterministic,
    assert_direction,
    assert_fairness,
    assert_fast,
    assert_few_flips,
    assert_invariant,
    assert_matches_sklearn,
    assert_memory,
    assert_metric,
    assert_no_regression,
    assert_same_answers,
    assert_size,
    assert_slices,
    conclude,
    undecided,
)
from seatrial.claims.finding import decisive, findings, forget, summary
from seatrial.errors import UsageError
from seatrial.metrics import METRICS
from seatrial.suite import Model
from seatrial.verdict import Outcome
from tests.bundles import ID, TARGET, make_bundle, make_full_bundle, make_rows, make_targets

RECORDS = make_rows(2000)
ROWS = pl.DataFrame(RECORDS).with_columns(pl.Series(TARGET.name, make_targets(RECORDS)))
LABELS = (ROWS[TARGET.name] == TARGET.positive).to_numpy().astype(np.int64)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("bundles")


def model_of(folder, name, **options):
    make = make_full_bundle if options.pop("full", False) else make_bundle
    return Model(make(folder / name, **options), folder / name)


@pytest.fixture(scope="module")
def model(folder):
    return model_of(folder, "good")


@pytest.fixture(scope="module")
def weak(folder):
    return model_of(folder, "weak", weight=0.1)


@pytest.fixture(scope="module")
def broken(folder):
    return model_of(folder, "broken", constant=math.nan, constant_above=50.0)


@pytest.fixture(autouse=True)
def forgotten():
    forget()


class Fixed:
    """A model of given answers, for claims that need no bundle."""

    folder = None
    digest = "sha256:0"
    size = 2_000_000

    def __init__(self, model, answers):
        self.manifest, self.bundle, self._model = model.manifest, model.bundle, model
        self.answers = answers if callable(answers) else lambda rows: np.asarray(answers, dtype=np.float64)[: rows.height]

    def score(self, rows):
        return self.answers(rows)

    def predict(self, rows):
        return [TARGET.classes[int(one >= self.manifest.threshold)] for one in self.score(rows)]

    def encode(self, rows):
        return self._model.encode(rows)


def said_of(claim):
    """A claim's sentence, or why it was skipped: a skip must not leave the test that looks at it."""
    try:
        return claim().sentence
    except pytest.skip.Exception as skipped:
        return str(skipped)


def by_amount(model):
    return Fixed(model, lambda rows: rows["amount"].fill_null(0).to_numpy() / 1000)


# What a finding is


@pytest.mark.parametrize(("value", "floor", "ceiling"), [(0.79, False, True), (0.8, True, True), (0.81, True, False)])
def test_a_value_at_the_limit_keeps_it(value, floor, ceiling):
    for claim, holds in ((assert_at_least, floor), (assert_at_most, ceiling)):
        if holds:
            found = claim("recall", value, 0.8)
            assert (found.observed, found.limit, found.outcome) == (value, 0.8, Outcome.PASS)
        else:
            with pytest.raises(AssertionError, match=f"recall {value:g} is (below|above) 0.8"):
                claim("recall", value, 0.8)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("claim", [assert_at_least, assert_at_most])
def test_what_is_no_number_fails_and_says_so(claim, value):
    with pytest.raises(ClaimError, match="not a number"):
        claim("recall", value, 0.5)


def test_a_finding_is_recorded_whether_the_claim_holds_or_not():
    assert_at_least("a", 2, 1)
    with pytest.raises(ClaimError):
        assert_at_least("b", 1, 2)
    assert [(one.sentence, one.outcome) for one in findings()] == [("a 2 is at least 1", Outcome.PASS), ("b 1 is below 2", Outcome.FAIL)]


def test_an_advisory_claim_that_does_not_hold_warns_and_goes_on():
    with pytest.warns(UserWarning, match="advisory, fail: recall 0.5 is below 0.8"):
        found = assert_at_least("recall", 0.5, 0.8, advisory=True)
    assert (found.outcome, found.advisory) == (Outcome.FAIL, True)


def test_an_error_names_at_most_five_examples():
    found = Finding(observed=1, limit=0, sentence="it breaks", examples=tuple("abcdefg"), outcome=Outcome.FAIL)
    with pytest.raises(ClaimError) as error:
        conclude(found)
    assert str(error.value) == "it breaks (for example a, b, c, d, e)"


def test_undecided_is_no_failed_assertion():
    with pytest.raises(Undecided, match="ten rows") as error:
        undecided("only ten rows")
    assert not isinstance(error.value, AssertionError)


def found(sentence, outcome=Outcome.PASS, advisory=False):
    return Finding(observed=1, limit=1, sentence=sentence, outcome=outcome, advisory=advisory)


@pytest.mark.parametrize(
    ("seen", "sentence"),
    [
        ([], None),
        ([found("a"), found("b")], "b"),
        ([found("a", Outcome.FAIL, True), found("b")], "a"),
        ([found("a", Outcome.FAIL, True), found("b", Outcome.INCONCLUSIVE, True)], "a"),
        ([found("a", Outcome.FAIL, True), found("b", Outcome.INCONCLUSIVE)], "b"),
        ([found("a", Outcome.FAIL, True), found("b"), found("c", Outcome.FAIL, True)], "c"),
    ],
)
def test_what_ended_a_test_decides_then_what_failed_then_what_came_last(seen, sentence):
    assert getattr(decisive(seen), "sentence", None) == sentence


@pytest.mark.parametrize(("count", "words"), [(2, "b1; b0"), (3, "b2; b1; b0"), (4, "b3; b2; b1; and 1 more")])
def test_a_summary_has_at_most_three_sentences(count, words):
    assert summary([found(f"b{at}") for at in range(count)]) == words


# Quality


def test_a_metric_keeps_a_floor_by_its_bound_is_undecided_near_it_and_fails_beyond(model):
    value = METRICS["roc_auc"](LABELS, model.score(ROWS))
    held = assert_metric(model, ROWS, LABELS, "roc_auc", floor=value - 0.1)
    assert held.observed == pytest.approx(value, abs=1e-6)
    assert "lower bound" in held.sentence
    with pytest.raises(Undecided, match=r"more rows|no number of rows"):
        assert_metric(model, ROWS, LABELS, "roc_auc", floor=value)
    with pytest.raises(ClaimError, match="is below"):
        assert_metric(model, ROWS, LABELS, "roc_auc", floor=value + 0.1)


def test_a_ceiling_is_kept_from_below(model):
    assert assert_metric(model, ROWS, LABELS, "log_loss", ceiling=0.9).limit == 0.9
    with pytest.raises(ClaimError, match=r"is above 0\.1"):
        assert_metric(model, ROWS, LABELS, "log_loss", ceiling=0.1)


def test_an_unknown_metric_is_refused_with_the_nearest_one(model):
    with pytest.raises(UsageError, match="roc_auc"):
        assert_metric(model, ROWS, LABELS, "roc_auk", floor=0.5)


@pytest.mark.parametrize("limits", [{}, {"floor": 0.1, "ceiling": 0.9}])
def test_a_metric_takes_exactly_one_limit(model, limits):
    with pytest.raises(UsageError, match="one of the two"):
        assert_metric(model, ROWS, LABELS, "accuracy", **limits)


def test_answers_that_are_no_probabilities_fail_every_metric(broken):
    with pytest.raises(ClaimError, match="answers are no probability"):
        assert_metric(broken, ROWS, LABELS, "accuracy", floor=0.1)


def test_rows_of_one_class_decide_nothing(model):
    with pytest.raises(Undecided, match="not of both classes"):
        assert_metric(model, ROWS, np.ones(ROWS.height, dtype=int), "accuracy", floor=0.1)


def test_labels_of_another_length_are_a_mistake(model):
    with pytest.raises(UsageError, match="1,999 labels for 2,000 rows"):
        assert_metric(model, ROWS, LABELS[1:], "accuracy", floor=0.1)


def test_calibration_is_judged_by_its_upper_bound(model, weak):
    assert assert_calibrated(model, ROWS, LABELS, 0.1).observed < 0.1
    with pytest.raises(ClaimError):
        assert_calibrated(weak, ROWS, LABELS, 0.01)


def test_the_same_model_is_no_regression_and_a_weak_one_is(model, folder):
    wrong = model_of(folder, "wrong", weight=-1)
    assert assert_no_regression(model, model, ROWS, LABELS, "roc_auc", 0.01).observed == 0
    assert assert_no_regression(model, model, ROWS, LABELS, "log_loss", 0.01).limit == 0.01
    with pytest.raises(ClaimError, match=r"more than 0\.01 lower"):
        assert_no_regression(wrong, model, ROWS, LABELS, "roc_auc", 0.01)


def test_a_difference_near_the_margin_is_undecided(model, folder):
    other = model_of(folder, "other", weight=0.9, bias=-0.9)
    value = METRICS["accuracy"](LABELS, other.score(ROWS)) - METRICS["accuracy"](LABELS, model.score(ROWS))
    assert value < 0
    with pytest.raises(Undecided, match="may be more than"):
        assert_no_regression(other, model, ROWS, LABELS, "accuracy", -value)


def test_a_first_release_is_skipped(model):
    for claim in (
        lambda: assert_no_regression(model, None, ROWS, LABELS, "roc_auc", 0.01),
        lambda: assert_few_flips(model, None, ROWS, 0.1),
    ):
        with pytest.raises(pytest.skip.Exception, match="there is no champion to compare with"):
            claim()


def test_rows_that_the_champion_was_trained_on_are_left_out(model, folder):
    champion = model_of(folder, "full", full=True)
    known = pl.DataFrame(make_rows(100)).with_columns(pl.Series(TARGET.name, make_targets(make_rows(100))))
    labels = (known[TARGET.name] == TARGET.positive).to_numpy().astype(np.int64)
    with pytest.raises(Undecided, match="0 rows are new to the champion"):
        assert_no_regression(model, champion, known, labels, "roc_auc", 0.1)
    found = assert_no_regression(model, champion, ROWS, LABELS, "roc_auc", 0.1)
    assert "1,889 rows in pairs" in found.sentence  # eleven of the other 1,900 are equal to one of the hundred


def test_slices_hold_where_each_does_and_name_what_is_too_small(model):
    colours = ROWS.with_columns(pl.when(pl.int_range(pl.len()) < 30).then(pl.lit("rare")).otherwise("colour").alias("colour"))
    found = assert_slices(model, colours, LABELS, "colour", "roc_auc", 0.6)
    assert "too small to be judged: rare (" in found.sentence
    assert found.observed >= 0.6


def test_one_slice_below_the_floor_fails_and_is_the_example(model):
    swapped = np.where(ROWS["plan"] == "plus", 1 - LABELS, LABELS)
    with pytest.raises(ClaimError, match=r"lowest for plus 0\.\d+ \(for example plus"):
        assert_slices(model, ROWS, swapped, "plan", "roc_auc", 0.6)


def test_slices_near_the_floor_are_undecided(model):
    lowest = assert_slices(model, ROWS, LABELS, "plan", "roc_auc", 0.1).observed
    with pytest.raises(Undecided, match="not shown to be at least"):
        assert_slices(model, ROWS, LABELS, "plan", "roc_auc", lowest)


@pytest.mark.parametrize(("least", "judged"), [(999, 2), (1000, 2), (1001, 0)])
def test_a_slice_is_judged_from_its_smallest_size_on(model, least, judged):
    halves = ROWS.with_columns(half=pl.int_range(pl.len()) >= 1000)
    said = said_of(lambda: assert_slices(model, halves, LABELS, "half", "roc_auc", 0.5, min_rows=least))
    assert ("each of 2 values" in said) is (judged == 2)
    assert ("no value of half has 1001 rows" in said) is (judged == 0)


def test_slices_take_no_metric_of_which_less_is_better(model):
    with pytest.raises(UsageError, match="less log_loss is better"):
        assert_slices(model, ROWS, LABELS, "plan", "log_loss", 0.5)


# Behaviour


def test_every_answer_is_a_probability_or_the_rows_are_named(model, broken):
    assert assert_answers(model, ROWS, what="today").sentence == "all 2,000 answers are probabilities today"
    with pytest.raises(ClaimError, match=r"answers are no probability \(for example c0-\d+: nan"):
        assert_answers(broken, ROWS)


def test_without_rows_nothing_is_decided(model):
    with pytest.raises(Undecided, match="no rows"):
        assert_answers(model, ROWS.clear())


@pytest.mark.parametrize(("within", "holds"), [(0.09, False), (0.1, True), (0.11, True)])
def test_invariance_holds_up_to_its_limit(model, within, holds):
    fixed, raised = by_amount(model), lambda rows: rows.with_columns(pl.col("amount").fill_null(0) + 100)
    rows = ROWS.with_columns(amount=pl.lit(0.0))
    if holds:
        assert assert_invariant(fixed, rows, raised, within).observed == 0.1
    else:
        with pytest.raises(ClaimError, match=r"\(for example c0-0: 0.000 → 0.100, c0-1:"):
            assert_invariant(fixed, rows, raised, within)


@pytest.mark.parametrize(("moving", "holds"), [(99, True), (100, True), (101, False)])
def test_a_share_of_the_rows_may_move_further(model, moving, holds):
    rows = ROWS.head(1000).with_columns(amount=pl.lit(0.0))
    change = lambda one: one.with_columns(amount=(pl.int_range(pl.len()) < moving).cast(pl.Float64) * 100)  # noqa: E731
    if holds:
        assert assert_invariant(by_amount(model), rows, change, 0, share=0.9).observed == 0
    else:
        with pytest.raises(ClaimError):
            assert_invariant(by_amount(model), rows, change, 0, share=0.9)


def test_a_column_that_the_model_does_not_read_does_not_matter(model):
    assert assert_invariant(model, ROWS, lambda rows: rows.with_columns(pl.col(ID).reverse(), note=pl.lit("x")), 0).observed == 0


def test_a_move_to_no_number_fails(broken):
    rows = ROWS.with_columns(amount=pl.lit(10.0))
    with pytest.raises(ClaimError, match="not a number"):
        assert_invariant(broken, rows, lambda one: one.with_columns(amount=pl.lit(60.0)), 1)


def test_a_change_that_loses_rows_is_a_mistake(model):
    with pytest.raises(UsageError, match="1 rows of 2,000"):
        assert_invariant(model, ROWS, lambda rows: rows.head(1), 0)


def more(amount):
    return lambda rows: rows.with_columns(pl.col("amount") + amount)


def test_a_direction_holds_one_way_and_fails_the_other(model):
    assert assert_direction(model, ROWS, more(20), "up").observed <= 0
    with pytest.raises(ClaimError, match=r"all 1,800 rows move up by .* at most, 0 is the limit \(for example c0-"):
        assert_direction(model, ROWS, more(20), "down")


@pytest.mark.parametrize(("slack", "holds"), [(0.015, False), (0.015625, True), (0.016, True)])
def test_a_row_may_move_the_wrong_way_by_the_slack(model, slack, holds):
    fixed = Fixed(model, lambda rows: rows["amount"].to_numpy() / 64)
    rows = ROWS.with_columns(amount=pl.lit(4.0))
    if holds:
        assert assert_direction(fixed, rows, more(-1), "up", slack=slack).observed == 0.015625
    else:
        with pytest.raises(ClaimError):
            assert_direction(fixed, rows, more(-1), "up", slack=slack)


def test_a_change_that_alters_no_input_shows_no_direction(model):
    with pytest.raises(Undecided, match="alters no input"):
        assert_direction(model, ROWS, lambda rows: rows.with_columns(note=pl.lit("x")), "up")


@pytest.mark.parametrize(("within", "holds"), [(0.0624, False), (0.0625, True), (0.0626, True)])
def test_two_lists_of_answers_are_the_same_up_to_a_limit(within, holds):
    if holds:
        assert assert_same_answers([0.5, 0.25], [0.5, 0.1875], within).observed == 0.0625
    else:
        with pytest.raises(ClaimError, match=r"row 1: 0\.25 and 0\.1875"):
            assert_same_answers([0.5, 0.25], [0.5, 0.1875], within)


@pytest.mark.parametrize("other", [[0.5], [math.nan, 0.5]])
def test_answers_that_are_missing_or_no_numbers_are_not_the_same(other):
    with pytest.raises(ClaimError):
        assert_same_answers([0.5, 0.5], other, within=1)


def test_a_batch_of_one_is_compared_row_by_row(model):
    assert "20 answers" in assert_batch_of_one(model, ROWS.head(20)).sentence
    depends_on_batch = Fixed(model, lambda rows: np.full(rows.height, rows.height / 100))
    with pytest.raises(ClaimError, match=r"row 0: 0\.2 and 0\.01"):
        assert_batch_of_one(depends_on_batch, ROWS.head(20))


def test_two_processes_answer_alike_and_a_drawn_answer_is_noticed(model, folder):
    assert assert_deterministic(model, ROWS.head(50)).observed == 1
    draw = np.random.default_rng(0)
    drawn = Fixed(model, lambda rows: draw.random(rows.height))
    drawn.folder, drawn.digest = folder / "good", model.digest
    with pytest.raises(ClaimError, match="give other answers"):
        assert_deterministic(drawn, ROWS.head(50))


def test_determinism_is_asked_of_new_answers_and_not_of_remembered_ones(folder):
    model = model_of(folder, "asked")
    calls, score = [], model._runtime.score_frame
    model._runtime.score_frame = lambda rows: calls.append(rows.height) or score(rows)
    assert_deterministic(model, ROWS.head(5))
    assert calls == [5, 5]


@pytest.mark.parametrize("missing", ["fairlearn", "pandas"])
def test_without_a_library_a_claim_is_undecided(model, folder, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    asked = {
        "fairlearn": lambda: assert_fairness(model, ROWS, LABELS, "plan", within=0.5),
        "pandas": lambda: assert_matches_sklearn(model_of(folder, "whole", full=True), ROWS),
    }
    with pytest.raises(Undecided, match="is not installed"):
        asked[missing]()


def test_a_bundle_without_the_pipeline_is_not_compared_with_it(model):
    with pytest.raises(pytest.skip.Exception, match=r"the bundle has no model\.skops"):
        assert_matches_sklearn(model, ROWS)


def test_the_served_model_is_compared_with_the_pipeline_in_the_bundle(model):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from seatrial.analysis import dump_skops

    rows = pl.DataFrame({"amount": [0.0, 10.0, 20.0, 30.0] * 10})
    manifest = msgspec.structs.replace(model.manifest, inputs=model.manifest.inputs[:1])
    matrix = rows.cast(pl.Float32).to_pandas()
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(matrix, [0, 0, 1, 1] * 10)
    files = {**model.bundle.files, "model.skops": dump_skops(pipeline)}
    same = Fixed(model, lambda _: pipeline.predict_proba(matrix)[:, 1])
    same.bundle = Bundle(manifest=manifest, digest="sha256:0", files=files)
    same.encode = lambda frame: {"amount": frame["amount"].cast(pl.Float32).to_numpy()}
    assert assert_matches_sklearn(same, rows).observed == 0
    same.answers = lambda _: pipeline.predict_proba(matrix)[:, 1] + 0.01
    with pytest.raises(ClaimError, match="scikit-learn and ONNX"):
        assert_matches_sklearn(same, rows)


@pytest.mark.parametrize(("share", "holds"), [(0.09, False), (0.1, True), (0.11, True)])
def test_flips_are_counted_against_the_champion(model, share, holds):
    champion = Fixed(model, np.full(100, 0.2))
    challenger = Fixed(model, np.where(np.arange(100) < 10, 0.9, 0.2))
    if holds:
        assert assert_few_flips(challenger, champion, ROWS.head(100), share).observed == 0.1
    else:
        with pytest.raises(ClaimError, match="c0-0: No → Yes"):
            assert_few_flips(challenger, champion, ROWS.head(100), share)


# Groups


def of_rates(model, first, second, size=2000):
    """Rows of two groups, all positive, and a model that finds these shares of them."""
    rows = pl.DataFrame({"team": ["a"] * size + ["b"] * size})
    answers = np.concatenate([np.arange(size) < first * size, np.arange(size) < second * size]) * 0.8 + 0.1
    return Fixed(model, answers), rows, np.ones(2 * size, dtype=np.int64)


@pytest.mark.parametrize("criterion", ["equal_opportunity", "demographic_parity"])
def test_groups_within_the_limit_pass_beyond_it_fail_and_near_it_are_undecided(model, criterion):
    subject = of_rates(model, 0.7, 0.6)
    assert assert_fairness(*subject, "team", criterion, within=0.2).observed == pytest.approx(0.1)
    with pytest.raises(Undecided, match=r"on either side of 0\.1 "):
        assert_fairness(*subject, "team", criterion, within=0.1)
    with pytest.raises(ClaimError, match=r"0\.700 for a and 0\.600 for b"):
        assert_fairness(*subject, "team", criterion, within=0.05)


def test_equalized_odds_looks_at_both_rates(model):
    fixed, rows, _ = of_rates(model, 0.5, 0.5)
    labels = (np.arange(4000) % 2 == 0).astype(np.int64)
    biased = Fixed(model, np.where((np.arange(4000) >= 2000) & (labels == 0), 0.9, fixed.score(rows)))
    assert assert_fairness(biased, rows, labels, "team", "equal_opportunity", within=0.2).observed < 0.1
    with pytest.raises(ClaimError, match="false-positive rate"):
        assert_fairness(biased, rows, labels, "team", "equalized_odds", within=0.2)


@pytest.mark.parametrize("criterion", ["equal_opportunity", "equalized_odds", "demographic_parity"])
def test_the_figure_is_the_widest_difference_of_all_pairs(model, criterion):
    rates = {}
    scores = model.score(ROWS) >= model.manifest.threshold
    colours = ROWS["colour"].fill_null("(missing)").to_numpy()
    among = {"equal_opportunity": [LABELS == 1], "equalized_odds": [LABELS == 1, LABELS == 0], "demographic_parity": [LABELS >= 0]}
    for at, mask in enumerate(among[criterion]):
        rates[at] = [scores[mask & (colours == colour)].mean() for colour in set(colours)]
    found = assert_fairness(model, ROWS, LABELS, "colour", criterion, within=0.99, min_rows=10)
    assert found.observed == pytest.approx(max(max(one) - min(one) for one in rates.values()))


@pytest.mark.parametrize(("least", "judged"), [(1999, True), (2000, True), (2001, False)])
def test_a_group_is_judged_from_its_smallest_size_on(model, least, judged):
    subject = of_rates(model, 0.7, 0.6)
    said = said_of(lambda: assert_fairness(*subject, "team", within=0.3, min_rows=least))
    assert ("is at most 0.3" in said) is judged
    assert ("fewer than two groups with 2001 rows" in said) is not judged


def test_an_unknown_criterion_is_refused(model):
    with pytest.raises(UsageError, match="equalized_odds"):
        assert_fairness(model, ROWS, LABELS, "plan", "parity", within=0.1)


# Cost


@pytest.mark.parametrize(("most", "holds"), [(1.9, False), (2, True), (2.1, True)])
def test_a_bundle_may_have_its_megabytes(model, most, holds):
    fixed = Fixed(model, [])
    if holds:
        assert assert_size(fixed, most).observed == 2.0
    else:
        with pytest.raises(ClaimError, match=r"2\.00 MB"):
            assert_size(fixed, most)


def test_memory_is_that_of_the_process_and_not_of_the_one_that_starts_it(model):
    filled = np.ones(60_000_000)  # 480 MB here
    found = assert_memory(model, 400)
    assert filled[-1] == 1
    assert 20 < found.observed < 400
    assert found.volatile
    with pytest.raises(ClaimError, match="at the peak"):
        assert_memory(model, 1)


def test_the_real_server_is_timed(model):
    assert assert_fast(model, ROWS, 10_000, requests=300, rate=1000).volatile
    with pytest.raises(ClaimError, match="is the limit"):
        assert_fast(model, ROWS, 0.001, requests=300, rate=1000)
    with pytest.raises(Undecided, match="too few"):
        assert_fast(model, ROWS, 10_000, requests=298, rate=2000)


# The model as a test sees it


def test_a_table_is_scored_once_and_again_once_it_was_changed_in_place(folder):
    model = model_of(folder, "counted")
    calls, score = [], model._runtime.score_frame
    model._runtime.score_frame = lambda rows: calls.append(rows.height) or score(rows)
    rows = pl.DataFrame(make_rows(10))
    first = model.score(rows)
    first[:] = 2
    assert (model.score(rows) <= 1).all()
    assert len(calls) == 1
    rows[0, "visits"] = 19
    assert model.score(rows)[0] != pytest.approx(score(pl.DataFrame(make_rows(10)))[0])
    assert len(calls) == 2


def test_equal_tables_that_are_not_the_same_are_scored_each(folder):
    model = model_of(folder, "each")
    for seed in range(8):
        rows = pl.DataFrame(make_rows(5, seed=seed))
        assert np.array_equal(model.score(rows), model._runtime.score_frame(rows))
        del rows


def test_a_model_knows_its_folder_and_size(folder, model):
    assert (model.folder, model.size) == (folder / "good", model.bundle.size)
