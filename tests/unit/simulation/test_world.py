"""The sample is dealt out once, by the seed alone, and changed as the story says and nowhere else."""

import numpy as np
import polars as pl
import pytest

from seatrial.errors import UsageError
from seatrial.simulation.world import deal, live
from tests.simulations import STORY, told

ROWS = 1200


@pytest.fixture
def story(tmp_path):
    return told(tmp_path).story


@pytest.fixture
def sample():
    draw = np.random.default_rng(1)
    return pl.DataFrame(
        {
            "client": [f"c{number}" for number in range(ROWS)],
            "age": draw.integers(18, 90, ROWS),
            "amount": draw.random(ROWS) * 100,
            "plan": draw.choice(["basic", "plus"], ROWS),
            "left": draw.choice(["No", "Yes"], ROWS, p=[0.8, 0.2]),
        }
    )


def month_of(story, sample, month):
    before = deal(sample, story).months[month - 1]
    return before, live(before, story, month, "left")


def test_each_row_comes_once_and_more_where_traffic_is_more(story, sample):
    dealt = deal(sample, story)
    assert [part.height for part in dealt.months] == [100, 200, 200, 100]
    ids = pl.concat([dealt.history, *dealt.months])["client"]
    assert dealt.history.height == 600
    assert ids.n_unique() == ids.len() == ROWS


def test_the_seed_decides_and_nothing_else(story, sample, tmp_path):
    first, again = deal(sample, story), deal(sample, story)
    assert all(one.equals(other) for one, other in zip(first.months, again.months, strict=True))
    assert live(first.months[1], story, 2, "left").asked.equals(live(again.months[1], story, 2, "left").asked)
    other = told(tmp_path, STORY.replace("seed: 3", "seed: 4")).story
    assert not deal(sample, other).months[0].equals(first.months[0])


def test_a_stable_month_is_sent_as_it_is(story, sample):
    before, month = month_of(story, sample, 1)
    assert month.rows.equals(before)
    assert month.asked.equals(before.drop("left"))


def test_the_world_changes_what_is_sent_and_what_is_learned_from(story, sample):
    before, month = month_of(story, sample, 2)
    assert month.asked["amount"].to_list() == pytest.approx((before["amount"] * 2).to_list(), abs=1e-5)
    assert month.rows.drop("left").equals(month.asked)
    stayed = before.filter(pl.col("plan") == "basic").height
    moved = stayed - month.rows.filter(pl.col("plan") == "basic").height
    assert 0.3 * stayed < moved < 0.7 * stayed


def test_outcomes_come_true_where_the_story_says(story, sample):
    before, month = month_of(story, sample, 2)
    old = before["age"] >= 60
    assert set(month.rows.filter(old)["left"]) == {"Yes"}
    assert month.rows.filter(~old)["left"].equals(before.filter(~old)["left"])


def test_the_wire_loses_what_the_warehouse_keeps(story, sample):
    before, month = month_of(story, sample, 4)
    assert month.rows.equals(before)
    assert 30 < month.asked["age"].null_count() < 70
    assert month.asked["age"].dtype == before["age"].dtype


def test_a_mix_brings_more_of_a_kind_also_in_the_last_month_and_beside_another_chapter(sample, tmp_path):
    story = told(tmp_path, STORY.replace("months: [1]", "months: [1, 4]")).story
    shares = [(part["plan"] == "plus").mean() for part in deal(sample, story).months]
    assert shares[3] > 0.65
    assert max(shares[:3]) < 0.6


def test_a_month_with_too_few_rows_is_refused_before_anything_runs(story, sample):
    with pytest.raises(UsageError, match="month 4 would have 5 rows of the sample's 60, 20 are needed"):
        deal(sample.head(60), story)
