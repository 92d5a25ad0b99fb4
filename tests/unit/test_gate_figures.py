"""The comparison: figures that agree with the checks, the rows that both share, and words for every case."""

import numpy as np
import pytest

from seatrial.gate_figures import cells, compare, limit_words
from seatrial.metrics import METRICS, Scores
from seatrial.rivals import Rival
from seatrial.verdict import Check, Outcome
from tests.gates import LABELS, ROWS, evidence, judged, scores


def compared(found, **policy):
    return compare(judged(found, **policy), found, confidence=0.95)


def line(comparison, name):
    return next(one for one in comparison.lines if one.metric.name == name)


def test_a_line_has_the_figures_of_its_checks():
    found = evidence()
    verdict = judged(found)
    comparison = compare(verdict, found, confidence=0.95)
    assert [one.metric.name for one in comparison.lines] == ["roc_auc", "log_loss", "accuracy", "brier"]
    for one in comparison.lines:
        name = one.metric.name
        assert one.challenger.value == pytest.approx(METRICS[name](LABELS, found.challenger.probabilities, 0.5))
        assert one.champion.value == pytest.approx(METRICS[name](LABELS, found.champion.scores.probabilities, 0.5))
        assert one.difference.value == pytest.approx(one.challenger.value - one.champion.value)
        own = {check.name for check in verdict.checks if check.name.startswith(f"performance.{name}.")}
        assert {check.name for check in one.checks} == own


def test_intervals_are_those_of_the_checks_sentences():
    found = evidence()
    comparison = compare(judged(found), found, confidence=0.95)
    for one in comparison.lines:
        for check in one.checks:
            shown = cells(one, 0.95)[3 if check.name.endswith("champion") else 1]
            low, high = shown.partition("[")[2].strip("]").replace(" to ", "–").split("–")
            assert f"95 % CI {float(low):.3f}" in check.message
            assert f"{float(high):.3f}" in check.message


def test_rows_that_the_champion_was_trained_on_are_left_out_of_the_whole_line():
    learned = np.arange(ROWS) < 100
    comparison = compared(evidence(champion=Rival(scores=scores(seed=3), learned=learned)))
    one = line(comparison, "roc_auc")
    assert (len(comparison.rows.labels), comparison.rows.at[0]) == (900, 100)
    assert one.difference.value == pytest.approx(one.challenger.value - one.champion.value)
    assert one.check("champion").observed == round(one.difference.value, 6)
    assert "trained on 100 of the held-out rows" in comparison.note


def test_where_too_few_rows_are_left_the_challenger_stands_alone():
    learned = np.arange(ROWS) < 950
    comparison = compared(evidence(champion=Rival(scores=scores(seed=3), learned=learned)))
    assert (comparison.rows.champion, line(comparison, "roc_auc").difference) == (None, None)
    assert "too few others are left" in comparison.note


@pytest.mark.parametrize(
    ("champion", "note"),
    [
        (None, "First release"),
        (Rival(problem="its bytes are gone"), "its bytes are gone"),
        (Rival(scores=Scores(probabilities=np.full(ROWS, np.nan), threshold=0.5)), "one answer for each row"),
        (Rival(scores=Scores(probabilities=np.full(3, 0.5), threshold=0.5)), "one answer for each row"),
    ],
)
def test_without_a_champion_to_compare_with_its_cells_are_dashes_and_the_note_says_why(champion, note):
    comparison = compared(evidence(champion=champion))
    assert note in comparison.note
    assert cells(line(comparison, "accuracy"), 0.95)[2:4] == ("–", "–")


@pytest.mark.parametrize(
    "changes",
    [
        {"challenger": Scores(probabilities=np.full(ROWS, np.nan), threshold=0.5)},
        {"challenger": Scores(probabilities=np.full(3, 0.5), threshold=0.5)},
        {"labels": np.ones(ROWS, dtype=np.int64)},
    ],
)
def test_where_nothing_can_be_measured_there_is_no_comparison(changes):
    assert compared(evidence(**changes)) is None


def test_a_verdict_from_the_record_has_none():
    assert compare(judged(evidence()), None, confidence=0.95) is None


def test_cells_say_what_failed_where_there_are_several_limits():
    comparison = compared(evidence(challenger=scores(noise=1.5)))
    words = cells(line(comparison, "roc_auc"), 0.95)
    assert words[0] == "ROC AUC"
    assert words[3].startswith("-0.")
    assert words[4:] == ("floor 0.7, margin 0.03 (fail)", "fail")
    assert cells(line(comparison, "brier"), 0.95)[5] == "pass, advisory"


def test_a_difference_of_nothing_has_no_sign():
    comparison = compared(evidence(champion=Rival(scores=scores())))
    assert cells(line(comparison, "log_loss"), 0.95)[3] == "0.000 [0.000 to 0.000]"


@pytest.mark.parametrize(
    ("name", "limit", "words"),
    [
        ("performance.f1.floor", 0.5, "floor 0.5"),
        ("performance.log_loss.ceiling", 0.5, "ceiling 0.5"),
        ("performance.f1.champion", -0.02, "margin 0.02"),
        ("performance.f1.champion", 0.0, "margin 0"),
        ("performance.f1.anchor", -0.02, "anchor's margin 0.02"),
        ("performance.f1.floor", None, "floor unknown"),
    ],
)
def test_limits_in_words(name, limit, words):
    assert limit_words(Check(name=name, outcome=Outcome.PASS, message="", limit=limit)) == words


def test_checks_of_no_metric_make_no_line():
    found = evidence()
    verdict = judged(found)
    names = ("performance.policy", "performance.unknown.floor", "performance.f1.other", "suite.f1.floor")
    extra = tuple(Check(name=name, outcome=Outcome.PASS, message="") for name in names)
    again = type(verdict)(kind="gate", subject={}, checks=(*verdict.checks, *extra))
    assert len(compare(again, found, confidence=0.95).lines) == 4
