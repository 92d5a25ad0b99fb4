"""`seatrial.markdown`: text that stays text, also in a table, also for a forge."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from seatrial.comment_text import harmless
from seatrial.markdown import GAP, code, folded, plain, table

HOSTILE = st.text(alphabet=st.sampled_from("@#!/<>-[]()`|*_~$&;:\\ \n\rab1\u202e\x00"), max_size=40)


def shown(markdown):
    """What a reader sees of Markdown that is one line."""
    html = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(markdown)
    text = re.sub(r"</?(p|code|table|thead|tbody|tr|th|td)>|\n", "", html)
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"').replace("&amp;", "&").replace(GAP, "")


@pytest.mark.parametrize("words", ["a|b", "*x* _y_ ~~z~~", "<b>x</b>", "[x](y)", "`x`", "a & b &lt;", "1 < 2 > 0", "\\|"])
def test_plain_words_are_shown_as_they_are(words):
    assert shown(f"x {plain(words)}") == f"x {words}"


@given(HOSTILE)
def test_a_cell_is_one_cell_whatever_is_in_it(text):
    line = table(("a", "b"), [(plain(text), code(text))]).splitlines()
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render("\n".join(line))
    assert (len(line), html.count("<td"), html.count("<tr")) == (3, 2, 2)
    assert "<b" not in html.replace("<tbody", "")


@given(HOSTILE)
def test_what_was_made_here_is_harmless_already(text):
    words = f"x {plain(text)}"
    assert harmless(words, "https://forge.example").replace(GAP, "") == words.replace(GAP, "")


def test_mentions_references_and_addresses_have_a_gap():
    assert plain("@bob #1 !2 https://x www.y") == f"@{GAP}bob #{GAP}1 !{GAP}2 https:{GAP}//x www{GAP}.y"


def test_a_backtick_does_not_end_a_code_span():
    assert code("a`b|c") == "`aˋbǀc`"
    assert code("") == ""


def test_long_text_keeps_both_ends():
    assert plain("a" * 400 + "b" * 400, 100) == "a" * 50 + " … " + "b" * 50


def test_a_fold_shows_its_summary_as_words():
    assert folded("1 <b> @bob", "body") == f"<details><summary>1 &lt;b&gt; @{GAP}bob</summary>\n\nbody\n\n</details>"
