import numpy as np
import pytest
import scipy.stats as oracle

from seatrial.draws import SINGLY, draw_counts


def generator(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("count", [1, 2, SINGLY - 1, SINGLY, SINGLY + 1, 300, 5000])
def test_each_line_adds_up_to_the_rows(count):
    drawn = draw_counts(generator(), 200, count)
    assert drawn.shape == (200, count)
    assert drawn.dtype == np.uint8
    assert set(drawn.sum(axis=1, dtype=int)) == {count}


@pytest.mark.parametrize("count", [50, 70, 1000])
def test_a_rows_count_is_binomial(count):
    drawn = draw_counts(generator(1), 4000, count)
    seen = np.bincount(drawn.ravel(), minlength=12)[:8]
    expected = oracle.binom.pmf(np.arange(8), count, 1 / count) * drawn.size
    assert np.abs(seen - expected).max() < 5 * np.sqrt(expected.max())
    assert seen[7] == pytest.approx(expected[7], abs=6 * np.sqrt(expected[7]) + 3)


def test_rows_compete_for_draws_as_in_a_multinomial():
    # Two rows of n have the covariance -1/n, which 4,000 times n pairs tell apart from 0.
    drawn = draw_counts(generator(2), 4000, 100).astype(float)
    covariance = np.cov(drawn, rowvar=False)
    off = (covariance.sum() - np.trace(covariance)) / (100 * 99)
    assert off == pytest.approx(-1 / 100, rel=0.02)
    assert np.trace(covariance) / 100 == pytest.approx(99 / 100, rel=0.02)


def test_every_place_is_drawn_alike():
    assert draw_counts(generator(3), 20_000, 80).mean(axis=0) == pytest.approx(np.ones(80), abs=0.04)


def test_the_same_seed_gives_the_same_counts_and_another_seed_others():
    one, again, other = (draw_counts(generator(seed), 10, 500) for seed in (4, 4, 5))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_no_line_is_no_line():
    assert draw_counts(generator(), 0, 500).shape == (0, 500)
    assert draw_counts(generator(), 5, 0).shape == (5, 0)
