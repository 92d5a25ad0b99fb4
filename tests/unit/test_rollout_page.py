"""The page about a rollout: from two records and from five thousand, with hostile words, and never in the way."""

import math
import re
import xml.etree.ElementTree as ElementTree
from html import unescape
from pathlib import Path

import pytest

from seatrial.journal import read_records
from seatrial.project import Project
from seatrial.rollout_page import rollout_page, write_rollout_page
from seatrial.rollout_story import Moment, Side, stories
from seatrial.timeline import duration, power, thinned, timeline
from seatrial.verdict import Check, Outcome, Verdict
from tests import journals
from tests.journals import counts, part, state

PARAMS = Path(__file__).parents[2] / "params.yaml"
LIMIT = math.log(300)


@pytest.fixture
def project(tmp_path):
    (tmp_path / "params.yaml").write_text(PARAMS.read_text())
    return Project.find(tmp_path, env={})


def story(tmp_path, *rollouts):
    return list(stories(read_records(journals.write(tmp_path, *rollouts)), steps=("mirror", 5)))[-1]


def text(markup):
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", markup)))


def drawings(markup):
    return [ElementTree.fromstring(found) for found in re.findall(r"<svg class=\"chart\".*?</svg>", markup, re.DOTALL)]


def test_the_page_says_how_it_ended_and_why_and_who(tmp_path):
    markup = rollout_page(story(tmp_path, journals.promoted(approval="eve: reviewed", started_by="bob", simulated=True)))
    shown = text(markup)
    for words in (
        "Rollout of version 2: promoted",
        "5 %: fine",
        "simulated: replayed rows",
        "began 2026-11-20 10:00:00 UTC",
        "took 42 s",
        "started by bob",
        "ended by ann",
        "approved by eve: reviewed",
        "400 mirrored requests got another label than the champion's (0.75%)",
        "16 golden rows answered as the bundle promises",
    ):
        assert words in shown, words


def test_each_drawing_is_named_and_described(tmp_path):
    found = drawings(timeline(story(tmp_path, journals.promoted()), log_limit=LIMIT))
    assert len(found) == 4
    for drawn in found:
        ids = {one.get("id"): one.text for one in drawn if one.tag in ("title", "desc")}
        assert drawn.get("role") == "img"
        assert set(drawn.get("aria-labelledby").split()) == set(ids)
        assert all(ids.values())
    told = [drawn.find("desc").text for drawn in found]
    assert told[0] == "0 % from 0 s, mirror from 1 s, 5 % from 11 s, 100 % from 41 s"
    assert told[1] == "champion 6,400 requests in the end; challenger 710 requests in the end"
    assert told[3].endswith("the limit is 300")


def test_mirror_steps_are_hatched_and_named_and_lines_differ_in_more_than_colour(tmp_path):
    markup = rollout_page(story(tmp_path, journals.promoted()), log_limit=LIMIT)
    assert markup.count(">mirror</text>") == 4
    assert "url(#weight-hatch)" in markup
    assert ".champion .curve { stroke-dasharray" in markup


def test_a_first_release_of_two_records_is_a_page(tmp_path):
    told = [(0, "began", state("starting", champion=None)), (1, "promoted", journals.idle(2))]
    markup = rollout_page(story(tmp_path, told))
    assert len(drawings(markup)) == 1  # the weight; nobody was compared
    assert "Rollout of version 2: promoted" in text(markup)


def test_five_thousand_records_are_thinned_out(tmp_path):
    waiting = [
        (second, f"5 %: {second} requests", state("canary", step=1, now=part(5, counts(19 * second, second), counts(second))))
        for second in range(5000)
    ]
    markup = rollout_page(story(tmp_path, waiting), log_limit=LIMIT)
    assert len(markup) < 80_000
    assert markup.count("5 %: ") < 20
    assert all(len(drawn.findall(".//text")) < 30 for drawn in drawings(markup))


