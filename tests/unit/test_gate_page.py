"""The gate's page: every section from its evidence, nothing but text from data, and a bounded size."""

import re

import numpy as np
import pytest

from seatrial.checks.behaviour import Perturbation
from seatrial.gate_page import gate_page
from seatrial.metrics import Scores
from seatrial.rivals import Rival
from seatrial.suite import SuiteResult
from seatrial.verdict import Check, Outcome, Verdict
from tests.gates import LABELS, ROWS, evidence, judged, scores
from tests.markup import Balance

SECTIONS = [
    "Champion against challenger",
    "Curves",
    "Labels at the threshold",
    "Slices and groups",
    "Prediction flips",
    "Behaviour",
    "Latency",
]
HOSTILE = ("<script>alert(1)</script>", "\"quoted\" & 'so'", "\u202eright to left", "x" * 10_000, "</svg></table><style>*{}</style>", "")


def shown(found=None, examples=(), **policy):
    found = found or evidence()
    return gate_page(judged(found, **policy), found, examples, confidence=0.95)


def sections(html):
    return re.findall(r"<h2>(.*?)</h2>", html)


def section(html, title):
    """The text of a section, its cells set apart by bars."""
    start = html.index(f"<h2>{title}")
    inside = html[start : html.index("</section>", start)]
    return re.sub(r"\s*\|[\s|]*", "|", re.sub(r"<[^>]*>", "|", inside))


def balanced(html):
    parser = Balance("meta", "link", "br", "path", "circle", "wbr")
    parser.feed(html)
    return parser.open == []


def test_the_verdict_comes_first_then_the_evidence_then_all_checks():
    html = shown(evidence(challenger=scores(noise=1.5)))
    assert balanced(html)
    assert html.index("<h1>Gate: <strong>fail</strong></h1>") < html.index("<h2>")
    assert sections(html) == ["What did not pass", *SECTIONS, "All 22 checks"]


def test_a_pass_has_nothing_that_did_not():
    assert sections(shown())[0] == "Champion against challenger"


@pytest.mark.parametrize("verdict", [judged(evidence()), Verdict(kind="gate", subject={}, checks=())])
def test_without_evidence_there_are_verdict_and_checks(verdict):
    html = gate_page(verdict, None, confidence=0.95)
    assert balanced(html)
    assert sections(html) == [f"All {len(verdict.checks)} checks"]
    assert f"verdict {verdict.digest}" in html


def test_each_metric_has_both_values_the_difference_a_drawing_and_its_limits():
    html = shown()
    metrics = section(html, "Champion against challenger")
    assert re.search(r"\|ROC AUC\|0\.8\d\d\|0\.\d{3}–0\.\d{3}\|0\.8\d\d\|0\.\d{3}–0\.\d{3}\|[+-]?0\.0\d\d\|", metrics)
    assert "|pass|floor 0.7|pass|margin 0.03|" in metrics
    assert "|pass (advisory)|ceiling 0.3|" in metrics
    assert [html.count(f'<svg class="forest {tone}"') for tone in ("pass", "plain")] == [3, 1]


def test_drawings_are_coloured_by_the_comparisons_outcome():
    found = evidence(challenger=scores(noise=1.5))
    colours = [check.outcome.value for check in judged(found).checks if check.name.endswith(".champion")]
    assert "fail" in colours
    assert re.findall(r'<svg class="forest (\w+)"', shown(found)) == [*colours, "plain"]


def test_a_first_release_says_so_and_shows_the_challenger_alone():
    html = shown(evidence(champion=None, latency={"challenger": [1.0] * 1000}))
    assert sections(html)[:-1] == [title for title in SECTIONS if title != "Prediction flips"]
    assert "First release: there is no champion to compare with." in html
    assert html.count('<g class="challenger">') == 2
    assert '<g class="champion">' not in html
    assert re.search(r"\|ROC AUC\|0\.8\d\d\|0\.\d{3}–0\.\d{3}\|–\|–\|0\.7\|pass\|floor 0\.7\|", section(html, "Champion against"))


@pytest.mark.parametrize("strange", [np.nan, np.inf, -0.1])
def test_a_champion_whose_answers_are_no_probabilities_is_left_out(strange):
    html = shown(evidence(champion=Rival(scores=Scores(probabilities=np.full(ROWS, strange), threshold=0.5))))
    assert "The champion cannot be compared with" in html
    assert "nan" not in section(html, "Champion against").lower()
    assert '<g class="champion">' not in html


