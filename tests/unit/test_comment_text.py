"""`seatrial.comment_text`: a stranger's text that may look like anything and do nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.comment_text import MAX_CHARACTERS, OWN_WORDS, comment_of, harmless
from seatrial.markdown import GAP

SERVER = "https://github.com"
MARKER = "<!-- seatrial review -->"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("@bob and @org/team", "@·bob and @·org/team"),
        ("fixes #12, !3, ~bug, %v1, &7", "fixes #·12, !·3, ~·bug, %·v1, &·7"),
        ("![x](https://github.com/x.png)", "!·[x](https://github.com/x.png)"),
        ("[x](http://evil.example)", "[x]·(http:·//evil.example)"),
        ("[x](https://github.com.evil.example/a)", "[x]·(https:·//github.com.evil.example/a)"),
        ("[x](//evil.example)", "[x]·(//evil.example)"),
        ("[x]: https://evil.example", "[x]·: https:·//evil.example"),
        ("www.evil.example", "www·.evil.example"),
        ("<!-- other bot -->", "&lt;!-- other bot -->"),
        ("<img src=x><a href=y>", "&lt;img src=x>&lt;a href=y>"),
        ("<details open>", "&lt;details open>"),
        ("\u202e\x00", "\\u202e\\x00"),
    ],
)
def test_what_a_forge_would_act_on_becomes_words(text, shown):
    assert harmless(text, SERVER) == shown.replace("·", GAP)


@pytest.mark.parametrize("text", ["[run](https://github.com/o/r/actions/runs/1)", "<details><summary>x</summary>", "## 0.5 % & more < 3"])
def test_what_a_review_is_made_of_stays(text):
    assert harmless(text, SERVER) == text.replace("< 3", "&lt; 3")


@pytest.mark.parametrize("before", ["", "  ", "> ", "- ", "\r", "\r\n", "x\n"])
def test_no_line_is_a_quick_action(before):
    lines = harmless(f"{before}/merge", SERVER).splitlines()
    assert not any(line.lstrip(" >-").startswith("/") for line in lines)
    assert lines[-1].endswith(f"{GAP}/merge")


def test_the_marker_comes_first_and_once_and_a_forged_one_is_no_comment():
    text = comment_of(f"{MARKER}\n{MARKER}\n<!-- seatrial diff -->\nhello", marker=MARKER, server=SERVER)
    assert text.startswith(f"{MARKER}\n")
    assert text.count("<!--") == 1
    assert text.endswith(f"hello\n\n{OWN_WORDS}\n")


@pytest.mark.parametrize(("length", "is_cut"), [(59_000, False), (80_000, True)])
def test_a_text_longer_than_a_forge_takes_is_cut_and_says_so(length, is_cut):
    text = comment_of("x\n" * (length // 2), marker=MARKER, server=SERVER)
    assert len(text) <= MAX_CHARACTERS
    assert ("… cut here" in text) is is_cut


def test_many_signs_that_are_made_harmless_do_not_pass_the_limit():
    assert len(comment_of("@a<" * 30_000, marker=MARKER, server=SERVER)) <= MAX_CHARACTERS


def test_what_a_text_leaves_open_is_closed_so_that_it_hides_nothing_below():
    text = comment_of("<details><summary>x</summary>\n```\ncode", marker=MARKER, server=SERVER)
    assert text.endswith(f"code\n```\n\n</details>\n\n{OWN_WORDS}\n")


@given(st.text(alphabet=st.sampled_from("@#!/<>-[]()`:wabhtps. \n\r" + GAP), max_size=60))
def test_twice_is_the_same_as_once(text):
    once = harmless(text, SERVER)
    assert harmless(once, SERVER) == once
