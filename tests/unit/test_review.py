"""`seatrial.review`: sections in the order of their importance, within the limit, and none cut in silence."""

import pytest

from seatrial.comment_text import MAX_CHARACTERS as TAKEN
from seatrial.comment_text import comment_of
from seatrial.review import MARKER, Section, to_markdown

SECTIONS = [Section(title="First", body="one"), Section(title="Second", body="two", quiet=True), Section(title="Third", body="three")]


def test_everything_stands_in_its_order():
    text = to_markdown("## pass", SECTIONS, "the rest")
    assert text.startswith(f"{MARKER}\n## pass\n\n### First\n\none\n\n<details><summary>Second</summary>")
    assert text.endswith("### Third\n\nthree\n\nthe rest\n")
    assert "Left out" not in text


def test_a_section_without_room_is_left_out_whole_and_named_and_smaller_ones_stay():
    big = Section(title="Big", body="x" * 5000)
    text = to_markdown("## pass", [SECTIONS[0], big, SECTIONS[2]], limit=2000)
    assert len(text) <= 2000
    assert "x" * 10 not in text
    assert "### First" in text
    assert "### Third" in text
    assert "_Left out, because the text would be too long for a comment: Big. `reports/review.html` has all of it._" in text


@pytest.mark.parametrize("count", [5, 500])
def test_the_text_never_passes_the_limit_and_its_comment_neither(count):
    text = to_markdown("## pass", [Section(title=f"Section {at} " + "t" * 60, body="@word " * 2000) for at in range(count)])
    assert len(text) <= 58_000
    assert len(comment_of(text, marker=MARKER, server="https://forge.example")) <= TAKEN
