"""Samples between the journal's records: often enough, bounded, and never in the way."""

import json

import pytest

from seatrial import rollout_records as records
from seatrial.rollout import Action, Decision
from seatrial.rollout_state import Counts, Evidence, Phase, Pin, State
from seatrial.rollout_story import story_of
from seatrial.samples import KEPT, read_samples, record_sample, samples_path, with_samples
from tests import journals


def seen(requests=10, *, phase=Phase.CANARY, step=1, id="2-a"):
    side = Counts(requests=requests, failures=1)
    return State(
        phase=phase, id=id, step=step, challenger=Pin(version=2, digest="d"), counts=Evidence(step=5, champion=side, challenger=side)
    )


def sample(home, seconds, state=None):
    state = state or seen()
    record_sample(home, state, Decision(action=Action.WAIT, reason="", state=state, log_e=0.5, log_limit=5.7), journals.at(seconds))


def kept(home):
    return list(read_samples(home, "2-a"))


@pytest.mark.parametrize(("after", "found"), [(0.9, 1), (1.0, 2), (1.1, 2)])
def test_a_sample_is_kept_each_second(tmp_path, after, found):
    sample(tmp_path, 0)
    sample(tmp_path, after)
    assert len(kept(tmp_path)) == found


def test_the_e_value_of_a_sample_is_the_one_of_its_counts_as_in_the_journals_records(tmp_path):
    sample(tmp_path, 0)
    assert kept(tmp_path)[0]["log_e"] == records.log_e(seen().to_dict()) != 0.5


def test_a_new_step_is_kept_at_once(tmp_path):
    sample(tmp_path, 0)
    sample(tmp_path, 0.2, seen(step=2))
    sample(tmp_path, 0.4, seen(step=2, phase=Phase.PROMOTING))
    assert [(one["step"], one["phase"], one["exposure"]) for one in kept(tmp_path)] == [
        (1, "canary", 5),
        (2, "canary", 5),
        (2, "promoting", 100),
    ]


def test_the_longer_it_lasts_the_more_seldom_is_a_sample_kept(tmp_path):
    for second in range(0, 20_000, 5):
        sample(tmp_path, second)
    assert 1000 < len(kept(tmp_path)) < 2700


def test_a_clock_that_jumps_back_does_not_end_the_samples(tmp_path):
    sample(tmp_path, 3600)
    sample(tmp_path, 0)
    assert len(kept(tmp_path)) == 2


def test_a_file_that_is_full_stays_as_it_is(tmp_path, monkeypatch):
    sample(tmp_path, 0)
    size = samples_path(tmp_path, "2-a").stat().st_size
    for room, lines in ((0, 1), (1, 2)):
        monkeypatch.setattr("seatrial.samples.MOST_BYTES", size + room)
        sample(tmp_path, 10)
        assert len(kept(tmp_path)) == lines


def test_only_the_newest_files_stay(tmp_path):
    for number in range(KEPT + 3):
        sample(tmp_path, 0, seen(id=f"{number}-a"))
    assert len(list((tmp_path / "rollouts").iterdir())) == KEPT


def test_nothing_is_raised_whatever_is_wrong(tmp_path):
    (tmp_path / "rollouts").write_text("a file where the folder should be")
    sample(tmp_path, 0)
    record_sample(tmp_path, None, None, None)
    assert kept(tmp_path) == []


def test_a_torn_line_is_left_out_and_written_after(tmp_path):
    sample(tmp_path, 0)
    with samples_path(tmp_path, "2-a").open("ab") as stream:
        stream.write(b'{"time": "torn')
    sample(tmp_path, 10)
    sample(tmp_path, 20)
    assert [one["time"] for one in kept(tmp_path)] == [journals.at(0), journals.at(20)]


def test_an_id_names_a_file_in_the_folder_whatever_stands_in_it(tmp_path):
    assert samples_path(tmp_path, "../../etc/x y").parent == tmp_path / "rollouts"


def test_samples_stand_among_the_moments_of_their_story(tmp_path):
    journals.write(tmp_path, journals.promoted())
    story = story_of(tmp_path, "2-a")
    for seconds in (20, 30, 900):
        sample(tmp_path, seconds, seen(requests=seconds))
    odd = [{"time": "x"}, {}, json.loads('{"time": "2026-11-20T10:00:21+00:00", "champion": 3}')]
    joined = with_samples(story, [*kept(tmp_path), *odd])
    assert [one.seconds for one in joined.moments] == [0, 1, 6, 11, 16, 20, 30, 41, 42]
    assert joined.moments[5].challenger.requests == 20
