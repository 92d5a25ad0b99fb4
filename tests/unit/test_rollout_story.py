"""Rollouts as the journal tells them, from records of this and of later versions."""

import pytest

from seatrial import rollout_records as records
from seatrial.journal import Record, read_records
from seatrial.rollout_records import Side
from seatrial.rollout_story import MOST_MOMENTS, MOST_TURNS, last_story, stories, story_of
from tests import journals
from tests.journals import FIVE, MIRRORED, counts, part, state


def told(*rollouts, **options):
    found = [
        Record(number=1, token=1, time=journals.at(seconds), event=event, state=recorded)
        for rollout in rollouts
        for seconds, event, recorded in rollout
    ]
    return list(stories(found, **options))


def test_a_rollout_is_told_from_its_beginning_to_its_end():
    (story,) = told(journals.promoted(approval="eve: reviewed", started_by="bob"))
    assert (story.id, story.challenger.version, story.champion.version) == ("2-a", 2, 1)
    assert (story.how, story.outcome, story.reason, story.who) == ("promoted", "pass", "5 %: fine", "ann")
    assert (story.started, story.ended) == (journals.at(0), journals.at(42))
    assert story.approvals == ("eve: reviewed",)
    assert story.mirrored == (400, 3)


def test_only_decisions_are_turns_and_progress_is_not():
    (story,) = told(journals.promoted(), steps=("mirror", 5))
    assert [(turn.number, turn.what, turn.words) for turn in story.turns] == [
        (1, "starting", "began"),
        (2, "mirror", "smoke test: 16 golden rows answered"),
        (3, "5 %", "mirror: fine"),
        (4, "promoting", "5 %: fine"),
        (5, "end", "promoted: it is done"),
    ]


def test_moments_know_weight_and_counts_of_both_sides():
    (story,) = told(journals.promoted())
    assert [(one.seconds, one.exposure) for one in story.moments] == [
        (0, 0), (1, "mirror"), (6, "mirror"), (11, 5), (16, 5), (41, 100), (42, 100),
    ]  # fmt: skip
    assert story.moments[-1].champion == Side(requests=6400, failures=14)
    assert story.moments[-1].challenger == Side(requests=710, failures=2)


def test_each_rollout_is_told_for_itself():
    found = told(journals.promoted(), journals.rolled_back(), journals.taken_back())
    assert [(one.id, one.how, one.who) for one in found] == [
        ("2-a", "promoted", "ann"),
        ("3-a", "rolled back", "ann"),
        ("way back from 2", "rolled back", "bob"),
    ]


def test_evidence_of_an_earlier_rollout_counts_against_it_and_not_as_its_requests():
    carried = part(5, counts(1000, 3), counts(50, 9), complete=False)
    rollout = [
        (0, "began", state("starting", evidence=[carried])),
        (5, "on", state("canary", evidence=[carried], now=part(5, counts(200, 1), counts(10, 0)))),
    ]
    (story,) = told(rollout)
    assert story.carried == 1
    assert story.moments[-1].challenger == Side(requests=10, failures=0)
    assert story.moments[-1].log_e == records.log_e({"evidence": [carried, part(5, counts(200, 1), counts(10, 0))]}) > 0


def test_a_passing_shadow_rollout_is_withdrawn_and_not_rolled_back():
    (story,) = told(journals.rolled_back(outcome="pass"))
    assert story.how == "withdrawn"


def test_a_rollout_without_an_end_is_where_it_was_left():
    (story,) = told(journals.promoted()[:4])
    assert (story.how, story.ended) == ("canary", None)


def test_a_held_rollout_and_the_one_that_went_on_are_two():
    held = [(0, "held: needs approval", state("held", id="2-a", reason="needs approval"))]
    found = told(held, journals.promoted(id="2-b", start=60))
    assert [(one.id, one.how, one.ended is None) for one in found] == [("2-a", "held", True), ("2-b", "promoted", False)]


