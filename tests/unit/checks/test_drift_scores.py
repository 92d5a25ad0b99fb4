import numpy as np
import polars as pl
import pytest
from scipy.spatial.distance import jensenshannon

from seatrial.checks.drift_scores import jensen_shannon, scores_of
from seatrial.live_profile import LiveTally
from seatrial.manifest import Input
from seatrial.params import Drift
from seatrial.params_monitor import CategoryDrift, NumericDrift

INPUTS = tuple(Input(name=f"x{at}", type="number", nullable=True) for at in range(6)) + tuple(
    Input(name=f"c{at}", type="category", nullable=True) for at in range(4)
)


def table(rows, seed, **shift):
    """Six numbers and four categories, each as the seed gives it but for those that are shifted."""
    draw = np.random.default_rng(seed)
    numbers = {f"x{at}": draw.normal(shift.get(f"x{at}", 0.0), 1.0, rows) for at in range(6)}
    words = {f"c{at}": draw.choice(list("abcd"), rows, p=shift.get(f"c{at}", (0.4, 0.3, 0.2, 0.1))) for at in range(4)}
    return pl.DataFrame({**numbers, **words})


def profile(frame):
    tally = LiveTally(INPUTS)
    tally.add(frame)
    return tally.profile(listed=True).inputs.columns


REFERENCE = profile(table(5000, 0))


def drifted(policy, now):
    return {
        name for name, score in scores_of(policy, {name: (now[name], REFERENCE[name]) for name in now}).columns.items() if score.drifted
    }


@pytest.mark.parametrize("rows", [500, 2000])
def test_exactly_the_columns_that_moved_have_drifted(rows):
    now = profile(table(rows, 1, x2=0.5, c1=(0.1, 0.2, 0.3, 0.4)))
    for policy in (
        Drift(),
        Drift(numeric=NumericDrift(method="psi", limit=0.15), category=CategoryDrift(method="jensenshannon", limit=0.2)),
    ):
        assert drifted(policy, now) == {"x2", "c1"}


def test_one_clean_window_in_a_hundred_may_have_a_false_column():
    assert sum(len(drifted(Drift(), profile(table(500, seed)))) for seed in range(1, 101)) <= 1


def test_a_large_distance_of_few_rows_is_no_drift():
    assert drifted(Drift(), profile(table(8, 3))) == set()


def test_a_small_change_of_many_rows_is_significant_and_no_drift():
    now = profile(table(100_000, 1, x0=0.08))
    found = scores_of(Drift(), {"x0": (now["x0"], REFERENCE["x0"])}).columns["x0"]
    assert found.p < 0.01
    assert not found.drifted


def test_missing_cells_have_a_p_of_their_own():
    frame = table(1000, 1).with_columns(pl.when(pl.int_range(pl.len()) % 10 > 0).then("x1").alias("x1"))
    found = scores_of(Drift(), {name: (column, REFERENCE[name]) for name, column in profile(frame).items()})
    assert found.missing["x1"] < 1e-6
    assert found.missing["x0"] == 1


def test_a_column_without_a_value_has_no_score():
    empty = profile(table(600, 1).with_columns(pl.lit(None).alias("x1"), pl.lit(None).alias("c1")))
    assert {"x1", "c1"}.isdisjoint(scores_of(Drift(), {name: (column, REFERENCE[name]) for name, column in empty.items()}).columns)


@pytest.mark.parametrize(("new", "old"), [((5, 5), (5, 5)), ((90, 10), (40, 60)), ((1, 0), (0, 1)), ((10, 20, 70), (100, 0, 3))])
def test_the_jensen_shannon_distance_is_scipys(new, old):
    cells = {str(at): pair for at, pair in enumerate(zip(new, old, strict=True))}
    assert jensen_shannon(cells) == pytest.approx(jensenshannon(np.array(new) / sum(new), np.array(old) / sum(old)), abs=1e-7)
