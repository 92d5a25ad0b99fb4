import pytest

from seatrial.checks.drift import (
    ColumnFacts,
    Predictions,
    Score,
    SegmentFacts,
    Window,
    drift_checks,
    window_checks,
)
from seatrial.params import Drift
from seatrial.verdict import Outcome, Verdict

POLICY = Drift(min_rows=500, missing_increase=0.05, max_columns=0)
SAME = Score(method="ks_stat", value=0.02, limit=0.1, p=0.6, drifted=False)
MOVED = Score(method="ks_stat", value=0.31, limit=0.1, p=1e-9, drifted=True)


def column(name="amount", *, score=SAME, then=0.1, now=0.1, unseen=None, examples=()):
    kind = "numeric" if unseen is None else "category"
    return ColumnFacts(name=name, kind=kind, reference_missing=then, current_missing=now, unseen=unseen, examples=examples, score=score)


def verdict(*columns, policy=POLICY, window=None, predictions=None):
    window = window or Window(rows=1000)
    checks = drift_checks(policy, window, columns or (column(),), predictions or Predictions(score=SAME))
    return Verdict(kind="drift", subject={}, checks=checks)


def check(of, name):
    return next(one for one in of.checks if one.name == name)


def test_what_looks_the_same_passes():
    assert verdict(column(), column("colour", unseen=0.0)).outcome is Outcome.PASS


def test_a_column_that_drifted_fails_and_is_named_where_it_blocks():
    answer = verdict(column("amount", score=MOVED), column("visits"))
    assert answer.outcome is Outcome.FAIL
    assert check(answer, "drift.columns").observed == 1
    assert "amount: ks_stat 0.31 (drift from 0.1, p < 0.0001)" in check(answer, "drift.columns").message
    assert [one.name for one in answer.checks if one.blocks] == ["drift.columns"]
    assert check(answer, "drift.amount").advisory


@pytest.mark.parametrize(("drifted", "outcome"), [(1, Outcome.PASS), (2, Outcome.PASS), (3, Outcome.FAIL)])
def test_more_columns_than_may_drift_fail(drifted, outcome):
    columns = [column(f"c{at}", score=MOVED if at < drifted else SAME) for at in range(4)]
    assert verdict(*columns, policy=Drift(max_columns=2)).outcome is outcome


@pytest.mark.parametrize(("rows", "outcome"), [(499, Outcome.INCONCLUSIVE), (500, Outcome.PASS), (501, Outcome.PASS)])
def test_fewer_rows_than_needed_are_inconclusive(rows, outcome):
    assert window_checks(POLICY, Window(rows=rows))[0].outcome is outcome


def test_too_few_rows_are_told_with_the_number_missing():
    assert "120 rows, 500 are needed: 380 missing" in window_checks(POLICY, Window(rows=120))[0].message


def test_no_rows_say_what_to_do_and_what_was_left_out():
    words = window_checks(POLICY, Window(rows=0, others=7))[0].message
    assert "nobody asked the champion yet (7 rows of other versions left out)" in words
    assert "nox -s replay" in words


@pytest.mark.parametrize(("now", "outcome"), [(0.14, Outcome.PASS), (0.1499, Outcome.PASS), (0.1501, Outcome.FAIL), (0.9, Outcome.FAIL)])
def test_values_missing_more_often_fail_and_name_the_column(now, outcome):
    answer = verdict(column(now=now), column("visits"))
    assert answer.outcome is outcome
    assert ("amount: " in check(answer, "drift.missing").message) is (outcome is Outcome.FAIL)
    assert check(answer, "drift.missing.amount").outcome is outcome


def test_values_missing_less_often_pass():
    assert verdict(column(then=0.9, now=0.0)).outcome is Outcome.PASS


def test_an_empty_column_fails_as_missing_and_is_not_counted_as_compared():
    answer = verdict(column(score=None, now=1.0), column("visits"))
    assert answer.outcome is Outcome.FAIL
    assert check(answer, "drift.missing").blocks
    assert "of 1 columns" in check(answer, "drift.columns").message
    assert "is empty" in check(answer, "drift.amount").message


def test_a_column_that_the_log_does_not_keep_is_said_and_does_not_block():
    answer = verdict(column(score=None, now=None), column("visits"))
    assert answer.outcome is Outcome.PASS
    assert check(answer, "drift.amount").outcome is Outcome.INCONCLUSIVE
    assert "monitor.log.drop" in check(answer, "drift.amount").message


def test_nothing_to_compare_is_inconclusive():
    assert verdict(column(score=None, now=None)).outcome is Outcome.INCONCLUSIVE


def test_a_column_without_a_reference_is_no_drift():
    answer = verdict(column(score=None, then=1.0, now=0.2), column("visits"))
    assert answer.outcome is Outcome.PASS
    assert "no value in the training rows" in check(answer, "drift.amount").message


@pytest.mark.parametrize(("share", "outcome"), [(0.0, Outcome.PASS), (0.001, Outcome.FAIL)])
def test_unseen_categories_are_shown_with_examples_and_do_not_block(share, outcome):
    answer = verdict(column("colour", unseen=share, examples=("violet",) if share else ()))
    assert check(answer, "drift.unseen.colour").outcome is outcome
    assert answer.outcome is Outcome.PASS
    assert ("'violet'" in check(answer, "drift.unseen.colour").message) is bool(share)


def test_other_predictions_than_in_training_fail():
    assert check(verdict(predictions=Predictions(score=MOVED)), "drift.prediction").outcome is Outcome.FAIL
    assert verdict(predictions=Predictions(score=MOVED)).outcome is Outcome.FAIL


def test_probabilities_that_are_no_numbers_are_an_error_even_beside_good_ones():
    answer = verdict(predictions=Predictions(strange=1, score=SAME))
    assert answer.outcome is Outcome.ERROR


def test_a_score_that_is_no_number_never_passes():
    assert (
        verdict(predictions=Predictions(score=Score(method="ks_stat", value=float("nan"), limit=0.1, p=1.0, drifted=False))).outcome
        is Outcome.ERROR
    )


def test_simulated_rows_are_said():
    answer = verdict(window=Window(rows=1000, simulated=400))
    assert "simulation: 400 of 1000 rows" in check(answer, "drift.simulation").message
    assert answer.outcome is Outcome.PASS
    assert "drift.simulation" not in [one.name for one in verdict().checks]


def test_more_missing_cells_count_only_where_chance_does_not_explain_them():
    by_chance = ColumnFacts(name="amount", kind="numeric", reference_missing=0.1, current_missing=0.3, score=SAME, missing_p=0.2)
    assert verdict(by_chance).outcome is Outcome.PASS


def segment(*, rows=900, reference_rows=900, score=SAME):
    return SegmentFacts(column="plan", value="plus", reference_rows=reference_rows, rows=rows, scores={"amount": score})


@pytest.mark.parametrize(
    ("facts", "outcome"),
    [
        (segment(), Outcome.PASS),
        (segment(score=MOVED), Outcome.FAIL),
        (segment(rows=499), Outcome.INCONCLUSIVE),
        (segment(reference_rows=499), Outcome.INCONCLUSIVE),
    ],
)
def test_a_segment_that_drifted_is_shown_and_does_not_block(facts, outcome):
    checks = drift_checks(POLICY, Window(rows=1000), [column()], Predictions(score=SAME), [facts])
    answer = Verdict(kind="drift", subject={}, checks=checks)
    assert check(answer, "drift.segment.plan.plus").outcome is outcome
    assert answer.outcome is Outcome.PASS
