"""An alarm of a month is as the story says, or it is named: the one that was missed, and the one that nobody expected."""

import pytest

from seatrial.simulation.judge import Mark, Training, mark, marks, problems
from tests.simulations import seen, settings, told

NAMES = ("drift.columns", "drift.missing", "drift.prediction", "retrain", "release")
TRAINED = Training(reasons=("drift",), words="version 2 passed the gate and is live", live=2)
REFUSED = Training(reasons=("drift",), words="gate ended with 1: worse")


@pytest.fixture
def story(tmp_path):
    return told(tmp_path).story


def test_a_year_as_the_story_says_has_no_problem(story):
    year = [seen(1), seen(2, "drift.columns"), seen(3, "drift.columns", "drift.prediction", training=REFUSED), seen(4, "drift.missing")]
    assert problems(story, year, NAMES) == ()
    assert marks(story, year, NAMES)["drift.columns"] == (Mark.QUIET, Mark.FIRED, Mark.FIRED, Mark.QUIET)
    assert marks(story, year, NAMES)["drift.prediction"] == (Mark.QUIET, Mark.OPEN, Mark.OPEN, Mark.QUIET)


@pytest.mark.parametrize(
    ("month", "expected"),
    [
        (seen(2), ("month 2: drift.columns had to fire and stayed quiet",)),
        (seen(1, "drift.columns"), ("month 1: drift.columns had to stay quiet and fired: words about drift.columns",)),
        (seen(2, "drift.columns", "drift.prediction"), ()),
        (seen(3, "drift.columns"), ("month 3: retrain had to fire and stayed quiet",)),
        (seen(4, "drift.missing", training=REFUSED), ("month 4: retrain had to stay quiet and fired: gate ended with 1: worse",)),
        (
            seen(3, "drift.columns", training=TRAINED),
            ("month 3: release had to stay quiet and fired: version 2 passed the gate and is live",),
        ),
        (seen(1, failed=2, refused=3), ("month 1: 2 requests failed",)),
        (seen(1, refused=3), ()),
    ],
)
def test_what_is_not_as_the_story_says_is_named(story, month, expected):
    assert problems(story, [month], NAMES) == expected


def test_what_has_to_fire_has_to_also_where_another_chapter_leaves_it_open(tmp_path):
    from tests.simulations import STORY

    both = told(tmp_path, STORY.replace("fires: {drift.missing: [4]}", "may: {drift.columns: [3]}")).story
    assert mark(both, seen(3), "drift.columns") is Mark.MISSED
    assert settings().model.primary == "roc_auc"
