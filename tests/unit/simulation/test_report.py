"""The year as table, record, page, picture and Markdown: each says that it is a simulation, and what was not as expected."""

import xml.etree.ElementTree as ET

import pytest

from seatrial.errors import DataError
from seatrial.files import pretty_json
from seatrial.marked import replaced
from seatrial.simulation.judge import Mark, Training
from seatrial.simulation.picture import WORDS
from seatrial.simulation.report import END, START, Simulated, as_json, markdown, month_rows, picture, print_year, simulation_page
from tests.simulations import STORY, near, seen, settings, told

LIVE = Training(reasons=("drift", "request"), words="version 2 passed the gate and is live", live=2, helps=True)


def year(*, missed=False):
    last = seen(4, version=2, then=None, coverage=0.1) if missed else seen(4, "drift.missing", version=2, then=None, coverage=0.1)
    third = seen(3, "drift.columns", later=near(0.61), training=LIVE if missed else Training(reasons=("drift",), words="gate ended with 1"))
    return (seen(1), seen(2, "drift.columns"), third, last)


def simulated(folder, **options):
    return Simulated(story=told(folder).story, settings=settings(), year=year(**options))


def test_a_year_as_expected_passes_in_every_form(tmp_path, capsys):
    found = simulated(tmp_path)
    assert found.problems == ()
    assert found.summary == "4 of 4 expected alarms fired, 30 of 30 stayed quiet as expected"
    assert as_json(found)["outcome"] == "pass"
    assert as_json(found)["simulation"] is True
    pretty_json(as_json(found))
    print_year(found, terminal=False)
    said = capsys.readouterr().out
    assert said.splitlines()[0].startswith("Simulation: 4 months of leavers")
    assert said.splitlines()[-1].startswith("simulate: pass · simulation: 4 of 4")


def test_what_was_not_as_expected_is_named_everywhere(tmp_path, capsys):
    found = simulated(tmp_path, missed=True)
    assert [words.partition(" had")[0] for words in found.problems] == ["month 3: release", "month 4: drift.missing"]
    assert as_json(found)["outcome"] == "fail"
    print_year(found, terminal=False)
    said = capsys.readouterr().out
    assert "simulate: month 4: drift.missing had to fire and stayed quiet" in said
    assert "simulate: fail · simulation" in said
    page = simulation_page(found)
    assert "month 4: drift.missing had to fire and stayed quiet" in page
    assert "version 2 passed the gate and is live" in page
    assert month_rows(found)[3][3] == "drift.missing: missed"


def test_the_page_says_that_it_is_a_simulation_and_takes_words_as_text(tmp_path):
    story = told(tmp_path, STORY.replace("Ages do not arrive.", '"<script>alert(1)</script> & more"')).story
    page = simulation_page(Simulated(story=story, settings=settings(), year=year()))
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert page.count("Simulation") >= 3
    assert "scratch endpoint" in page


def test_the_picture_has_a_sign_for_every_alarm_of_every_month_and_is_the_same_twice(tmp_path):
    found = simulated(tmp_path, missed=True)
    drawn = picture(found)
    assert drawn == picture(found)
    root = ET.fromstring(drawn)
    titles = [one.text or "" for one in root.iter("{http://www.w3.org/2000/svg}title")]
    assert titles[0].startswith("Simulation: 4 months of leavers: drift.columns in months 2, 3")
    signs = [one for one in titles if one.startswith("month") and one.endswith(tuple(WORDS.values()))]
    assert len(signs) == 4 * len(found.rows)
    assert sum(one.endswith(WORDS[Mark.MISSED]) for one in signs) == 1
    assert sum(one.endswith(WORDS[Mark.FALSE]) for one in signs) == 1
    assert "prefers-color-scheme:dark" in drawn


def test_names_of_short_chapters_do_not_lie_on_each_other(tmp_path):
    text = STORY.replace("name: broken", "name: a very long name of a chapter").replace(
        "name: shock", "name: a name that is wider than its months"
    )
    drawn = picture(Simulated(story=told(tmp_path, text).story, settings=settings(), year=year()))
    root = ET.fromstring(drawn)
    names = [one for one in root.iter("{http://www.w3.org/2000/svg}text") if one.get("class") == "bandname"]
    width = float(root.get("width"))
    ends = [(float(one.get("y")), float(one.get("x")), float(one.get("x")) + 6.4 * len(one.text)) for one in names]
    assert all(right <= width for _, _, right in ends)
    for at, (y, left, right) in enumerate(ends):
        assert all(other_y != y or right <= other_left or other_right <= left for other_y, other_left, other_right in ends[at + 1 :])


def test_the_docs_get_the_story_with_the_alarms_that_fired_between_their_marks(tmp_path):
    text = markdown(simulated(tmp_path))
    assert "| 2–3 | shock | Amounts double, and the old leave. | `drift.columns` (2, 3) |" in text
    assert "- Month 3: drift: gate ended with 1." in text
    page = replaced(f"a\n{START}\nwhat stood there\n{END}\nb", START, END, text, place="docs/x.md")
    assert "what stood there" not in page
    assert page.endswith(f"{END}\nb")
    with pytest.raises(DataError, match=r"docs/x\.md has no place for the table"):
        replaced("a", START, END, text, place="docs/x.md")