def test_a_challenger_whose_answers_are_no_probabilities_has_no_figures_but_behaviour():
    html = shown(evidence(challenger=Scores(probabilities=np.full(ROWS, np.nan), threshold=0.5)))
    assert sections(html) == ["What did not pass", "Metrics", "Behaviour", "Latency", "All 11 checks"]


def test_the_confusion_matrix_counts_every_row_at_the_models_threshold():
    html = shown(evidence(challenger=scores(threshold=0.3)))
    found, cards = scores(threshold=0.3).positive, section(html, "Labels at the threshold")
    counts = [int(((actual == LABELS) & (found == given)).sum()) for actual, given in ((1, True), (1, False), (0, True), (0, False))]
    assert "challenger, threshold 0.3" in cards
    assert [int(text) for text in re.findall(r"\|(\d+)\|[\d.]+%(?=\|)", cards.partition("champion,")[0])] == counts
    assert sum(counts) == ROWS


def test_slices_have_figures_where_there_is_enough_and_counts_where_not():
    slices = section(shown(), "Slices and groups")
    assert slices.index("|team|") < slices.index("|part|")
    assert re.search(r"\|a\|500\|\d+\|0\.8\d\d\|0\.\d{3}–0\.\d{3}\|vs 0\.8\d\d:\|[+-]?0\.0\d\d \(", slices)
    assert "… and 3 more values with 149 rows." in slices
    assert "|rare|" not in slices  # of fifteen values, the twelve largest are shown


@pytest.mark.parametrize(("positives", "few"), [(9, True), (10, False), (11, False)])
@pytest.mark.parametrize("of", [0, 1])
def test_a_slice_needs_ten_rows_of_either_class(positives, few, of):
    rare = np.flatnonzero(of == LABELS)[:positives]
    common = np.flatnonzero(of != LABELS)[:50]
    values = ["rest"] * ROWS
    for at in (*rare, *common):
        values[at] = "small"
    slices = section(shown(evidence(groups={}, slices={"part": values})), "Slices and groups")
    counts = f"{positives + 50}|{positives if of else 50}"
    assert (f"|small|{counts}|too few|" in slices) is few
    assert (f"|small|{counts}|0." in slices) is not few


def test_columns_of_another_length_are_left_out():
    html = shown(evidence(slices={"odd": ["a"] * 3}))
    assert "|team|" in section(html, "Slices and groups")
    assert "|odd|" not in section(html, "Slices and groups")


def test_no_group_and_no_slice_make_no_section():
    assert "Slices and groups" not in sections(shown(evidence(groups={}, slices={})))


def test_flips_are_counted_both_ways_with_who_was_right():
    old, labels = np.array([0.9, 0.9, 0.1, 0.1, 0.1, 0.6] * 50), np.array([1, 0, 1, 1, 0, 1] * 50)
    new = np.array([0.2, 0.3, 0.8, 0.7, 0.6, 0.9] * 50)
    found = evidence(
        labels=labels,
        challenger=Scores(probabilities=new, threshold=0.5),
        champion=Rival(scores=Scores(probabilities=old, threshold=0.5)),
        groups={},
        slices={},
    )
    flips = section(shown(found), "Prediction flips")
    assert "250 of 300 rows (83.3%)" in flips
    assert "|negative → positive|150|100|50|" in flips
    assert "|positive → negative|100|50|50|" in flips


def test_the_largest_changes_come_first_with_the_rows_values():
    found = evidence()
    examples = [{"place": at, "price": at / 7, "gone": None} for at in range(ROWS)]
    flips = section(shown(found, examples), "Prediction flips")
    new, old = found.challenger, found.champion.scores
    flipped = np.flatnonzero(new.positive != old.positive)
    change = new.probabilities - old.probabilities
    first = flipped[np.argmax(np.abs(change[flipped]))]
    lines = re.findall(r"\|(\d[\d,]*)\|(positive|negative)\|0\.\d{3}\|0\.\d{3}\|([+-]0\.\d{3})\|3 values\|place\|(\d+)(?=\|)", flips)
    assert len(lines) == 10
    assert lines[0] == (f"{first + 1}", "positive" if LABELS[first] else "negative", f"{change[first]:+.3f}", f"{first}")
    assert [abs(float(line[2])) for line in lines] == sorted((abs(float(line[2])) for line in lines), reverse=True)
    assert "|gone|(missing)|" in flips