def moment(seconds, exposure=5):
    return Moment(seconds=seconds, phase="canary", step=0, exposure=exposure, champion=Side(), challenger=Side(), log_e=0.0)


@pytest.mark.parametrize("count", [1, 2, 299, 300, 301, 5000])
def test_thinning_keeps_ends_and_changes_of_weight(count):
    moments = [moment(float(second), 5 if second < 23 else 25) for second in range(count)]
    kept = thinned(moments)
    assert len(kept) <= 303
    assert (kept[0], kept[-1]) == (moments[0], moments[-1])
    assert len(kept) == count or moments[23] in kept


def test_many_decisions_are_bounded_and_the_rest_is_counted(tmp_path):
    told = [(at, f"turn {at}", state("canary", step=at)) for at in range(450)]
    shown = text(rollout_page(story(tmp_path, told)))
    assert len(re.findall(r"turn \d+", shown)) == 200
    assert "250 more in journal.jsonl" in shown


def test_hostile_words_stay_text(tmp_path):
    bad = "<script>alert(1)</script>\u202e\x00" + "x" * 5000
    pins = {"version": 2, "digest": bad}
    everywhere = dict.fromkeys(("reason", "approval", "started_by", "gate", "environment"), bad)
    told = [
        (0, bad, state("canary", now=part(5, counts(1), counts(1), name=bad)) | everywhere),
        (1, "rolled back", {"phase": "idle", "champion": pins, "pending": [{"ledger": {"who": bad}}]}),
    ]
    markup = rollout_page(story(tmp_path, told), log_limit=LIMIT)
    assert "<script>" not in markup
    assert "\u202e" not in markup
    assert len(markup) < 60_000


def test_slow_and_broken_answers_have_columns_where_they_were_counted(tmp_path):
    now = part(50, counts(100, 1, slow=2, broken=0), counts(100, 1, slow=7, broken=3), name="bake at 50 %")
    shown = text(rollout_page(story(tmp_path, [(0, "began", state("canary", now=now))])))
    assert "step requests failed slow broken increase below allowed state" in shown
    assert "bake at 50 % 100 champion 100 1 champion 1 7 champion 2 3 champion 0" in shown


def test_the_verdict_gives_the_ceilings_and_is_shown_only_where_it_is_about_this_rollout(project):
    journals.write(project.home, journals.promoted())
    subject = {"bundle": journals.pin(2)["digest"], "champion": None, "plan": journals.PLAN, "gate": journals.GATE}
    check = Check(name="step.005", outcome=Outcome.PASS, message="good", observed=0.01, limit=0.0234)
    for about, shown in ((subject, True), ({**subject, "bundle": "sha256:another"}, False)):
        Verdict(kind="rollout", subject=about, checks=(check,)).save(project.verdict("rollout"))
        markup = write_rollout_page(project, print).read_text()
        assert ("2.34%" in markup, "All 1 checks" in markup) == (shown, shown)


def test_no_rollout_is_no_page(project):
    assert write_rollout_page(project, print) is None
    assert not project.report("rollout.html").exists()


def test_a_page_that_cannot_be_written_is_said_and_stops_nobody(project):
    journals.write(project.home, journals.promoted())
    (project.root / "reports").write_text("a file where the folder should be")
    said = []
    assert write_rollout_page(project, said.append) is None
    assert len(said) == 1
    assert "could not be written" in said[0]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (5.44, "5.44 s"), (60, "1 min"), (140.2, "2 min 20 s"), (3600, "1 h"), (11_100, "3 h 5 min"), (10**5, "1 d 3 h")],
)  # fmt: skip
def test_a_length_of_time_is_said_in_at_most_two_units(seconds, words):
    assert duration(seconds) == words


def test_an_e_value_is_said_as_a_number_or_a_power():
    assert [power(one) for one in (-9, -1, 0, 2.477, 3, 12)] == ["10^-9", "0.1", "1", "300", "1,000", "10^12"]
