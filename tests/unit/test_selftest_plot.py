"""The plot of the self-test: well-formed, labelled, the same for the same rates, and nothing in it but what was measured."""

from xml.etree import ElementTree

from seatrial.selftest import Rate
from seatrial.selftest_plot import power_plot

SVG = "{http://www.w3.org/2000/svg}"


def rate(distance, passed, metric="roc_auc"):
    return Rate(
        name=f"{metric} {distance}",
        words="",
        expected="open",
        metric=metric,
        distance=distance,
        draws=100,
        passed=passed,
        inconclusive=0,
        failed=100 - passed,
        point_rule=min(100, 2 * passed),
        predicted=passed / 100,
    )


RATES = [rate(0.0, 99), rate(0.04, 0), rate(0.01, 80), rate(0.02, 5), rate(0.03, 7, "accuracy")]
MARGINS = {"roc_auc": 0.02, "accuracy": 0.03}


def points(root):
    return [one for one in root.iter(f"{SVG}circle") if "cx" in one.attrib and one.get("cx") != "12"]


def test_the_same_rates_give_the_same_bytes_in_any_order():
    assert power_plot(RATES, MARGINS) == power_plot(RATES[::-1], MARGINS)


def test_each_metric_has_a_panel_with_both_axes_named_and_its_margin():
    root = ElementTree.fromstring(power_plot(RATES, MARGINS))
    words = [text.text for text in root.iter(f"{SVG}text")]
    assert words.count("share of test sets that pass") == 2
    assert {"how much lower ROC AUC truly is", "how much lower accuracy truly is", "margin 0.02", "margin 0.03"} <= set(words)
    assert root.find(f"{SVG}title").text


def test_every_known_distance_is_a_point_but_that_of_another_model():
    root = ElementTree.fromstring(power_plot(RATES, {"roc_auc": 0.02}))
    assert len(points(root)) == 3
    heights = [float(one.get("cy")) for one in sorted(points(root), key=lambda one: float(one.get("cx")))]
    assert heights == sorted(heights)
    told = [title.text for title in root.iter(f"{SVG}title")]
    assert "worse by 0.0200: 5 of 100 passed (2.2% to 11.2%)" in told


def test_light_and_dark_both_have_their_colours():
    drawn = power_plot(RATES, MARGINS)
    assert "prefers-color-scheme:dark" in drawn
    assert drawn.count(".paper{fill:") == 2


def test_a_metric_without_rates_has_no_panel():
    assert power_plot([rate(0.01, 80), rate(0.02, 5)], MARGINS).count("share of test sets that pass") == 1