def test_examples_are_the_rows_of_all_even_where_some_are_left_out():
    learned = np.arange(ROWS) < 100
    found = evidence(champion=Rival(scores=scores(seed=3), learned=learned))
    flips = section(shown(found, [{"place": at} for at in range(ROWS)]), "Prediction flips")
    pairs = re.findall(r"\|(\d+)\|(?:positive|negative)\|[^a-z]*\|1 values?\|place\|(\d+)(?=\|)", flips)
    assert len(pairs) == 10
    assert all(int(row) == int(place) + 1 > 100 for row, place in pairs)


def test_without_flips_it_says_so():
    flips = section(shown(evidence(champion=Rival(scores=scores()))), "Prediction flips")
    assert "0 of 1,000 rows (0.0%)" in flips
    assert "Largest" not in flips


def test_behaviour_shows_the_share_of_labels_that_change_largest_first():
    before, after = np.full(10, 0.4), np.array([0.6] * 3 + [0.4] * 7)
    tried = [("y", before), ("x", after), ("x", before), ("z", np.array([0.6] + [0.4] * 9))]
    found = evidence(perturbations=tuple(Perturbation(kind="range", column=name, before=before, after=new) for name, new in tried))
    assert "|far out of range|x|30.0%|z|10.0%|y|0.0%|" in section(shown(found), "Behaviour")


def test_behaviour_names_answers_that_are_none():
    odd = Perturbation(kind="missing", column="x", before=np.full(3, 0.5), after=np.array([0.5, np.nan, 2.0]))
    short = Perturbation(kind="missing", column="y", before=np.full(3, 0.5), after=np.full(2, 0.5))
    assert "2 of the answers are no probability; in 1 column, not every row" in section(
        shown(evidence(perturbations=(odd, short))), "Behaviour"
    )


def test_latency_shows_percentiles_of_both_where_measured():
    found = evidence(latency={"challenger": [float(at) for at in range(1, 1001)], "champion": [2.0] * 999 + [9.0]})
    assert "|challenger|1,000|501.00|901.00|991.00|1000.00|champion|1,000|2.00|2.00|2.00|9.00|" in section(shown(found), "Latency")
    assert "Latency" not in sections(shown(evidence(latency={})))


@pytest.mark.parametrize("name", HOSTILE)
def test_names_and_values_from_data_are_only_text(name):
    found = evidence(
        groups={name: [name, "other"] * (ROWS // 2)},
        slices={f"{name}2": [name] * ROWS},
        perturbations=(Perturbation(kind="missing", column=name, before=np.full(3, 0.5), after=np.full(3, 0.5)),),
        suite=(SuiteResult(name=name or "test", outcome="failed", sentence=name, reason=name),),
    )
    html = shown(found, [{name: name}] * ROWS)
    assert balanced(html)
    assert [html.count(bad) for bad in ("<script", "\u202e", "<style>*")] == [0, 0, 0]
    assert html.count("<style") == 1
    assert len(html) < 500_000


def test_three_hundred_tests_and_many_slices_stay_below_a_megabyte():
    names = [f"column {at} " + "é" * 60 for at in range(60)]
    values = [f"value {at % 40} " + "x" * 80 for at in range(ROWS)]
    suite = tuple(SuiteResult(name=f"test_{at}_{'y' * 60}", outcome="passed", sentence="word " * 30, reason="") for at in range(300))
    tried = tuple(Perturbation(kind="range", column=name, before=np.full(9, 0.1), after=np.full(9, 0.9)) for name in names)
    html = shown(evidence(slices=dict.fromkeys(names, values), suite=suite, perturbations=tried), [dict.fromkeys(names, "x" * 500)] * ROWS)
    assert len(html.encode()) < 1_000_000
    assert "… and 37 more columns." in html
    assert html.count("suite.<wbr>test_") == 300
    assert "<details><summary><code>suite</code> 300 pass" in html


@pytest.mark.parametrize(("checks", "opened"), [(59, True), (60, True), (61, False)])
def test_many_checks_are_folded(checks, opened):
    verdict = Verdict(
        kind="gate", subject={}, checks=tuple(Check(name=f"suite.{at}", outcome=Outcome.PASS, message="") for at in range(checks))
    )
    assert ("<details open><summary><code>suite" in gate_page(verdict, None, confidence=0.95)) is opened


def test_the_same_evidence_gives_the_same_page():
    assert shown() == shown()