def test_unknown_fields_of_a_later_version_are_no_matter():
    more = {
        "pause": {"reason": "eve: lunch", "outcome": None, "waited": 3.0},
        "grant": {"who": "eve", "reason": "reviewed", "until": "x", "nonce": "1"},
        "lease": {"boot": "b", "until": 9.0},
        "mirrored": {"asked": 9, "differing": 1, "shift": 0.2},
    }
    slow = counts(100, 0, slow=50, broken=0, times=[[1.0, 50], [2.0, 100]])
    now = part(50, counts(100, 0, slow=0, broken=0), slow, name="50 %", words=["w"])
    (story,) = told([(0, "began", state("starting")), (1, "pause by eve", state("canary", now=now, **more))])
    assert story.mirrored == (9, 1)
    assert story.approvals == ("eve: reviewed",)
    assert (story.moments[-1].paused, story.moments[-1].exposure) == (True, 50)
    assert story.moments[-1].log_e > 5  # slow answers speak against it, though none failed


def test_a_challenger_that_is_held_because_it_failed_has_no_traffic():
    withdrawn = state("canary", now=part(50, counts(1), counts(1)), pause={"reason": "it failed", "outcome": "fail"})
    assert records.exposure(withdrawn) == 0
    assert records.exposure({**withdrawn, "pause": {"reason": "lunch", "outcome": None}}) == 50


@pytest.mark.parametrize("strange", [{}, {"phase": None}, {"phase": "canary", "challenger": "2"}, {"evidence": 7, "counts": []}])
def test_strange_records_tell_nothing(strange):
    assert told([(0, "odd", strange)]) == []
    assert records.log_e(strange) == 0.0
    assert records.totals(strange) == (Side(), Side())


def test_without_a_drawing_the_decisions_and_the_end_are_the_same():
    (drawn,), (plain,) = told(journals.promoted()), told(journals.promoted(), drawn=False)
    assert (plain.turns, plain.how, plain.seconds, plain.mirrored) == (drawn.turns, drawn.how, drawn.seconds, drawn.mirrored)
    assert len(plain.moments) == len(plain.turns) < len(drawn.moments)


def test_times_that_are_none_do_not_stop_the_story():
    record = Record(number=1, token=1, time="2026-11-01T00:00:0003.2", event="began", state=state("starting"))
    (story,) = stories([record])
    assert story.seconds == 0


def test_a_long_rollout_is_kept_in_bounded_memory():
    waiting = ((second, "5 %: waiting", state("canary", step=1, now=part(5, counts(second * 9), counts(second)))) for second in range(9000))
    turning = ((9000 + at, "turn", state("canary", step=at, now=part(5, counts(90_000), counts(9000)))) for at in range(MOST_TURNS + 9))
    (story,) = told(waiting, turning)
    assert len(story.moments) <= 2 * MOST_MOMENTS + MOST_TURNS
    assert (len(story.turns), story.more_turns) == (MOST_TURNS, 10)
    assert (story.moments[0].seconds, story.moments[-1].seconds) == (0, 9000 + MOST_TURNS + 8)


def test_the_newest_rollout_of_a_journal_is_found_and_others_by_their_id(tmp_path):
    journals.write(tmp_path, journals.promoted(), journals.rolled_back())
    assert last_story(tmp_path).id == "3-a"
    assert story_of(tmp_path, "2-a").how == "promoted"
    assert story_of(tmp_path, "9-z") is None
    assert last_story(tmp_path / "none") is None


def test_the_newest_rollout_is_read_whole_where_only_its_end_is_near(tmp_path, monkeypatch):
    path = journals.write(tmp_path, journals.promoted())
    records_near = {1600: 2, 2400: 4}  # its end only, and some of it
    for size, near in records_near.items():
        monkeypatch.setattr("seatrial.rollout_story.TAIL_BYTES", size)
        assert sum(1 for _ in read_records(path, start=path.stat().st_size - size)) == near
        assert last_story(tmp_path).started == journals.at(0)


def test_steps_of_both_kinds_have_their_share():
    assert [records.share(one) for one in (MIRRORED, FIVE)] == [0.5, 0.05]
