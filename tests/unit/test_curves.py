"""Curves: the same points as scikit-learn's, bins that count every row once, and drawings that stay within their frame."""

import re

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from seatrial.curves import calibration, calibration_drawing, forest, rates_at, roc_drawing, roc_points, strip, thinned
from seatrial.metrics import Scores
from seatrial.statistics import NormalEstimate, wilson_interval

LABELS = np.array([0, 1, 0, 1, 1, 0, 0, 1, 0, 1])
TIED = np.array([0.1, 0.4, 0.4, 0.8, 0.4, 0.1, 0.9, 0.9, 0.2, 0.8])


@pytest.mark.parametrize("probabilities", [TIED, np.linspace(0, 1, 10), np.full(10, 0.5)])
def test_roc_points_are_those_of_scikit_learn_ties_and_all(probabilities):
    across, up, _ = roc_curve(LABELS, probabilities, drop_intermediate=False)
    mine = roc_points(LABELS, probabilities)
    np.testing.assert_allclose(mine[0], across)
    np.testing.assert_allclose(mine[1], up)


def test_roc_points_without_a_class_are_no_numbers():
    across, up = roc_points(np.ones(3, dtype=int), np.array([0.1, 0.2, 0.3]))
    assert np.isnan(across).all()
    assert up.tolist() == [0, 1 / 3, 2 / 3, 1]


@pytest.mark.parametrize(("rows", "counts"), [(100, [10] * 10), (25, [2, 3] * 5), (10, [1] * 10), (3, [1] * 3), (0, [])])
def test_bins_have_equal_counts(rows, counts):
    generator = np.random.default_rng(0)
    bins = calibration((generator.random(rows) < 0.5).astype(int), generator.permutation(rows) / max(rows, 1), confidence=0.95)
    assert [one.rows for one in bins] == counts


def test_rows_of_one_probability_share_a_bin_so_that_their_order_is_no_matter():
    order = np.random.default_rng(0).permutation(10)
    bins = calibration(LABELS, TIED, confidence=0.95)
    assert calibration(LABELS[order], TIED[order], confidence=0.95) == bins
    assert [(one.rows, one.predicted) for one in bins] == [(2, 0.1), (1, 0.2), (3, pytest.approx(0.4)), (2, 0.8), (2, 0.9)]


def test_a_bin_tells_mean_probability_share_of_positives_and_its_interval():
    labels = np.array([0] * 80 + [1] * 20)
    (only,) = calibration(labels, np.linspace(0.1, 0.3, 100), confidence=0.9, bins=1)
    assert (only.rows, only.predicted, only.positive) == (100, pytest.approx(0.2), 0.2)
    assert (only.low, only.high) == wilson_interval(20, 100, 0.9)


def test_the_dot_of_a_roc_curve_lies_on_it_at_the_threshold():
    across, up = roc_points(LABELS, TIED)
    assert rates_at(LABELS, Scores(probabilities=TIED, threshold=0.8)) in set(zip(across, up, strict=True))


@pytest.mark.parametrize("points", [49, 50, 51, 100_000])
def test_a_thinned_curve_keeps_its_ends_its_shape_and_a_bound(points):
    across = np.linspace(0, 1, points)
    few = thinned(across, np.sqrt(across), most=50)
    assert len(few[0]) <= 50
    assert [few[0][0], few[0][-1], few[1][0], few[1][-1]] == [0, 1, 0, 1]
    np.testing.assert_allclose(few[1], np.sqrt(few[0]))


def test_a_thinned_curve_is_as_fine_everywhere():
    across = np.linspace(0, 1, 100_000)
    few = thinned(across, np.sqrt(across), most=50)
    assert np.hypot(np.diff(few[0]), np.diff(few[1])).max() < 0.05


def models(*names):
    return [(name, Scores(probabilities=TIED, threshold=0.5)) for name in names]


def test_drawings_name_their_axes_and_models_with_numbers_at_the_axes():
    for drawn in (
        roc_drawing(LABELS, models("challenger", "champion")),
        calibration_drawing(LABELS, models("challenger", "champion"), confidence=0.95),
    ):
        assert "of challenger and champion" in drawn
        assert drawn.index('class="champion"') < drawn.index('class="challenger"')  # the challenger's is drawn on top
        assert re.findall(r">([\d.]+)</text>", drawn) == ["0", "0.2", "0.4", "0.6", "0.8", "1"] * 2
    assert "champion" not in roc_drawing(LABELS, models("challenger"))


def drawn_at(svg, kind):
    return float(re.search(rf'class="{kind}" (?:d="M|cx=")(?:0 14H)?(-?[\d.]+)', svg)[1])


def interval(value, limit, *, better_is_left=False):
    return forest(
        NormalEstimate(value=value, error=0.01, method=""),
        confidence=0.95,
        limit=limit,
        zero=True,
        better_is_left=better_is_left,
        tone="pass",
    )


@pytest.mark.parametrize(("value", "limit", "loss"), [(0.01, -0.02, False), (-0.01, 0.02, True)])
def test_worse_is_on_the_left_for_losses_too(value, limit, loss):
    svg = interval(value, limit, better_is_left=loss)
    assert 0 < drawn_at(svg, "limit") < drawn_at(svg, "zero") < drawn_at(svg, "at") < 220
    assert f"{limit:+g}</text>" in svg


def test_the_thick_line_is_that_of_the_one_sided_bounds():
    svg = interval(0.0, -0.02)
    whole, sure = ([float(end) for end in re.search(rf'"{kind}" d="M(\S+) 24H([\d.]+)"', svg).groups()] for kind in ("whole", "sure"))
    assert whole[0] < sure[0] < drawn_at(svg, "at") < sure[1] < whole[1]
    assert (sure[1] - sure[0]) / (whole[1] - whole[0]) == pytest.approx(1.645 / 1.96, rel=0.01)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_not_drawn(value):
    assert interval(value, -0.02) == ""
    assert strip(0.4, value, 0.6, None, (0.0, 1.0)) == ""


def test_an_exact_difference_is_drawn_as_well():
    svg = forest(
        NormalEstimate(value=0.0, error=0.0, method=""), confidence=0.95, limit=None, zero=True, better_is_left=False, tone="plain"
    )
    assert drawn_at(svg, "at") == drawn_at(svg, "zero") == 110


def test_a_strip_keeps_within_its_scale():
    svg = strip(-3.0, 0.5, 9.0, 0.25, (0.0, 1.0))
    assert 'd="M4 10H116"' in svg
    assert 'class="was" d="M32 2V18"' in svg
